// Starts the real gateway as a child process, on the runtime that runs the tests, from a configuration in a folder of its own.

import { type ChildProcess, spawn } from "node:child_process"
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { defaultLimit, until, within } from "./deadline.ts"

const main = fileURLToPath(new URL("../../gateway/main.ts", import.meta.url))

/** Command and arguments that run a TypeScript file on a runtime; default: the one this process is. */
export function runtimeCommand(file: string, args: readonly string[] = []): { command: string; args: string[] } {
  return process.versions.deno === undefined
    ? { command: process.execPath, args: [file, ...args] }
    : { command: process.execPath, args: ["run", "-A", "--quiet", file, ...args] }
}

export interface LogLine {
  readonly level?: string
  readonly message: string
  readonly [field: string]: unknown
}

/** A line of the access log. */
export interface AccessLine {
  readonly method: string
  readonly path: string
  readonly status: number
  readonly flag?: string
  readonly flagDetails?: string
  readonly durationMs: number
  readonly requestBytes: number
  readonly responseBytes: number
  readonly [field: string]: unknown
}

/** Runs a command of the CLI on this process's runtime, to its end. */
export async function runCli(
  args: readonly string[],
  options: { readonly cwd?: string; readonly limit?: number; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const { command, args: all } = runtimeCommand(main, args)
  const child = spawn(command, all, {
    cwd: options.cwd,
    env: { ...process.env, NO_COLOR: "1", SLUICE_CACHE: "off", ...options.env },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let stdout = ""
  let stderr = ""
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text
  })
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) => resolve(code))
  })
  try {
    return { code: await within(ended, `end of sluice ${args.join(" ")}`, options.limit ?? 20_000), stdout, stderr }
  } finally {
    child.kill("SIGKILL")
  }
}

export interface GatewayOptions {
  /** The configuration: text as it is, or a value written as JSON (which is YAML too). */
  readonly config: string | object
  /** Default `sluice.yaml`. */
  readonly fileName?: string
  /** Files beside the configuration, by relative name. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  readonly env?: Readonly<Record<string, string>>
  /** More arguments for `run`. */
  readonly args?: readonly string[]
  /** ms it may take to say that it is ready; default 45 s: on a machine that is busy, 20 were too few. */
  readonly startLimit?: number
  /** Instead of this process's runtime and gateway/main.ts. */
  readonly command?: readonly string[]
}

export interface Exit {
  readonly code: number | null
  readonly signal: string | null
}

export class Gateway {
  /** Holds the configuration and `files`; removed by `stop`. */
  readonly folder: string
  readonly configFile: string
  /** Every line of its log, oldest first; a line that is not JSON is a message alone. */
  readonly log: LogLine[] = []
  /** Every line of its access log, oldest first. */
  readonly access: AccessLine[] = []
  readonly #child: ChildProcess
  readonly #exited: Promise<Exit>
  readonly #waiting: { match: (line: LogLine) => boolean; resolve: (line: LogLine) => void }[] = []
  readonly #killAtExit: () => void
  #exit: Exit | null = null

  private constructor(options: GatewayOptions) {
    this.folder = mkdtempSync(join(tmpdir(), "sluice-gateway-"))
    this.configFile = join(this.folder, options.fileName ?? "sluice.yaml")
    for (const [name, content] of Object.entries(options.files ?? {})) writeFileSync(join(this.folder, name), content)
    this.writeConfig(options.config)
    const run = ["run", "-c", this.configFile, ...(options.args ?? [])]
    const { command, args } =
      options.command === undefined
        ? runtimeCommand(main, run)
        : { command: options.command[0], args: [...options.command.slice(1), ...run] }
    this.#child = spawn(command, args, {
      cwd: this.folder,
      env: { ...process.env, NO_COLOR: "1", SLUICE_CACHE: "off", ...options.env },
      stdio: ["ignore", "pipe", "pipe"],
    })
    this.#collect(this.#child.stdout, (line) => {
      if (line.startsWith('{"time":') && line.includes('"durationMs":')) this.access.push(JSON.parse(line))
      else this.#append(parseLine(line))
    })
    this.#collect(this.#child.stderr, (line) => this.#append(parseLine(line)))
    this.#exited = new Promise((resolve) => {
      const finish = (exit: Exit): void => {
        this.#exit = exit
        process.removeListener("exit", this.#killAtExit)
        resolve(exit)
      }
      this.#child.on("error", (error) => {
        this.#append({ message: `spawn: ${error.message}` })
        finish({ code: -1, signal: null })
      })
      this.#child.on("exit", (code, signal) => finish({ code, signal }))
    })
    // A test run that is cut off leaves no gateway behind.
    this.#killAtExit = () => {
      this.signal("SIGKILL")
    }
    process.on("exit", this.#killAtExit)
  }

  /** Resolves when the gateway says that it is ready; rejects with its log when it ends or takes too long. */
  static async start(options: GatewayOptions): Promise<Gateway> {
    const gateway = new Gateway(options)
    try {
      await gateway.waitForLog((line) => line.message === "ready", "its start", options.startLimit ?? 45_000)
      return gateway
    } catch (error) {
      await gateway.kill()
      throw error
    }
  }

  /** For a gateway that is expected to end by itself: its exit and its log. */
  static async runToExit(options: GatewayOptions, limit: number = 20_000): Promise<{ exit: Exit; log: readonly LogLine[] }> {
    const gateway = new Gateway(options)
    try {
      return { exit: await gateway.exited(limit), log: gateway.log }
    } finally {
      await gateway.kill()
    }
  }

  get pid(): number {
    return this.#child.pid ?? -1
  }

  /** The port a listener was last bound to, by its name; without a name, of the first. */
  port(listener?: string): number {
    const bound = this.log.filter(({ message }) => message === "listening")
    const line = listener === undefined ? bound[0] : bound.findLast((entry) => entry.listener === listener)
    if (line === undefined) throw new Error(`no listener ${listener ?? ""} in the log:\n${this.logText()}`)
    return portOf(line)
  }

  get adminPort(): number {
    const line = this.log.find((entry) => entry.message === "admin listening")
    if (line === undefined) throw new Error(`no admin server in the log:\n${this.logText()}`)
    return portOf(line)
  }

  /** Replaces the configuration file in one step, as editors and orchestrators do. */
  writeConfig(config: string | object): void {
    this.writeFile(this.configFile, typeof config === "string" ? config : JSON.stringify(config, null, 2))
  }

  /** Replaces a file of `folder` in one step; an absolute path is taken as it is. */
  writeFile(name: string, content: string | Uint8Array): void {
    const path = name.startsWith("/") ? name : join(this.folder, name)
    writeFileSync(`${path}.new`, content)
    renameSync(`${path}.new`, path)
  }

  /** The first log line that matches, from line `from` (default: any so far) on. */
  waitForLog(match: (line: LogLine) => boolean, what: string, limit: number = defaultLimit, from: number = 0): Promise<LogLine> {
    for (let i = from; i < this.log.length; i++) if (match(this.log[i])) return Promise.resolve(this.log[i])
    const found = new Promise<LogLine>((resolve, reject) => {
      this.#waiting.push({ match, resolve })
      void this.#exited.then((exit) => reject(new Error(`the gateway ended (${JSON.stringify(exit)}) before ${what}`)))
    })
    return within(found, `log line for ${what}`, limit).catch((error: Error) => {
      throw new Error(`${error.message}; its log:\n${this.logText()}`)
    })
  }

  /** The first line of the access log that matches, so far or to come. */
  accessLine(match: (line: AccessLine) => boolean, what: string, limit: number = defaultLimit): Promise<AccessLine> {
    return until(() => this.access.find(match) ?? null, `access log line for ${what}`, limit)
  }

  logText(): string {
    return this.log.map((line) => JSON.stringify(line)).join("\n")
  }

  signal(signal: NodeJS.Signals): void {
    if (this.#exit !== null || this.#child.pid === undefined) return
    try {
      // Not `child.kill`: on Deno its signal is reported as the cause of the exit even when the child handled it.
      process.kill(this.#child.pid, signal)
    } catch {
      // It ended meanwhile.
    }
  }

  exited(limit: number = 40_000): Promise<Exit> {
    return within(this.#exited, "exit of the gateway", limit)
  }

  /** Drains and ends it, and removes its folder. */
  async stop(): Promise<Exit> {
    this.signal("SIGTERM")
    try {
      return await this.exited()
    } finally {
      await this.kill()
    }
  }

  /** Ends it at once, and removes its folder. */
  async kill(): Promise<void> {
    this.signal("SIGKILL")
    await within(this.#exited, "exit of a killed gateway")
    rmSync(this.folder, { recursive: true, force: true })
  }

  #collect(stream: NodeJS.ReadableStream | null, take: (line: string) => void): void {
    let rest = ""
    stream?.setEncoding("utf8")
    stream?.on("data", (text: string) => {
      const lines = (rest + text).split("\n")
      rest = lines.pop() ?? ""
      for (const line of lines) if (line.trim() !== "") take(line)
    })
  }

  #append(line: LogLine): void {
    this.log.push(line)
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      if (!this.#waiting[i].match(line)) continue
      this.#waiting[i].resolve(line)
      this.#waiting.splice(i, 1)
    }
  }
}

function parseLine(line: string): LogLine {
  if (!line.startsWith("{")) return { message: line }
  try {
    const value = JSON.parse(line)
    return typeof value.message === "string" ? value : { message: line }
  } catch {
    return { message: line }
  }
}

function portOf(line: LogLine): number {
  const port = Number(/:(\d+)$/.exec(String(line.address))?.[1])
  if (!(port > 0)) throw new Error(`no port in ${JSON.stringify(line)}`)
  return port
}
