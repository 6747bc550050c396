// The configurations that were in force since the gateway started, for those who compare them or want an older one back. They are
// kept in memory, packed, secrets and all: nothing of it is ever written or shown unredacted.

import type { PackedConfig } from "./packed-config.ts"

export interface ConfigEntry {
  /** It was in force from this generation on. */
  readonly generation: number
  /** ISO 8601. */
  readonly at: string
  /** Who has brought it, and by what: `the file`, `SIGHUP`, somebody by the admin API. */
  readonly who: string
  readonly why: string
}

export interface KeptConfig {
  readonly entry: ConfigEntry
  readonly packed: PackedConfig
}

/** Configurations kept. */
const LIMIT = 50
/** Octets of all of them, packed; the newest is kept whatever it takes. */
const MAX_OCTETS = 32 * 1024 * 1024

export class ConfigHistory {
  readonly #now: () => number
  /** Oldest first. */
  readonly #kept: KeptConfig[] = []
  #octets = 0

  /** `now`: ms since the epoch. */
  constructor(now: () => number) {
    this.#now = now
  }

  add(packed: PackedConfig, generation: number, who: string, why: string): void {
    this.#kept.push({ entry: { generation, at: new Date(this.#now()).toISOString(), who, why }, packed })
    this.#octets += octetsOf(packed)
    while (this.#kept.length > LIMIT || (this.#octets > MAX_OCTETS && this.#kept.length > 1)) {
      this.#octets -= octetsOf((this.#kept.shift() as KeptConfig).packed)
    }
  }

  /** Newest first. */
  get entries(): ConfigEntry[] {
    return this.#kept.map(({ entry }) => entry).reverse()
  }

  /** What was in force at a generation: changes of filters, weights and certificates are generations of one configuration. Null: not known. */
  at(generation: number): KeptConfig | null {
    return this.#kept.findLast(({ entry }) => entry.generation <= generation) ?? null
  }
}

function octetsOf({ config, document }: PackedConfig): number {
  return config.length + document.length
}
