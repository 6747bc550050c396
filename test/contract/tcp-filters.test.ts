import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { RawClient } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"
import { guest, Script } from "../unit/wasm/support/wat.ts"

const imports = [
  "proxy_log",
  "proxy_set_buffer_bytes",
  "proxy_continue_stream",
  "proxy_close_stream",
  "proxy_set_effective_context",
  "proxy_http_call",
  "proxy_get_header_map_value",
  "proxy_get_configuration",
  "proxy_get_buffer_bytes",
]
const GO = "(i32.const 0)"
const NEW = `(func (export "proxy_on_new_connection") (param i32) (result i32)`
const DOWN = `(func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32)`
const UP = `(func (export "proxy_on_upstream_data") (param i32 i32 i32) (result i32)`

function module(write: (script: Script) => string): Uint8Array {
  const script = new Script()
  const code = write(script)
  return guest({ imports, data: script.data, code, memory: "1 64" })
}

const append = (script: Script, type: number, text: string): string =>
  `(drop (call $proxy_set_buffer_bytes (i32.const ${type}) (i32.const -1) (i32.const 0) ${script.text(text)}))`

/** Brackets every piece of what passes, both ways. */
const bracket = module(
  (script) => `
  ${DOWN} (if (local.get 1) (then ${append(script, 2, ">")})) ${GO})
  ${UP} (if (local.get 1) (then ${append(script, 3, "<")})) ${GO})`,
)

/** Sees all octets and changes none. */
const watch = module(() => `${DOWN} ${GO}) ${UP} ${GO})`)

/** Keeps everything the client sends until its end. */
const gather = module((script) => `${DOWN} (if (local.get 2) (then ${append(script, 2, "!")})) (i32.eqz (local.get 2)))`)

function pairs(list: readonly (readonly [string, string])[]): string {
  const words = [list.length, ...list.flatMap(([name, value]) => [name.length, value.length])]
  const texts = list.map(([name, value]) => Buffer.from(`${name}\0${value}\0`))
  return Buffer.concat([new Uint8Array(new Uint32Array(words).buffer), ...texts]).toString("latin1")
}

/** Asks the service `auth` about every new connection; closes it unless the answer begins with 2. */
const ask = module((script) => {
  const headers = pairs([
    [":method", "GET"],
    [":path", "/check"],
    [":authority", "auth"],
  ])
  return `
  (global $waiting (mut i32) (i32.const 0))
  ${NEW}
    (global.set $waiting (local.get 0))
    (drop (call $proxy_http_call ${script.text("auth")} ${script.text(headers)} (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 5000) (i32.const 8)))
    (i32.const 1))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (drop (call $proxy_get_header_map_value (i32.const 6) ${script.text(":status")} (i32.const 16) (i32.const 20)))
    (drop (call $proxy_set_effective_context (global.get $waiting)))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 16))) (i32.const 50))
      (then (drop (call $proxy_continue_stream (i32.const 2))))
      (else (drop (call $proxy_close_stream (i32.const 2))))))`
})

/** Traps when the client sends `x`. */
const fragile = module(
  () => `
  ${DOWN}
    (drop (call $proxy_get_buffer_bytes (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16) (i32.const 20)))
    (if (i32.and (i32.eq (i32.load (i32.const 20)) (i32.const 1)) (i32.eq (i32.load8_u (i32.load (i32.const 16))) (i32.const 120))) (then (unreachable)))
    ${GO})`,
)

/** Closes the connection when the service has spoken, and lets its words pass. */
const hangUp = module(
  () => `
  (global $spoken (mut i32) (i32.const 0))
  ${UP} ${GO})
  ${DOWN} (drop (call $proxy_close_stream (i32.const 2))) ${GO})`,
)

describe("filters of a tcp listener", () => {
  let echo: TcpOrigin
  let auth: Origin
  let gateway: Gateway
  let verdict = 200

  beforeAll(async () => {
    echo = await TcpOrigin.echo("hi ")
    auth = await Origin.start((_, connection) => connection.write(`HTTP/1.1 ${verdict} OK\r\ncontent-length: 0\r\n\r\n`))
    const listener = (name: string, filters: readonly unknown[]): object => ({
      name,
      address: "127.0.0.1:0",
      protocol: "tcp",
      backends: "echo",
      filters,
    })
    gateway = await Gateway.start({
      files: {
        "bracket.wasm": bracket,
        "watch.wasm": watch,
        "gather.wasm": gather,
        "ask.wasm": ask,
        "fragile.wasm": fragile,
        "hang-up.wasm": hangUp,
      },
      config: {
        admin: { address: "127.0.0.1:0" },
        workers: 1,
        accessLog: "all",
        listeners: [
          listener("bracket", ["bracket"]),
          listener("watch", ["watch", "watch"]),
          listener("gather", ["gather"]),
          { ...listener("small", [{ use: "small" }]), timeouts: { idle: "1s" } },
          listener("ask", ["ask"]),
          listener("deny", ["deny"]),
          listener("skip", ["skip"]),
          listener("hang-up", ["hang-up"]),
        ],
        services: { echo: { endpoints: [echo.address] }, auth: { endpoints: [auth.address] } },
        filters: {
          bracket: { module: "./bracket.wasm" },
          watch: { module: "./watch.wasm" },
          gather: { module: "./gather.wasm" },
          small: { module: "./gather.wasm", limits: { body: "64KiB" } },
          ask: { module: "./ask.wasm" },
          deny: { module: "./fragile.wasm" },
          skip: { module: "./fragile.wasm", onError: "skip" },
          "hang-up": { module: "./hang-up.wasm" },
        },
      },
    })
  })

  afterAll(async () => {
    await gateway?.stop()
    await echo?.stop()
    await auth?.stop()
  })

  const open = (listener: string): Promise<RawClient> => RawClient.connect(gateway.port(listener))

  test("edit octets both ways", async () => {
    const client = await open("bracket")
    await client.readThrough("hi <")
    client.send("abc")
    expect((await client.readThrough("abc><")).toString()).toBe("abc><")
    client.end()
    await client.readToEnd()
    client.destroy()
  })

  test("pass large amounts unchanged both ways at once", async () => {
    const client = await open("watch")
    await client.readThrough("hi ")
    const sent = Buffer.alloc(16 * 1024 * 1024)
    for (let i = 0; i < sent.length; i += 4) sent.writeUInt32LE(i, i)
    client.send(sent)
    client.end()
    expect((await client.readToEnd(30_000)).equals(sent)).toBe(true)
    client.destroy()
  })

  test("keep what they want until the end", async () => {
    const client = await open("gather")
    await client.readThrough("hi ")
    await client.sendSegments(["one ", "two ", "three"])
    client.end()
    expect((await client.readToEnd()).toString()).toBe("one two three!")
    client.destroy()
  })

  test("have a client wait that sends more than they may keep", async () => {
    const client = await open("small")
    await client.readThrough("hi ")
    client.send(Buffer.alloc(32 * 1024 * 1024))
    let last = -1
    const received = await until(async () => {
      const now = (await readMetrics(gateway.adminPort)).sum("sluice_tcp_received_bytes_total", { listener: "small" })
      const still = now > 0 && now === last
      last = now
      return still && now
    }, "standstill of the client")
    expect(received).toBeLessThan(1024 * 1024)
    await client.closed()
    expect(await gateway.accessLine((line) => line.listener === "small", "the connection")).toMatchObject({ flag: "FL", sentBytes: 3 })
    client.destroy()
  })

  test("ask another service before a connection goes anywhere", async () => {
    const before = echo.arrivals.length
    verdict = 200
    const client = await open("ask")
    await client.readThrough("hi ")
    client.destroy()
    expect(echo.arrivals.length).toBe(before + 1)
    verdict = 403
    const denied = await open("ask")
    denied.send("let me in")
    expect((await denied.readToEnd()).toString()).toBe("")
    expect(echo.arrivals.length).toBe(before + 1)
    denied.destroy()
    expect(await gateway.accessLine((line) => line.listener === "ask" && line.flag === "LR", "the denied one")).toMatchObject({
      sentBytes: 0,
    })
  })

  test("close a connection, and what was sent before arrives", async () => {
    const client = await open("hang-up")
    await client.readThrough("hi ")
    client.send("x")
    expect(await client.closed()).toBe("end")
    client.destroy()
  })

  test("that trap close their connections, or let them go on", async () => {
    const client = await open("deny")
    await client.readThrough("hi ")
    client.send("x")
    expect((await client.readToEnd()).toString()).toBe("")
    client.destroy()
    expect(await gateway.accessLine((line) => line.listener === "deny", "the connection")).toMatchObject({
      flag: "FT",
      flagDetails: "deny:trap",
    })
    const skipped = await open("skip")
    await skipped.readThrough("hi ")
    skipped.send("x")
    expect((await skipped.readBytes(1)).toString()).toBe("x")
    skipped.end()
    await skipped.readToEnd()
    skipped.destroy()
  })

  test("are replaced while connections are open: these stay with the old version", async () => {
    const client = await open("bracket")
    await client.readThrough("hi <")
    const other = module((script) => `${DOWN} (if (local.get 1) (then ${append(script, 2, "#")})) ${GO})`)
    const from = gateway.log.length
    gateway.writeFile("bracket.wasm", other)
    await gateway.waitForLog((line) => /filter/.test(line.message) && /bracket/.test(JSON.stringify(line)), "the new version", 10_000, from)
    client.send("a")
    await client.readThrough("a><")
    const next = await open("bracket")
    await next.readThrough("hi ")
    next.send("b")
    await next.readThrough("b#")
    for (const each of [client, next]) each.destroy()
  })
})
