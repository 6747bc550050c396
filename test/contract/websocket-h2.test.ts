// WebSocket over both protocols on both sides: the upgrade of HTTP/1.1 (RFC 6455) and extended CONNECT of HTTP/2 (RFC 8441).

import { createHash, randomBytes } from "node:crypto"
import { createServer, type Server } from "node:http"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import WebSocket, { WebSocketServer } from "ws"
import { until, within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { H2Client } from "../support/h2-client.ts"
import { data, headers, rstStream } from "../support/h2-frames.ts"
import type { Field } from "../support/h2-hpack.ts"
import { type H2Arrival, H2Origin } from "../support/h2-origin.ts"
import { value } from "../support/h2-peer.ts"
import { readMetrics } from "../support/metrics.ts"
import { listen } from "../support/ports.ts"
import { RawClient } from "../support/raw-client.ts"

const KEY = "dGhlIHNhbXBsZSBub25jZQ=="

let http: Server
let sockets: WebSocketServer
/** Tunnels of octets: what comes goes back. */
let h2: H2Origin
let gateway: Gateway

beforeAll(async () => {
  http = createServer((_request, response) => response.end("plain"))
  sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024 })
  http.on("upgrade", (request, socket, head) => {
    if (request.url?.endsWith("/refused")) {
      socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\nconnection: close\r\n\r\nnot today")
      return
    }
    sockets.handleUpgrade(request, socket, head, (connection) => {
      connection.on("message", (message, binary) => connection.send(message, { binary }))
      if (request.url?.endsWith("/closes")) connection.close(4001, "enough")
      if (request.url?.endsWith("/dies")) socket.destroy()
    })
  })
  const { port } = await listen(http)
  h2 = await H2Origin.start(tunnel, { settings: [[8, 1]] })
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      drain: { timeout: "500ms" },
      listeners: [
        { name: "main", address: "127.0.0.1:0" },
        { name: "brief", address: "127.0.0.1:0", timeouts: { tunnelIdle: "200ms" } },
      ],
      services: { h1: { endpoints: [`127.0.0.1:${port}`] }, h2: { endpoints: [h2.address], protocol: "h2" } },
      routes: ["h1", "h2"].map((service) => ({ match: { path: `/${service}` }, backends: service, timeout: { request: "300ms" } })),
    },
  })
})

afterAll(async () => {
  await gateway?.kill()
  for (const client of sockets.clients) client.terminate()
  http.closeAllConnections()
  http.close()
  await h2?.stop()
})

function tunnel(arrival: H2Arrival): void {
  const { stream, peer, target } = arrival
  if (arrival.method !== "CONNECT" || arrival.header(":protocol") !== "websocket") return arrival.reply(200, "plain")
  if (target.endsWith("/refused")) return arrival.reply(403, "not today")
  arrival.head(200)
  if (target.endsWith("/closes")) {
    // A close frame of RFC 6455: 4001, "enough".
    arrival.data(Buffer.concat([Buffer.from([0x88, 8, 0x0f, 0xa1]), Buffer.from("enough")]), true)
    return
  }
  if (target.endsWith("/dies")) return arrival.reset("INTERNAL_ERROR")
  void (async () => {
    for (;;) {
      await peer.until(() => stream.unread > 0 || stream.ended || stream.reset !== null, "octets of a tunnel", 30_000)
      if (stream.reset !== null) return
      if (stream.unread > 0) await peer.sendBody(arrival.id, unmasked(stream.take(stream.unread), arrival), { end: false })
      else return arrival.data("", true)
    }
  })().catch(() => {})
}

const masks = new WeakMap<H2Arrival, MaskedEcho>()

/** Sends frames of a WebSocket client back as a server would: without their mask. Octets that are no such frames go back as they are. */
class MaskedEcho {
  #left = 0
  #mask = Buffer.alloc(4)
  #at = 0
  #head: Buffer = Buffer.alloc(0)

  take(bytes: Buffer): Buffer {
    const out: Buffer[] = []
    let rest = bytes
    while (rest.length > 0) {
      if (this.#left > 0) {
        const part = Buffer.from(rest.subarray(0, this.#left))
        for (let i = 0; i < part.length; i++) part[i] ^= this.#mask[this.#at++ & 3]
        this.#left -= part.length
        rest = rest.subarray(part.length)
        out.push(part)
        continue
      }
      this.#head = Buffer.concat([this.#head, rest])
      const short = this.#head[1] & 0x7f
      const lengthEnd = short === 127 ? 10 : short === 126 ? 4 : 2
      if (this.#head.length < 2 || this.#head.length < lengthEnd + 4) break
      this.#left = short === 127 ? Number(this.#head.readBigUInt64BE(2)) : short === 126 ? this.#head.readUInt16BE(2) : short
      this.#mask = Buffer.from(this.#head.subarray(lengthEnd, lengthEnd + 4))
      this.#at = 0
      const head = Buffer.from(this.#head.subarray(0, lengthEnd))
      head[1] &= 0x7f
      out.push(head)
      rest = this.#head.subarray(lengthEnd + 4)
      this.#head = Buffer.alloc(0)
    }
    return Buffer.concat(out)
  }
}

function unmasked(bytes: Buffer, arrival: H2Arrival): Buffer {
  if (arrival.target.includes("/octets")) return bytes
  const echo = masks.get(arrival) ?? new MaskedEcho()
  masks.set(arrival, echo)
  return echo.take(bytes)
}

async function open(path: string, listener = "main"): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port(listener)}${path}`, { maxPayload: 64 * 1024 * 1024 })
  const opened = new Promise((resolve, reject) => {
    socket.once("open", resolve)
    socket.once("error", reject)
  })
  await within(opened, `WebSocket ${path}`)
  return socket
}

function ended(socket: WebSocket): Promise<{ code: number; reason: string }> {
  const closed = new Promise<{ code: number; reason: string }>((resolve) =>
    socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() })),
  )
  return within(closed, "close of a WebSocket")
}

/** A stream of HTTP/2 opened by extended CONNECT. */
function connectFields(path: string, fields: readonly Field[] = []): Field[] {
  return [
    [":method", "CONNECT"],
    [":protocol", "websocket"],
    [":scheme", "http"],
    [":path", path],
    [":authority", "a"],
    ["sec-websocket-version", "13"],
    ...fields,
  ]
}

async function connect(path: string, listener = "main"): Promise<{ client: H2Client; id: number }> {
  const client = await H2Client.connect(gateway.port(listener))
  await client.until(() => client.settings.get(8) === 1, "ENABLE_CONNECT_PROTOCOL")
  client.send(headers(1, connectFields(path), { end: false }))
  client.nextStream = 3
  return { client, id: 1 }
}

/** A text frame of RFC 6455 as a client sends it. */
function clientFrame(text: string, opcode = 1): Buffer {
  const mask = Buffer.from([1, 2, 3, 4])
  const body = Buffer.from(text, "latin1")
  for (let i = 0; i < body.length; i++) body[i] ^= mask[i & 3]
  return Buffer.concat([Buffer.from([0x80 | opcode, 0x80 | body.length]), mask, body])
}

const serverFrame = (text: string, opcode = 1): Buffer =>
  Buffer.concat([Buffer.from([0x80 | opcode, text.length]), Buffer.from(text, "latin1")])

describe.each(["h1", "h2"])("clients of HTTP/1.1, to a service of %s", (service) => {
  test("messages go both ways, and the close handshake ends it", async () => {
    const socket = await open(`/${service}/echo`)
    const texts: string[] = []
    socket.on("message", (message) => texts.push(String(message)))
    for (let i = 0; i < 100; i++) socket.send(`message ${i}`)
    await until(() => texts.length === 100, "100 echoes")
    expect(texts[99]).toBe("message 99")
    const end = ended(socket)
    socket.close(4000, "done")
    expect(await end).toEqual({ code: 4000, reason: "done" })
    const line = await gateway.accessLine(({ path, status }) => path === `/${service}/echo` && status === 101, "the WebSocket")
    expect(line.flag).toBeUndefined()
  })

  test("large messages arrive whole", async () => {
    const socket = await open(`/${service}/large`)
    const bytes = randomBytes(2 * 1024 * 1024)
    const echo = within(new Promise<Buffer>((resolve) => socket.once("message", (message: Buffer) => resolve(message))), "the echo", 20_000)
    socket.send(bytes)
    expect((await echo).equals(bytes)).toBe(true)
    socket.terminate()
  })

  test("the accept key is the right one", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send(
      `GET /${service}/octets HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${KEY}\r\n\r\n`,
    )
    const head = await client.readHead()
    expect(head.startLine).toMatch(/^HTTP\/1\.1 101 /)
    const accept = head.fields.find(([name]) => name.toLowerCase() === "sec-websocket-accept")?.[1]
    expect(accept).toBe(createHash("sha1").update(`${KEY}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64"))
    client.destroy()
  })

  test("a close by the server, and its death, reach the client", async () => {
    expect(await ended(await open(`/${service}/closes`))).toEqual({ code: 4001, reason: "enough" })
    const dying = new WebSocket(`ws://127.0.0.1:${gateway.port("main")}/${service}/dies`)
    dying.on("error", () => {})
    expect((await ended(dying)).code).toBe(1006)
  })

  test("a refused upgrade is an ordinary response", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send(
      `GET /${service}/refused HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${KEY}\r\n\r\n`,
    )
    const response = await client.readResponse()
    expect([response.status, response.text()]).toEqual([403, "not today"])
    client.destroy()
  })

  test("an idle tunnel is ended by its time limit", async () => {
    const socket = await open(`/${service}/idle`, "brief")
    expect((await ended(socket)).code).toBe(1006)
    expect(await gateway.accessLine(({ path }) => path === `/${service}/idle`, "the idle tunnel")).toMatchObject({
      status: 101,
      flag: "SI",
    })
  })
})

describe.each(["h1", "h2"])("clients of HTTP/2, to a service of %s", (service) => {
  test("frames go both ways beside other streams; the ends are passed on", async () => {
    const { client, id } = await connect(`/${service}/echo`)
    const head = await client.head(id)
    expect(value(head, ":status")).toBe("200")
    for (const name of ["connection", "upgrade", "sec-websocket-accept"]) expect(value(head, name)).toBe(null)
    const stream = client.stream(id)
    for (let i = 0; i < 50; i++) client.send(data(id, clientFrame(`message ${i}`)))
    const expected = Buffer.concat(Array.from({ length: 50 }, (_, i) => serverFrame(`message ${i}`)))
    await client.until(() => stream.length >= expected.length, "50 echoes")
    expect(stream.body.equals(expected)).toBe(true)
    expect((await client.ask({ path: `/${service}/plain` })).text()).toBe("plain")
    // The close handshake, then the end.
    client.send(data(id, clientFrame("\x0f\xa0bye", 8)))
    await client.until(() => stream.length > expected.length, "the answer to close")
    client.send(data(id, "", { end: true }))
    await client.until(() => stream.ended || stream.reset !== null, "the end of the tunnel")
    expect([null, "NO_ERROR"]).toContain(stream.reset)
    expect(client.problems).toEqual([])
    client.destroy()
  })

  test("what is sent before the answer gets through", async () => {
    const { client, id } = await connect(`/${service}/early`)
    client.send(data(id, clientFrame("early")))
    await client.until(() => client.stream(id).length === 7, "the echo")
    expect(client.stream(id).body.equals(serverFrame("early"))).toBe(true)
    client.destroy()
  })

  test("large amounts, at the pace of windows", async () => {
    const { client, id } = await connect(`/${service}/large`)
    await client.head(id)
    const size = 60_000
    const message = Buffer.alloc(size, "0123456789")
    const head = Buffer.from([0x82, 0x80 | 126, size >> 8, size & 255, 0, 0, 0, 0])
    const count = 30
    client.sendBody(id, Buffer.concat(Array.from({ length: count }, () => Buffer.concat([head, message]))), { end: false }).catch(() => {})
    await client.until(() => client.stream(id).length === count * (size + 4), "all echoes", 20_000)
    expect(
      client
        .stream(id)
        .body.subarray(4, size + 4)
        .equals(message),
    ).toBe(true)
    client.destroy()
  })

  test("a close by the server, and its death, reach the client", async () => {
    const closing = await connect(`/${service}/closes`)
    const stream = closing.client.stream(closing.id)
    await closing.client.until(() => stream.length === 10, "the close frame")
    expect(stream.body.subarray(2).toString("latin1")).toBe("\x0f\xa1enough")
    closing.client.destroy()
    const dying = await connect(`/${service}/dies`)
    await dying.client.until(() => dying.client.stream(dying.id).reset !== null || dying.client.stream(dying.id).ended, "the end")
    expect((await dying.client.ask({ path: `/${service}/plain` })).text()).toBe("plain")
    dying.client.destroy()
  })

  test("a refused CONNECT is an ordinary response", async () => {
    const { client, id } = await connect(`/${service}/refused`)
    const head = await client.head(id)
    await client.until(() => client.stream(id).ended || client.stream(id).reset !== null, "the end")
    expect([value(head, ":status"), client.stream(id).body.toString()]).toEqual(["403", "not today"])
    client.destroy()
  })

  test("a client that resets its stream ends the server's side", async () => {
    const { client, id } = await connect(`/${service}/reset`)
    await client.head(id)
    const server = service === "h1" ? ([...sockets.clients].at(-1) as WebSocket) : null
    const end = server === null ? null : ended(server)
    client.send(rstStream(id, "CANCEL"))
    if (end === null) expect(await (await h2.arrival(`/${service}/reset`)).cancelled()).toBe("CANCEL")
    else expect((await end).code).toBe(1006)
    expect((await client.ask({ path: `/${service}/plain` })).text()).toBe("plain")
    client.destroy()
  })

  test("an idle tunnel is ended by its time limit, and the connection goes on", async () => {
    const { client, id } = await connect(`/${service}/idle-stream`, "brief")
    await client.head(id)
    await client.until(() => client.stream(id).reset !== null || client.stream(id).ended, "the end of the tunnel")
    expect((await client.ask({ path: `/${service}/plain` })).text()).toBe("plain")
    client.destroy()
  })
})

test("the handshake reaches services as their protocol has it", async () => {
  const viaCross = await connect("/h1/handshake")
  await viaCross.client.head(viaCross.id)
  viaCross.client.destroy()
  const socket = await open("/h2/handshake")
  const arrival = await h2.arrival("/h2/handshake")
  expect([arrival.method, arrival.header(":protocol"), arrival.header(":scheme"), arrival.header("sec-websocket-version")]).toEqual([
    "CONNECT",
    "websocket",
    "http",
    "13",
  ])
  for (const name of ["connection", "upgrade", "sec-websocket-key", "host"]) expect(arrival.header(name)).toBe(null)
  socket.terminate()
})

test("a service of HTTP/2 that doesn't offer extended CONNECT: the client is refused, not misled", async () => {
  const plainOrigin = await H2Origin.start((arrival) => arrival.reply(200, "plain"))
  const own = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [{ address: "127.0.0.1:0" }],
      services: { h2: { endpoints: [plainOrigin.address], protocol: "h2" } },
      routes: [{ backends: "h2" }],
    },
  })
  try {
    const client = await RawClient.connect(own.port())
    client.send(
      `GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: ${KEY}\r\n\r\n`,
    )
    const response = await client.readResponse()
    expect(response.status).toBeGreaterThanOrEqual(500)
    client.destroy()
    expect(plainOrigin.arrivals.filter(({ method }) => method === "CONNECT")).toEqual([])
  } finally {
    await own.kill()
    await plainOrigin.stop()
  }
})

test("nothing is left behind, and a drain ends tunnels when its time is over", async () => {
  for (const client of sockets.clients) client.terminate()
  await until(async () => (await readMetrics(gateway.adminPort)).sum("sluice_requests_active") === 0, "no active exchange")
  const { client, id } = await connect("/h1/drained")
  await client.head(id)
  const socket = await open("/h2/drained")
  const end = ended(socket)
  gateway.signal("SIGTERM")
  expect((await end).code).toBe(1006)
  await client.closed()
  expect((await gateway.exited()).code).toBe(1)
  client.destroy()
})
