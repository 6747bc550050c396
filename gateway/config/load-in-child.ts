// Loads a configuration, or files of endpoints, in a short-lived child process. A gateway that runs for months needs the
// validator for milliseconds, and it is a third of its memory.

import { spawn } from "node:child_process"
import { extname, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { childCommand } from "../runtime/child.ts"
import type { EndpointsResult, LoadResult } from "./load.ts"

/** ms after which a configuration module that doesn't come to an end is given up. */
const TIMEOUT = 30_000
const HEAP_MEGABYTES = 2048
/** Octets of output; more is not from our child. */
const MAX_OUTPUT = 512 * 1024 * 1024
const MAX_ERROR = 4096

/** As `loadConfig`. Never rejects: a child that fails is a problem of the file. */
export async function loadConfigInChild(file: string): Promise<LoadResult> {
  const loaded = await runChild<LoadResult>("load-child", [resolve(file)])
  return loaded.ok ? loaded.value : { ok: false, problems: [{ file, line: 0, column: 0, path: "", message: loaded.failure }] }
}

/** As `loadEndpoints`, of several files, in their order. Never rejects: a child that fails is a problem of every file. */
export async function loadEndpointsInChild(files: readonly string[]): Promise<readonly EndpointsResult[]> {
  const loaded = await runChild<readonly EndpointsResult[]>("endpoints-child", files)
  if (loaded.ok) return loaded.value
  return files.map((file) => ({ ok: false, problems: [{ file, line: 0, column: 0, path: "", message: loaded.failure }] }))
}

type Run<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: string }

/** The JSON that `name`, a script beside this one, prints last; or why there is none. */
function runChild<T>(name: string, values: readonly string[]): Promise<Run<T>> {
  const script = fileURLToPath(new URL(`./${name}${extname(new URL(import.meta.url).pathname)}`, import.meta.url))
  const { command, args } = childCommand(script, HEAP_MEGABYTES, "all")
  return new Promise((done) => {
    const child = spawn(command, [...args, ...values], { stdio: ["ignore", "pipe", "pipe"] })
    const output: Buffer[] = []
    let length = 0
    let errors = ""
    let failure = ""
    const timer = setTimeout(() => {
      failure = `takes longer than ${TIMEOUT / 1000} s to load; a module's top level must come to an end`
      child.kill("SIGKILL")
    }, TIMEOUT)
    child.stdout.on("data", (bytes: Buffer) => {
      length += bytes.length
      if (length > MAX_OUTPUT) child.kill("SIGKILL")
      else output.push(bytes)
    })
    child.stderr.on("data", (bytes: Buffer) => {
      errors = (errors + bytes.toString()).slice(-MAX_ERROR)
    })
    child.on("error", (error) => {
      failure = `can't be loaded: no process could be started for it: ${error.message}`
      finish()
    })
    child.on("close", () => finish())
    let finished = false
    const finish = (): void => {
      if (finished) return
      finished = true
      clearTimeout(timer)
      // A module may have printed before: the result is the last line.
      const lines = Buffer.concat(output).toString("utf8").trimEnd()
      const line = lines.slice(lines.lastIndexOf("\n") + 1)
      try {
        if (failure === "") return done({ ok: true, value: JSON.parse(line) as T })
      } catch {
        failure = `can't be loaded: ${errors.trim() === "" ? "the process that reads it ended early" : errors.trim()}`
      }
      done({ ok: false, failure })
    }
  })
}
