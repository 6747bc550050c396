// Programs of others that tests run the gateway against: optional on a developer's machine, there in CI.

import { type ChildProcess, spawn } from "node:child_process"
import { findProgram } from "../bench/processes.ts"
import { until, within } from "./deadline.ts"
import { RawClient } from "./raw-client.ts"

export interface Output {
  readonly code: number | null
  readonly stdout: Buffer
  readonly stderr: string
}

/** Path of a program, or null when it is not there: the test is skipped as `needs X` then. */
export function program(name: string): string | null {
  return findProgram(name)
}

/** Runs a program to its end. */
export async function runProgram(
  path: string,
  args: readonly string[],
  options: { limit?: number; input?: Uint8Array; env?: NodeJS.ProcessEnv; cwd?: string } = {},
): Promise<Output> {
  const { env, cwd } = options
  const child = spawn(path, args, { env, cwd, stdio: [options.input === undefined ? "ignore" : "pipe", "pipe", "pipe"] })
  const stdout: Buffer[] = []
  let stderr = ""
  child.stdout?.on("data", (bytes: Buffer) => stdout.push(bytes))
  child.stderr?.setEncoding("utf8").on("data", (text: string) => {
    stderr += text
  })
  child.stdin?.end(options.input)
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) => resolve(code))
  })
  try {
    const code = await within(ended, `end of ${path} ${args.join(" ")}`, options.limit ?? 20_000)
    return { code, stdout: Buffer.concat(stdout), stderr }
  } finally {
    child.kill("SIGKILL")
  }
}

export class RunningProgram {
  readonly #child: ChildProcess
  readonly #exited: Promise<void>
  #said = ""
  #over = false

  private constructor(path: string, args: readonly string[]) {
    this.#child = spawn(path, args, { stdio: ["ignore", "pipe", "pipe"] })
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.setEncoding("utf8").on("data", (text: string) => {
        this.#said = (this.#said + text).slice(-4000)
      })
    this.#exited = new Promise((resolve) => {
      const finish = (): void => {
        this.#over = true
        resolve()
      }
      this.#child.on("error", finish)
      this.#child.on("exit", finish)
    })
  }

  static spawn(path: string, args: readonly string[]): RunningProgram {
    return new RunningProgram(path, args)
  }

  /** Starts a server and waits until its port of 127.0.0.1 takes connections. */
  static async start(path: string, args: readonly string[], port: number): Promise<RunningProgram> {
    const server = new RunningProgram(path, args)
    const accepts = async (): Promise<boolean> => {
      if (server.#over) throw new Error(`${path} ended: ${server.#said}`)
      const client = await RawClient.connect(port).catch(() => null)
      client?.destroy()
      return client !== null
    }
    try {
      await until(accepts, `${path} on port ${port}`)
      return server
    } catch (error) {
      await server.stop()
      throw error
    }
  }

  signal(signal: NodeJS.Signals): void {
    // Not `child.kill`: on Deno it takes the child for ended, whatever it makes of the signal.
    if (!this.#over && this.#child.pid !== undefined) process.kill(this.#child.pid, signal)
  }

  async stop(): Promise<void> {
    this.#child.kill("SIGKILL")
    await within(this.#exited, "exit of a program")
  }
}
