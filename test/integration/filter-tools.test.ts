// The commands for filter authors, as a user runs them.

import { type ChildProcess, spawn, spawnSync } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { runCli, runtimeCommand } from "../support/gateway.ts"
import { guest } from "../unit/wasm/support/wat.ts"

const folder = mkdtempSync(join(tmpdir(), "sluice-tools-"))
const greeter = join(folder, "filters", "greeter")
/** A compilation can take its time on a busy machine. */
const LIMIT = 60_000

const sluice = (...args: string[]): ReturnType<typeof runCli> =>
  runCli(args, { cwd: folder, limit: LIMIT, env: { SLUICE_CACHE: join(folder, "cache") } })

/** Replaces a part of a file of the filter. */
function edit(file: string, before: string, after: string): void {
  const text = readFileSync(join(greeter, file), "utf8")
  if (!text.includes(before)) throw new Error(`${file} has no ${before}`)
  writeFileSync(join(greeter, file), text.replace(before, after))
}

let made: Awaited<ReturnType<typeof runCli>>

beforeAll(async () => {
  mkdirSync(join(folder, "filters"))
  made = await sluice("filter", "new", "greeter")
}, LIMIT)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe("sluice filter new", () => {
  test("makes a folder, and says what to do next", () => {
    expect([made.code, made.stderr]).toEqual([0, ""])
    expect(readdirSync(greeter).sort()).toEqual(["README.md", "filter.json", "filter.ts", "tests.json", "tsconfig.json"])
    for (const word of ["sluice filter test filters/greeter", "sluice.yaml", "module: ./filters/greeter/filter.ts"])
      expect(made.stdout).toContain(word)
  })

  test("overwrites nothing, and refuses names that are none", async () => {
    const again = await sluice("filter", "new", "greeter")
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("exists and is not empty")])
    const bad = await sluice("filter", "new", "Bad_Name")
    expect([bad.code, bad.stderr]).toEqual([2, expect.stringContaining("can't name a filter")])
  })
})

describe("a folder made by sluice filter new", () => {
  const root = fileURLToPath(new URL("../../", import.meta.url))
  const bin = join(root, "node_modules", ".bin")

  test(
    "is ./NAME where there is no folder for filters, and editors find the SDK from it",
    async () => {
      const cwd = join(folder, "bare")
      mkdirSync(cwd)
      const { code, stdout, stderr } = await runCli(["filter", "new", "hello"], { cwd, limit: LIMIT })
      expect([code, stderr]).toEqual([0, ""])
      for (const word of ["sluice filter test hello", "module: ./hello/filter.ts"]) expect(stdout).toContain(word)
      expect(readFileSync(join(cwd, "hello", "README.md"), "utf8")).toContain("module: ./hello/filter.ts")
      const options = { cwd, encoding: "utf8", env: { ...process.env, PATH: `${bin}:${process.env.PATH}` } } as const
      const checked = spawnSync(join(bin, "tsc"), ["-p", "hello"], options)
      expect([checked.status, checked.stdout]).toEqual([0, ""])
      expect((await runCli(["filter", "test", "hello"], { cwd, limit: LIMIT })).code).toBe(0)
    },
    LIMIT,
  )

  test("is never among the filters that come with Sluice", async () => {
    // A name that is taken there, so that nothing is made.
    const { stderr } = await runCli(["filter", "new", "gateway"], { cwd: root, limit: LIMIT })
    expect(stderr).toContain(`${join(root, "gateway")} exists and is not empty`)
  })

  test("extends the SDK's settings by name where a project has Sluice installed", async () => {
    const cwd = join(folder, "project")
    mkdirSync(join(cwd, "node_modules", "sluice"), { recursive: true })
    writeFileSync(join(cwd, "node_modules", "sluice", "package.json"), "{}")
    await runCli(["filter", "new", "hello"], { cwd, limit: LIMIT })
    const settings: unknown = JSON.parse(readFileSync(join(cwd, "hello", "tsconfig.json"), "utf8"))
    expect(settings).toEqual({ extends: "sluice/sdk/tsconfig.filter.json", include: ["*.ts"] })
  })
})

describe("sluice filter test", () => {
  test(
    "passes for a new filter, and writes JUnit's XML",
    async () => {
      const { code, stdout, stderr } = await sluice("filter", "test", "--verbose", "--junit", "out/junit.xml")
      expect({ code, stderr }).toEqual({ code: 0, stderr: "" })
      expect(stdout).toMatch(/✓ greeter {2}3 cases/)
      expect(stdout).toContain("✓ turns robots away")
      expect(stdout).toContain("1 filter, 3 cases: 3 passed")
      expect(readFileSync(join(folder, "out", "junit.xml"), "utf8")).toContain('tests="3" failures="0" errors="0"')
    },
    LIMIT,
  )

  test(
    "shows what differs, and ends with 1; runs only the cases asked for",
    async () => {
      edit("tests.json", '"no robots\\n"', '"no humans\\n"')
      const failed = await sluice("filter", "test", "filters")
      expect(failed.code).toBe(1)
      expect(failed.stdout).toContain("✗ turns robots away  filters/greeter/tests.json")
      expect(failed.stdout).toMatch(/response\.body\n\s+- expected "no humans\\n"\n\s+\+ actual {3}"no robots\\n"/)
      expect(failed.stdout).toContain("3 cases: 2 passed, 1 failed")
      const some = await sluice("filter", "test", "filters/greeter", "--filter", "GREETS")
      expect([some.code, some.stdout]).toEqual([0, expect.stringContaining("2 cases: 2 passed")])
      edit("tests.json", '"no humans\\n"', '"no robots\\n"')
    },
    LIMIT,
  )

  test(
    "shows where a source or its tests are wrong, and ends with 1",
    async () => {
      edit("filter.ts", "return null", "return nul")
      edit("tests.json", '"cases"', '"csaes"')
      const broken = await sluice("filter", "test")
      expect(broken.code).toBe(1)
      expect(broken.stdout).toMatch(/greeter\/filter\.ts:\d+:\d+: .*nul/)
      expect(broken.stdout).toContain("1 filter could not be loaded")
      edit("filter.ts", "return nul", "return null")
      const tests = await sluice("filter", "test")
      expect([tests.code, tests.stdout]).toEqual([
        1,
        expect.stringMatching(/tests\.json:2:\d+: csaes: unknown key; did you mean "cases"\?/),
      ])
      edit("tests.json", '"csaes"', '"cases"')
    },
    LIMIT,
  )

  test("ends with 2 when there is nothing to test", async () => {
    const none = await sluice("filter", "test", "nowhere")
    expect([none.code, none.stdout, none.stderr]).toEqual([2, "", "nowhere: there is no tests.json\n"])
    const option = await sluice("filter", "test", "--nonsense")
    expect([option.code, option.stderr]).toEqual([2, expect.stringContaining("unknown option --nonsense")])
  })

  test("prints the JSON Schema of tests.json", async () => {
    const { code, stdout } = await sluice("filter", "test", "--schema")
    expect([code, JSON.parse(stdout).title]).toEqual([0, "Sluice filter tests, version 1"])
  })

  test(
    "runs again when a file is saved",
    async () => {
      const { command, args } = runtimeCommand(fileURLToPath(new URL("../../gateway/main.ts", import.meta.url)), [
        "filter",
        "test",
        "--watch",
      ])
      const child: ChildProcess = spawn(command, args, {
        cwd: folder,
        env: { ...process.env, NO_COLOR: "1", SLUICE_CACHE: join(folder, "cache") },
        stdio: ["ignore", "pipe", "pipe"],
      })
      let output = ""
      child.stdout?.setEncoding("utf8").on("data", (text: string) => {
        output += text
      })
      const ended = new Promise<number | null>((resolve) => child.on("close", (code) => resolve(code)))
      try {
        await until(() => output.includes("3 passed") && output.includes("waiting for changes"), "the first run", LIMIT)
        output = ""
        edit("tests.json", '"hi"', '"hello"')
        await until(() => output.includes("1 failed") && output.includes("waiting for changes"), "a run of changed tests", LIMIT)
        output = ""
        edit("tests.json", '"hello"', '"hi"')
        edit("filter.ts", "hello from", "good day from")
        await until(() => output.includes('"good day from greeter"'), "a run of the changed filter", LIMIT)
        edit("filter.ts", "good day from", "hello from")
      } finally {
        child.kill("SIGTERM")
      }
      expect([0, null]).toContain(await ended)
    },
    LIMIT * 2,
  )
})

describe("sluice filter build, inspect and bench", () => {
  test(
    "show the sizes of a filter, what it is and what it may do",
    async () => {
      const out = join(folder, "greeter.wasm")
      const built = await sluice("filter", "build", "filters/greeter/filter.ts", "-o", "greeter.wasm")
      expect([built.code, built.stderr]).toEqual([0, ""])
      expect(built.stdout).toMatch(/greeter\.wasm: \d+ octets, Proxy-Wasm 0\.2\.1, sha256 [0-9a-f]{64}/)
      expect(built.stdout).toMatch(/code +\d+ octets +\d+\.\d % +\d+ functions/)
      expect(existsSync(out)).toBe(true)
      const bare = await sluice("filter", "inspect", "greeter.wasm", "--json")
      const found = JSON.parse(bare.stdout)
      expect(found).toMatchObject({ name: "greeter", abi: "0.2.1", permissions: null, startsEmpty: "", unknownImports: [] })
      expect(found.phases).toEqual(expect.arrayContaining(["configure", "request headers", "response headers"]))
      expect(found.hostCalls).toContain("send_local_response")
      expect(found.metered.octets).toBeGreaterThan(found.octets)
      const text = await sluice("filter", "inspect", "filters/greeter")
      expect(text.stdout).toMatch(/may read +user-agent/)
      expect(text.stdout).toMatch(/may call +none/)
      const debug = await sluice("filter", "build", "filters/greeter/filter.ts", "-o", "debug.wasm", "--debug", "--no-report")
      expect(debug.code).toBe(0)
      expect(debug.stdout.trim().split("\n")).toHaveLength(1)
      expect(readFileSync(join(folder, "debug.wasm")).length).toBeGreaterThan(readFileSync(out).length)
    },
    LIMIT * 2,
  )

  test("inspect says what a foreign module wants and why one is refused", async () => {
    const parts = {
      more: '(import "env" "proxy_of_tomorrow" (func (param i32) (result i32)))\n(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))',
    }
    writeFileSync(
      join(folder, "foreign.wasm"),
      guest({
        imports: ["proxy_http_call"],
        ...parts,
        code: '(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 0))',
      }),
    )
    const { stdout } = await sluice("filter", "inspect", "foreign.wasm", "--json")
    expect(JSON.parse(stdout)).toMatchObject({
      hostCalls: ["http_call", "of_tomorrow"],
      wasi: ["random_get"],
      unknownImports: ["env.proxy_of_tomorrow"],
      startsEmpty: expect.stringContaining("configure refused"),
    })
    writeFileSync(join(folder, "none.wasm"), guest({ abi: "9_9_9" }))
    const refused = await sluice("filter", "inspect", "none.wasm")
    expect([refused.code, refused.stdout, refused.stderr]).toEqual([1, "", expect.stringContaining("unknown Proxy-Wasm version 9_9_9")])
  })

  test(
    "measures the phases of marked cases",
    async () => {
      const { code, stdout, stderr } = await sluice("filter", "bench", "filters/greeter", "--time", "20ms", "--json")
      expect([code, stderr]).toEqual([0, ""])
      const { results } = JSON.parse(stdout)
      expect(results).toMatchObject([{ filter: "greeter", case: "greets the service", statuses: { 200: expect.any(Number) } }])
      expect(results[0].phases.map((each: { phase: string }) => each.phase)).toEqual(["request headers", "response headers", "end"])
      for (const { calls, ns, units } of results[0].phases.slice(0, 2)) expect([calls, ns > 0, units > 0]).toEqual([1, true, true])
      const shown = await sluice("filter", "bench", "filters/greeter", "--time", "20ms")
      expect(shown.stdout).toMatch(/phase +calls +ns +units/)
      const wrong = await sluice("filter", "bench", "--time", "soon")
      expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('--time: "soon" is not a duration')])
    },
    LIMIT * 2,
  )
})
