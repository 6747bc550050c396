// Processes the bench starts: pinned to a core, watched through /proc, ended by their own pid.

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { accessSync, constants, readdirSync, readFileSync } from "node:fs"
import { availableParallelism } from "node:os"
import { delimiter, join } from "node:path"
import { within } from "../support/deadline.ts"

/** Core of the proxy under test; the load and the origin run on the other. */
export const proxyCore = 0
export const otherCore = 1

/** The first executable of that name in `folders` (default: the PATH, and where Debian keeps servers), or null. */
export function findProgram(
  name: string,
  folders: readonly string[] = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/usr/local/sbin"],
): string | null {
  for (const folder of folders) {
    if (folder === "") continue
    try {
      accessSync(join(folder, name), constants.X_OK)
      return join(folder, name)
    } catch {}
  }
  return null
}

const canPin = availableParallelism() > 1 && findProgram("taskset") !== null

/** The command that runs `command` on one core only; without taskset or a second core, `command` itself. */
export function pinned(core: number, command: readonly string[]): string[] {
  return canPin ? ["taskset", "-c", String(core), ...command] : [...command]
}

export interface ServerProcess {
  readonly pid: number
  stop(): Promise<void>
}

/** Starts a server whose output only matters when it fails. */
export async function startServer(
  name: string,
  core: number,
  command: readonly string[],
  ready: () => Promise<boolean>,
): Promise<ServerProcess> {
  const [program, ...args] = pinned(core, command)
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] })
  let said = ""
  child.stderr.setEncoding("utf8")
  child.stderr.on("data", (text: string) => {
    said = (said + text).slice(-4000)
  })
  const exited = new Promise<void>((resolve) => {
    child.on("exit", () => resolve())
    child.on("error", (error) => {
      said += error.message
      resolve()
    })
  })
  const end = performance.now() + 10_000
  while (!(await ready())) {
    if (child.exitCode !== null || child.pid === undefined || performance.now() > end) {
      await stopChild(child, exited)
      throw new Error(`${name} did not start: ${said}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { pid: child.pid ?? -1, stop: () => stopChild(child, exited) }
}

async function stopChild(child: ChildProcess, exited: Promise<void>): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) child.kill("SIGTERM")
  try {
    await within(exited, "exit", 5000)
  } catch {
    child.kill("SIGKILL")
    await exited
  }
}

/** All that a program says until it ends, which is expected about `seconds` from now. */
export function output(command: readonly string[], seconds: number): Promise<string> {
  const [program, ...args] = command
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] })
  let text = ""
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8")
    stream.on("data", (chunk: string) => {
      text += chunk
    })
  }
  const ended = new Promise<string>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", () => resolve(text))
  })
  return within(ended, `end of ${program}`, (seconds + 30) * 1000).catch((error) => {
    child.kill("SIGKILL")
    throw error
  })
}

const clockTicks = Number(spawnSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).stdout) || 100

/** The process and all processes below it. */
export function processTree(pid: number): number[] {
  const found = [pid]
  for (let i = 0; i < found.length; i++) {
    try {
      for (const task of readdirSync(`/proc/${found[i]}/task`)) {
        const children = readFileSync(`/proc/${found[i]}/task/${task}/children`, "latin1").trim()
        if (children !== "") found.push(...children.split(" ").map(Number))
      }
    } catch {
      // It ended meanwhile.
    }
  }
  return found
}

/** CPU used so far by each process of a tree, all its threads, user and system: microseconds. */
export function cpuTimes(pid: number): Map<number, number> {
  const times = new Map<number, number>()
  for (const each of processTree(pid)) {
    try {
      const stat = readFileSync(`/proc/${each}/stat`, "latin1")
      // The name in parentheses may hold spaces; utime and stime are fields 14 and 15.
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ")
      times.set(each, ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / clockTicks)
    } catch {
      // It ended meanwhile.
    }
  }
  return times
}

/** Microseconds of CPU between two readings. A process that ended between them counts as nothing. */
export function cpuBetween(before: ReadonlyMap<number, number>, after: ReadonlyMap<number, number>): number {
  let sum = 0
  for (const [pid, time] of after) sum += time - (before.get(pid) ?? 0)
  return sum
}

/** Resident memory of a process tree in octets; pages its processes share count for each. */
export function residentMemory(pid: number): number {
  let kilobytes = 0
  for (const each of processTree(pid)) {
    try {
      kilobytes += Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${each}/status`, "latin1"))?.[1] ?? 0)
    } catch {
      // It ended meanwhile.
    }
  }
  return kilobytes * 1024
}
