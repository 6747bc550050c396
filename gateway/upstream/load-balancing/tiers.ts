// The load balancer of a service: it chooses the priority, the zone, and whether those that are unwell have to do, and a policy
// chooses the endpoint. What it chooses by is worked out ten times a second at most.

import { mixBits } from "../../http/text-hash.ts"
import type { Endpoint } from "../endpoint.ts"
import { anyOf, triedBefore } from "./eligible.ts"
import { Level, type Member } from "./level.ts"
import type { BalancerCounters, StagedBalancer } from "./load-balancer.ts"
import type { Candidates, Policy } from "./policy.ts"

/** ms between two looks at what is available. */
const LOOK = 100
/** Shares of one are one. */
const ALMOST = 1e-9

export interface TiersSettings {
  /** The gateway's zone; "" = zones don't matter. */
  readonly zone: string
  /** ms; 0 = none. */
  readonly slowStart: number
  /** When a smaller share of the endpoints is available, all are used; 0 = never. */
  readonly panicThreshold: number
}

export interface TiersMeans {
  readonly clock: { readonly now: number }
  /** [0, 1). */
  readonly random: () => number
  readonly counters: BalancerCounters
}

export class Tiers implements StagedBalancer {
  readonly #endpoints: readonly Endpoint[]
  /** By priority. */
  readonly #levels: readonly Level[]
  /** Shares of the traffic, summed up. */
  readonly #loads: Float64Array
  readonly #panicThreshold: number
  readonly #means: TiersMeans
  #lookAt = Number.NEGATIVE_INFINITY

  constructor(members: readonly Member[], settings: TiersSettings, means: TiersMeans, policy: (candidates: Candidates) => Policy) {
    this.#means = means
    this.#panicThreshold = settings.panicThreshold
    this.#endpoints = members.map(({ endpoint }) => endpoint)
    const priorities = [...new Set(members.map(({ priority }) => priority))].sort((a, b) => a - b)
    this.#levels = priorities.map((priority) => {
      const own = members.filter((member) => member.priority === priority)
      return new Level(own, settings.zone, settings.slowStart, policy)
    })
    this.#loads = new Float64Array(priorities.length)
  }

  next(tried: readonly Endpoint[] | null, key: number): Endpoint | null {
    return this.pick(tried, key) ?? this.lastResort(tried, key)
  }

  hasOthers(tried: readonly Endpoint[] | null): boolean {
    for (const endpoint of this.#endpoints) if (tried?.includes(endpoint) !== true) return true
    return false
  }

  /** One that should be picked, or null. */
  pick(tried: readonly Endpoint[] | null, key: number): Endpoint | null {
    if (this.#means.clock.now >= this.#lookAt) this.#look(this.#means.clock.now)
    const levels = this.#levels
    if (levels.length === 1) return this.#pickFrom(levels[0], tried, key)
    if (levels.length === 0) return null
    const draw = this.#draw(key, 1)
    let first = 0
    while (first < levels.length - 1 && draw >= this.#loads[first]) first++
    const picked = this.#pickFrom(levels[first], tried, key)
    if (picked !== null) return picked
    for (let i = 0; i < levels.length; i++) {
      const other = i === first ? null : this.#pickFrom(levels[i], tried, key)
      if (other !== null) return other
    }
    return null
  }

  #pickFrom(level: Level, tried: readonly Endpoint[] | null, key: number): Endpoint | null {
    const { counters } = this.#means
    if (level.panic) counters.panics(1)
    if (!level.parted) return level.pick(tried, key, 0, level.panic)
    const draw = this.#draw(key, 2)
    if (draw >= level.localShare) counters.spills(1)
    return level.pick(tried, key, draw, level.panic)
  }

  // A key's request goes the same way every time, as long as shares stay what they are.
  #draw(key: number, salt: number): number {
    return key < 0 ? this.#means.random() : mixBits(key ^ mixBits(salt)) / 2 ** 32
  }

  /** For when there is nothing to {@link pick}: what was tried already, then what is unwell. */
  lastResort(tried: readonly Endpoint[] | null, key: number): Endpoint | null {
    const again = triedBefore(this.#endpoints, tried)
    if (again !== null) return again
    for (const level of this.#levels) {
      const picked = level.pick(tried, key, level.parted ? this.#draw(key, 2) : 0, true)
      if (picked !== null) return picked
    }
    return anyOf(this.#endpoints, tried)
  }

  #look(now: number): void {
    this.#lookAt = now + LOOK
    const levels = this.#levels
    let capacity = 0
    for (const level of levels) {
      level.look(now)
      capacity += level.capacity
    }
    // As long as the priorities together can take everything, none has to make do with what is unwell.
    const short = capacity < 1 - ALMOST
    let left = 1
    for (let i = 0; i < levels.length; i++) {
      const level = levels[i]
      level.panic = short && level.available < this.#panicThreshold - ALMOST
      const wanted = capacity === 0 ? 1 : short ? level.capacity / capacity : level.capacity
      const load = Math.min(left, wanted)
      left -= load
      this.#loads[i] = 1 - left
    }
  }
}
