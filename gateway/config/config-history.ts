// The configurations that were in force since the gateway started, for those who compare them or want an older one back. They are
// kept in memory, packed, secrets and all: nothing of it is ever written or shown unredacted.

import { deflateSync, inflateSync } from "node:zlib"
import type { Config } from "./model.ts"

export interface ConfigEntry {
  /** It was in force from this generation on. */
  readonly generation: number
  /** ISO 8601. */
  readonly at: string
  /** Who has brought it, and by what: `the file`, `SIGHUP`, somebody by the admin API. */
  readonly who: string
  readonly why: string
}

/** Configurations kept. */
const LIMIT = 50
/** Octets of all of them, packed; the newest is kept whatever it takes. */
const MAX_OCTETS = 32 * 1024 * 1024

interface Kept {
  readonly entry: ConfigEntry
  readonly packed: Buffer
}

export class ConfigHistory {
  readonly #now: () => number
  /** Oldest first. */
  readonly #kept: Kept[] = []
  #octets = 0

  /** `now`: ms since the epoch. */
  constructor(now: () => number) {
    this.#now = now
  }

  add(config: Config, generation: number, who: string, why: string): void {
    const packed = deflateSync(JSON.stringify(config))
    this.#kept.push({ entry: { generation, at: new Date(this.#now()).toISOString(), who, why }, packed })
    this.#octets += packed.length
    while (this.#kept.length > LIMIT || (this.#octets > MAX_OCTETS && this.#kept.length > 1)) {
      this.#octets -= (this.#kept.shift() as Kept).packed.length
    }
  }

  /** Newest first. */
  get entries(): ConfigEntry[] {
    return this.#kept.map(({ entry }) => entry).reverse()
  }

  /** What was in force at a generation: changes of filters, weights and certificates are generations of one configuration. Null: not known. */
  at(generation: number): { readonly entry: ConfigEntry; readonly config: Config } | null {
    const found = this.#kept.findLast(({ entry }) => entry.generation <= generation)
    if (found === undefined) return null
    return { entry: found.entry, config: JSON.parse(inflateSync(found.packed).toString()) as Config }
  }
}
