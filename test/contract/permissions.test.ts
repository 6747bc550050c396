// A running gateway whose filters may not do everything, or fail so often that they are given up. Guests are written without
// the SDK.

import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { FilterStatus } from "../../gateway/admin/status.ts"
import { until } from "../support/deadline.ts"
import { Gateway, runCli } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { exchange, get } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

/** Sets x-a and x-b on the response, and copies what it can read of x-in to x-out. */
const writer = (() => {
  const script = new Script()
  const set = (name: string, value: string): string =>
    `(drop (call $proxy_replace_header_map_value (i32.const 2) ${script.text(name)} ${value}))`
  return guest({
    imports: ["proxy_replace_header_map_value", "proxy_get_header_map_value"],
    data: script.data,
    code: `(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
      ${set("x-a", script.text("1"))} ${set("x-b", script.text("2"))}
      (if (i32.eqz (call $proxy_get_header_map_value (i32.const 0) ${script.text("x-in")} (i32.const 0) (i32.const 4)))
        (then ${set("x-out", "(i32.load (i32.const 0)) (i32.load (i32.const 4))")}))
      (i32.const 0))`,
  })
})()
const trap = guest({ code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (unreachable))` })

const manifest = (write: readonly string[]): string =>
  JSON.stringify({ name: "guarded", module: "guarded.wasm", permissions: { headers: { read: ["x-in"], write } } }, null, 2)

let origin: Origin
let gateway: Gateway

beforeAll(async () => {
  origin = await Origin.start((_request, connection) => connection.reply(200, "ok"))
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      listeners: [{ name: "main", address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] } },
      filters: {
        guarded: { module: "./guarded.wasm" },
        narrowed: { module: "./guarded.wasm", permissions: { headers: { write: ["x-b", "x-out"] } } },
        free: { module: "./free.wasm" },
        configured: { module: "./free.wasm", permissions: { headers: { read: [] } } },
        trap: { module: "./trap.wasm" },
      },
      routes: [
        { backends: "origin" },
        ...["guarded", "narrowed", "free", "configured", "trap"].map((name) => ({
          match: { path: `/${name}` },
          filters: name,
          backends: "origin",
        })),
      ],
    },
    files: { "guarded.wasm": writer, "free.wasm": writer, "trap.wasm": trap, "filter.json": manifest(["x-a", "x-b", "x-out"]) },
  })
}, 60_000)

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

async function headers(path: string): Promise<(string | null)[]> {
  const response = await get(gateway.port(), path, { "x-in": "in" })
  expect(response.status).toBe(200)
  return ["x-a", "x-b", "x-out"].map((name) => response.header(name))
}

async function filter(name: string): Promise<FilterStatus> {
  const { filters } = JSON.parse((await get(gateway.adminPort, "/filters")).text()) as { filters: FilterStatus[] }
  const found = filters.find((each) => each.name === name)
  if (found === undefined) throw new Error(`no filter ${name}`)
  return found
}

describe("permissions", () => {
  test("a manifest's hold, and the configuration narrows them", async () => {
    expect(await headers("/guarded")).toEqual(["1", "2", "in"])
    expect(await headers("/narrowed")).toEqual([null, "2", "in"])
  })

  test("a manifest is about the module it names; the configuration alone limits as well", async () => {
    expect(await headers("/free")).toEqual(["1", "2", "in"])
    expect(await headers("/configured")).toEqual(["1", "2", null])
  })

  test("a refusal is logged for the filter's author, and counted", async () => {
    await headers("/narrowed")
    const line = await gateway.waitForLog(({ message }) => message.startsWith("filter narrowed wrote header"), "the refusal")
    expect(line).toMatchObject({ level: "warn", filter: "narrowed" })
    expect(line.message).toContain(
      '"x-a"; its filter.json (or permissions in the configuration) grants x-b, x-out in permissions.headers.write',
    )
    const metrics = await readMetrics(gateway.adminPort)
    expect(metrics.sum("sluice_filter_refusals_total", { filter: "narrowed" })).toBeGreaterThan(0)
    expect(metrics.sum("sluice_filter_refusals_total", { filter: "guarded" })).toBe(0)
  })

  test("a manifest that changes is live, and a bad one is refused with file and key", async () => {
    gateway.writeFile("filter.json", manifest(["x-b"]))
    await until(async () => ((await headers("/guarded"))[0] === null ? true : null), "the new manifest")
    expect(await headers("/guarded")).toEqual([null, "2", null])
    const from = gateway.log.length
    gateway.writeFile("filter.json", manifest(["x-b"]).replace('"write"', '"wirte"'))
    const line = await gateway.waitForLog(({ level }) => level === "error", "the refusal", 10_000, from)
    expect(String(line.reason)).toMatch(/filter\.json:\d+:\d+: permissions\.headers\.wirte: unknown key/)
    expect(await headers("/guarded")).toEqual([null, "2", null])
    const { code, stderr } = await runCli(["check", "-c", gateway.configFile])
    expect(code).toBe(1)
    expect(stderr).toMatch(/filter guarded: .*filter\.json:\d+:\d+: permissions\.headers\.wirte: unknown key.*write/)
    writeFileSync(join(gateway.folder, "filter.json"), manifest(["x-b"]))
  })

  test("what is pushed may do no more than what it stands in for", async () => {
    const request = `PUT /filters/guarded/module HTTP/1.1\r\nhost: localhost\r\nx-sluice-admin: test\r\ncontent-length: ${writer.length}\r\n\r\n`
    const { status } = await exchange(gateway.adminPort, Buffer.concat([Buffer.from(request), writer]), "PUT")
    expect(status).toBe(200)
    expect(await headers("/guarded")).toEqual([null, "2", null])
  })
})

describe("quarantine", () => {
  test("a filter that keeps trapping is in it, until it is released", async () => {
    await until(
      async () => {
        expect((await get(gateway.port(), "/trap")).status).toBe(500)
        expect((await get(gateway.port(), "/")).status).toBe(200)
        return (await filter("trap")).state === "quarantined" ? true : null
      },
      "quarantine",
      40_000,
    )
    const line = await gateway.waitForLog(({ message }) => message.startsWith("filter trap is in quarantine"), "quarantine")
    expect(line).toMatchObject({ level: "error", filter: "trap" })
    expect((await readMetrics(gateway.adminPort)).sum("sluice_filter_quarantined", { filter: "trap" })).toBe(1)
    const ready = JSON.parse((await get(gateway.adminPort, "/ready")).text())
    expect(ready).toMatchObject({ ready: true, filtersInTrouble: expect.arrayContaining(["trap"]) })
    expect(ready.reasons).toContain("filter trap is in quarantine: it failed too often, and is not started any more")
    const { stdout } = await runCli(["filter", "ls", "--admin", `127.0.0.1:${gateway.adminPort}`])
    expect(stdout).toContain("trap: in quarantine until it changes or is released")
    const traps = (await filter("trap")).traps
    expect((await get(gateway.port(), "/trap")).status).toBe(500)
    expect((await filter("trap")).traps).toEqual(traps)

    const release = (name: string): ReturnType<typeof exchange> =>
      exchange(
        gateway.adminPort,
        `POST /filters/${name}/release HTTP/1.1\r\nhost: localhost\r\nx-sluice-admin: test\r\ncontent-length: 0\r\n\r\n`,
        "POST",
      )
    expect((await release("trap")).status).toBe(200)
    await until(async () => ((await filter("trap")).state === "running" ? true : null), "its release")
    expect((await readMetrics(gateway.adminPort)).sum("sluice_filter_quarantined", { filter: "trap" })).toBe(0)
    const again = await release("trap")
    expect([again.status, JSON.parse(again.text()).error]).toEqual([
      409,
      "filter trap is not in quarantine, and no version of it is rolled back",
    ])
  }, 60_000)
})
