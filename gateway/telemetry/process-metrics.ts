// Metrics of the process itself, under the names Prometheus gives them everywhere. prom-client's own set is left out:
// it wakes the event loop a hundred times a second and speaks of Node's inner life on runtimes that aren't Node.

import { readdirSync, readFileSync } from "node:fs"
import { Counter, Gauge, type Registry } from "prom-client"

/** Adds the process's metrics to a registry; those the machine can't tell are left out. */
export function registerProcessMetrics(registry: Registry): void {
  const registers = [registry]
  const cpu = (name: string, help: string, microseconds: () => number): void => {
    new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset()
        this.inc(microseconds() / 1e6)
      },
    })
  }
  cpu("process_cpu_user_seconds_total", "User CPU time of all threads in seconds", () => process.cpuUsage().user)
  cpu("process_cpu_system_seconds_total", "System CPU time of all threads in seconds", () => process.cpuUsage().system)
  cpu("process_cpu_seconds_total", "CPU time of all threads in seconds", () => process.cpuUsage().user + process.cpuUsage().system)
  new Gauge({
    name: "process_resident_memory_bytes",
    help: "Resident memory in bytes",
    registers,
    collect() {
      this.set(process.memoryUsage.rss())
    },
  })
  new Gauge({ name: "process_start_time_seconds", help: "Start of the process in seconds since the epoch", registers }).set(
    Date.now() / 1000 - process.uptime(),
  )
  if (openFiles() === 0) return
  new Gauge({
    name: "process_open_fds",
    help: "Open file descriptors",
    registers,
    collect() {
      this.set(openFiles())
    },
  })
  const limit = maxFiles()
  if (limit > 0) new Gauge({ name: "process_max_fds", help: "Limit of open file descriptors", registers }).set(limit)
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
