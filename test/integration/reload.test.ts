import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway, type LogLine } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin, type OriginConnection } from "../support/origin.ts"
import { freePort } from "../support/ports.ts"
import { get, RawClient } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

let origin: Origin
let gateway: Gateway

function config(body: string, extra: object = {}): Record<string, unknown> {
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 2,
    accessLog: "all",
    listeners: [{ name: "main", address: "127.0.0.1:0" }],
    services: { origin: { endpoints: [origin.address] } },
    routes: [
      { name: "version", match: { path: "/version" }, respond: { status: 200, body } },
      { name: "origin", backends: "origin" },
    ],
    ...extra,
  }
}

/** Writes a configuration, or signals, and waits for what the gateway says about it. */
async function logged(change: () => void, message: string): Promise<LogLine> {
  const from = gateway.log.length
  change()
  return gateway.waitForLog((line) => line.message === message, message, 10_000, from)
}

const version = async (): Promise<string> => (await get(gateway.port("main"), "/version")).text()

beforeAll(async () => {
  origin = await Origin.start((request, connection) => connection.reply(200, request.target))
  gateway = await Gateway.start({ config: config("1") })
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

describe("a valid configuration", () => {
  test("is taken when its file changes, without touching an open connection or a running exchange", async () => {
    let held: OriginConnection | null = null
    origin.script((request, connection) => {
      if (request.target === "/slow") held = connection
      else connection.reply(200, request.target)
    })
    const idle = await RawClient.connect(gateway.port("main"))
    idle.send("GET /version HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await idle.readResponse()).text()).toBe("1")
    const busy = await RawClient.connect(gateway.port("main"))
    busy.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n")
    await until(() => held !== null, "the slow request")
    const accepted = origin.accepted

    const line = await logged(() => gateway.writeConfig(config("2")), "configuration taken")
    expect(line).toMatchObject({ generation: 2, why: "file changed" })
    idle.send("GET /version HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await idle.readResponse()).text()).toBe("2")
    ;(held as unknown as OriginConnection).reply(200, "slow but done")
    expect((await busy.readResponse()).text()).toBe("slow but done")
    // The pool survives: its service is as it was.
    busy.send("GET /again HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await busy.readResponse()).text()).toBe("/again")
    expect(origin.accepted).toBe(accepted)
    idle.destroy()
    busy.destroy()
  })

  test("that says the same is not taken again", async () => {
    const line = await logged(() => gateway.writeConfig(`# a comment\n${JSON.stringify(config("2"))}\n`), "configuration is unchanged")
    expect(line.why).toBe("file changed")
  })

  test("is taken on SIGHUP", async () => {
    const line = await logged(() => gateway.signal("SIGHUP"), "configuration is unchanged")
    expect(line.why).toBe("SIGHUP")
  })

  test("many changes under load cost no request", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    let running = true
    let answered = 0
    const load = (async () => {
      while (running) {
        client.send("GET /load HTTP/1.1\r\nhost: a\r\n\r\n")
        const response = await client.readResponse()
        expect(response.status).toBe(200)
        answered++
      }
    })()
    for (let i = 0; i < 5; i++) await logged(() => gateway.writeConfig(config(`load ${i}`)), "configuration taken")
    running = false
    await load
    expect(answered).toBeGreaterThan(10)
    expect(await version()).toBe("load 4")
    client.destroy()
  })
})

describe("a switch from one service to another", () => {
  test("costs no request, and none that begins after it goes to the old one", async () => {
    const blue = await Origin.start((_, connection) => connection.reply(200, "blue"))
    const green = await Origin.start((_, connection) => connection.reply(200, "green"))
    const colours = (service: string): object => {
      const services = {
        origin: { endpoints: [origin.address] },
        blue: { endpoints: [blue.address] },
        green: { endpoints: [green.address] },
      }
      return config("colours", { services, routes: [{ name: "shop", backends: service }] })
    }
    await logged(() => gateway.writeConfig(colours("blue")), "configuration taken")
    let running = true
    const loads = Array.from({ length: 8 }, async () => {
      const answers: string[] = []
      const client = await RawClient.connect(gateway.port("main"))
      while (running) {
        client.send("POST /buy HTTP/1.1\r\nhost: a\r\ncontent-length: 4\r\n\r\nthis")
        const response = await client.readResponse()
        answers.push(`${response.status} ${response.text()}`)
      }
      client.destroy()
      return answers
    })
    for (const to of ["green", "blue", "green"]) {
      await logged(() => gateway.writeConfig(colours(to)), "configuration taken")
      expect((await get(gateway.port("main"), "/")).text()).toBe(to)
    }
    running = false
    const answers = (await Promise.all(loads)).flat()
    expect([...new Set(answers)].sort()).toEqual(["200 blue", "200 green"])
    expect(answers.length).toBeGreaterThan(50)
    await logged(() => gateway.writeConfig(config("after")), "configuration taken")
    await Promise.all([blue.stop(), green.stop()])
  })
})

describe("an invalid configuration", () => {
  test("is refused with its place and remedy, in the log, in /ready and in a metric; the old one stays", async () => {
    await logged(() => gateway.writeConfig(config("good")), "configuration taken")
    const wrong = "admin: { address: 127.0.0.1:0 }\nlisteners:\n  - adress: 127.0.0.1:0\nroutes:\n  - respond: { status: 9999 }\n"
    const line = await logged(() => gateway.writeConfig(wrong), "configuration refused; the one in force stays")
    expect(line.level).toBe("error")
    const reason = String(line.reason)
    expect(reason).toMatch(/sluice\.yaml:3:5/)
    expect(reason).toMatch(/did you mean "?address/i)
    // Everything that is wrong at once.
    expect(reason).toMatch(/sluice\.yaml:5:\d+/)
    expect(await version()).toBe("good")
    const ready = await get(gateway.adminPort, "/ready")
    expect(ready.status).toBe(200)
    expect(JSON.parse(ready.text())).toMatchObject({ ready: true, lastReload: { ok: false, error: reason } })
    const metrics = await readMetrics(gateway.adminPort)
    expect(metrics.sum("sluice_config_last_reload_success")).toBe(0)
    expect(metrics.sum("sluice_config_reloads_total", { result: "refused" })).toBe(1)

    await logged(() => gateway.writeConfig(config("better")), "configuration taken")
    expect(await version()).toBe("better")
    expect((await readMetrics(gateway.adminPort)).sum("sluice_config_last_reload_success")).toBe(1)
  })

  test.each([
    ["no YAML at all", "listeners: [\n  - {"],
    ["an empty file", ""],
    ["a service that isn't there in a listener's place", "listeners: hello\n"],
  ])("%s leaves the old one in force", async (_what, text) => {
    await logged(() => gateway.writeConfig(text), "configuration refused; the one in force stays")
    expect(await version()).toBe("better")
  })
})

describe("listeners", () => {
  test("can be added, moved and removed while others serve", async () => {
    const main = { name: "main", address: "127.0.0.1:0" }
    await logged(
      () => gateway.writeConfig(config("l1", { listeners: [main, { name: "extra", address: "127.0.0.1:0" }] })),
      "configuration taken",
    )
    const kept = await RawClient.connect(gateway.port("main"))
    const first = gateway.port("extra")
    expect((await get(first, "/version")).text()).toBe("l1")
    const onFirst = await RawClient.connect(first)
    onFirst.send("GET /version HTTP/1.1\r\nhost: a\r\n\r\n")
    await onFirst.readResponse()

    const moved = await freePort()
    await logged(
      () => gateway.writeConfig(config("l2", { listeners: [main, { name: "extra", address: `127.0.0.1:${moved}` }] })),
      "configuration taken",
    )
    expect(gateway.port("extra")).toBe(moved)
    expect((await get(moved, "/version")).text()).toBe("l2")
    // Idle connections of what is gone end; new ones find nobody.
    expect(await onFirst.closed()).toBe("end")
    await expect(RawClient.connect(first)).rejects.toThrow(/ECONNREFUSED|refused/i)

    await logged(() => gateway.writeConfig(config("l3")), "configuration taken")
    await until(async () => {
      try {
        ;(await RawClient.connect(moved)).destroy()
        return false
      } catch {
        return true
      }
    }, "the end of the removed listener")
    kept.send("GET /version HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await kept.readResponse()).text()).toBe("l3")
    for (const client of [kept, onFirst]) client.destroy()
  })

  test("on a port that is taken, are refused as a whole configuration", async () => {
    const taken = `127.0.0.1:${origin.port}`
    const line = await logged(
      () =>
        gateway.writeConfig(
          config("taken", {
            listeners: [
              { name: "main", address: "127.0.0.1:0" },
              { name: "thief", address: taken },
            ],
          }),
        ),
      "configuration refused; the one in force stays",
    )
    expect(line.reason).toContain(`listener thief: can't listen on ${taken}: the address is in use`)
    expect(await version()).toBe("l3")
  })

  test("a running exchange on a removed listener ends in peace", async () => {
    let held: OriginConnection | null = null
    origin.script((_request, connection) => {
      held = connection
    })
    await logged(
      () =>
        gateway.writeConfig(
          config("r1", {
            listeners: [
              { name: "main", address: "127.0.0.1:0" },
              { name: "leaving", address: "127.0.0.1:0" },
            ],
          }),
        ),
      "configuration taken",
    )
    const client = await RawClient.connect(gateway.port("leaving"))
    client.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n")
    await until(() => held !== null, "the request at the origin")
    await logged(() => gateway.writeConfig(config("r2")), "configuration taken")
    ;(held as unknown as OriginConnection).reply(200, "in peace")
    const response = await client.readResponse()
    expect([response.text(), response.header("connection")]).toEqual(["in peace", "close"])
    expect(await client.closed()).toBe("end")
    client.destroy()
  })
})

test("settings that a reload changes are in force: timeouts, access log, services", async () => {
  origin.script((request, connection) => {
    if (request.target !== "/never") connection.reply(200, "moved")
  })
  await logged(
    () =>
      gateway.writeConfig(
        config("s", {
          accessLog: "off",
          services: { renamed: { endpoints: [origin.address] } },
          routes: [{ name: "origin", backends: "renamed", timeout: "100ms" }],
        }),
      ),
    "configuration taken",
  )
  const lines = gateway.access.length
  expect((await get(gateway.port("main"), "/x")).text()).toBe("moved")
  expect((await get(gateway.port("main"), "/never")).status).toBe(504)
  expect(gateway.access.length).toBe(lines)
  const metrics = await readMetrics(gateway.adminPort)
  expect(metrics.sum("sluice_requests_total", { service: "renamed" })).toBe(2)
})

describe("without a watch, a reload takes changed filters", () => {
  const stamp = (value: string): Uint8Array => {
    const script = new Script()
    const code = `
      (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
        (drop (call $proxy_replace_header_map_value (i32.const 2) ${script.text("x-stamp")} ${script.text(value)}))
        (i32.const 0))`
    return guest({ imports: ["proxy_replace_header_map_value"], data: script.data, code })
  }
  const source = (value: string): string =>
    `import { Response } from "sluice/sdk"\nexport function onResponse(response: Response): void { response.headers.set("x-source", "${value}") }\n`
  const filtered = (body: string): object =>
    config(body, {
      filters: { stamp: { module: "./stamp.wasm" }, source: { module: "./source.ts" } },
      routes: [{ match: { path: "/version" }, filters: ["stamp", "source"], respond: { status: 200, body } }],
    })
  let still: Gateway
  const LIMIT = 30_000

  async function reload(change: () => void, message: string): Promise<LogLine> {
    const from = still.log.length
    change()
    still.signal("SIGHUP")
    return still.waitForLog((line) => line.message === message, message, LIMIT, from)
  }

  const served = async (): Promise<string[]> => {
    const response = await get(still.port("main"), "/version")
    return [response.text(), response.header("x-stamp") ?? "", response.header("x-source") ?? ""]
  }

  beforeAll(async () => {
    const files = { "stamp.wasm": stamp("one"), "source.ts": source("one") }
    still = await Gateway.start({ config: filtered("1"), files, args: ["--no-watch"], startLimit: LIMIT })
  }, LIMIT)
  afterAll(() => still.kill())

  test(
    "with a configuration that says the same",
    async () => {
      expect(await served()).toEqual(["1", "one", "one"])
      expect((await reload(() => undefined, "configuration is unchanged")).why).toBe("SIGHUP")
      const first = await reload(() => still.writeFile("stamp.wasm", stamp("two")), "configuration taken")
      expect(first).toMatchObject({ generation: 2, filters: ["stamp"] })
      expect(await served()).toEqual(["1", "two", "one"])
      const second = await reload(() => still.writeFile("source.ts", source("two")), "configuration taken")
      expect(second).toMatchObject({ generation: 3, filters: ["source"] })
      expect(await served()).toEqual(["1", "two", "two"])
      await reload(() => undefined, "configuration is unchanged")
    },
    LIMIT * 2,
  )

  test(
    "but for those that are broken, whose version in force stays with the new configuration",
    async () => {
      const from = still.log.length
      const line = await reload(() => {
        still.writeFile("stamp.wasm", stamp("three"))
        still.writeFile("source.ts", "export function onRequest(")
        still.writeConfig(filtered("2"))
      }, "configuration taken")
      expect(line).toMatchObject({ generation: 4, filters: ["stamp"] })
      const refused = still.log.slice(from).find(({ message }) => message === "filter refused; the version in force stays")
      expect(refused).toMatchObject({ filters: ["source"], reason: expect.stringMatching(/filter source: .*source\.ts:1:/) })
      expect(await served()).toEqual(["2", "three", "two"])
      // One that compiles and refuses to be configured is no better.
      await reload(() => {
        still.writeFile(
          "source.ts",
          'import { Config } from "sluice/sdk"\nexport function configure(config: Config): void { config.fail("no") }\n',
        )
      }, "configuration is unchanged")
      expect(await served()).toEqual(["2", "three", "two"])
      const taken = await reload(() => still.writeFile("source.ts", source("three")), "configuration taken")
      expect(taken).toMatchObject({ generation: 5, filters: ["source"] })
      expect(await served()).toEqual(["2", "three", "three"])
    },
    LIMIT * 2,
  )

  test(
    "also a manifest that came",
    async () => {
      const manifest = { name: "stamp", module: "stamp.wasm", permissions: { headers: { write: [] } } }
      await reload(() => still.writeFile("filter.json", JSON.stringify(manifest)), "configuration taken")
      expect(await served()).toEqual(["2", "", "three"])
    },
    LIMIT,
  )

  test(
    "and one in force again, after one that was refused, is no trouble any more",
    async () => {
      await reload(() => still.writeConfig("listeners: 1\n"), "configuration refused; the one in force stays")
      await reload(() => still.writeConfig(filtered("2")), "configuration is unchanged")
      expect(JSON.parse((await get(still.adminPort, "/ready")).text())).toMatchObject({ lastReload: { ok: true, error: null } })
      expect((await readMetrics(still.adminPort)).sum("sluice_config_last_reload_success")).toBe(1)
    },
    LIMIT,
  )
})
