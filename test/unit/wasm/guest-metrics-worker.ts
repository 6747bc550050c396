// A thread of guest-metrics.test.ts: defines series and counts in them, or defines without end until it is ended.

import { parentPort, workerData } from "node:worker_threads"
import { GuestMetricsTable } from "../../../gateway/wasm/guest-metrics.ts"

const { buffer, rounds } = workerData as { buffer: SharedArrayBuffer; rounds: number }
const table = new GuestMetricsTable(buffer)
parentPort?.postMessage("ready")

if (rounds === 0) {
  for (let i = 0; ; i++) table.increment(table.define(0, `noise ${i % 500}`), 1n)
}

for (let i = 0; i < rounds; i++) {
  table.increment(table.define(0, `counter ${i % 7}`), 2n)
  table.increment(table.define(1, `gauge ${i % 3}`), i % 2 === 0 ? 5n : -4n)
  table.record(table.define(2, "histogram"), BigInt(i % 1000))
}
parentPort?.postMessage("done")
