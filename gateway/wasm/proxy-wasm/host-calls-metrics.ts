// Host calls of the metrics a guest defines. Values are 64 bits wide: counters and histograms take them unsigned.

import { MetricType, Status } from "./enums.ts"
import { type HostVm, restricted } from "./host.ts"
import { chargeShared } from "./results.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY_ACCESS, INTERNAL_FAILURE } = Status

/** Octets of a name that are looked at: one more than any metric's name has. */
const MAX_NAME = 2049
/** µs it takes to find or make a series. */
const DEFINE_WORK = 4

type Outcome = "ok" | "unknown" | "bad"

function statusOf(outcome: Outcome): number {
  return outcome === "ok" ? OK : outcome === "unknown" ? NOT_FOUND : BAD_ARGUMENT
}

export function metricHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory } = vm
  const calls = {
    proxy_define_metric(type: number, name: number, nameLength: number, id: number): number {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (type >>> 0 > MetricType.HISTOGRAM) return BAD_ARGUMENT
      if (!memory.inside(name, nameLength) || !memory.inside(id, 4)) return INVALID_MEMORY_ACCESS
      chargeShared(vm, DEFINE_WORK, Math.min(nameLength >>> 0, MAX_NAME))
      const metric = vm.environment.metrics.define(type, memory.latin1(name, Math.min(nameLength >>> 0, MAX_NAME)))
      if (metric === 0) return INTERNAL_FAILURE
      memory.writeWord(id, metric)
      return OK
    },

    proxy_increment_metric(id: number, by: bigint): number {
      if (vm.root === null) restricted(vm)
      return statusOf(vm.environment.metrics.increment(id, by))
    },

    proxy_record_metric(id: number, value: bigint): number {
      if (vm.root === null) restricted(vm)
      return statusOf(vm.environment.metrics.record(id, value))
    },

    proxy_get_metric(id: number, out: number): number {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (!memory.inside(out, 8)) return INVALID_MEMORY_ACCESS
      const value = vm.environment.metrics.read(id)
      if (typeof value === "string") return statusOf(value)
      memory.view.setBigUint64(out >>> 0, value, true)
      return OK
    },
  }
  // The engine passes an i64 as a bigint, which the type of the other host calls has no word for.
  return calls as unknown as Record<string, (...args: number[]) => number>
}
