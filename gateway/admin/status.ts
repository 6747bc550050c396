// What the admin API shows, and the functions by which the supervisor tells it.

import type { Config } from "../config/model.ts"

export interface ReadyState {
  readonly ready: boolean
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

export interface FilterStatus {
  readonly name: string
  /** Path of the module. */
  readonly module: string
  /** SHA-256 of the module that serves, hex; "" before it is known. */
  readonly digest: string
  /** Times the module or its configuration has changed. */
  readonly generation: number
  readonly state: FilterState
  readonly instances: number
  readonly calls: number
  /** By reason. */
  readonly traps: Readonly<Record<string, number>>
  /** Of the last trap, or of the last version that was refused while this one kept serving; `at` is ISO 8601. */
  readonly lastError: { readonly message: string; readonly at: string } | null
  readonly onError: "deny" | "skip"
  /** `cpu` in ms a call, `memory` in octets. */
  readonly limits: { readonly cpu: number; readonly memory: number }
}

/** Where the admin API gets what it shows. None of them may throw in the normal course of things. */
export interface AdminDeps {
  live(): boolean
  ready(): ReadyState
  exposition(): Promise<{ readonly contentType: string; readonly body: string }>
  /** The configuration in force; null before the first. */
  config(): Config | null
  filters(): readonly FilterStatus[]
}
