// Metrics of the process itself, under the names Prometheus gives them everywhere. prom-client's own set is left out:
// it wakes the event loop a hundred times a second and speaks of Node's inner life on runtimes that aren't Node.

import { readdirSync, readFileSync } from "node:fs"
import type { Shown } from "./exposition.ts"
import type { MetricType } from "./metric.ts"

/** Those the machine can't tell have no value. */
export const processMetrics: readonly Shown[] = [
  shown("process_cpu_user_seconds_total", "counter", "User CPU time of all threads", () => process.cpuUsage().user / 1e6),
  shown("process_cpu_system_seconds_total", "counter", "System CPU time of all threads", () => process.cpuUsage().system / 1e6),
  shown("process_cpu_seconds_total", "counter", "CPU time of all threads", () => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1e6
  }),
  shown("process_resident_memory_bytes", "gauge", "Resident memory", () => process.memoryUsage.rss()),
  shown("process_start_time_seconds", "gauge", "Start of the process since the epoch", startTime()),
  shown("process_open_fds", "gauge", "Open file descriptors", openFiles),
  shown("process_max_fds", "gauge", "Limit of open file descriptors", maxFiles),
]

/** `value` 0: it isn't known. */
function shown(name: string, type: MetricType, help: string, value: () => number): Shown {
  const samples = (): ReturnType<Shown["samples"]> => {
    const now = value()
    return now === 0 ? [] : [{ value: now, labels: {} }]
  }
  return { name, type, labels: [], help, samples }
}

// It is worked out once, since the clocks it is the difference of don't run alike.
function startTime(): () => number {
  const start = Date.now() / 1000 - process.uptime()
  return () => start
}

function openFiles(): number {
  try {
    return readdirSync("/proc/self/fd").length
  } catch {
    return 0
  }
}

function maxFiles(): number {
  try {
    return Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "latin1"))?.[1] ?? 0)
  } catch {
    return 0
  }
}
