// Requests and TCP connections by who sent them and which service they went to. Who clients are is known from their certificates, which workers meet while
// they serve: a worker asks for the slots of a pair it meets for the first time, and the main thread gives out so many at most. Those of
// a service that is gone, and when room is short those that send nothing, are given back once no worker has them any more.

import type { Config } from "../config/model.ts"
import { type Metric, type MetricsRegistry, slotsOf } from "./metrics-registry.ts"
import { statusClasses } from "./status-classes.ts"

/** Pairs of a client's identity and a service that have series of their own; more share one. */
export const MAX_IDENTITY_SERIES = 1000
/** Characters of an identity; a longer one counts among those that have no series of their own. */
export const MAX_IDENTITY_LENGTH = 256
/** ms in which nothing moves after which a pair makes room, where more than half is taken, and where all is. */
const IDLE = 3_600_000
const IDLE_WHEN_FULL = 300_000

/** Slots of one pair. */
export interface IdentitySlots {
  /** Counters; add {@link statusIndex}. */
  readonly requests: number
  /** Counter: seconds. */
  readonly seconds: number
  /** Counter: TCP connections that have ended. */
  readonly connections: number
  /** Counters of their octets. */
  readonly received: number
  readonly sent: number
}

/** Who sends requests to which service; "-" = to none. */
export interface IdentityPair {
  readonly source: string
  readonly service: string
}

/** One that has been met, with the first slots of what is counted of it, as in {@link IdentitySlots}. */
export type CountedPair = IdentityPair & Pick<IdentitySlots, "requests" | "connections">

export class IdentityInstruments {
  readonly #registry: MetricsRegistry
  readonly #slots: Record<keyof IdentitySlots, Metric>
  /** Pairs that workers are told to forget, until all have. */
  readonly #leaving = new Map<string, IdentityPair>()
  /** What was counted of a pair when that was last looked at, and since when it has been so much, ms. */
  #seen = new Map<string, { readonly counted: number; readonly since: number }>()
  #tell: (pairs: readonly IdentityPair[]) => void = () => {}
  /** Those that found no place. */
  readonly overflow: IdentitySlots

  constructor(registry: MetricsRegistry) {
    this.#registry = registry
    const bounded = { labels: ["source", "service"], maxSeries: MAX_IDENTITY_SERIES, omitZero: true, heldBy: "identities" } as const
    this.#slots = {
      requests: registry.counter({
        name: "sluice_identity_requests_total",
        help: "Finished requests of clients with a certificate, by the identity in it",
        across: { label: "code", values: statusClasses },
        ...bounded,
      }),
      seconds: registry.counter({
        name: "sluice_identity_request_seconds_total",
        help: "Time of finished requests of clients with a certificate, by the identity in it",
        ...bounded,
      }),
      connections: registry.counter({
        name: "sluice_identity_tcp_connections_total",
        help: "TCP connections that have ended of clients with a certificate, by the identity in it",
        ...bounded,
      }),
      received: registry.counter({
        name: "sluice_identity_tcp_received_bytes_total",
        help: "Bytes received from TCP clients with a certificate, by the identity in it",
        ...bounded,
      }),
      sent: registry.counter({
        name: "sluice_identity_tcp_sent_bytes_total",
        help: "Bytes sent to TCP clients with a certificate, by the identity in it",
        ...bounded,
      }),
    }
    this.overflow = slotsOf(this.#slots, (metric) => metric.shared())
    registry.onKnown(() => this.#release())
  }

  /** `tell` has all workers forget pairs; each answers to the registry when it has. */
  onForget(tell: (pairs: readonly IdentityPair[]) => void): void {
    this.#tell = tell
  }

  /** Pairs that have been met, that of all others last. */
  *pairs(): Generator<CountedPair> {
    const { requests, connections } = this.#slots
    for (const { labels, slot } of requests.series.values()) {
      const { source, service } = labels
      yield { source, service, requests: slot, connections: connections.find(source, service) }
    }
    yield { source: "overflow", service: "overflow", ...this.overflow }
  }

  /** Slots of a client's requests and connections to a service; "-" = to none. */
  slots(source: string, service: string): IdentitySlots {
    // Nobody can call himself what stands for all others.
    if (source.length > MAX_IDENTITY_LENGTH || source === "overflow") return this.overflow
    // Whoever asks has them from now on, whether it has been told to forget them before or will hear of that while it waits.
    this.#leaving.delete(keyOf({ source, service }))
    return slotsOf(this.#slots, (metric) => metric.slot(source, service))
  }

  /** A configuration is in force: nothing is sent any more to services it doesn't have. */
  use({ services }: Pick<Config, "services">): void {
    this.#forget(this.#pairs().filter(({ service }) => service !== "-" && !Object.hasOwn(services, service)))
  }

  /** Looks for pairs that make room. To be called now and then. @param now ms */
  sweep(now: number): void {
    const { size } = this.#slots.requests.series
    const idle = size >= MAX_IDENTITY_SERIES ? IDLE_WHEN_FULL : size > MAX_IDENTITY_SERIES / 2 ? IDLE : Number.POSITIVE_INFINITY
    const before = this.#seen
    this.#seen = new Map()
    const pairs = this.#pairs().filter((pair) => {
      const key = keyOf(pair)
      const counted = this.#counted(pair)
      const known = before.get(key)
      const seen = known?.counted === counted ? known : { counted, since: now }
      this.#seen.set(key, seen)
      return now - seen.since >= idle
    })
    this.#forget(pairs)
  }

  #pairs(): IdentityPair[] {
    return [...this.#slots.requests.series.values()].map(({ labels: { source, service } }) => ({ source, service }))
  }

  #counted({ source, service }: IdentityPair): number {
    let counted = 0
    for (const metric of Object.values(this.#slots)) {
      const slot = metric.find(source, service)
      for (let i = 0; i < metric.width; i++) counted += this.#registry.read(slot + i)
    }
    return counted
  }

  #forget(pairs: readonly IdentityPair[]): void {
    if (pairs.length === 0) return
    for (const pair of pairs) this.#leaving.set(keyOf(pair), pair)
    this.#tell(pairs)
  }

  // All workers have heard of all that is leaving.
  #release(): void {
    for (const { source, service } of this.#leaving.values())
      for (const metric of Object.values(this.#slots)) metric.forget(source, service)
    this.#leaving.clear()
  }
}

function keyOf({ source, service }: IdentityPair): string {
  return `${service}\n${source}`
}
