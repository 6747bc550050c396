// How much memory the process has of what it may have, looked at by the main thread twice a second and written where workers
// read it. It frees nothing.

import { readFileSync } from "node:fs"
import { totalmem } from "node:os"
import type { OverloadConfig } from "../config/limits-model.ts"
import { memoryLevel } from "../resilience/overload.ts"

/** ms between two looks. */
const LOOK = 500

export class MemoryWatch {
  /** One word: the level of overload in thousandths. */
  readonly memory = new SharedArrayBuffer(4)
  readonly #word = new Int32Array(this.memory)
  readonly #limit: number
  readonly #used: () => number
  #threshold = 0
  #timer: ReturnType<typeof setInterval> | null = null

  /** @param limit octets the process may have @param used octets of them it has */
  constructor(limit: number = availableMemory(), used: () => number = () => usedMemory()) {
    this.#limit = limit
    this.#used = used
  }

  /** The configuration that is in force. */
  use(config: OverloadConfig | null): void {
    const memory = config?.memory ?? null
    this.#threshold = memory === null ? 0 : "share" in memory ? memory.share * this.#limit : memory.octets
    if (this.#threshold === 0) return this.close()
    this.look()
    if (this.#timer !== null) return
    this.#timer = setInterval(() => this.look(), LOOK)
    this.#timer.unref()
  }

  /** Called by its own timer, and by tests. */
  look(): void {
    // At what it may have, or a tenth over the threshold where that is not far from it, or beyond.
    const limit = Math.min(Math.max(this.#limit, this.#threshold), this.#threshold * 1.1)
    Atomics.store(this.#word, 0, Math.round(1000 * memoryLevel(this.#used(), this.#threshold, limit)))
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
    Atomics.store(this.#word, 0, 0)
  }
}

/** Octets the process may have: the least of what its control groups and the machine allow. */
export function availableMemory(read: (path: string) => string | null = readText): number {
  const groups = read("/proc/self/cgroup") ?? ""
  const unified = /^0::(\/.*)$/m.exec(groups)?.[1] ?? "/"
  const version1 = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(groups)?.[1] ?? "/"
  const limits = [
    ...withParents(unified).map((group) => `/sys/fs/cgroup${group}/memory.max`),
    ...withParents(version1).map((group) => `/sys/fs/cgroup/memory${group}/memory.limit_in_bytes`),
  ]
  return limits.reduce((least, path) => lesser(least, read(path)), totalmem())
}

/** A group and those it is in, which bound it as well; "" = the topmost there is to be seen. */
function withParents(group: string): string[] {
  const groups: string[] = []
  for (let path = group === "/" ? "" : group; path !== ""; path = path.slice(0, path.lastIndexOf("/"))) groups.push(path)
  return [...groups, ""]
}

/**
 * Octets the process has that the system can't take back by itself. A runtime's own program, some 50 MiB, is resident too, but is in
 * its file as well: in a small container it would be most of what is counted. Where the system doesn't tell them apart: all.
 */
export function usedMemory(read: (path: string) => string | null = readText): number {
  const status = read("/proc/self/status") ?? ""
  const anonymous = kibibytes(status, "RssAnon")
  return anonymous === 0 ? process.memoryUsage.rss() : (anonymous + kibibytes(status, "RssShmem")) * 1024
}

function kibibytes(status: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s*(\\d+) kB$`, "m").exec(status)?.[1] ?? 0)
}

// "max" and version 1's huge number say that there is no limit.
function lesser(least: number, text: string | null): number {
  const limit = Number(text?.trim())
  return limit > 0 && limit < least ? limit : least
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8")
  } catch {
    return null
  }
}
