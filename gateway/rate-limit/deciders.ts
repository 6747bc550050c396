// Who decides on limits that gateways share, in one worker: made for a snapshot that needs them, kept while their configuration
// stays the same, and closed when a snapshot without them has come into force.

import type { Config } from "../config/model.ts"
import type { RateLimitConfig } from "../config/rate-limit-model.ts"
import type { RateLimitServiceConfig, RateLimitStoreConfig } from "../config/rate-limit-store-model.ts"
import type { ServiceCaller } from "../filter/filter.ts"
import type { RateLimitDecider } from "../filter/native/rate-limit-decider.ts"
import type { RateLimitSpec } from "../filter/native/rate-limit-state.ts"
import { KeyHash } from "../resilience/key-hash.ts"
import { RateTable } from "../resilience/rate-table.ts"
import { Reconnect } from "../resilience/reconnect.ts"
import type { LogLevel } from "../telemetry/log.ts"
import type { MetricsWriter } from "../telemetry/metrics-writer.ts"
import { type RateLimitStoreSlots, serviceResults } from "../telemetry/rate-limit-store-instruments.ts"
import { type ClientMaterial, ClientTls } from "../tls/client-context.ts"
import type { TlsMaterials } from "../tls/tls-files.ts"
import { GlobalDecider, type GlobalDeciderOptions } from "./global-decider.ts"
import { LocalShare } from "./local-share.ts"
import { redisConnector } from "./redis-connection.ts"
import { ServiceDecider } from "./service-decider.ts"
import { StoreLink } from "./store-link.ts"
import { undecided } from "./verdict.ts"

export interface DecidersMeans {
  /** This worker, from 0, and how many there are. */
  readonly index: number
  readonly workers: number
  readonly metrics: MetricsWriter
  readonly caller: ServiceCaller
  readonly random: () => number
  readonly environment: NodeJS.ProcessEnv
  log(level: LogLevel, message: string, fields: Readonly<Record<string, string>>): void
  fault(error: unknown): void
}

/** What is needed of a snapshot. */
export interface DecidersSpec {
  readonly config: Pick<Config, "rateLimitStore" | "rateLimitService">
  readonly tls: Pick<TlsMaterials, "rateLimitStore">
  readonly rateLimits: RateLimitSpec
}

interface Kept {
  readonly identity: string
  readonly decider: RateLimitDecider
  close(): void
}

/** Those of one snapshot. */
class DeciderSet {
  readonly #global: Kept | null
  readonly #service: Kept | null

  constructor(global: Kept | null, service: Kept | null) {
    this.#global = global
    this.#service = service
  }

  /** Null: this process decides. */
  decider({ scope }: RateLimitConfig): RateLimitDecider | null {
    return (scope === "global" ? this.#global : scope === "service" ? this.#service : null)?.decider ?? null
  }

  get all(): readonly (Kept | null)[] {
    return [this.#global, this.#service]
  }
}

const NONE: DeciderSet = new DeciderSet(null, null)

export class Deciders {
  readonly #means: DecidersMeans
  #current = NONE
  #next: DeciderSet | null = null

  constructor(means: DecidersMeans) {
    this.#means = means
  }

  /** Those of a snapshot that is being made. */
  prepare({ config, tls, rateLimits: limits }: DecidersSpec): DeciderSet {
    this.abandon()
    const { rateLimitStore: store, rateLimitService: service } = config
    const storeTls = tls.rateLimitStore
    const global =
      limits.store === null || limits.memory === null || store === undefined
        ? null
        : this.#keep(["store", store, storeTls], () => this.#global(store, storeTls, limits, limits.store as RateLimitStoreSlots))
    const asked =
      limits.service === null || service === undefined
        ? null
        : this.#keep(["service", service], () => this.#service(service, limits.service as number))
    this.#next = new DeciderSet(global, asked)
    return this.#next
  }

  #keep(identity: readonly unknown[], make: () => RateLimitDecider & { close(): void }): Kept {
    const text = JSON.stringify(identity)
    for (const kept of this.#current.all) if (kept?.identity === text) return kept
    const decider = make()
    return { identity: text, decider, close: () => decider.close() }
  }

  /** The snapshot they were made for is in force. */
  commit(): void {
    const before = this.#current
    if (this.#next === null) return
    this.#current = this.#next
    this.#next = null
    closeUnless(before, this.#current)
  }

  /** It never came into force. */
  abandon(): void {
    if (this.#next === null) return
    closeUnless(this.#next, this.#current)
    this.#next = null
  }

  #global(config: RateLimitStoreConfig, material: ClientMaterial | null, limits: RateLimitSpec, slots: RateLimitStoreSlots): GlobalDecider {
    const { metrics, index, workers, random, environment, log, fault } = this.#means
    const { redis, onFailure, timeout, lease, replicas, prefix } = config
    const { host, port } = redis.address
    const tls = redis.tls === null || material === null ? null : new ClientTls(redis.tls, material)
    // All workers lose it together: one says so.
    const level = index === 0 ? "warn" : "debug"
    let was = false
    const store = new StoreLink({
      connect: redisConnector(redis, tls, prefix, environment),
      reconnect: new Reconnect(),
      random,
      clock: () => performance.now(),
      onUp: () => {
        was = true
        metrics.add(slots.up, 1)
        log(index === 0 ? "info" : "debug", "the store of rate limits is there", { store: `${host}:${port}` })
      },
      onDown: (reason) => {
        if (was) metrics.add(slots.up, -1)
        was = false
        log(level, "the store of rate limits is away", { store: `${host}:${port}`, reason, onFailure })
      },
      onClosed: () => metrics.add(slots.up, -1),
      onTrip: () => metrics.add(slots.requests, 1),
      onError: () => metrics.add(slots.errors, 1),
    })
    return new GlobalDecider({
      store,
      timeout,
      lease,
      holders: workers * replicas,
      prefix,
      withoutStore: this.#withoutStore(onFailure, limits, replicas),
      clock: () => performance.now(),
      onLeased: (requests) => metrics.add(slots.leased, requests),
      onWithout: () => metrics.add(slots.fallbacks, 1),
      fault,
    })
  }

  #withoutStore(
    onFailure: RateLimitStoreConfig["onFailure"],
    limits: RateLimitSpec,
    replicas: number,
  ): GlobalDeciderOptions["withoutStore"] {
    const { memory } = limits
    if (onFailure !== "local" || memory === null) {
      const verdict = undecided(onFailure === "allow")
      return () => verdict
    }
    const offset = performance.timeOrigin - limits.epoch
    const share = new LocalShare({
      table: new RateTable(memory),
      hash: new KeyHash(limits.seed),
      now: () => offset + performance.now(),
      replicas,
    })
    return (asks) => share.decide(asks)
  }

  #service({ service, domain, timeout, onFailure }: RateLimitServiceConfig, slots: number): ServiceDecider {
    const { caller, metrics, fault } = this.#means
    return new ServiceDecider({
      caller,
      service,
      domain,
      timeout,
      allowOnFailure: onFailure === "allow",
      onResult: (result) => metrics.add(slots + serviceResults.indexOf(result), 1),
      fault,
    })
  }
}

function closeUnless(set: DeciderSet, kept: DeciderSet): void {
  for (const each of set.all) if (each !== null && !kept.all.includes(each)) each.close()
}
