// Clients that make work instead of requests. Whatever the kind: the connection ends, or what it may cost is bounded; others are
// served meanwhile, and the gateway's memory stays where it was.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { H2Client, type H2ClientOptions, requestFields } from "../support/h2-client.ts"
import {
  continuation,
  data,
  frame,
  frameTypes,
  headers,
  ping,
  preface,
  priority,
  rstStream,
  settingIds,
  settings,
  windowUpdate,
} from "../support/h2-frames.ts"
import { encodeFields, indexed, kept, literal } from "../support/h2-hpack.ts"
import { residentMemory } from "../support/metrics.ts"
import { get, RawClient } from "../support/raw-client.ts"
import { StreamOrigin } from "../support/stream-origin.ts"
import { sendBody } from "../support/traffic.ts"

const MIB = 1024 * 1024
/** How much the gateway's memory may grow over all of these: far above what it does, far below what any of them could make it. */
const GROWTH = 300 * MIB

let origin: StreamOrigin
let gateway: Gateway
let bystander: H2Client
let memory = 0
let most = 0

beforeAll(async () => {
  origin = await StreamOrigin.start(({ target, socket }) => {
    if (target === "/hold") return
    if (target.startsWith("/large")) {
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${64 * MIB}\r\n\r\n`)
      sendBody(socket, "x", 64 * MIB).catch(() => {})
    } else socket.write("HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n" + "a".repeat(20_000))
  })
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "off",
      listeners: [
        { name: "main", address: "127.0.0.1:0" },
        { name: "brief", address: "127.0.0.1:0", timeouts: { head: "300ms", idle: "300ms" } },
      ],
      services: { origin: { endpoints: [origin.address] } },
      routes: [{ backends: "origin", timeout: { request: "60s", idle: "2s" } }],
    },
  })
  bystander = await H2Client.connect(gateway.port("main"))
  await bystander.ask()
  memory = await residentMemory(gateway.pid)
})

afterAll(async () => {
  bystander?.destroy()
  await gateway?.kill()
  await origin?.stop()
  console.log(`memory of the gateway: ${Math.round(memory / MIB)} MiB before the floods, ${Math.round(most / MIB)} MiB at most`)
})

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

interface Flood {
  readonly options?: H2ClientOptions
  /** Sent first. */
  readonly start?: readonly Uint8Array[]
  /** What is sent over and over: the number of the wave, from 0. */
  readonly wave: (number: number) => Uint8Array
  /** Waves after which the connection must have ended. */
  readonly waves: number
}

/** Sends waves until the connection ends or there are no more, while others are served. */
async function flood({ options, start = [], wave, waves }: Flood): Promise<{ client: H2Client; sent: number }> {
  const client = await H2Client.connect(gateway.port("main"), options)
  const over = (): boolean => client.ending !== null || client.goaway !== null
  client.send(...start)
  let done = false
  const others = (async () => {
    let served = 0
    do {
      const response = await bystander.ask({ path: "/bystander" })
      expect(response.body.length).toBe(20_000)
      expect((await get(gateway.port("main"), "/bystander")).status).toBe(200)
      served++
      most = Math.max(most, await residentMemory(gateway.pid))
      await turn()
    } while (!done)
    return served
  })()
  others.catch(() => {})
  let sent = 0
  try {
    for (let i = 0; i < waves && !over(); i++) {
      const octets = wave(i)
      sent += octets.length
      if (!client.send(octets) && !over()) {
        const { socket } = client
        // A peer that doesn't read any more is as good as one that has said so.
        await until(() => over() || socket.writableLength < MIB, "room to send", 20_000)
      }
      await turn()
    }
  } finally {
    done = true
  }
  expect(await others).toBeGreaterThan(0)
  return { client, sent }
}

/** The connection has ended, or does so now. */
async function ends(
  { client }: { client: H2Client },
  codes: readonly string[] = ["ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "FLOW_CONTROL_ERROR"],
): Promise<void> {
  await client
    .until(() => client.ending !== null || client.goaway !== null, "end of the connection")
    .catch((error: Error) => {
      if (client.ending === null) throw error
    })
  if (client.goaway !== null) expect(codes).toContain(client.goaway.code)
  await client.closed()
  client.destroy()
}

/** `count` copies of what `make` gives for each number. */
function times(count: number, make: (index: number) => Uint8Array): Buffer {
  return Buffer.concat(Array.from({ length: count }, (_, i) => make(i)))
}

const block = encodeFields(requestFields("/hold"))
const id = (number: number): number => 1 + number * 2

describe("frames that move nothing end the connection", () => {
  const hold = headers(1, requestFields("/hold", "POST"), { end: false })
  const floods: readonly [string, Flood][] = [
    ["PING", { wave: () => times(500, () => ping("12345678")), waves: 400 }],
    ["answers to PING", { wave: () => times(500, () => ping("12345678", true)), waves: 400 }],
    ["SETTINGS", { wave: () => times(500, () => settings()), waves: 400 }],
    [
      "SETTINGS that change the windows of many streams",
      {
        start: [times(90, (i) => headers(id(i), block))],
        wave: (n) => times(200, (i) => settings([settingIds.INITIAL_WINDOW_SIZE, 1000 + ((n + i) % 7)])),
        waves: 400,
      },
    ],
    [
      "SETTINGS full of unknown parameters",
      { wave: () => times(20, () => settings(...Array.from({ length: 2000 }, (_, i): [number, number] => [0x1000 + i, i]))), waves: 1000 },
    ],
    ["PRIORITY", { wave: (n) => times(500, (i) => priority(1 + ((n * 500 + i) % 10_000) * 2, 0)), waves: 400 }],
    ["WINDOW_UPDATE of the connection", { wave: () => times(500, () => windowUpdate(0, 1)), waves: 400 }],
    ["WINDOW_UPDATE of a stream", { start: [hold], wave: () => times(500, () => windowUpdate(1, 1)), waves: 400 }],
    ["empty DATA", { start: [hold], wave: () => times(500, () => data(1, "")), waves: 400 }],
    ["DATA that is padding alone", { start: [hold], wave: () => times(100, () => data(1, "", { pad: 0 })), waves: 2000 }],
    ["unknown frames", { wave: () => times(500, () => frame(0x42, 0, 0)), waves: 400 }],
    [
      "PRIORITY_UPDATE",
      { wave: () => times(500, () => frame(frameTypes.PRIORITY_UPDATE, 0, 0, Buffer.from("\0\0\0\x01u=1"))), waves: 400 },
    ],
    [
      "RST_STREAM of a stream that is closed",
      { start: [headers(1, block), rstStream(1, "CANCEL")], wave: () => times(500, () => rstStream(1, "CANCEL")), waves: 400 },
    ],
  ]
  test.each(floods)("%s", async (_name, each) => {
    await ends(await flood(each), ["ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "FLOW_CONTROL_ERROR", "STREAM_CLOSED"])
  })

  test("PING from a client that doesn't read: what waits for it is bounded", async () => {
    const client = await H2Client.connect(gateway.port("main"))
    await client.barrier()
    client.pause()
    for (let i = 0; i < 400 && !client.socket.destroyed; i++) {
      client.send(times(500, () => ping("12345678")))
      await turn()
    }
    client.resume()
    await ends({ client })
  })
})

describe("header blocks without end", () => {
  test.each([
    ["CONTINUATION of 16 KiB", Buffer.concat(Array.from({ length: 16 }, () => literal(["x", "y".repeat(1000)]))), 4000],
    ["CONTINUATION of an octet that makes nothing of itself", Buffer.from([0x82]), 200_000],
    ["empty CONTINUATION", Buffer.alloc(0), 200_000],
  ])("%s: the connection ends, before much was taken", async (_name, octets, count) => {
    const result = await flood({
      start: [headers(1, block, { endHeaders: false })],
      wave: () => times(Math.min(500, count / 40), () => continuation(1, octets, false)),
      waves: 40,
    })
    await ends(result, ["ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "COMPRESSION_ERROR"])
  })

  test("one literal that says it is 1 GiB long", async () => {
    const result = await flood({
      start: [headers(1, Buffer.concat([block, Buffer.from([0, 1, 0x78, 0x7f, 0x81, 0xff, 0xff, 0xff, 0x03])]), { endHeaders: false })],
      wave: () => times(20, () => continuation(1, Buffer.alloc(16_384, 0x61), false)),
      waves: 200,
    })
    await ends(result, ["ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "COMPRESSION_ERROR"])
  })
})

describe("streams opened to be thrown away", () => {
  const resets: readonly [string, (stream: number) => Uint8Array][] = [
    ["RST_STREAM by the client (CVE-2023-44487)", (stream) => Buffer.concat([headers(stream, block), rstStream(stream, "CANCEL")])],
    ["a reset provoked by WINDOW_UPDATE of 0 (MadeYouReset)", (stream) => Buffer.concat([headers(stream, block), windowUpdate(stream, 0)])],
    ["a reset provoked by DATA behind the end", (stream) => Buffer.concat([headers(stream, block), data(stream, "x", { end: true })])],
    ["a reset provoked by a window that overflows", (stream) => Buffer.concat([headers(stream, block), windowUpdate(stream, 0x7fffffff)])],
    [
      "a reset provoked by PRIORITY of 4 octets",
      (stream) => Buffer.concat([headers(stream, block), frame(frameTypes.PRIORITY, 0, stream, Buffer.alloc(4))]),
    ],
    ["malformed requests", (stream) => headers(stream, [...requestFields("/hold"), ["Bad", "name"]])],
    ["requests without a field", (stream) => headers(stream, Buffer.alloc(0))],
  ]
  test.each(resets)("%s ends the connection", async (_name, stream) => {
    const before = origin.arrivals.filter(({ target }) => target === "/hold").length
    const result = await flood({ wave: (n) => times(50, (i) => stream(id(n * 50 + i))), waves: 400 })
    await ends(result, ["ENHANCE_YOUR_CALM", "PROTOCOL_ERROR", "FLOW_CONTROL_ERROR", "STREAM_CLOSED", "FRAME_SIZE_ERROR"])
    expect(origin.arrivals.filter(({ target }) => target === "/hold").length - before).toBeLessThan(2500)
  })

  test("requests over the number of streams are refused, and in the end the connection is", async () => {
    const result = await flood({ wave: (n) => times(50, (i) => headers(id(n * 50 + i), block)), waves: 1000 })
    await ends(result)
  })

  test("what was held for them is given up: the origin's connections are closed", async () => {
    await until(
      () => origin.arrivals.every(({ target, socket, body }) => target !== "/hold" || socket.destroyed || body.complete),
      "closed connections",
    )
  })
})

describe("header lists over the limits", () => {
  async function asks(fields: Parameters<typeof requestFields>[2]): Promise<H2Client> {
    const client = await H2Client.connect(gateway.port("main"))
    const octets = encodeFields(requestFields("/", "GET", fields))
    const parts: Buffer[] = []
    for (let at = 0; at < octets.length; at += 16_000) parts.push(octets.subarray(at, at + 16_000))
    const last = parts.length - 1
    client.send(...parts.map((part, i) => (i === 0 ? headers(1, part, { endHeaders: last === 0 }) : continuation(1, part, i === last))))
    return client
  }

  test.each([
    ["one field of 40 KiB", [["x", "y".repeat(40 * 1024)] as const]],
    ["101 fields", Array.from({ length: 101 }, (_, i) => [`x-${i}`, "y"] as const)],
    ["many fields of 40 KiB in all", Array.from({ length: 90 }, (_, i) => [`x-${i}`, "y".repeat(450)] as const)],
  ])("%s: 431, and the connection goes on", async (_name, fields) => {
    const client = await asks(fields)
    expect((await client.response(1)).status).toBe(431)
    client.nextStream = 3
    expect((await client.ask()).status).toBe(200)
    client.destroy()
  })

  test("a few fields less pass", async () => {
    const client = await asks(Array.from({ length: 90 }, (_, i) => [`x-${i}`, "y".repeat(200)] as const))
    expect((await client.response(1)).status).toBe(200)
    client.destroy()
  })

  test("a block of 600 KiB ends the request or the connection", async () => {
    const client = await asks(Array.from({ length: 60 }, (_, i) => [`x-${i}`, "y".repeat(10_000)] as const))
    const stream = client.stream(1)
    await client.until(() => stream.head !== null || stream.reset !== null || client.goaway !== null, "refusal").catch(() => {})
    if (stream.head !== null) expect(stream.head[0]).toEqual([":status", "431"])
    else if (stream.reset === null) await client.closed()
    client.destroy()
  })

  test("a bomb: 4 KiB in the table, named thousands of times by an octet each", async () => {
    const client = await H2Client.connect(gateway.port("main"))
    client.send(headers(1, Buffer.concat([encodeFields(requestFields()), kept(["x", "y".repeat(4000)])])))
    expect((await client.response(1)).status).toBe(200)
    const bomb = Buffer.concat([encodeFields(requestFields("/hold")), ...Array<Buffer>(16_000).fill(indexed(62))])
    // 64 MiB each, all in all 3 GiB.
    for (let i = 1; i <= 50 && client.ending === null; i++) {
      client.send(headers(id(i), bomb))
      const stream = client.stream(id(i))
      await client.until(() => stream.head !== null || stream.reset !== null || client.goaway !== null, "refusal").catch(() => {})
      if (stream.head !== null) expect(stream.head[0]).toEqual([":status", "431"])
    }
    most = Math.max(most, await residentMemory(gateway.pid))
    client.destroy()
    expect((await bystander.ask()).status).toBe(200)
  })
})

describe("clients that don't take what they asked for", () => {
  test("90 responses of 64 MiB to a client that doesn't read: what waits is bounded", async () => {
    const client = await H2Client.connect(gateway.port("main"), { settings: [[settingIds.INITIAL_WINDOW_SIZE, 0x7fffffff]] })
    await client.barrier()
    client.send(windowUpdate(0, 0x7fff0000 - 65_535))
    client.pause()
    const from = origin.arrivals.length
    for (let i = 0; i < 90; i++) client.send(headers(id(i), requestFields("/large")))
    const arrived = () => origin.arrivals.slice(from).filter(({ target }) => target === "/large")
    await until(() => arrived().length === 90, "90 requests at the origin")
    await until(() => arrived().every(({ socket }) => socket.writableLength > 0), "back-pressure at the origin")
    most = Math.max(most, await residentMemory(gateway.pid))
    for (let i = 0; i < 5; i++) expect((await bystander.ask()).status).toBe(200)
    client.destroy()
    await Promise.all(arrived().map(({ closed }) => closed))
  })

  test("windows of 0: what waits is bounded, and after the time limit given up", async () => {
    const client = await H2Client.connect(gateway.port("main"), { settings: [[settingIds.INITIAL_WINDOW_SIZE, 0]] })
    const from = origin.arrivals.length
    for (let i = 0; i < 90; i++) client.send(headers(id(i), requestFields("/large-window")))
    const arrived = () => origin.arrivals.slice(from).filter(({ target }) => target === "/large-window")
    await until(() => arrived().length === 90, "90 requests at the origin")
    expect((await bystander.ask()).status).toBe(200)
    most = Math.max(most, await residentMemory(gateway.pid))
    // The route's idle limit.
    await Promise.all(arrived().map(({ closed }) => closed))
    client.destroy()
  })

  test("a window that grows octet by octet: the body comes, or the connection ends; others are served", async () => {
    const client = await H2Client.connect(gateway.port("main"), { settings: [[settingIds.INITIAL_WINDOW_SIZE, 0]], updateWindows: false })
    client.send(headers(1, requestFields("/dribble")))
    await client.head(1)
    for (let sent = 0; sent < 20_000 && client.ending === null; sent += 100) {
      client.send(times(100, () => windowUpdate(1, 1)))
      await turn()
    }
    expect((await bystander.ask()).status).toBe(200)
    await client.until(() => client.stream(1).ended || client.goaway !== null, "outcome").catch(() => {})
    if (client.ending === null && client.goaway === null) expect(client.stream(1).length).toBe(20_000)
    client.destroy()
  })
})

describe("clients that never get on", () => {
  test.each([
    ["part of the preface", [preface.subarray(0, 10)]],
    ["the preface alone", [preface]],
    ["a header block without its end", [preface, settings(), headers(1, block, { endHeaders: false })]],
    ["half a frame", [preface, settings(), headers(1, block).subarray(0, 20)]],
    ["no request", [preface, settings()]],
  ])("%s: the connection is closed by its time limit", async (_name, octets) => {
    const client = await RawClient.connect(gateway.port("brief"))
    client.send(Buffer.concat(octets))
    await client.closed()
    client.destroy()
  })

  test("an idle connection ends with GOAWAY NO_ERROR", async () => {
    const client = await H2Client.connect(gateway.port("brief"))
    expect((await client.ask()).status).toBe(200)
    await client.closed()
    expect(client.goaway).toMatchObject({ code: "NO_ERROR", lastStream: 1 })
    client.destroy()
  })
})

test("the gateway's memory has stayed where it was", async () => {
  most = Math.max(most, await residentMemory(gateway.pid))
  expect(most - memory).toBeLessThan(GROWTH)
})
