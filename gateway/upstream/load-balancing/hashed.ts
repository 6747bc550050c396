// What ring hash and Maglev share: a table that gives each key an endpoint, made when it is first asked for, and what happens to
// requests without a key: the less busy of two endpoints.

import type { Endpoint } from "../endpoint.ts"
import { firstEligible, isEligible } from "./eligible.ts"
import { LeastRequest } from "./least-request.ts"
import type { Candidates, Policy } from "./policy.ts"
import type { TableCache } from "./table-cache.ts"

/** Where keys belong. */
export interface HashTable {
  /** Index of the endpoint for `key`; `step` 0, and for those that can't have it the next in an order that is the key's own. */
  at(key: number, step: number): number
}

/** Steps after which endpoints are looked through in order: by then most of them can't be picked. */
const STEPS = 64

export class HashedChoice implements Policy {
  readonly #candidates: Candidates
  readonly #keyless: LeastRequest
  readonly #tables: TableCache
  readonly #name: string
  readonly #make: (endpoints: readonly { readonly address: string }[], weights: Float64Array) => HashTable
  #table: HashTable | null = null

  constructor(
    candidates: Candidates,
    name: string,
    make: (endpoints: readonly { readonly address: string }[], weights: Float64Array) => HashTable,
    random: () => number,
    tables: TableCache,
  ) {
    this.#candidates = candidates
    this.#name = name
    this.#make = make
    this.#keyless = new LeastRequest(candidates, random)
    this.#tables = tables
  }

  pick(tried: readonly Endpoint[] | null, key: number, panic: boolean): Endpoint | null {
    if (key < 0) return this.#keyless.pick(tried, key, panic)
    const { endpoints } = this.#candidates
    if (endpoints.length === 1) return isEligible(endpoints[0], tried, panic) ? endpoints[0] : null
    this.#table ??= this.#open()
    let index = 0
    for (let step = 0; step < STEPS; step++) {
      index = this.#table.at(key, step)
      if (isEligible(endpoints[index], tried, panic)) return endpoints[index]
    }
    return firstEligible(endpoints, index, tried, panic)
  }

  #open(): HashTable {
    const { endpoints, weights } = this.#candidates
    const key = `${this.#name} ${endpoints.map(({ address }, i) => `${address} ${weights[i]}`).join(" ")}`
    return this.#tables.table(key, () => this.#make(endpoints, weights))
  }

  /** Keys stay where they are: those of a new endpoint would move twice if it warmed up. */
  reweigh(): void {}
}
