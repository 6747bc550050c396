// Modules prepared lately, by digest, on the main thread: going back to a version that was in use a moment ago, or using one
// module in several filters, compiles nothing.

import { createHash } from "node:crypto"
import { type PreparedModule, prepareModule } from "./module.ts"

/** A module that can be used. */
export type UsableModule = PreparedModule & { readonly ok: true }

/** Modules kept, and octets of them (as they were before they were instrumented). */
const MAX_MODULES = 16
const MAX_OCTETS = 32 * 1024 * 1024

interface Kept {
  readonly prepared: UsableModule
  readonly octets: number
}

export class PreparedModules {
  /** Least recently used first. */
  readonly #kept = new Map<string, Kept>()
  #octets = 0

  /** As {@link prepareModule}. */
  prepare(bytes: Uint8Array, limits: { readonly memory: number }): PreparedModule {
    const key = `${createHash("sha256").update(bytes).digest("hex")} ${limits.memory}`
    const found = this.#kept.get(key)
    if (found !== undefined) {
      this.#kept.delete(key)
      this.#kept.set(key, found)
      return found.prepared
    }
    const prepared = prepareModule(bytes, limits)
    if (prepared.ok) {
      this.#kept.set(key, { prepared, octets: bytes.length })
      this.#octets += bytes.length
      this.#evict()
    }
    return prepared
  }

  #evict(): void {
    for (const [key, { octets }] of this.#kept) {
      if (this.#kept.size <= MAX_MODULES && this.#octets <= MAX_OCTETS) return
      this.#kept.delete(key)
      this.#octets -= octets
    }
  }
}
