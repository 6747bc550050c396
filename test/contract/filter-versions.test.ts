// A running gateway whose filters have several versions, come from URLs, are pushed, rolled back and released. Guests are
// written without the SDK.

import { createHash } from "node:crypto"
import { createServer, type Server } from "node:http"
import type { AddressInfo } from "node:net"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { FilterStatus } from "../../gateway/admin/status.ts"
import { runCommand } from "../support/cli.ts"
import { until, within } from "../support/deadline.ts"
import { Gateway, type LogLine } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { get } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

/** Sets `x-stamp` on the response to `value`. */
function stamp(value: string): Uint8Array {
  const script = new Script()
  const code = `
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
      (drop (call $proxy_replace_header_map_value (i32.const 2) ${script.text("x-stamp")} ${script.text(value)}))
      (i32.const 0))`
  return guest({ imports: ["proxy_replace_header_map_value"], data: script.data, code })
}

/** Answers every request with `status` itself. */
function answer(status: number): Uint8Array {
  const script = new Script()
  const code = `
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $proxy_send_local_response (i32.const ${status}) ${script.text("guest")} ${script.text("no")} (i32.const 0) (i32.const 0) (i32.const -1)))
      (i32.const 1))`
  return guest({ imports: ["proxy_send_local_response"], data: script.data, code })
}

const trap = guest({ code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (unreachable))` })
const refusing = guest({ code: `(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 0))` })

/** Says on the response what it was configured with: plugin and VM. */
const tellConfig = (() => {
  const script = new Script()
  const code = `
    (global $vm (mut i32) (i32.const 0)) (global $vmLength (mut i32) (i32.const 0))
    (global $plugin (mut i32) (i32.const 0)) (global $pluginLength (mut i32) (i32.const 0))
    (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
      (if (i32.eqz (call $proxy_get_buffer_bytes (i32.const 6) (i32.const 0) (i32.const 1000) (i32.const 64) (i32.const 68)))
        (then (global.set $vm (i32.load (i32.const 64))) (global.set $vmLength (i32.load (i32.const 68)))))
      (i32.const 1))
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (if (i32.eqz (call $proxy_get_buffer_bytes (i32.const 7) (i32.const 0) (i32.const 1000) (i32.const 64) (i32.const 68)))
        (then (global.set $plugin (i32.load (i32.const 64))) (global.set $pluginLength (i32.load (i32.const 68)))))
      (i32.const 1))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
      (drop (call $proxy_replace_header_map_value (i32.const 2) ${script.text("x-vm")} (global.get $vm) (global.get $vmLength)))
      (drop (call $proxy_replace_header_map_value (i32.const 2) ${script.text("x-plugin")} (global.get $plugin) (global.get $pluginLength)))
      (i32.const 0))`
  return guest({ imports: ["proxy_get_buffer_bytes", "proxy_replace_header_map_value"], data: script.data, code })
})()

/** Says on the response which VM and root it is in. */
const tellPlace = (() => {
  const script = new Script()
  const tell = (property: string, name: string): string => `
      (drop (call $proxy_get_property ${script.text(property)} (i32.const 64) (i32.const 68)))
      (drop (call $proxy_replace_header_map_value (i32.const 2) ${script.text(name)} (i32.load (i32.const 64)) (i32.load (i32.const 68))))`
  const code = `
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
      ${tell("plugin_vm_id", "x-vm")}
      ${tell("plugin_root_id", "x-root")}
      (i32.const 0))`
  return guest({ imports: ["proxy_get_property", "proxy_replace_header_map_value"], data: script.data, code })
})()

/** Can be configured once in all workers: where another has been, it refuses. Alone, as in a trial, it is content. */
const onlyOnce = (() => {
  const script = new Script()
  const key = script.text("was-here")
  const code = `
    (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $proxy_set_shared_data ${key} ${key} (i32.const 0)))
      (drop (call $proxy_get_shared_data ${key} (i32.const 64) (i32.const 68) (i32.const 72)))
      (i32.eq (i32.load (i32.const 72)) (i32.const 1)))`
  return guest({ imports: ["proxy_set_shared_data", "proxy_get_shared_data"], data: script.data, code })
})()

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex")

const one = stamp("one")
const two = stamp("two")
const fetched = stamp("fetched")
const rollback = { failures: "5%", errors: "20%", window: "20s", minimum: 20 }

let origin: Origin
let server: Server
let gateway: Gateway
/** What the server of modules answers with, by path, and how often it was asked. */
const served = new Map<string, Uint8Array>([["/fetched.wasm", fetched]])
let fetches = 0

function config(edit: (config: ReturnType<typeof base>) => void = () => undefined): object {
  const value = base()
  edit(value)
  return value
}

function base() {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/fetched.wasm`
  const filters: Record<string, Record<string, unknown>> = {
    split: { versions: [{ module: "./one.wasm", weight: 3 }, { module: "./two.wasm" }], rollback },
    trapping: { versions: [{ module: "./one.wasm" }, { module: "./trap.wasm", name: "next" }], rollback },
    failing: { versions: [{ module: "./one.wasm" }, { module: "./answer-503.wasm" }], rollback },
    url: { module: url, sha256: sha256(fetched) },
    push: { module: "./pushed.wasm" },
    file: { module: "./file.wasm" },
    pinned: { module: "./pinned.wasm", sha256: sha256(one) },
    placed: { module: "./place.wasm", vm: "our-vm", rootId: "our-root" },
    unplaced: { module: "./place.wasm" },
    config: { module: "./config.wasm", vm: "shared-vm", vmConfig: { a: 1 }, config: "plain: text" },
  }
  const routes = Object.keys(filters).map((name) => ({ name, match: { path: `/${name}` }, filters: name, backends: "origin" }))
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    listeners: [{ name: "main", address: "127.0.0.1:0" }],
    services: { origin: { endpoints: [origin.address] } },
    filters,
    routes,
  }
}

beforeAll(async () => {
  origin = await Origin.start((_request, connection) => connection.reply(200, "origin"))
  server = createServer((request, response) => {
    fetches++
    const module = served.get(request.url ?? "")
    if (module === undefined) response.writeHead(404).end("nothing here")
    else response.end(module)
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  gateway = await Gateway.start({
    config: config(),
    files: {
      "one.wasm": one,
      "two.wasm": two,
      "trap.wasm": trap,
      "answer-503.wasm": answer(503),
      "pushed.wasm": one,
      "file.wasm": one,
      "config.wasm": tellConfig,
      "pinned.wasm": one,
      "place.wasm": tellPlace,
    },
    startLimit: 60_000,
  })
}, 60_000)

afterAll(async () => {
  await gateway?.kill()
  await origin?.stop()
  await new Promise((resolve) => server.close(resolve))
})

const at = (path: string): ReturnType<typeof get> => get(gateway.port(), path)
const stampOf = async (path: string): Promise<string | null> => (await at(path)).header("x-stamp")

async function filter(name: string): Promise<FilterStatus> {
  const { filters } = JSON.parse((await get(gateway.adminPort, "/filters")).text()) as { filters: FilterStatus[] }
  return filters.find((each) => each.name === name) as FilterStatus
}

async function ready(): Promise<{ ready: boolean; reasons: string[]; filtersInTrouble: string[] }> {
  return JSON.parse((await get(gateway.adminPort, "/ready")).text())
}

async function order(method: string, path: string, body?: Uint8Array, headers: Record<string, string> = { "x-sluice-admin": "test" }) {
  const response = await fetch(`http://127.0.0.1:${gateway.adminPort}${path}`, {
    method,
    headers,
    ...(body ? { body: body as BodyInit } : {}),
  })
  return { status: response.status, body: (await response.json()) as { done?: string; error?: string } }
}

async function logged(change: () => void, message: string): Promise<LogLine> {
  const from = gateway.log.length
  change()
  return gateway.waitForLog((line) => line.message === message, message, 20_000, from)
}

describe("versions of a filter", () => {
  test("share its exchanges by weight, and are counted apart", async () => {
    const stamps = (await Promise.all(Array.from({ length: 200 }, () => stampOf("/split")))) as string[]
    const share = stamps.filter((each) => each === "two").length
    expect(stamps.filter((each) => each === "one").length + share).toBe(200)
    // A quarter; 200 tries are off by more than 30 once in some million times.
    expect(Math.abs(share - 50)).toBeLessThan(31)
    const { versions } = await filter("split")
    expect(versions.map(({ name, weight, exchanges, state }) => [name, weight, exchanges, state])).toEqual([
      ["stable", 3, 200 - share, "running"],
      ["canary", 1, share, "running"],
    ])
    const metrics = await readMetrics(gateway.adminPort)
    expect(metrics.sum("sluice_filter_exchanges_total", { filter: "split", version: "canary", outcome: "ok" })).toBe(share)
    expect(metrics.sum("sluice_filter_version_weight", { filter: "split" })).toBe(4)
  })

  test("one that traps too often gets no exchanges any more, until it is released", async () => {
    const from = gateway.log.length
    let running = true
    const load = (async () => {
      while (running) await at("/trapping")
    })()
    const line = await gateway.waitForLog(({ message }) => message.startsWith("filter version rolled back"), "the rollback", 20_000, from)
    running = false
    await load
    expect(line).toMatchObject({ filter: "trapping", version: "next", reason: expect.stringContaining("failed in") })
    for (let i = 0; i < 20; i++) expect((await at("/trapping")).status).toBe(200)
    expect((await filter("trapping")).versions.map(({ weight, rolledBack }) => [weight, rolledBack?.message ?? null])).toEqual([
      [1, null],
      [0, line.reason],
    ])
    const state = await ready()
    expect([state.ready, state.filtersInTrouble]).toEqual([true, ["trapping"]])
    const metrics = await readMetrics(gateway.adminPort)
    expect(metrics.sum("sluice_filter_rollbacks_total", { filter: "trapping", version: "next" })).toBe(1)
    expect(metrics.sum("sluice_filter_version_weight", { filter: "trapping", version: "next" })).toBe(0)
    // A configuration that leaves the filter as it is doesn't bring it back.
    await logged(
      () => gateway.writeConfig(config((value) => value.routes.push({ ...value.routes[0], name: "more" }))),
      "configuration taken",
    )
    for (let i = 0; i < 20; i++) expect((await at("/trapping")).status).toBe(200)

    expect((await order("POST", "/filters/trapping/release")).status).toBe(200)
    // Too few for another verdict.
    const statuses = await Promise.all(Array.from({ length: rollback.minimum - 1 }, async () => (await at("/trapping")).status))
    expect(statuses.filter((status) => status >= 500).length).toBeGreaterThan(0)
    expect((await filter("trapping")).versions[1].rolledBack).toBeNull()
    expect((await order("POST", "/filters/trapping/release")).status).toBe(409)
  })

  test("one that traps at once is rolled back before a first look could have been its base", async () => {
    const made = await Gateway.start({
      config: config((value) => {
        value.filters = { trapping: { versions: [{ module: "./one.wasm" }, { module: "./trap.wasm", name: "next", weight: 9 }], rollback } }
        value.routes = value.routes.filter(({ name }) => name === "trapping")
      }),
      files: { "one.wasm": one, "trap.wasm": trap },
    })
    try {
      // All within the first moment, and nothing after it.
      const port = made.port("main")
      await Promise.all(Array.from({ length: 60 }, () => get(port, "/trapping")))
      const line = await made.waitForLog(({ message }) => message.startsWith("filter version rolled back"), "the rollback")
      expect(line).toMatchObject({ filter: "trapping", version: "next" })
      expect(made.log.find(({ message }) => message.includes("failed: "))).toMatchObject({
        message: expect.stringMatching(/^filter trapping \(next\) failed: /),
        version: "next",
      })
      const admin = ["--admin", `127.0.0.1:${made.adminPort}`]
      expect((await runCommand(["filter", "ls", ...admin])).stdout).toContain("(sluice filter release trapping)")
      const released = await runCommand(["filter", "release", "trapping", ...admin])
      expect([released.code, released.stdout, released.stderr]).toEqual([0, "filter trapping is released\n", ""])
      const again = await runCommand(["filter", "release", "trapping", ...admin])
      expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("no version of it is rolled back")])
    } finally {
      await made.stop()
    }
  })

  test("one whose exchanges end with 5xx is rolled back, and a new module of it is another chance", async () => {
    const from = gateway.log.length
    let running = true
    const load = (async () => {
      while (running) await at("/failing")
    })()
    const line = await gateway.waitForLog(
      (each) => each.message.startsWith("filter version rolled back") && each.filter === "failing",
      "the rollback",
      20_000,
      from,
    )
    running = false
    await load
    expect(line.reason).toMatch(/^100% of \d+ exchanges .* ended with a 5xx/)
    for (let i = 0; i < 20; i++) expect((await at("/failing")).status).toBe(200)
    await logged(() => gateway.writeFile("answer-503.wasm", two), "filter swapped")
    await until(async () => (await stampOf("/failing")) === "two", "the mended version")
    expect((await filter("failing")).versions[1]).toMatchObject({ weight: 1, rolledBack: null, generation: 2 })
  })
})

describe("a module from a URL", () => {
  test("serves, and is fetched again only when its digest changes", async () => {
    expect(await stampOf("/url")).toBe("fetched")
    const before = fetches
    const next = stamp("fetched again")
    served.set("/fetched.wasm", next)
    await logged(() => gateway.writeConfig(config((value) => value.routes.pop())), "configuration taken")
    expect([fetches, await stampOf("/url")]).toEqual([before, "fetched"])
    const changed = config((value) => {
      value.filters.url.sha256 = sha256(next)
    })
    await logged(() => gateway.writeConfig(changed), "configuration taken")
    expect([fetches, await stampOf("/url")]).toEqual([before + 1, "fetched again"])
  })

  test.each([
    ["another digest", "/fetched.wasm", /has the SHA-256 [0-9a-f]{64}, but the configuration says 0{64}/],
    ["nothing there", "/missing.wasm", /answers 404/],
  ])("with %s is refused, and what serves stays", async (_what, path, reason) => {
    const wrong = config((value) => {
      value.filters.url.module = String(value.filters.url.module).replace("/fetched.wasm", path)
      value.filters.url.sha256 = "0".repeat(64)
    })
    const line = await logged(() => gateway.writeConfig(wrong), "configuration refused; the one in force stays")
    expect(line.reason).toMatch(reason)
    expect(await stampOf("/url")).toBe("fetched again")
    expect((await ready()).reasons).toContain("the last configuration was refused; the one before serves")
  })
})

describe("pushing a module", () => {
  test("serves it in all workers until it is taken back", async () => {
    const answer = await order("PUT", "/filters/push/module", stamp("pushed"))
    expect([answer.status, answer.body.done]).toEqual([200, expect.stringContaining(sha256(stamp("pushed")))])
    const stamps = await Promise.all(Array.from({ length: 30 }, () => stampOf("/push")))
    expect(new Set(stamps)).toEqual(new Set(["pushed"]))
    expect((await filter("push")).versions[0]).toMatchObject({ pushed: true, generation: 2, digest: sha256(stamp("pushed")) })
    expect((await order("DELETE", "/filters/push/module")).status).toBe(200)
    expect(await stampOf("/push")).toBe("one")
    expect((await order("DELETE", "/filters/push/module")).status).toBe(409)
  })

  test("outlasts a new configuration that leaves the filter's module as it is", async () => {
    expect((await order("PUT", "/filters/push/module", stamp("kept"))).status).toBe(200)
    const other = config((value) => {
      value.filters.push.limits = { cpu: "7ms" }
      value.filters.url.sha256 = sha256(served.get("/fetched.wasm") as Uint8Array)
    })
    await logged(() => gateway.writeConfig(other), "configuration taken")
    expect(await stampOf("/push")).toBe("kept")
    const another = config((value) => {
      value.filters.push.module = "./two.wasm"
      value.filters.url.sha256 = sha256(served.get("/fetched.wasm") as Uint8Array)
    })
    await logged(() => gateway.writeConfig(another), "configuration taken")
    expect([await stampOf("/push"), (await filter("push")).versions[0].pushed]).toEqual(["two", false])
    const first = config((value) => {
      value.filters.url.sha256 = sha256(served.get("/fetched.wasm") as Uint8Array)
    })
    await logged(() => gateway.writeConfig(first), "configuration taken")
    expect(await stampOf("/push")).toBe("one")
  })

  test("is undone when the file changes, also back to what it held", async () => {
    expect((await order("PUT", "/filters/push/module", stamp("again"))).status).toBe(200)
    expect(await stampOf("/push")).toBe("again")
    await logged(() => gateway.writeFile("pushed.wasm", two), "filter swapped")
    expect(await stampOf("/push")).toBe("two")
  })

  test.each([
    ["no WebAssembly", new TextEncoder().encode("hello"), 422],
    ["a module that refuses its settings", refusing, 422],
  ])("%s is refused with its reason, and what serves stays", async (_what, bytes, status) => {
    const answer = await order("PUT", "/filters/push/module", bytes)
    expect([answer.status, answer.body.error]).toEqual([status, expect.stringMatching(/.{10}/)])
    expect(await stampOf("/push")).toBe("two")
    expect((await ready()).filtersInTrouble).not.toContain("push")
  })

  test("needs a filter that is there, the version where there are several, and the header no page can send", async () => {
    expect((await order("PUT", "/filters/nobody/module", one)).status).toBe(404)
    expect((await order("PUT", "/filters/split/module", one)).status).toBe(409)
    expect((await order("PUT", "/filters/split/module?version=third", one)).status).toBe(404)
    expect((await order("PUT", "/filters/push/module", one, {})).status).toBe(403)
    expect((await order("PUT", "/filters/push/module", one, { "x-sluice-admin": "1", origin: "http://127.0.0.1" })).status).toBe(403)
    expect(await stampOf("/push")).toBe("two")
    expect((await order("PUT", "/filters/split/module?version=canary", stamp("third"))).status).toBe(200)
    await until(async () => (await stampOf("/split")) === "third", "the pushed version")
  })

  test("and listing work from the command line", async () => {
    gateway.writeFile("cli.wasm", stamp("by command"))
    const admin = ["--admin", `127.0.0.1:${gateway.adminPort}`]
    const pushed = await runCommand(["filter", "push", "push", join(gateway.folder, "cli.wasm"), ...admin])
    expect([pushed.code, pushed.stderr]).toEqual([0, ""])
    expect(await stampOf("/push")).toBe("by command")
    const listed = await runCommand(["filter", "ls", ...admin])
    expect([listed.code, listed.stderr]).toEqual([0, ""])
    expect(listed.stdout).toMatch(/^FILTER +VERSION +WEIGHT +STATE/)
    expect(listed.stdout).toMatch(/^push +- \(pushed\) +- +running/m)
    expect(listed.stdout).toMatch(/^split +stable +3 +running/m)
    const json = await runCommand(["filter", "ls", "--json", ...admin])
    expect(JSON.parse(json.stdout).map(({ name }: FilterStatus) => name)).toContain("push")
    const undone = await runCommand(["filter", "push", "push", "--undo", ...admin])
    expect([undone.code, await stampOf("/push")]).toEqual([0, "two"])
    const nobody = await runCommand(["filter", "push", "nobody", join(gateway.folder, "cli.wasm"), ...admin])
    expect([nobody.code, nobody.stderr]).toEqual([1, expect.stringContaining("there is no filter nobody")])
  })
})

describe("a swap", () => {
  test("that one worker can't take is taken by none", async () => {
    const line = await logged(() => gateway.writeFile("file.wasm", onlyOnce), "filter refused; the version in force stays")
    expect(line.reason).toMatch(/filter file can't start/)
    const stamps = await Promise.all(Array.from({ length: 40 }, () => stampOf("/file")))
    expect(new Set(stamps)).toEqual(new Set(["one"]))
    expect((await ready()).filtersInTrouble).toContain("file")
    const swapped = await logged(() => gateway.writeFile("file.wasm", two), "filter swapped")
    expect(swapped.filters).toEqual(["file"])
    const after = await Promise.all(Array.from({ length: 40 }, () => stampOf("/file")))
    expect(new Set(after)).toEqual(new Set(["two"]))
    await logged(() => gateway.writeFile("file.wasm", one), "filter swapped")
  })

  test("of a pinned file is refused unless the configuration agrees", async () => {
    const line = await logged(() => gateway.writeFile("pinned.wasm", two), "filter refused; the version in force stays")
    expect(line.reason).toContain(`has the SHA-256 ${sha256(two)}, but the configuration says ${sha256(one)}`)
    expect(await stampOf("/pinned")).toBe("one")
  })
})

describe("what is told of a filter", () => {
  test("a newest version that was refused stands in /ready and in a metric until it is mended", async () => {
    await logged(() => gateway.writeFile("file.wasm", refusing), "filter refused; the version in force stays")
    expect(await stampOf("/file")).toBe("one")
    const state = await ready()
    expect([state.ready, state.filtersInTrouble]).toEqual([true, expect.arrayContaining(["file"])])
    expect(state.reasons).toContain("the newest version of filter file was refused; the one before serves")
    expect((await filter("file")).refused?.message).toContain("refused")
    expect((await readMetrics(gateway.adminPort)).sum("sluice_filter_refused", { filter: "file" })).toBe(1)
    await logged(() => gateway.writeFile("file.wasm", two), "filter swapped")
    expect([await stampOf("/file"), (await filter("file")).refused]).toEqual(["two", null])
    expect((await ready()).filtersInTrouble).not.toContain("file")
    expect((await readMetrics(gateway.adminPort)).sum("sluice_filter_refused", { filter: "file" })).toBe(0)
  })

  test("figures: calls, time, budget and memory", async () => {
    const requests = Array.from({ length: 200 }, () => at("/file"))
    await within(Promise.all(requests), "the requests", 20_000)
    const status = await filter("file")
    expect(status.calls).toBeGreaterThanOrEqual(200)
    expect(status.memory).toBe(status.instances * 65_536)
    expect(status.duration.p50).toBeGreaterThan(0)
    expect(status.duration.p99).toBeGreaterThanOrEqual(status.duration.p50)
    expect(status.budget.mean).toBeGreaterThan(0)
    expect(status.budget.mean).toBeLessThan(status.budget.limit)
  })

  test("VM and root are the configured ones, or the module's own", async () => {
    const placed = await at("/placed")
    expect([placed.header("x-vm"), placed.header("x-root")]).toEqual(["our-vm", "our-root"])
    const unplaced = await at("/unplaced")
    expect([unplaced.header("x-vm"), unplaced.header("x-root")]).toEqual([join(gateway.folder, "place.wasm"), ""])
  })

  test("settings reach the guest: a text as it is, anything else as JSON, for plugin and VM", async () => {
    const response = await at("/config")
    expect([response.header("x-plugin"), response.header("x-vm")]).toEqual(["plain: text", '{"a":1}'])
  })
})
