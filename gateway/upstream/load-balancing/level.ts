// The endpoints of one priority: those in the gateway's zone and the others, each with a policy of its own, and how much of them
// is available, which is looked at ten times a second at most and never for each request.

import { warmth } from "../../resilience/warm-up.ts"
import type { Endpoint } from "../endpoint.ts"
import { isAvailable } from "./eligible.ts"
import type { Candidates, Policy } from "./policy.ts"

/** An endpoint with its part in one snapshot. */
export interface Member {
  readonly endpoint: Endpoint
  /** Above 0. */
  readonly weight: number
  /** "" = not known. */
  readonly zone: string
  /** Lower ones come first. */
  readonly priority: number
}

/** What of a service has to be available before the next priority is needed as well: 1/1.4 of it, as in Envoy. */
const OVERPROVISIONING = 1.4

export class Level {
  /** What it can take of the traffic, 0 to 1. */
  capacity = 1
  /** Share of its endpoints that are available, each counting as one. */
  available = 1
  /** Those that are unwell are used too. */
  panic = false
  /** Share of its traffic that stays in the zone. */
  localShare = 1
  readonly #local: Group
  /** Outside the zone; null: there are none, or zones don't matter. */
  readonly #others: Group | null
  readonly #zones: number

  /**
   * `zone`: the gateway's own; "" = zones don't matter. `slowStart`: ms new endpoints take to get all of their share; 0 = none.
   */
  constructor(members: readonly Member[], zone: string, slowStart: number, policy: (candidates: Candidates) => Policy) {
    const local = zone === "" ? [] : members.filter((member) => member.zone === zone)
    const others = zone === "" ? members : members.filter((member) => member.zone !== zone)
    this.#zones = new Set(members.map((member) => member.zone)).size
    const parted = local.length > 0 && others.length > 0
    this.#local = new Group(parted ? local : members, slowStart, policy)
    this.#others = parted ? new Group(others, slowStart, policy) : null
  }

  /** Looks at what is available. `now`: ms. */
  look(now: number): void {
    const local = this.#local
    const others = this.#others
    local.look(now)
    others?.look(now)
    const total = local.total + (others?.total ?? 0)
    const available = local.available + (others?.available ?? 0)
    this.capacity = Math.min(1, (OVERPROVISIONING * available) / total)
    this.available = (local.count + (others?.count ?? 0)) / (local.endpoints.length + (others?.endpoints.length ?? 0))
    // As much as if every zone brought about the same traffic and it were spread evenly over what is available.
    const share = available === 0 ? local.total / total : local.available / available
    this.localShare = others === null ? 1 : Math.min(1, share * this.#zones)
  }

  /** `draw`, in [0, 1), decides whether the request stays in the zone. */
  pick(tried: readonly Endpoint[] | null, key: number, draw: number, panic: boolean): Endpoint | null {
    const others = this.#others
    if (others === null) return this.#local.policy.pick(tried, key, panic)
    const stays = draw < this.localShare
    const first = stays ? this.#local : others
    return first.policy.pick(tried, key, panic) ?? (stays ? others : this.#local).policy.pick(tried, key, panic)
  }

  /** Zones matter, so that {@link pick} needs a draw. */
  get parted(): boolean {
    return this.#others !== null
  }
}

/** Endpoints among which one policy picks. */
class Group implements Candidates {
  readonly endpoints: readonly Endpoint[]
  readonly weights: Float64Array
  readonly policy: Policy
  /** Weight of all, and of those that are available, and their number. */
  readonly total: number
  available: number
  count: number
  readonly #configured: Float64Array
  readonly #slowStart: number
  /** As they were when last looked at: 1 = available. */
  readonly #were: Uint8Array | null
  #warming = true

  constructor(members: readonly Member[], slowStart: number, policy: (candidates: Candidates) => Policy) {
    this.endpoints = members.map(({ endpoint }) => endpoint)
    this.#configured = Float64Array.from(members, ({ weight }) => weight)
    this.weights = this.#configured.slice()
    this.#slowStart = slowStart
    this.#were = slowStart === 0 ? null : new Uint8Array(members.length).fill(1)
    this.total = this.#configured.reduce((sum, weight) => sum + weight, 0)
    this.available = this.total
    this.count = members.length
    this.policy = policy(this)
  }

  look(now: number): void {
    const { endpoints } = this
    const configured = this.#configured
    let available = 0
    let count = 0
    for (let i = 0; i < endpoints.length; i++) {
      if (!isAvailable(endpoints[i])) continue
      available += configured[i]
      count++
    }
    this.available = available
    this.count = count
    if (this.#were !== null) this.#warmUp(now, this.#were)
  }

  #warmUp(now: number, were: Uint8Array): void {
    const { endpoints, weights } = this
    const configured = this.#configured
    const wasWarming = this.#warming
    this.#warming = false
    for (let i = 0; i < endpoints.length; i++) {
      const endpoint = endpoints[i]
      const is = isAvailable(endpoint) ? 1 : 0
      // What has just got well again may have been restarted.
      if (is > were[i]) endpoint.warmSince = now
      were[i] = is
      const warm = warmth(now - endpoint.warmSince, this.#slowStart)
      if (warm < 1) this.#warming = true
      weights[i] = configured[i] * warm
    }
    if (this.#warming || wasWarming) this.policy.reweigh()
  }
}
