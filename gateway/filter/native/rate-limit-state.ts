// The main thread's side of rate limits: the memory their states are in, and which bucket and counters belong to which limit.
// A limit that stays the same over a reload keeps its state; one that is gone leaves its bucket to another.

import { randomBytes } from "node:crypto"
import { httpPart } from "../../config/listener-parts.ts"
import type { Config } from "../../config/model.ts"
import type { RateLimitConfig } from "../../config/rate-limit-model.ts"
import { BUCKETS, createRateMemory, RateTable } from "../../resilience/rate-table.ts"
import { familyHead } from "../../telemetry/exposition.ts"
import type { MetricDescription, MetricsRegistry } from "../../telemetry/metrics-registry.ts"
import { RateLimitInstruments } from "../../telemetry/rate-limit-instruments.ts"
import { RateLimitStoreInstruments, type RateLimitStoreSlots } from "../../telemetry/rate-limit-store-instruments.ts"

const keysFamily: MetricDescription = {
  name: "sluice_rate_limit_keys",
  type: "gauge",
  labels: [],
  help: "Keys of rate limits that have used some of what they may",
}
const evictionsFamily: MetricDescription = {
  name: "sluice_rate_limit_evictions_total",
  type: "counter",
  labels: [],
  help: "Keys of rate limits that were forgotten because there were too many",
}

/** What workers are handed with a snapshot. */
export interface RateLimitSpec {
  /** Null: there are no limits. */
  readonly memory: SharedArrayBuffer | null
  /** Of the keys' hash; the same in all workers. */
  readonly seed: readonly [number, number]
  /** Zero of the limits' clock, ms since 1970. */
  readonly epoch: number
  /** Buckets of limits without a key, by name. */
  readonly buckets: Readonly<Record<string, number>>
  /** Counters, by name. */
  readonly slots: Readonly<Record<string, number>>
  /** Of the store of global limits, and first counter of the rate-limit service; null = there is none. */
  readonly store: RateLimitStoreSlots | null
  readonly service: number | null
}

/** Everything that makes a limit the same one over a reload. */
export function rateLimitIdentity({ name, by, requests, per, burst }: RateLimitConfig): string {
  return JSON.stringify([name, by.map(({ text }) => text), requests, per, burst])
}

function rateLimitsOf(config: Config): RateLimitConfig[] {
  return [
    ...config.listeners.flatMap((listener) => httpPart(listener)?.rateLimits ?? []),
    ...config.routes.flatMap(({ rateLimits }) => rateLimits ?? []),
    ...Object.values(config.services).flatMap(({ rateLimits }) => rateLimits ?? []),
  ]
}

export class RateLimitState {
  readonly #instruments: RateLimitInstruments
  readonly #stores: RateLimitStoreInstruments
  readonly #epoch = performance.timeOrigin
  readonly #seed: readonly [number, number]
  #memory: SharedArrayBuffer | null = null
  #table: RateTable | null = null
  /** By identity. */
  readonly #buckets = new Map<string, number>()
  readonly #free: number[] = []
  /** Free, but for exchanges of the snapshot before. */
  #leaving: number[] = []
  #next = 0

  constructor(registry: MetricsRegistry) {
    this.#instruments = new RateLimitInstruments(registry)
    this.#stores = new RateLimitStoreInstruments(registry)
    const octets = randomBytes(8)
    this.#seed = [octets.readInt32LE(0), octets.readInt32LE(4)]
    registry.include(() => this.#exposition(), [keysFamily, evictionsFamily])
  }

  /** What a configuration needs; nothing that another one has is taken away. */
  assign(config: Config): RateLimitSpec {
    const limits = rateLimitsOf(config)
    if (limits.length > 0 && this.#memory === null) {
      this.#memory = createRateMemory()
      this.#table = new RateTable(this.#memory)
    }
    const buckets: Record<string, number> = {}
    const slots: Record<string, number> = {}
    for (const limit of limits) {
      slots[limit.name] = this.#instruments.limit(limit.name)
      if (limit.by.length > 0 || limit.scope !== "local") continue
      const bucket = this.#bucket(rateLimitIdentity(limit))
      if (bucket >= 0) buckets[limit.name] = bucket
    }
    const store = config.rateLimitStore === undefined ? null : this.#stores.store()
    const service = config.rateLimitService === undefined ? null : this.#stores.service()
    return { memory: this.#memory, seed: this.#seed, epoch: this.#epoch, buckets, slots, store, service }
  }

  #bucket(identity: string): number {
    const known = this.#buckets.get(identity)
    if (known !== undefined) return known
    const bucket = this.#free.pop() ?? (this.#next < BUCKETS ? this.#next++ : -1)
    if (bucket < 0) return bucket
    this.#table?.clearBucket(bucket, performance.now())
    this.#buckets.set(identity, bucket)
    return bucket
  }

  /** This configuration is in force, in every worker. */
  keepOnly(config: Config): void {
    this.#free.push(...this.#leaving)
    this.#leaving = []
    const kept = new Set(rateLimitsOf(config).map(rateLimitIdentity))
    for (const [identity, bucket] of this.#buckets) {
      if (kept.has(identity)) continue
      this.#buckets.delete(identity)
      this.#leaving.push(bucket)
    }
  }

  /** Another configuration never came into force: buckets of it alone are free. `config`: the one in force. */
  abandon(config: Config): void {
    const kept = new Set(rateLimitsOf(config).map(rateLimitIdentity))
    for (const [identity, bucket] of this.#buckets) {
      if (kept.has(identity)) continue
      this.#buckets.delete(identity)
      this.#free.push(bucket)
    }
  }

  #exposition(): string {
    const table = this.#table
    if (table === null) return ""
    const keys = `${familyHead(keysFamily)}${keysFamily.name} ${table.keys(performance.now())}\n`
    return `${keys}${familyHead(evictionsFamily)}${evictionsFamily.name} ${table.evictions}\n`
  }
}
