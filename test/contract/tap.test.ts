// The tap of a running gateway: what it tells of exchanges, to whom, and what it costs nobody.

import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import type { TapEvent } from "../../gateway/tap/event.ts"
import { MAX_TAPS } from "../../gateway/tap/hub.ts"
import type { TapAlive } from "../../gateway/tap/reader.ts"
import { MAX_RATE } from "../../gateway/tap/tap.ts"
import { runCommand } from "../support/cli.ts"
import { until, within } from "../support/deadline.ts"
import { Gateway, runtimeCommand } from "../support/gateway.ts"
import { Origin } from "../support/origin.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

const CONTINUE = "(i32.const 0)"

/** Sets a field and takes one away; adds one to the response. */
const edit = (() => {
  const script = new Script()
  const set = (map: number, name: string, value: string): string =>
    `(drop (call $proxy_replace_header_map_value (i32.const ${map}) ${script.text(name)} ${script.text(value)}))`
  const code = `
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      ${set(0, "x-new", "1")}
      ${set(0, "x-user", "other")}
      (drop (call $proxy_remove_header_map_value (i32.const 0) ${script.text("x-gone")}))
      ${CONTINUE})
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) ${set(2, "x-seen", "1")} ${CONTINUE})`
  return guest({ imports: ["proxy_replace_header_map_value", "proxy_remove_header_map_value"], data: script.data, code })
})()
const trap = guest({ code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (unreachable))` })

const main = fileURLToPath(new URL("../../gateway/main.ts", import.meta.url))
const killable = fileURLToPath(new URL("../support/killable-main.ts", import.meta.url))

let origin: Origin
let gateway: Gateway

const opened: { close(): void }[] = []

afterEach(() => {
  for (const tap of opened.splice(0)) tap.close()
})

/** A tap that is open, and has been told that all workers look. */
class TapClient {
  readonly client: RawClient
  readonly events: TapEvent[] = []
  last: TapAlive | null = null
  #rest = ""

  private constructor(client: RawClient) {
    this.client = client
  }

  static async open(query: string): Promise<TapClient> {
    const client = await RawClient.connect(gateway.adminPort)
    client.send(`GET /tap?${query} HTTP/1.1\r\nhost: localhost\r\n\r\n`)
    const head = await client.readHead()
    expect(head.startLine).toContain(" 200 ")
    const tap = new TapClient(client)
    opened.push(tap)
    while (tap.last === null) await tap.read()
    return tap
  }

  /** Takes one chunk; false at the end. */
  async read(): Promise<boolean> {
    const size = Number.parseInt((await this.client.readThrough("\r\n")).toString(), 16)
    this.#rest += (await this.client.readBytes(size + 2)).toString("utf8", 0, size)
    const lines = this.#rest.split("\n")
    this.#rest = lines.pop() as string
    for (const line of lines) {
      const message = JSON.parse(line) as TapEvent | TapAlive
      if ("alive" in message) this.last = message
      else this.events.push(message)
    }
    return size > 0
  }

  /** The next event, of those not taken yet. */
  async next(): Promise<TapEvent> {
    while (this.events.length === 0) expect(await this.read()).toBe(true)
    return this.events.shift() as TapEvent
  }

  close(): void {
    this.client.destroy()
  }
}

function ask(path: string, fields = ""): ReturnType<typeof exchange> {
  return exchange(gateway.port("http"), `GET ${path} HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n${fields}\r\n`)
}

beforeAll(async () => {
  const seen = new Set<string>()
  origin = await Origin.start((request, connection) => {
    const id = request.header("x-try") ?? ""
    if (request.target.startsWith("/retry") && !seen.has(id)) {
      seen.add(id)
      connection.reply(503, "not yet")
    } else if (request.target !== "/plain/hangs") connection.reply(200, "hello", { "set-cookie": "session=s3cret", "x-cache": "HIT" })
  })
  const { command, args } = runtimeCommand(killable)
  gateway = await Gateway.start({
    command: [command, ...args],
    files: { "edit.wasm": edit, "trap.wasm": trap },
    config: {
      admin: { address: "127.0.0.1:0" },
      accessLog: "off",
      workers: 2,
      listeners: [
        { name: "http", address: "127.0.0.1:0" },
        { name: "tcp", address: "127.0.0.1:0", protocol: "tcp", backends: "origin" },
      ],
      services: { origin: { endpoints: [origin.address] }, gone: { endpoints: ["127.0.0.1:1"] } },
      filters: { edit: { module: "edit.wasm" }, trap: { module: "trap.wasm" } },
      routes: [
        { name: "plain", match: { path: "/plain" }, backends: "origin" },
        {
          name: "retry",
          match: { path: "/retry" },
          backends: "origin",
          retry: { attempts: 2, on: [503], backoff: { base: "1ms", max: "1ms" } },
        },
        { name: "gone", match: { path: "/gone" }, backends: "gone" },
        { name: "edited", match: { path: "/edited" }, filters: ["edit"], backends: "origin" },
        { name: "broken", match: { path: "/broken" }, filters: ["trap"], backends: "origin" },
      ],
    },
  })
})

afterAll(async () => {
  await gateway?.kill()
  await origin?.stop()
})

describe("a tap", () => {
  test("tells of matching exchanges alone, without secrets", async () => {
    const tap = await TapClient.open("path=/plain&header=x-user%3D4*&source=127.0.0.0/8&status=2xx")
    await ask("/plain/other", "x-user: 5\r\n")
    await ask("/plain/a?token=s3cret&q=1", "x-user: 42\r\nauthorization: Bearer s3cret\r\ncookie: a=s3cret\r\nx-api-key: s3cret\r\n")
    const event = await tap.next()
    expect(event).toMatchObject({
      method: "GET",
      path: "/plain/a?token=[redacted]&q=1",
      authority: "shop.example",
      listener: "http",
      route: "plain",
      service: "origin",
      endpoint: origin.address,
      status: 200,
      flag: "",
      responseBytes: 5,
      attempts: [{ endpoint: origin.address, status: 200, failed: "" }],
      filters: [],
    })
    expect(event.requestHeaders).toContainEqual(["x-user", "42"])
    expect(event.requestHeaders).toContainEqual(["authorization", "[redacted]"])
    expect(event.responseHeaders).toContainEqual(["x-cache", "HIT"])
    expect(event.responseHeaders).toContainEqual(["set-cookie", "[redacted]"])
    expect(JSON.stringify(event)).not.toContain("s3cret")
    const { filters, connection = 0, upstream = 0, body = 0, total = 0 } = event.phases ?? { filters: -1 }
    expect(Math.abs(filters + connection + upstream + body - total)).toBeLessThan(0.1)
  })

  test("tells why attempts failed, and of those that were made after them", async () => {
    const tap = await TapClient.open("route=retry,gone")
    await ask("/retry", `x-try: ${Math.random()}\r\n`)
    const retried = await tap.next()
    expect(retried.attempts).toMatchObject([
      { status: 503, failed: "" },
      { status: 200, failed: "" },
    ])
    expect(retried.phases).toHaveProperty("retries")
    await ask("/gone")
    const failed = await tap.next()
    expect(failed).toMatchObject({ route: "gone", status: 503, flag: "UF" })
    expect(failed.attempts?.[0]).toMatchObject({ endpoint: "127.0.0.1:1", connection: -1, status: 0, failed: "connectFailure" })
  })

  test("tells what filters did, and which one failed", async () => {
    const tap = await TapClient.open("route=edited&route=broken")
    await ask("/edited", "x-user: 42\r\nx-gone: 1\r\n")
    const edited = await tap.next()
    expect(edited.filters).toMatchObject([
      { name: "edit", phase: "request headers", outcome: "continue", added: ["x-new"], changed: ["x-user"], removed: ["x-gone"] },
      { name: "edit", phase: "response headers", outcome: "continue", added: ["x-seen"] },
    ])
    // As the client sent it.
    expect(edited.requestHeaders).toContainEqual(["x-user", "42"])
    await ask("/broken")
    const broken = await tap.next()
    expect(broken).toMatchObject({ status: 500, flag: "FT", endpoint: "", attempts: [] })
    expect(broken.filters?.[0]).toMatchObject({ name: "trap", phase: "request headers", outcome: "fail" })
  })

  test("tells of what had no route, was no request, or is no HTTP", async () => {
    const tap = await TapClient.open("flag=NR&flag=DPE")
    await ask("/nowhere")
    expect(await tap.next()).toMatchObject({ path: "/nowhere", status: 404, flag: "NR", route: "" })
    const client = await RawClient.connect(gateway.port("http"))
    client.send("GET /bad HTTP/1.1\r\nhost : x\r\n\r\n")
    await client.closed()
    expect(await tap.next()).toMatchObject({ status: 400, flag: "DPE" })
    const connections = await TapClient.open("listener=tcp")
    await exchange(gateway.port("tcp"), "GET /tcp HTTP/1.1\r\nhost: a\r\n\r\n").catch(() => null)
    expect(await connections.next()).toMatchObject({ protocol: "TCP", service: "origin", endpoint: origin.address })
  })

  test("shows what lasts as open, while it does, and then its end", async () => {
    const [connections, exchanges] = [await TapClient.open("listener=tcp"), await TapClient.open("path=/plain/hangs")]
    const tcp = await RawClient.connect(gateway.port("tcp"))
    const http = await RawClient.connect(gateway.port("http"))
    http.send("GET /plain/hangs HTTP/1.1\r\nhost: a\r\n\r\n")
    const open = await connections.next()
    expect(open).toMatchObject({ open: true, protocol: "TCP", service: "origin", endpoint: origin.address, flag: "" })
    expect(open.attempts).toMatchObject([{ endpoint: origin.address, failed: "" }])
    const hanging = await exchanges.next()
    expect(hanging).toMatchObject({
      open: true,
      path: "/plain/hangs",
      route: "plain",
      endpoint: origin.address,
      attempts: [{ upstream: -1 }],
    })
    expect(hanging.status).toBeUndefined()
    tcp.destroy()
    http.destroy()
    const [over, given] = [await connections.next(), await exchanges.next()]
    expect([over.open, given.open, given.flag]).toEqual([undefined, undefined, "DC"])
    expect(over.duration >= open.duration).toBe(true)
  })

  test("goes on with a worker that takes the place of one that died", async () => {
    const tap = await TapClient.open("path=/plain")
    const from = gateway.log.length
    gateway.signal("SIGUSR2")
    await gateway.waitForLog(({ message }) => message === "worker replaced", "the replacement", undefined, from)
    const { worker } = gateway.log.findLast(({ message }) => message === "worker replaced") as unknown as { worker: number }
    const heard = (async () => {
      while ((await tap.next()).worker !== worker);
    })()
    let done = false
    void heard.then(() => {
      done = true
    })
    await until(async () => {
      await ask("/plain")
      return done
    }, "an event of the new worker")
  })

  test("shows so many a second, and says how many it doesn't", async () => {
    const tap = await TapClient.open("path=/plain")
    const client = await RawClient.connect(gateway.port("http"))
    const count = 3 * MAX_RATE
    client.send("GET /plain HTTP/1.1\r\nhost: a\r\n\r\n".repeat(count))
    for (let i = 0; i < count; i++) await client.readResponse()
    client.destroy()
    while ((tap.last?.matched ?? 0) < count) await tap.read()
    const { matched, sent, dropped } = tap.last as TapAlive
    expect(matched).toBe(count)
    expect(dropped.rate).toBeGreaterThan(0)
    expect(sent + dropped.rate + dropped.reader).toBe(count)
  })

  test("is over when its reader goes away, and one that doesn't read disturbs no other", async () => {
    const taps: TapClient[] = []
    for (let i = 0; i < MAX_TAPS; i++) taps.push(await TapClient.open("path=/plain"))
    const [slow, reading] = taps
    slow.client.pause()
    await ask("/plain")
    expect(await reading.next()).toMatchObject({ status: 200 })
    const refused = await get(gateway.adminPort, "/tap")
    expect([refused.status, JSON.parse(refused.text()).error]).toEqual([
      429,
      "8 taps are open, and no more are taken; end one of them first",
    ])
    slow.close()
    await until(async () => await TapClient.open("path=/plain").catch(() => null), "room for another tap")
  })

  test("is refused with what is wrong with it", async () => {
    const refused = async (query: string): Promise<[number, string]> => {
      const { status, text } = await get(gateway.adminPort, `/tap?${query}`).then((answer) => ({
        status: answer.status,
        text: answer.text(),
      }))
      return [status, JSON.parse(text).error]
    }
    expect(await refused("status=abc")).toEqual([400, expect.stringContaining("write one (404), a class (5xx)")])
    expect(await refused("header=cookie%3Da*")).toEqual([400, expect.stringContaining("only its presence can be asked for")])
    expect(await refused("statsu=200")).toEqual([400, expect.stringContaining('unrecognized key: "statsu"')])
  })
})

describe("the commands", () => {
  /** Asks until it has ended. */
  async function underTraffic<T>(running: Promise<T>): Promise<T> {
    let done = false
    void running.finally(() => {
      done = true
    })
    await until(async () => {
      await ask("/edited", "x-user: 42\r\nauthorization: s3cret\r\n")
      return done
    }, "the end of the command")
    return running
  }

  test("sluice tap shows a line for each exchange, for people and for machines, and ends after so many; sluice status and completion answer", async () => {
    const admin = `127.0.0.1:${gateway.adminPort}`
    const status = await underTraffic(runCommand(["status", "--admin", admin]))
    const names = await runCommand(["completion", "names", "routes", "--admin", admin])
    const people = await underTraffic(runCommand(["tap", "--admin", admin, "--path", "/edited", "--max", "1", "-v"]))
    const two = ["--path", "/plain", "--path", "/edited", "--header", "x-user=42", "--max", "2", "--json"]
    const machines = await underTraffic(runCommand(["tap", "--admin", admin, ...two]))
    expect([people.code, machines.code]).toEqual([0, 0])
    expect(people.stderr).toBe("tapping; exchanges are shown as they end\n")
    const [line, ...details] = people.stdout.trimEnd().split("\n")
    expect(line).toMatch(/^[\d:.]{12} GET \/edited 200 [\d.]+ms edited → origin → 127\.0\.0\.1:\d+ \[edit [\d.]+ms\]$/)
    expect(details.join("\n")).toContain("filter   edit, request headers, ")
    expect(details.join("\n")).toMatch(/\+x-new ~x-user/)
    expect(details).toContain("    > authorization: [redacted]")
    const events = machines.stdout.trimEnd().split("\n")
    expect(events.map((each) => (JSON.parse(each) as TapEvent).route)).toEqual(["edited", "edited"])
    expect(status.code).toBe(0)
    expect(status.stdout).toMatch(/^Sluice \S+ at 127\.0\.0\.1:\d+: ready, up for \d+[sm]\nconfiguration +generation 1, read \d+[sm] ago\n/)
    expect(status.stdout).toMatch(/^traffic +[\d.]+ requests\/s, [\d.]+% without a failure, p99 [\d.]+m?s over the last /m)
    expect(names.stdout).toBe("plain\nretry\ngone\nedited\nbroken\n")
  })

  test("sluice tap ends well when it is interrupted, and not when the gateway does", async () => {
    const { command, args } = runtimeCommand(main, ["tap", "--admin", `127.0.0.1:${gateway.adminPort}`])
    const [interrupted, left] = [0, 1].map(() => {
      const child = spawn(command, args, { env: { ...process.env, NO_COLOR: "1" }, stdio: ["ignore", "pipe", "pipe"] })
      const begun = new Promise<void>((resolve) =>
        child.stderr.setEncoding("utf8").on("data", (text: string) => text.includes("tapping") && resolve()),
      )
      const ended = new Promise<number | null>((resolve) => child.on("exit", (code) => resolve(code)))
      return { child, begun: within(begun, "the tap", 20_000), ended: within(ended, "its end", 30_000) }
    })
    await Promise.all([interrupted.begun, left.begun])
    process.kill(interrupted.child.pid as number, "SIGINT")
    expect(await interrupted.ended).toBe(0)
    const tap = await TapClient.open("")
    const stopped = gateway.stop()
    while (await tap.read());
    expect(tap.last?.end).toBe("stopping")
    expect(await left.ended).toBe(1)
    expect(await stopped).toMatchObject({ code: 0 })
  })
})
