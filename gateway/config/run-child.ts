// Runs a script of ours in a process of its own and reads what it prints: for work that would stop the main thread for long, or needs
// code that a gateway which runs for months should not hold.

import { type ChildProcess, spawn } from "node:child_process"
import { childCommand } from "../runtime/child.ts"

const HEAP_MEGABYTES = 2048
/** Octets of output; more is not from our child. */
const MAX_OUTPUT = 512 * 1024 * 1024
const MAX_ERROR = 4096

export interface ChildRun {
  /** Path of the script. */
  readonly script: string
  readonly args: readonly string[]
  /** What it reads on its standard input; null: nothing. */
  readonly input: Uint8Array | null
  /** ms, after which it is ended; and what is said then. */
  readonly timeout: number
  readonly tooLong: string
}

/** What it printed; or, in words, why there is nothing of use. `code` 0: it has ended well. */
export type ChildResult =
  | { readonly ok: true; readonly code: number | null; readonly output: Buffer; readonly errors: string }
  | { readonly ok: false; readonly failure: string }

/** Never rejects. */
export function runChild({ script, args: given, input, timeout, tooLong }: ChildRun): Promise<ChildResult> {
  const { command, args } = childCommand(script, HEAP_MEGABYTES, "all")
  return new Promise((done) => {
    let child: ChildProcess
    try {
      child = spawn(command, [...args, ...given], { stdio: [input === null ? "ignore" : "pipe", "pipe", "pipe"] })
    } catch (error) {
      // Some of what the system refuses is thrown, such as a process that there is no memory for.
      return done({ ok: false, failure: noProcess(error) })
    }
    const output: Buffer[] = []
    let length = 0
    let errors = ""
    let finished = false
    const finish = (result: ChildResult): void => {
      if (finished) return
      finished = true
      clearTimeout(timer)
      done(result)
    }
    const giveUp = (failure: string): void => {
      child.kill("SIGKILL")
      // Its end isn't waited for: what it has started may hold these open for as long as it likes.
      child.stdout?.destroy()
      child.stderr?.destroy()
      finish({ ok: false, failure })
    }
    const timer = setTimeout(() => giveUp(tooLong), timeout)
    child.stdout?.on("data", (bytes: Buffer) => {
      length += bytes.length
      if (length > MAX_OUTPUT) giveUp(`its process prints more than ${MAX_OUTPUT / 2 ** 20} MiB`)
      else output.push(bytes)
    })
    child.stderr?.on("data", (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-MAX_ERROR)
    })
    // One that ends early doesn't read all of it; how it ended says more.
    child.stdin?.on("error", () => {})
    child.stdin?.end(input)
    child.on("error", (error) => finish({ ok: false, failure: noProcess(error) }))
    child.on("close", (code) => finish({ ok: true, code, output: Buffer.concat(output), errors: errors.trim() }))
  })
}

function noProcess(error: unknown): string {
  return `no process could be started for it: ${error instanceof Error ? error.message : String(error)}`
}
