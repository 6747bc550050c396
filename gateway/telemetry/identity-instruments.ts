// Requests and TCP connections by who sent them and which service they went to. Who clients are is known from their certificates, which workers meet while
// they serve: a worker asks for the slots of a pair it meets for the first time, and the main thread gives out so many at most.

import { type Metric, type MetricsRegistry, slotsOf } from "./metrics-registry.ts"
import { statusClasses } from "./status-classes.ts"

/** Pairs of a client's identity and a service that have series of their own; more share one. */
export const MAX_IDENTITY_SERIES = 1000
/** Characters of an identity; a longer one counts among those that have no series of their own. */
export const MAX_IDENTITY_LENGTH = 256

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

export class IdentityInstruments {
  readonly #slots: Record<keyof IdentitySlots, Metric>
  /** Those that found no place. */
  readonly overflow: IdentitySlots

  constructor(registry: MetricsRegistry) {
    const bounded = { labels: ["source", "service"], maxSeries: MAX_IDENTITY_SERIES, omitZero: true }
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
  }

  /** Slots of a client's requests and connections to a service; "-" = to none. */
  slots(source: string, service: string): IdentitySlots {
    // Nobody can call himself what stands for all others.
    if (source.length > MAX_IDENTITY_LENGTH || source === "overflow") return this.overflow
    return slotsOf(this.#slots, (metric) => metric.slot(source, service))
  }
}
