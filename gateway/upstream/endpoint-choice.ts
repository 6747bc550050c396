// Where one request goes: to which endpoint of its service next, past those that it has tried, and past those that have as much under
// way as they may. When it goes anywhere again is decided elsewhere.

import type { Endpoint } from "./endpoint.ts"
import { isAvailable } from "./load-balancing/eligible.ts"
import type { Service } from "./services.ts"

/** Connects that may fail before a request does: each on another endpoint. */
export const CONNECT_ATTEMPTS = 3

export class EndpointChoice {
  /** All endpoints had as much under way as they may, the last time one was looked for. */
  full = false
  readonly #service: Service
  readonly #key: number
  #tried: Endpoint[] | null = null

  /** `key`: what balancers hash the request by. */
  constructor(service: Service, key: number) {
    this.#service = service
    this.#key = key
  }

  /** The endpoint whose turn it is; null: there is none. */
  next(): Endpoint | null {
    return this.#service.balancer.next(this.#tried, this.#key)
  }

  /** `endpoint`, or another that has room, at which the request has begun; null: there is none, or all are {@link full}. */
  begin(endpoint: Endpoint | null): Endpoint | null {
    this.full = false
    if (endpoint === null || endpoint.begin()) return endpoint
    const another = this.#beginElsewhere(endpoint)
    this.full = another === null
    return another
  }

  // Balancers pass by endpoints that are full, so that either all are, or another thread was faster.
  #beginElsewhere(full: Endpoint): Endpoint | null {
    const { endpoints, limits, balancer } = this.#service
    const passed = this.#tried === null ? [full] : [...this.#tried, full]
    for (let left = endpoints.length; left > 0; left--) {
      const endpoint = balancer.next(passed, this.#key)
      // A full one is better waited for than one that is unwell, or failed already, is asked in its place.
      if (endpoint === null || !isAvailable(endpoint) || endpoint.suspect || passed.includes(endpoint)) break
      if (endpoint.begin()) return endpoint
      passed.push(endpoint)
    }
    limits.refused("endpoint")
    return null
  }

  /** The request turns to another from here on, if there is one. */
  pass(endpoint: Endpoint): void {
    this.#tried ??= []
    if (this.#tried.at(-1) !== endpoint) this.#tried.push(endpoint)
  }

  /** There are endpoints that it hasn't tried. */
  get hasOthers(): boolean {
    return this.#service.balancer.hasOthers(this.#tried)
  }
}
