// A worker thread that does what it is told with its metrics; stands for a worker of the gateway.

import { parentPort, workerData } from "node:worker_threads"
import { requestBuckets } from "../../../../gateway/telemetry/duration-buckets.ts"
import { type MetricsHandle, MetricsWriter } from "../../../../gateway/telemetry/metrics-writer.ts"

export type Order =
  | { kind: "add" | "set"; slot: number; value: number; times: number }
  | { kind: "observe"; slot: number; value: number; times: number }
  | { kind: "handle"; handle: MetricsHandle }

const writer = new MetricsWriter(workerData as MetricsHandle)

parentPort?.on("message", (order: Order) => {
  if (order.kind === "handle") writer.update(order.handle)
  else {
    for (let i = 0; i < order.times; i++) {
      if (order.kind === "add") writer.add(order.slot, order.value)
      else if (order.kind === "set") writer.set(order.slot, order.value)
      else writer.observe(order.slot, order.value, requestBuckets)
    }
  }
  parentPort?.postMessage("done")
})
