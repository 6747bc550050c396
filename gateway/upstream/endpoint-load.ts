// What a worker tells all threads of one endpoint: what is under way there, and how long answers take of late. What has ended is
// counted in metrics. Nothing goes by it: it is there to be looked at. Each worker writes to a column of its own, so that it costs a
// few plain stores.

import { ACTIVE, AVERAGE, CONNECTIONS } from "./endpoint-table.ts"

/** Part of a new answer in the average: about the last 30 count. */
const SHARE = 1 / 16

export class EndpointLoad {
  readonly #column: Float64Array
  readonly #at: number

  /** `column`: this worker's, whose figures of the endpoint begin at `at`. */
  constructor(column: Float64Array, at: number) {
    this.#column = column
    this.#at = at
  }

  begins(): void {
    this.#column[this.#at + ACTIVE]++
  }

  ends(): void {
    this.#column[this.#at + ACTIVE]--
  }

  /** `latency`: ms. */
  answered(latency: number): void {
    const i = this.#at + AVERAGE
    const average = this.#column[i]
    this.#column[i] = average === 0 ? latency : average + (latency - average) * SHARE
  }

  /** `n` more (or fewer, when negative) connections are open. */
  connections(n: number): void {
    this.#column[this.#at + CONNECTIONS] += n
  }

  /** It shows an endpoint that has so much under way. */
  enter(active: number, connections: number): void {
    // Another thread may only have a look, by endpoints of its own: it must not write where this worker counts.
    if (active === 0 && connections === 0) return
    this.#column[this.#at + ACTIVE] += active
    this.#column[this.#at + CONNECTIONS] += connections
  }

  /** It shows it no longer, but `next` does, if any: its place may soon be another endpoint's. */
  leave(active: number, connections: number, next: EndpointLoad | null): void {
    this.enter(-active, -connections)
    if (next === null) this.#column[this.#at + AVERAGE] = 0
  }
}
