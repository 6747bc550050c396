// The compiler's child process. It serves whoever started it over its standard streams and ends with them; nothing else
// reaches it. The parent is gateway/wasm/compiler.ts.
//
// Protocol: one JSON object a line (UTF-8, LF), one job at a time.
//
//   child → parent   {"ready":true}                                     once, when the compiler is loaded
//   parent → child   {"id":1,"file":"/abs/filter.ts","mode":"release"}  mode: release or debug
//   child → parent   {"id":1,"ok":true,"wasm":"<base64>","files":[…],"warnings":[…],"ms":412,"last":false}
//                    {"id":1,"ok":false,"diagnostics":[…],"files":[…],"ms":38,"last":false}
//
// `files` are the author's files that were read, `diagnostics` and `warnings` are Diagnostic of compile.ts. `last` says that
// this child is worn out (memory, or the compiler crashed) and exits now: start another for the next job. The end of
// standard input ends the child.

import { dirname, join } from "node:path"
import { createInterface } from "node:readline"
import { fileURLToPath } from "node:url"
import type { BuildMode } from "./compile.ts"

/** The compiler keeps some 20 MB of every job; past this the child is replaced. */
const MAX_RSS = 700 * 1024 * 1024

// The compiler prints its own crashes with console.log; standard output belongs to the protocol.
console.log = console.error

const { FilterCompilation } = await import("./compile.ts")
const sdk = join(dirname(dirname(fileURLToPath(import.meta.url))), "assembly")

function send(message: object): Promise<void> {
  return new Promise((done) => process.stdout.write(`${JSON.stringify(message)}\n`, () => done()))
}

function serve(line: string): { reply: object; last: boolean } {
  const job = JSON.parse(line) as { id: number; file: string; mode: BuildMode }
  const start = performance.now()
  const { files, ...outcome } = new FilterCompilation(job.file, job.mode, sdk).run()
  const last = process.memoryUsage().rss > MAX_RSS || (!outcome.ok && outcome.broken)
  const common = { id: job.id, files, ms: Math.round(performance.now() - start), last }
  if (!outcome.ok) return { reply: { ...common, ok: false, diagnostics: outcome.diagnostics }, last }
  const wasm = Buffer.from(outcome.wasm).toString("base64")
  return { reply: { ...common, ok: true, wasm, warnings: outcome.warnings }, last }
}

await send({ ready: true })
for await (const line of createInterface({ input: process.stdin })) {
  if (line === "") continue
  const { reply, last } = serve(line)
  await send(reply)
  if (last) break
}
process.exit(0)
