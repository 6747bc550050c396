// A thread of shared-data.test.ts: adds to counters by compare-and-swap, or writes without end until it is terminated.

import { parentPort, workerData } from "node:worker_threads"
import { SharedStore } from "../../../gateway/wasm/shared-data.ts"

const { buffer, increments, keys } = workerData as { buffer: SharedArrayBuffer; increments: number; keys: number }
const store = new SharedStore(buffer)
parentPort?.postMessage("ready")

if (increments === 0) {
  for (let i = 0; ; i++) store.set("noise", `key ${i % 5000}`, new Uint8Array(i % 900), 0)
}

let retries = 0
for (let i = 0; i < increments; i++) {
  const key = `counter ${i % keys}`
  for (;;) {
    const entry = store.get("count", key)
    const next = Uint32Array.of((entry === undefined ? 0 : new DataView(entry.value.buffer, entry.value.byteOffset).getUint32(0, true)) + 1)
    if (store.set("count", key, new Uint8Array(next.buffer), entry?.cas ?? 0) === "ok") break
    retries++
  }
}
parentPort?.postMessage({ retries })
