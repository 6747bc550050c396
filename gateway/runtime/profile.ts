// Profiles of the thread that calls: where its time goes, who allocates, what its memory holds. By the inspector, where a runtime has
// that part of it; nothing of it is loaded before it is asked for.

import { createWriteStream } from "node:fs"
import { writeFile } from "node:fs/promises"
import { pipeline } from "node:stream/promises"

export type ProfileKind = "cpu" | "allocations" | "heap"

/** Octets in use of a thread of which a snapshot is taken. */
const MAX_HEAP = 1024 * 1024 * 1024
const OWN_ONLY = 0o600
/** µs between samples of the CPU, and octets between samples of allocations. */
const CPU_INTERVAL = 1000
const ALLOCATION_INTERVAL = 32 * 1024

/** Why this runtime can't make such a profile; null: it can. */
export function missingProfile(kind: ProfileKind): string | null {
  return kind === "allocations" && process.versions.bun !== undefined
    ? "Bun can't sample allocations; ask for kind=snapshot, which is all that is in memory"
    : null
}

/** Writes a profile of the thread into a file. Throws with why it can't. */
export async function writeProfile(kind: ProfileKind, seconds: number, file: string): Promise<void> {
  const missing = missingProfile(kind)
  if (missing !== null) throw new Error(missing)
  if (kind === "heap") await writeHeap(file)
  else await writeSamples(kind, seconds, file)
}

/** Samples the thread for a time and writes what Chrome's developer tools and VS Code read: a `.cpuprofile` or `.heapprofile`. */
async function writeSamples(kind: "cpu" | "allocations", seconds: number, file: string): Promise<void> {
  const { Session } = await import("node:inspector")
  const session = new Session()
  session.connect()
  const post = (method: string, params: object = {}): Promise<unknown> =>
    new Promise((resolve, reject) =>
      session.post(method, params, (error: Error | null, result: unknown) => (error === null ? resolve(result) : reject(error))),
    )
  const domain = kind === "cpu" ? "Profiler" : "HeapProfiler"
  try {
    await post(`${domain}.enable`)
    if (kind === "cpu") {
      await post("Profiler.setSamplingInterval", { interval: CPU_INTERVAL })
      await post("Profiler.start")
    } else await post("HeapProfiler.startSampling", { samplingInterval: ALLOCATION_INTERVAL })
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
    const { profile } = (await post(kind === "cpu" ? "Profiler.stop" : "HeapProfiler.stopSampling")) as { profile: object }
    await writeFile(file, JSON.stringify(profile), { mode: OWN_ONLY })
    await post(`${domain}.disable`)
  } finally {
    session.disconnect()
  }
}

/** Writes all that is in the thread's memory: a `.heapsnapshot`. The thread does nothing else while it is taken. */
async function writeHeap(file: string): Promise<void> {
  const { getHeapSnapshot, getHeapStatistics } = await import("node:v8")
  if (getHeapStatistics().used_heap_size > MAX_HEAP)
    throw new Error("the thread holds more than 1 GiB, which would stand still for too long; ask for kind=sampling")
  await pipeline(getHeapSnapshot(), createWriteStream(file, { mode: OWN_ONLY }))
}
