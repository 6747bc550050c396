// One rate limit as a worker asks it: reads a request's keys, finds the figures that hold for them, and takes from the state that
// all workers share. What it found stays readable until the next request.

import { Buffer } from "node:buffer"
import type { RateLimitConfig, RateLimitFigures, RateLimitKeyConfig } from "../../config/rate-limit-model.ts"
import { clientNetwork } from "../../http/client-network.ts"
import type { RequestHead } from "../../http/message.ts"
import { Gcra } from "../../resilience/gcra.ts"
import type { KeyHash } from "../../resilience/key-hash.ts"
import type { RateTable } from "../../resilience/rate-table.ts"
import type { StreamInfo } from "../filter.ts"
import type { RateLimitAsk, RateLimitDecider, RateLimitRule } from "./rate-limit-decider.ts"
import { RateLimitKeys, type StoredProperty } from "./rate-limit-keys.ts"
import { rateLimitIdentity } from "./rate-limit-state.ts"

/** The request isn't counted by this limit. */
export const RATE_SKIP = 0
export const RATE_PASS = 1
/** It lacks a key that it must have. */
export const RATE_MISSING = 2

/** What all limits of a snapshot share. */
export interface RateLimitMeans {
  readonly table: RateTable
  readonly hash: KeyHash
  /** ms of the clock that all workers share. */
  readonly now: () => number
}

/** Figures with the part of a key's hash that tells them, and their limit, from all others. */
class Figures {
  readonly gcra: Gcra
  readonly low: number
  readonly high: number

  constructor({ requests, per, burst }: RateLimitFigures, identity: string, hash: KeyHash) {
    this.gcra = new Gcra(requests, per, burst)
    hash.begin()
    hash.add(identity)
    hash.add(JSON.stringify([requests, per, burst]))
    hash.end()
    this.low = hash.low
    this.high = hash.high
  }
}

export class RateLimiter implements RateLimitAsk {
  readonly config: RateLimitConfig
  readonly rule: RateLimitRule
  /** Metric slots. */
  readonly slots: number
  /** Who decides on it; null: this process. */
  readonly decider: RateLimitDecider | null
  readonly #keys: RateLimitKeys
  readonly #means: RateLimitMeans
  readonly #own: Figures
  /** By their values as one text; null = there are none. */
  readonly #overrides: ReadonlyMap<string, Figures> | null
  readonly #bucket: number
  #figures: Figures
  #now = 0

  /** @param bucket of a limit without keys; −1 = it has keys, or found no bucket */
  constructor(config: RateLimitConfig, bucket: number, slots: number, decider: RateLimitDecider | null, means: RateLimitMeans) {
    this.config = config
    this.slots = slots
    this.decider = decider
    this.#means = means
    this.#bucket = bucket
    this.#keys = new RateLimitKeys(config.by)
    const { name, requests, per, burst } = config
    this.rule = { name, requests, per, burst, by: config.by.map(({ text }) => text), descriptor: config.descriptor }
    const identity = rateLimitIdentity(config)
    this.#own = new Figures(config, identity, means.hash)
    this.#figures = this.#own
    this.#overrides =
      config.overrides.length === 0
        ? null
        : new Map(
            config.overrides.map((each) => {
              const values = each.values.map((value, i) => asRequested(config.by[i], value))
              return [joined(values), new Figures(each, identity, means.hash)]
            }),
          )
  }

  get values(): readonly string[] {
    return this.#keys.values
  }
  get requests(): number {
    return this.#figures.gcra.requests
  }
  get per(): number {
    return this.#figures.gcra.per
  }
  get burst(): number {
    return this.#figures.gcra.burst
  }

  /** Reads the request; RATE_PASS: it is to be asked about. */
  read(info: StreamInfo, head: RequestHead, stored: StoredProperty | null): typeof RATE_SKIP | typeof RATE_PASS | typeof RATE_MISSING {
    const { missing } = this.config
    if (!this.#keys.read(info, head, stored) && missing !== "share") return missing === "skip" ? RATE_SKIP : RATE_MISSING
    this.#figures = this.#overrides?.get(joined(this.#keys.values)) ?? this.#own
    return RATE_PASS
  }

  /** Takes one of what the request that was {@link read} may use; whether there was one. */
  take(): boolean {
    const { table, hash, now } = this.#means
    const { gcra, low, high } = this.#figures
    this.#now = now()
    if (this.#bucket >= 0) return table.takeBucket(gcra, this.#bucket, this.#now)
    hash.begin()
    hash.addWord(low)
    hash.addWord(high)
    const { values } = this.#keys
    for (let i = 0; i < values.length; i++) hash.add(values[i])
    hash.end()
    return table.takeKey(gcra, hash.low, hash.high, this.#now)
  }

  // Of what was taken last, before any other limit is asked.

  get left(): number {
    const { gcra } = this.#figures
    return gcra.left(this.#means.table.state, gcra.at(this.#now))
  }
  /** ms. */
  get reset(): number {
    const { gcra } = this.#figures
    return gcra.reset(this.#means.table.state, gcra.at(this.#now))
  }
  /** ms. */
  get wait(): number {
    const { gcra } = this.#figures
    return gcra.wait(this.#means.table.state, gcra.at(this.#now))
  }
  /** Where it was taken from, for {@link giveBack}. */
  get place(): number {
    return this.#means.table.place
  }
  get gcra(): Gcra {
    return this.#figures.gcra
  }
}

// Several values as one text that no others make.
function joined(values: readonly string[]): string {
  if (values.length === 1) return values[0]
  let text = ""
  for (const value of values) text += `${value.length}:${value}`
  return text
}

// A value of the configuration as it is read out of requests; octets of headers are one character each.
function asRequested(key: RateLimitKeyConfig, value: string): string {
  if (key.kind === "source") return clientNetwork(value)
  if (key.kind === "host") return value.toLowerCase()
  return key.kind === "header" || key.kind === "cookie" ? Buffer.from(value, "utf8").toString("latin1") : value
}
