// Reads a gateway's metrics from its admin server.

import { readFile } from "node:fs/promises"
import { get } from "./raw-client.ts"

export class Metrics {
  readonly #samples: { name: string; labels: Record<string, string>; value: number }[] = []

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const match = /^([a-zA-Z_:]\w*)(?:\{(.*)\})? (\S+)$/.exec(line)
      if (match === null) continue
      const labels: Record<string, string> = {}
      for (const [, key, value] of (match[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[key] = value
      this.#samples.push({ name: match[1], labels, value: Number(match[3]) })
    }
  }

  /** Sum of the samples that have these labels. */
  sum(name: string, labels: Readonly<Record<string, string>> = {}): number {
    let sum = 0
    for (const sample of this.#samples) {
      if (sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value)) sum += sample.value
    }
    return sum
  }
}

export async function readMetrics(adminPort: number): Promise<Metrics> {
  const response = await get(adminPort, "/metrics")
  if (response.status !== 200) throw new Error(`/metrics answered ${response.status}`)
  return new Metrics(response.text())
}

/** Resident memory of a process, octets (Linux). */
export async function residentMemory(pid: number): Promise<number> {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(await readFile(`/proc/${pid}/status`, "utf8"))
  if (match === null) throw new Error(`no memory figure of process ${pid}`)
  return Number(match[1]) * 1024
}
