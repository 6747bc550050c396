// Weighted round robin: each endpoint is due at every 1/weight of a cycle, and whoever is due first is taken. Shares are exact
// over a cycle and turns spread over it; a heap finds the next in log n steps, where smooth weighted round robin looks at all.

import type { Endpoint } from "../endpoint.ts"
import { firstEligible, isEligible } from "./eligible.ts"
import type { Candidates, Policy } from "./policy.ts"

export class RoundRobin implements Policy {
  readonly #endpoints: readonly Endpoint[]
  readonly #weights: Float64Array
  /** Weights that {@link #due} was worked out with. */
  readonly #used: Float64Array
  /** Turn an endpoint waits for, counted from {@link #base}: due = base + turn ÷ weight, which no rounding adds up in. */
  readonly #turn: Float64Array
  readonly #base: Float64Array
  readonly #due: Float64Array
  /** Indices of endpoints, the one due first on top; of those due alike, the first. */
  readonly #heap: Int32Array
  /** When the last one taken was due. */
  #now = 0

  constructor({ endpoints, weights }: Candidates) {
    const { length } = endpoints
    this.#endpoints = endpoints
    this.#weights = weights
    this.#used = weights.slice()
    this.#turn = new Float64Array(length).fill(1)
    this.#base = new Float64Array(length)
    this.#due = weights.map((weight) => 1 / weight)
    this.#heap = Int32Array.from(endpoints, (_, i) => i)
    this.#build()
  }

  /** One that can't be picked loses its turn: it comes back to its share, with nothing to make up for. */
  pick(tried: readonly Endpoint[] | null, _key: number, panic: boolean): Endpoint | null {
    const endpoints = this.#endpoints
    // So few may be left that all turns of others would have to pass.
    for (let left = Math.min(2 * endpoints.length, 64); left > 0; left--) {
      const index = this.#take()
      if (isEligible(endpoints[index], tried, panic)) return endpoints[index]
    }
    return firstEligible(endpoints, this.#heap[0], tried, panic)
  }

  #take(): number {
    const index = this.#heap[0]
    this.#now = this.#due[index]
    this.#due[index] = this.#base[index] + ++this.#turn[index] / this.#used[index]
    this.#sink(0)
    return index
  }

  reweigh(): void {
    const used = this.#used
    let changed = false
    for (let i = 0; i < used.length; i++) {
      const weight = this.#weights[i]
      if (weight === used[i]) continue
      // What is left of the wait is longer or shorter by as much as its share has changed.
      this.#due[i] = this.#now + ((this.#due[i] - this.#now) * used[i]) / weight
      this.#base[i] = this.#due[i] - 1 / weight
      this.#turn[i] = 1
      used[i] = weight
      changed = true
    }
    if (changed) this.#build()
  }

  #build(): void {
    for (let i = (this.#heap.length >> 1) - 1; i >= 0; i--) this.#sink(i)
  }

  #sink(at: number): void {
    const heap = this.#heap
    const due = this.#due
    const { length } = heap
    const index = heap[at]
    const mine = due[index]
    for (;;) {
      let child = 2 * at + 1
      if (child >= length) break
      const right = child + 1
      if (right < length && (due[heap[right]] < due[heap[child]] || (due[heap[right]] === due[heap[child]] && heap[right] < heap[child])))
        child = right
      const other = heap[child]
      if (due[other] > mine || (due[other] === mine && other > index)) break
      heap[at] = other
      at = child
    }
    heap[at] = index
  }
}
