// One worker thread as the pool knows it.

import type { Worker } from "node:worker_threads"
import type { PluginStatus } from "../wasm/plugin.ts"

export interface Member {
  readonly index: number
  readonly thread: Worker
  readonly born: number
  serving: boolean
  drained: boolean
  plugins: readonly PluginStatus[]
  /** Generation of the snapshot it uses; 0 before the first. */
  generation: number
  /** Settles the step of a snapshot that it is asked for. */
  settle: ((reason: string | null) => void) | null
  /** Until a replacement has what its predecessor had: one snapshot at a time. */
  starting: Promise<void>
}
