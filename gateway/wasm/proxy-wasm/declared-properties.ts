// Properties that a plugin has declared with the foreign function `declare_property`: those that are written once, and those
// that expressions take as text.

import type { FilterStream } from "../../filter/filter.ts"
import type { HostRoot } from "./host.ts"

export interface DeclaredProperty {
  /** The first value stays. */
  readonly readonly: boolean
  /** Expressions see text; octets otherwise. */
  readonly text: boolean
}

/** Declarations of one plugin. */
const MAX_DECLARED = 256

/** What the plugins of one VM have declared, by key of the exchange's store. They end with their root. */
export class DeclaredProperties {
  readonly #roots = new WeakMap<HostRoot, Map<string, DeclaredProperty>>()

  /** False when it is declared already, or when there are too many. */
  declare(root: HostRoot, key: string, property: DeclaredProperty): boolean {
    let declared = this.#roots.get(root)
    if (declared === undefined) this.#roots.set(root, (declared = new Map()))
    if (declared.has(key) || declared.size >= MAX_DECLARED) return false
    declared.set(key, property)
    return true
  }

  get(root: HostRoot, key: string): DeclaredProperty | undefined {
    return this.#roots.get(root)?.get(key)
  }

  /** Whether `key` may not be written (again) in this exchange. */
  forbids(root: HostRoot, key: string, stream: FilterStream): boolean {
    const declared = this.#roots.get(root)
    return declared !== undefined && declared.get(key)?.readonly === true && stream.property(key) !== undefined
  }
}
