// A thread of shared-queues.test.ts: receives, enqueues, dequeues as it is told, or writes without end until it is ended.

import { parentPort, workerData } from "node:worker_threads"
import { SharedQueueStore } from "../../../gateway/wasm/shared-queues.ts"

export type QueueOrder =
  /** Becomes the receiver; takes one item for each call, or all there are for one. */
  | { kind: "receive"; greedy: boolean }
  | { kind: "enqueue"; items: number; from: number }
  | { kind: "hammer" }
  | { kind: "poll" }
  /** Says what it has received and how often it was called. */
  | { kind: "report" }

export type QueueReport = { kind: "done" } | { kind: "wake"; thread: number } | { kind: "report"; calls: number; items: number[] }

const { buffer, thread } = workerData as { buffer: SharedArrayBuffer; thread: number }
const say = (report: QueueReport): void => parentPort?.postMessage(report)
const store = new SharedQueueStore(buffer, { thread, wake: (woken) => say({ kind: "wake", thread: woken }) })
const items: number[] = []
let calls = 0

function take(id: number): boolean {
  const value = store.dequeue(id)
  if (typeof value === "string") return false
  items.push(new DataView(value.buffer, value.byteOffset).getUint32(0))
  return true
}

parentPort?.on("message", (order: QueueOrder) => {
  switch (order.kind) {
    case "receive": {
      const queue = store.register("ns", "q", () => {
        calls++
        while (queue !== null && take(queue.id) && order.greedy) {}
      })
      break
    }
    case "enqueue": {
      const id = store.resolve("ns", "q")
      for (let i = 0; i < order.items; i++) {
        const value = new Uint8Array(4 + (i % 40))
        new DataView(value.buffer).setUint32(0, order.from + i)
        while (store.enqueue(id, value) === "full") Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1)
      }
      break
    }
    case "hammer": {
      const queue = store.register("ns", "noise", () => undefined)
      say({ kind: "done" })
      for (let i = 0; ; i++) {
        if (store.enqueue(queue?.id ?? 0, new Uint8Array(i % 900)) === "full") while (store.dequeue(queue?.id ?? 0) !== "empty") {}
      }
    }
    case "poll":
      store.poll()
      return
    case "report":
      say({ kind: "report", calls, items })
      return
  }
  say({ kind: "done" })
})
