// What the WASM host counts, as an interface: telemetry decides where the numbers go.

import type { FilterPhase } from "../telemetry/filter-instruments.ts"
import type { TrapReason } from "./trap.ts"

/** One stream in so many has its callbacks timed and its budget read: either costs as much as a small host call. */
export const SAMPLE = 16

/** Receives the counts of one filter. Called on the path of requests: implementations add to slots and return. */
export interface FilterMetrics {
  /** An exchange it was given ended with this status; 0 = none yet. `failed`: it trapped in it, or there was no instance. */
  exchange(status: number, failed: boolean): void
  /** A stream ended in which the guest was called: header phases run. */
  calls(count: number): void
  /** Budget units one stream used; stands for {@link SAMPLE} streams. */
  budget(units: number): void
  /** Nanoseconds of one phase; stands for {@link SAMPLE} of them. */
  duration(nanoseconds: number, phase: FilterPhase): void
  trap(reason: TrapReason): void
  /** It asked for something that it is not granted. */
  refusal(): void
  /** 1 while it is in quarantine in this worker, else 0. */
  quarantined(count: number): void
  /** Live instances this filter runs in, in this worker. */
  instances(count: number): void
}
