// Compiling filters: which forms are accepted, where errors are shown, what comes out, and what happens to the child.

import { readFile, rm, writeFile } from "node:fs/promises"
import { fileURLToPath } from "node:url"
import { afterAll, describe, expect, it } from "vitest"
import { FilterCompiler } from "../../../gateway/wasm/compiler.ts"
import { buildFilter } from "../../../sdk/build/build.ts"
import { FakeHost } from "./fake-host.ts"
import { toModule, Workbench } from "./workbench.ts"

const workbench = new Workbench()
afterAll(() => workbench.close())

const example = (path: string): string => fileURLToPath(new URL(`../../../examples/${path}`, import.meta.url))

async function problems(source: string, others: Record<string, string> = {}): Promise<string[]> {
  const result = await workbench.compile(source, others)
  if (result.ok) return []
  return result.diagnostics.map((d) => `${d.file.split("/").at(-1)}:${d.line}:${d.column} ${d.message}`)
}

describe("a module", () => {
  it("imports env.proxy_* only, says its ABI version and exports what the filter needs", async () => {
    const module = await workbench.module(`import { Config, Reply, Request, Response } from "sluice/sdk"
export function configure(config: Config): void { config.string("a", "b") }
export function onRequest(request: Request): Reply | null { return Math.random() > 2.0 ? new Reply(500) : null }
export function onResponse(response: Response): void {}`)
    for (const { module: from, name, kind } of WebAssembly.Module.imports(module))
      expect(`${from}.${name} ${kind}`).toMatch(/^env\.proxy_[a-z_]+ function$/)
    expect(
      WebAssembly.Module.exports(module)
        .map(({ name }) => name)
        .sort(),
    ).toEqual([
      "memory",
      "proxy_abi_version_0_2_1",
      "proxy_on_configure",
      "proxy_on_context_create",
      "proxy_on_delete",
      "proxy_on_memory_allocate",
      "proxy_on_request_headers",
      "proxy_on_response_headers",
    ])
  })
  it("has the callbacks that its phases need, and no others", async () => {
    const names = async (source: string): Promise<string[]> => {
      const module = await workbench.module(source)
      const all = WebAssembly.Module.exports(module).map(({ name }) => name.replace("proxy_on_", ""))
      return all.filter((name) => /request|response|tick|queue/.test(name)).sort()
    }
    expect(await names("export function onRequestBody(): void {}")).toEqual(["request_body", "request_headers", "request_trailers"])
    expect(await names("export function onResponseChunk(): void {}")).toEqual(["response_body"])
    expect(await names("export function onResponseTrailers(): void {}")).toEqual(["response_trailers"])
    expect(await names("export function onTick(): void {}\nexport function onQueue(): void {}")).toEqual(["queue_ready", "tick"])
    expect(await names('import { Call } from "sluice/sdk"\nexport function onTick(): void { new Call("a").fire() }')).toEqual([
      "http_call_response",
      "tick",
    ])
  })
  it("stays small: what a filter doesn't use isn't in it", async () => {
    const size = async (source: string): Promise<number> => {
      const result = await workbench.compile(source)
      return result.ok ? result.wasm.length : Number.NaN
    }
    const least = await size("export function onRequest(): void {}")
    expect(least).toBeLessThan(9_000)
    const everything = `import * as all from "sluice/sdk"\nimport { Request } from "sluice/sdk"\nexport function onRequest(request: Request): void { request.headers.has("a") }`
    expect(await size(everything)).toBeLessThan(least + 9_000)
    expect(
      await size(`import { Request } from "sluice/sdk"\nexport function onRequest(request: Request): void { request.headers.has("a") }`),
    ).toBeLessThan(least + 4_000)
  })
  it("has no callbacks that the author did not write", async () => {
    const module = await workbench.module("export function onLog(): void {}")
    const names = WebAssembly.Module.exports(module).map(({ name }) => name)
    expect(names).toContain("proxy_on_log")
    expect(names.filter((name) => /headers|configure/.test(name))).toEqual([])
  })
})

describe("forms of a callback", () => {
  const imports = `import { Body, Call, Config, Headers, HttpFilter, Queue, Reply, Request, Response } from "sluice/sdk"\n`
  it.each([
    "export function onRequest(request: Request): void {}",
    "export function onRequest(): void {}",
    "export function onRequest(): Reply { return new Reply(204) }",
    "export function onRequest(r: Request): Reply | null { return r.headers.has('a') ? new Reply(400) : null }",
    "function onResponse(response: Response): Reply | null { return null }\nexport { onResponse }",
    "export function onLog(request: Request): void {}",
    "export function configure(): void {}",
    "export class A extends HttpFilter { onLog(request: Request, response: Response): void {} }",
    "export function onRequestBody(request: Request): void {}",
    "export function onRequestBody(request: Request, body: Body): Reply | null { return null }\nexport function onResponseChunk(): void {}",
    "export function onResponseChunk(response: Response, body: Body, end: bool): Reply | null { return null }",
    "export function onRequestTrailers(request: Request, trailers: Headers): void {}\nexport function onResponseTrailers(): void {}",
    "export function onTick(): void {}\nexport function onQueue(queue: Queue, item: string): void {}",
  ])("%s", async (source) => {
    expect(await problems(imports + source)).toEqual([])
  })
  it.each([
    [
      "let a = 1",
      "filter.ts:1:1 a filter exports at least one of configure, onRequest, onRequestBody, onRequestChunk, onRequestTrailers, onResponse, onResponseBody, onResponseChunk, onResponseTrailers, onTick, onQueue, onLog, or a class that extends HttpFilter",
    ],
    ["export function onReqest(): void {}", "filter.ts:2:17 onReqest is not a callback of a filter: did you mean onRequest?"],
    [
      "export function onTrailers(): void {}",
      "filter.ts:2:17 onTrailers is not a callback of a filter: did you mean onRequestTrailers or onResponseTrailers?",
    ],
    [
      "export function onRequestBody(): void {}\nexport function onRequestChunk(): void {}",
      "filter.ts:3:17 a filter sees a body whole (onRequestBody) or in pieces (onRequestChunk), not both",
    ],
    [
      "export class A extends HttpFilter {\n  onResponseChunk(r: Response, b: Body, e: bool): Reply | null { return null }\n  onResponseBody(r: Response, b: Body): Reply | null { return null }\n}",
      "filter.ts:3:3 a filter sees a body whole (onResponseBody) or in pieces (onResponseChunk), not both",
    ],
    [
      "export function proxy_on_http_call_response(): void {}",
      "filter.ts:2:17 proxy_on_http_call_response is made by the build: export a callback of Call.send instead",
    ],
    ["export function onTick(a: i32): void {}", "filter.ts:2:24 onTick takes fewer parameters: export function onTick(): void"],
    [
      "export function onrequest(): void {}\nexport function onREQUEST(): void {}",
      "filter.ts:3:17 onREQUEST is not a callback of a filter: did you mean onRequest?",
    ],
    [
      "export function onRequest(r: Request): i32 { return 0 }",
      "filter.ts:2:40 onRequest can't return i32: export function onRequest(request: Request): Reply | null",
    ],
    [
      "export function configure(a: Config, b: i32): void {}",
      "filter.ts:2:38 configure takes fewer parameters: export function configure(config: Config): void",
    ],
    [
      "export function onRequest<T>(r: T): void {}",
      "filter.ts:2:17 onRequest can't be generic: export function onRequest(request: Request): Reply | null",
    ],
    [
      "export const onRequest = 1",
      "filter.ts:2:14 onRequest must be a function declared in this file: export function onRequest(request: Request): Reply | null",
    ],
    ["function a(): void {}\nexport { a as onLog }", "filter.ts:3:15 onLog can't be exported under another name: declare it as onLog"],
    [
      "export function proxy_on_request_headers(a: i32, b: i32, c: i32): i32 { return 0 }",
      "filter.ts:2:17 proxy_on_request_headers is made by the build: export onRequest instead",
    ],
    [
      "export class A extends HttpFilter {}\nexport function onRequest(): void {}",
      "filter.ts:3:17 onRequest is a function here, but A is an HttpFilter class: use one of the two forms",
    ],
  ])("%s is refused", async (source, problem) => {
    expect(await problems(imports + source)).toContain(problem)
  })
  it("a parameter of another type is the declaration's error, not the glue's", async () => {
    const [first] = await problems(`${imports}export function onRequest(r: Response): void {}`)
    expect(first).toMatch(/^filter\.ts:2:17 onRequest does not have the form of a callback: /)
  })
})

describe("errors in the source", () => {
  it("point to the place in the author's file, with the line", async () => {
    const result = await workbench.compile(
      `import { Request } from "sluice/sdk"\n\nexport function onRequest(request: Request): void {\n\trequest.headers.sett("a", "b")\n}\n`,
    )
    if (result.ok) throw new Error("it compiled")
    const [{ line, column, message, excerpt }] = result.diagnostics
    expect({ line, column, message }).toEqual({ line: 4, column: 18, message: "Property 'sett' does not exist on type 'Headers'." })
    expect(excerpt).toBe(` request.headers.sett("a", "b")\n${" ".repeat(17)}^^^^`)
  })
  it.each([
    ["export function onRequest(: void {}", /^filter\.ts:1:\d+ /],
    [
      'import { nothing } from "sluice/sdk"\nexport function onLog(): void { nothing() }',
      /^filter\.ts:1:10 Module 'sluice\/sdk' has no exported member 'nothing'/,
    ],
    ['import { a } from "./missing"\nexport function onLog(): void { a() }', /^filter\.ts:1:19 File '.*' not found\. \(imports reach/],
    ['import { a } from "../outside"\nexport function onLog(): void { a() }', /^filter\.ts:1:19 File '.*' not found/],
    ['import { a } from "fs"\nexport function onLog(): void { a() }', /^filter\.ts:1:19 File '.*' not found/],
    ['export function onLog(): void { console.log("x") }', /^filter\.ts:1:33 console\.log is not available in a filter: import \{ log \}/],
    [
      "export function onLog(): void { if (Date.now() > 5) throw new Error('x') }",
      /^filter\.ts:1:37 Date\.now is not available in a filter: import \{ now \}/,
    ],
    [
      '@external("env", "secret")\ndeclare function secret(): void\nexport function onLog(): void { secret() }',
      /^filter\.ts:1:19 secret is not available in a filter/,
    ],
  ])("%s", async (source, expected) => {
    expect((await problems(source))[0]).toMatch(expected)
  })
  it("point into other files of the filter too", async () => {
    expect(
      await problems('import { a } from "./a"\nexport function onLog(): void { a() }', {
        "a.ts": "export function a(): void {\n  b()\n}\n",
      }),
    ).toEqual(["a.ts:2:3 Cannot find name 'b'."])
  })
  it("a missing file is an error of its own", async () => {
    const result = await workbench.compiler.compile("/nowhere/filter.ts")
    expect(result).toMatchObject({ ok: false, diagnostics: [{ file: "/nowhere/filter.ts", message: "/nowhere/filter.ts can't be read" }] })
  })
  it("the files that were read are reported for watching", async () => {
    const result = await workbench.compile('import { a } from "./a"\nexport function onLog(): void { a() }', {
      "a.ts": "export function a(): void {}",
    })
    expect(result.files.map((file) => file.split("/").at(-1))).toEqual(["filter.ts", "a.ts"])
  })
})

describe("the examples", () => {
  it("api-key: asks for a key, names the client, limits the rate", async () => {
    const host = new FakeHost(toModule(await workbench.compiler.compile(example("quickstart/filters/api-key/filter.ts"))))
    expect(host.configure({ keys: { k1: "alice", k2: "bob" }, requests: 5, per: "10s" })).toBe(true)
    const ask = (headers: Record<string, string>): number => {
      host.onRequest(host.open(), headers)
      return host.reply?.status ?? 0
    }
    expect(ask({})).toBe(401)
    expect(ask({ "x-api-key": "wrong" })).toBe(403)
    for (let i = 0; i < 5; i++) expect(ask({ "x-api-key": "k1" })).toBe(0)
    expect([host.header("x-client"), host.header("x-api-key")]).toEqual(["alice", undefined])
    expect(ask({ "x-api-key": "k1" })).toBe(429)
    expect(host.reply?.headers).toEqual([["retry-after", "2"]])
    expect(ask({ "x-api-key": "k2" })).toBe(0)
    host.onResponse(host.open())
    expect(host.header("x-filtered-by", host.response)).toBe("api-key")
  })
  it("api-key: refuses a configuration without keys", async () => {
    const host = new FakeHost(toModule(await workbench.compiler.compile(example("quickstart/filters/api-key/filter.ts"))))
    expect(host.configure({})).toBe(false)
    expect(host.logs).toContain('error: config: "keys" must name at least one API key')
  })
  it("hello: greets as it is told", async () => {
    const host = new FakeHost(toModule(await workbench.compiler.compile(example("custom-filter/filters/hello/filter.ts"))))
    host.configure({ greeting: "moin" })
    host.onResponse(host.open())
    expect(host.header("x-greeting", host.response)).toBe("moin")
  })
})

describe("buildFilter", () => {
  it("writes the module and returns it", async () => {
    const outFile = `${example("custom-filter/filters/hello")}/test-${process.pid}-${Date.now()}.wasm`
    try {
      const result = await buildFilter(example("custom-filter/filters/hello/filter.ts"), { mode: "debug", outFile })
      if (!result.ok) throw new Error(result.diagnostics[0].message)
      expect(new Uint8Array(await readFile(outFile))).toEqual(result.wasm)
    } finally {
      await rm(outFile, { force: true })
    }
  })
})

describe("the compiler's child", () => {
  const folder = example("custom-filter/filters/hello")
  /** A child that answers with what its script says. */
  async function withChild<T>(
    script: string,
    options: { jobTimeout?: number; idleTimeout?: number },
    use: (compiler: FilterCompiler, pids: number[]) => Promise<T>,
  ): Promise<T> {
    const childPath = `${folder}/child-${process.pid}-${Math.random().toString(36).slice(2)}.ts`
    await writeFile(
      childPath,
      `import { createInterface } from "node:readline"\nlet jobs = 0\nfor await (const line of createInterface({ input: process.stdin })) {\n  const { id } = JSON.parse(line)\n  jobs++\n${script}\n}\n`,
    )
    const pids: number[] = []
    const compiler = new FilterCompiler({ childPath, ...options, onStart: (pid) => pids.push(pid) })
    try {
      return await use(compiler, pids)
    } finally {
      compiler.close()
      await rm(childPath, { force: true })
    }
  }
  const ANSWER = `  console.log(JSON.stringify({ id, ok: true, wasm: "AGFzbQ==", warnings: [], files: [String(jobs)], ms: 1, last: jobs === 2 }))`

  it("serves several jobs in order and is replaced when it is worn out", async () => {
    await withChild(ANSWER, {}, async (compiler, pids) => {
      const results = await Promise.all([1, 2, 3].map(() => compiler.compile("/a.ts")))
      expect(results.map((result) => result.files[0])).toEqual(["1", "2", "1"])
      expect(pids.length).toBe(2)
    })
  })
  it("is killed when a job takes too long, and the next job is served", async () => {
    await withChild(`  if (id === 1) for (;;) {}\n${ANSWER}`, { jobTimeout: 3000 }, async (compiler, pids) => {
      const [first, second] = await Promise.all([compiler.compile("/a.ts"), compiler.compile("/b.ts")])
      expect(first).toMatchObject({
        ok: false,
        diagnostics: [{ file: "/a.ts", message: "compiling took longer than 3000 ms and was stopped" }],
      })
      expect([second.ok, pids.length]).toEqual([true, 2])
    })
  })
  it("may crash without taking more than its job along", async () => {
    await withChild(`  if (id === 1) { console.error("out of luck"); process.exit(3) }\n${ANSWER}`, {}, async (compiler) => {
      const [first, second] = await Promise.all([compiler.compile("/a.ts"), compiler.compile("/b.ts")])
      expect(first).toMatchObject({ ok: false, diagnostics: [{ message: "the compiler ended unexpectedly (3): out of luck" }] })
      expect(second.ok).toBe(true)
    })
  })
  it("sends nonsense in vain", async () => {
    await withChild(`  console.log("hello")`, {}, async (compiler) => {
      expect(await compiler.compile("/a.ts")).toMatchObject({
        ok: false,
        diagnostics: [{ message: "the compiler sent something unreadable" }],
      })
    })
  })
  it("ends when it has been idle", async () => {
    await withChild(ANSWER, { idleTimeout: 50 }, async (compiler, pids) => {
      await compiler.compile("/a.ts")
      await expect.poll(() => alive(pids[0]), { timeout: 10_000 }).toBe(false)
      expect((await compiler.compile("/a.ts")).files).toEqual(["1"])
      expect(pids.length).toBe(2)
    })
  })
  it("jobs of a closed compiler fail", async () => {
    const compiler = new FilterCompiler()
    const running = compiler.compile("/a.ts")
    compiler.close()
    expect(await running).toMatchObject({ ok: false, diagnostics: [{ message: "the compiler was closed" }] })
    expect(await compiler.compile("/a.ts")).toMatchObject({ ok: false, diagnostics: [{ message: "the compiler is closed" }] })
  })
})

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
