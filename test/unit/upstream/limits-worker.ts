// A thread of limits-memory.test.ts: takes places under a limit and gives them back, counting how many threads are inside; or takes some
// and keeps them until it is terminated.

import { parentPort, workerData } from "node:worker_threads"
import { LimitsMemory } from "../../../gateway/upstream/limits-memory.ts"

const { memory, workers, index, turns, most, inside } = workerData as {
  memory: SharedArrayBuffer
  workers: number
  index: number
  turns: number
  most: number
  inside: SharedArrayBuffer
}
const requests = new LimitsMemory(memory, workers, index).service(0, "requests")

if (turns === 0) {
  let taken = 0
  while (requests.take(most)) taken++
  parentPort?.on("message", () => {})
  parentPort?.postMessage({ taken, over: 0 })
} else {
  const words = new Int32Array(inside)
  let taken = 0
  let over = 0
  // The other may be stopped while it is inside, for as long as all turns take.
  for (let i = 0; i < turns || taken === 0; i++) {
    if (!requests.take(most)) continue
    taken++
    if (Atomics.add(words, 0, 1) + 1 > most) over++
    Atomics.sub(words, 0, 1)
    requests.release()
  }
  parentPort?.postMessage({ taken, over })
}
