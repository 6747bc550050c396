// A filter with several versions: every exchange is given to one of them, by weight, and stays with it to its end. Each
// version is a plugin of its own, with its own figures.

import type { FilterStream, HttpFilter, StreamFilter } from "../filter/filter.ts"
import type { ConnectionFilter, ConnectionStream, NetworkFilter } from "../filter/network-filter.ts"
import type { PluginSpec } from "./plugin.ts"

/** A filter with several versions in use; survives structured cloning. */
export interface VersionedSpec {
  readonly name: string
  /** At least one, with weights above 0. */
  readonly versions: readonly { readonly plugin: PluginSpec; readonly weight: number }[]
}

/** What a snapshot needs to make a filter. */
export type FilterSpec = PluginSpec | VersionedSpec

export class VersionedFilter implements HttpFilter, NetworkFilter {
  readonly name: string
  /** All that any version takes part in; one that exports nothing for a phase lets it pass. */
  readonly interests: number
  readonly bodyLimit: number
  readonly dataInterests: number
  readonly versions: readonly (HttpFilter & NetworkFilter)[]
  /** Weights summed up so far. */
  readonly #marks: readonly number[]
  readonly #total: number
  readonly #random: () => number

  /** @param random [0, 1) */
  constructor(name: string, versions: readonly (HttpFilter & NetworkFilter)[], weights: readonly number[], random: () => number) {
    this.name = name
    this.versions = versions
    this.interests = versions.reduce((bits, version) => bits | version.interests, 0)
    this.dataInterests = versions.reduce((bits, version) => bits | version.dataInterests, 0)
    this.bodyLimit = Math.max(...versions.map((version) => version.bodyLimit))
    let total = 0
    this.#marks = weights.map((weight) => (total += weight))
    this.#total = total
    this.#random = random
  }

  open(stream: FilterStream): StreamFilter | null {
    return this.#pick().open(stream)
  }

  openConnection(stream: ConnectionStream): ConnectionFilter | null {
    return this.#pick().openConnection(stream)
  }

  #pick(): HttpFilter & NetworkFilter {
    const mark = this.#random() * this.#total
    let i = 0
    while (i < this.#marks.length - 1 && mark >= this.#marks[i]) i++
    return this.versions[i]
  }
}
