// What the admin API tells of the gateway and its filters.

export interface ReadyState {
  readonly ready: boolean
  /** It is shutting down. */
  readonly draining: boolean
  /** Why it isn't ready, one sentence each; also what an operator should know although it is. */
  readonly reasons: readonly string[]
  /** Generation of the configuration in force; 0 before the first. */
  readonly generation: number
  /** The last configuration that was read; null before the first. `at` is ISO 8601. */
  readonly lastReload: { readonly ok: boolean; readonly error: string | null; readonly at: string } | null
  readonly workers: { readonly running: number; readonly wanted: number }
  /** Names of filters that aren't running as configured. */
  readonly filtersInTrouble: readonly string[]
}

/** `backoff`: a new instance waits after traps. `quarantined`: given up until it changes. `failed`: never started. */
export type FilterState = "starting" | "running" | "backoff" | "quarantined" | "failed"

/** Something that was said of a filter; `at` is ISO 8601, null where the time isn't known. */
export interface Told {
  readonly message: string
  readonly at: string | null
}

/** What was counted of a filter, or of one of its versions, over all workers. */
export interface FilterFigures {
  /** Exchanges it was given. */
  readonly exchanges: number
  /** Those that ended with a 5xx, though the filter did not fail. */
  readonly errors: number
  /** Those in which it trapped, or in which no instance could be had. */
  readonly failures: number
  /** Phases run. */
  readonly calls: number
  /** By reason. */
  readonly traps: Readonly<Record<string, number>>
  /** Quantiles of one phase, nanoseconds; 0 before there are any. */
  readonly duration: { readonly p50: number; readonly p99: number }
  /** Units of CPU budget: of a phase on average, what one may use, and the first as a percentage of the second. */
  readonly budget: { readonly mean: number; readonly limit: number; readonly percent: number }
}

export interface FilterVersionStatus extends FilterFigures {
  readonly name: string
  /** Path or URL. */
  readonly module: string
  /** SHA-256 of the module that serves, hex; "" before it is known. */
  readonly digest: string
  /** Times the module has changed. */
  readonly generation: number
  /** It was pushed, and is not what its file holds. */
  readonly pushed: boolean
  /** It is one that served before, which an order went back to. */
  readonly restored: boolean
  /** Digests of modules that an order can go back to, the latest first. */
  readonly earlier: readonly string[]
  /** As it is in force. */
  readonly weight: number
  /** Why it gets no exchanges; null when it may. */
  readonly rolledBack: Told | null
  readonly state: FilterState
  readonly instances: number
  /** Octets, of all instances. Versions and filters that share an instance count it each. */
  readonly memory: number
  readonly lastError: Told | null
}

/** A filter; what belongs to one version is that of the first. */
export interface FilterStatus extends FilterFigures {
  readonly name: string
  readonly module: string
  readonly digest: string
  readonly generation: number
  /** The worst of its versions. */
  readonly state: FilterState
  /** Why the newest version of its files doesn't serve; null when it does. */
  readonly refused: Told | null
  /** Why an order has put it into quarantine; null: none has. */
  readonly held: Told | null
  readonly instances: number
  readonly memory: number
  readonly lastError: Told | null
  readonly onError: "deny" | "skip"
  /** `cpu` in ms a call, `memory` of an instance and `body` in octets. */
  readonly limits: { readonly cpu: number; readonly memory: number; readonly body: number }
  readonly versions: readonly FilterVersionStatus[]
}
