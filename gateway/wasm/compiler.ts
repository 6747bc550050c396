// Compiles filters written in AssemblyScript in a child process, off every thread that serves. The child is kept warm for
// the next save and replaced when it is idle, worn out, hung or dead. Its protocol is described in
// sdk/build/compile-child.ts, which is started by path and never imported.

import { type ChildProcess, spawn } from "node:child_process"
import { extname, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { childCommand } from "../runtime/child.ts"

export type BuildMode = "release" | "debug"

/** What the compiler says about a place in a source; line and column count from 1. */
export interface CompileDiagnostic {
  readonly file: string
  readonly line: number
  readonly column: number
  readonly message: string
  /** The line of source with a mark under the place; "" if there is none. */
  readonly excerpt: string
}

export type CompileResult =
  | {
      readonly ok: true
      readonly wasm: Uint8Array
      readonly warnings: readonly CompileDiagnostic[]
      /** The author's files that were read, the filter first: what to watch. */
      readonly files: readonly string[]
      /** Time spent compiling, without the start of the child. */
      readonly ms: number
    }
  | { readonly ok: false; readonly diagnostics: readonly CompileDiagnostic[]; readonly files: readonly string[] }

export interface FilterCompilerOptions {
  /** The child's script; default: sdk/build/compile-child beside this program. */
  readonly childPath?: string
  /** Milliseconds an unused child is kept; default 60 s. */
  readonly idleTimeout?: number
  /** Milliseconds one compilation may take, the child's start included; default 30 s. */
  readonly jobTimeout?: number
  /** Called with every child that is started: for the log, and for tests. */
  readonly onStart?: (pid: number) => void
}

interface Job {
  readonly id: number
  readonly file: string
  readonly mode: BuildMode
  readonly done: (result: CompileResult) => void
}

type Reply = { readonly id?: number; readonly last?: boolean } & CompileReply
type CompileReply =
  | { readonly ok: true; readonly wasm: string; readonly warnings: CompileDiagnostic[]; readonly files: string[]; readonly ms: number }
  | { readonly ok: false; readonly diagnostics: CompileDiagnostic[]; readonly files: string[] }

const IDLE_TIMEOUT = 60_000
const JOB_TIMEOUT = 30_000
const HEAP_MEGABYTES = 1024
/** A module and its diagnostics are far smaller; a longer line is not from our child. */
const MAX_LINE = 64 * 1024 * 1024
const MAX_STDERR = 4096
/** The child needs no more of the environment, and no secret of the gateway's. */
const ENVIRONMENT = ["PATH", "HOME", "TMPDIR", "TEMP", "SystemRoot", "DENO_DIR", "LANG"]

/** One warm compiler. Jobs run one after another, in the order they came; each ends with a result, whatever happens. */
export class FilterCompiler {
  readonly #childPath: string
  /** Milliseconds an unused child is kept from its next job on. */
  idleTimeout: number
  readonly #jobTimeout: number
  readonly #onStart: ((pid: number) => void) | undefined
  readonly #queue: Job[] = []
  #running: Job | null = null
  #child: ChildProcess | null = null
  #stderr = ""
  #lines: string[] = []
  #lineLength = 0
  #timer: ReturnType<typeof setTimeout> | undefined
  #nextId = 1
  #closed = false

  constructor(options: FilterCompilerOptions = {}) {
    const beside = new URL(`../../sdk/build/compile-child${extname(new URL(import.meta.url).pathname)}`, import.meta.url)
    this.#childPath = options.childPath ?? fileURLToPath(beside)
    this.idleTimeout = options.idleTimeout ?? IDLE_TIMEOUT
    this.#jobTimeout = options.jobTimeout ?? JOB_TIMEOUT
    this.#onStart = options.onStart
  }

  /** Starts the child ahead of the first job, so that it is warm by then. */
  warm(): void {
    if (this.#closed || this.#child !== null) return
    this.#start()
    this.#restTimer()
  }

  /** Compiles a filter. Never rejects: a hung or crashed compiler is a diagnostic too. */
  compile(file: string, mode: BuildMode = "release"): Promise<CompileResult> {
    const absolute = resolve(file)
    if (this.#closed) return Promise.resolve(failure(absolute, "the compiler is closed"))
    return new Promise((done) => {
      this.#queue.push({ id: this.#nextId++, file: absolute, mode, done })
      this.#next()
    })
  }

  /** Ends the child; jobs that are not done fail. */
  close(): void {
    this.#closed = true
    this.#drop("the compiler was closed")
    for (const job of this.#queue.splice(0)) job.done(failure(job.file, "the compiler was closed"))
  }

  #next(): void {
    if (this.#running !== null || this.#closed) return
    const job = this.#queue.shift()
    if (job === undefined) {
      this.#restTimer()
      return
    }
    this.#running = job
    if (this.#child === null) this.#start()
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => this.#drop(`compiling took longer than ${this.#jobTimeout} ms and was stopped`), this.#jobTimeout)
    this.#hold(true)
    this.#child?.stdin?.write(`${JSON.stringify({ id: job.id, file: job.file, mode: job.mode })}\n`)
  }

  #start(): void {
    const env: Record<string, string> = { NO_COLOR: "1" }
    for (const name of ENVIRONMENT) {
      const value = process.env[name]
      if (value !== undefined) env[name] = value
    }
    const { command, args } = childCommand(this.#childPath, HEAP_MEGABYTES, "read")
    const child = spawn(command, args, { env, stdio: ["pipe", "pipe", "pipe"] })
    this.#child = child
    this.#stderr = ""
    this.#lines = []
    this.#lineLength = 0
    child.stdout.setEncoding("utf8")
    child.stdout.on("data", (chunk: string) => {
      if (child === this.#child) this.#read(chunk)
    })
    child.stderr.setEncoding("utf8")
    child.stderr.on("data", (chunk: string) => {
      if (child === this.#child) this.#stderr = (this.#stderr + chunk).slice(-MAX_STDERR)
    })
    child.stdin.on("error", () => {})
    child.on("error", (error) => {
      if (child === this.#child) this.#drop(`the compiler can't be started: ${error.message}`)
    })
    child.on("close", (code, signal) => {
      if (child === this.#child) this.#drop(`the compiler ended unexpectedly (${signal ?? code}): ${lastLines(this.#stderr)}`)
    })
    if (child.pid !== undefined) this.#onStart?.(child.pid)
  }

  /** Lines arrive in pieces; a module's line has some hundred kilobytes. */
  #read(chunk: string): void {
    let rest = chunk
    for (let end = rest.indexOf("\n"); end >= 0; end = rest.indexOf("\n")) {
      this.#lines.push(rest.slice(0, end))
      const line = this.#lines.join("")
      this.#lines = []
      this.#lineLength = 0
      rest = rest.slice(end + 1)
      this.#receive(line)
    }
    if (rest === "") return
    this.#lines.push(rest)
    this.#lineLength += rest.length
    if (this.#lineLength > MAX_LINE) this.#drop("the compiler sent more than it may")
  }

  #receive(line: string): void {
    let reply: Reply
    try {
      reply = JSON.parse(line) as Reply
    } catch {
      this.#drop("the compiler sent something unreadable")
      return
    }
    const job = this.#running
    if (job === null || reply.id !== job.id) return
    this.#running = null
    if (reply.last) this.#retire()
    job.done(
      reply.ok
        ? { ...reply, wasm: new Uint8Array(Buffer.from(reply.wasm, "base64")) }
        : { ok: false, diagnostics: reply.diagnostics, files: reply.files },
    )
    this.#next()
  }

  /** Kills the child, fails the job it had, and goes on with the next. */
  #drop(reason: string): void {
    const job = this.#running
    this.#running = null
    this.#retire()
    job?.done(failure(job.file, reason))
    this.#next()
  }

  #retire(): void {
    clearTimeout(this.#timer)
    const child = this.#child
    this.#child = null
    child?.kill("SIGKILL")
  }

  /** Between jobs the child may not keep the program alive, and not longer than the idle time. */
  #restTimer(): void {
    clearTimeout(this.#timer)
    if (this.#child === null) return
    this.#hold(false)
    this.#timer = setTimeout(() => this.#retire(), this.idleTimeout)
    this.#timer.unref()
  }

  #hold(on: boolean): void {
    const child = this.#child
    if (child === null) return
    for (const part of [child, child.stdin, child.stdout, child.stderr] as ({ ref?: () => void; unref?: () => void } | null)[]) {
      if (on) part?.ref?.()
      else part?.unref?.()
    }
  }
}

function failure(file: string, message: string): CompileResult {
  return { ok: false, files: [file], diagnostics: [{ file, line: 1, column: 1, message, excerpt: "" }] }
}

function lastLines(text: string): string {
  return text.trim().split("\n").slice(-3).join(" | ") || "no message"
}
