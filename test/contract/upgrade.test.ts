import { createHash, randomBytes } from "node:crypto"
import { createServer, type IncomingMessage, type Server } from "node:http"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import WebSocket, { WebSocketServer } from "ws"
import { sleep, until, within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { listen } from "../support/ports.ts"
import { RawClient } from "../support/raw-client.ts"

const handshake = (path: string): string =>
  `GET ${path} HTTP/1.1\r\nhost: a\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n`

let http: Server
let sockets: WebSocketServer
/** Upgrades to a protocol of octets: what comes goes back, and "bye" ends it. */
let raw: Origin
let gateway: Gateway
const seen: IncomingMessage[] = []

beforeAll(async () => {
  http = createServer((_request, response) => response.end("plain"))
  sockets = new WebSocketServer({ noServer: true, maxPayload: 64 * 1024 * 1024 })
  http.on("upgrade", (request, socket, head) => {
    seen.push(request)
    if (request.url === "/ws/refused") {
      socket.end("HTTP/1.1 403 Forbidden\r\ncontent-length: 9\r\nconnection: close\r\n\r\nnot today")
      return
    }
    sockets.handleUpgrade(request, socket, head, (connection) => {
      connection.on("message", (data, binary) => connection.send(data, { binary }))
      if (request.url === "/ws/speaks-first") connection.send("welcome")
      if (request.url === "/ws/closes") connection.close(4001, "enough")
      if (request.url === "/ws/dies") socket.destroy()
    })
  })
  const { port } = await listen(http)
  raw = await Origin.start(
    (request, connection) => {
      if (request.header("upgrade") === null) connection.reply(200, "no upgrade here")
      else connection.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
    },
    {
      onTunnel: (data, connection) => {
        connection.write(data)
        if (data.includes("bye")) connection.end()
      },
    },
  )
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [
        { name: "main", address: "127.0.0.1:0" },
        { name: "brief", address: "127.0.0.1:0", timeouts: { tunnelIdle: "200ms" } },
      ],
      services: { sockets: { endpoints: [`127.0.0.1:${port}`] }, raw: { endpoints: [raw.address] } },
      routes: [
        { match: { path: "/ws" }, backends: "sockets", timeout: { request: "300ms" } },
        { match: { path: "/raw" }, backends: "raw" },
      ],
    },
  })
})

afterAll(async () => {
  await gateway.kill()
  for (const client of sockets.clients) client.terminate()
  http.closeAllConnections()
  http.close()
  await raw.stop()
})

async function open(path: string, listener = "main"): Promise<WebSocket> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port(listener)}${path}`, { maxPayload: 64 * 1024 * 1024 })
  await within(
    new Promise((resolve, reject) => {
      socket.once("open", resolve)
      socket.once("error", reject)
    }),
    `WebSocket ${path}`,
  )
  return socket
}

function message(socket: WebSocket): Promise<Buffer> {
  return within(new Promise((resolve) => socket.once("message", (data: Buffer) => resolve(data))), "a message")
}

function ended(socket: WebSocket): Promise<{ code: number; reason: string }> {
  return within(
    new Promise((resolve) => socket.once("close", (code, reason) => resolve({ code, reason: reason.toString() }))),
    "close of a WebSocket",
  )
}

describe("WebSocket through the gateway", () => {
  test("messages go both ways, and the close handshake ends it", async () => {
    const socket = await open("/ws/echo")
    const texts: string[] = []
    socket.on("message", (data) => texts.push(String(data)))
    for (let i = 0; i < 100; i++) socket.send(`message ${i}`)
    await until(() => texts.length === 100, "100 echoes")
    expect(texts[99]).toBe("message 99")
    const end = ended(socket)
    socket.close(4000, "done")
    expect(await end).toEqual({ code: 4000, reason: "done" })
    const line = await gateway.accessLine(({ path }) => path === "/ws/echo", "the WebSocket")
    expect(line).toMatchObject({ status: 101, service: "sockets" })
    expect(line.flag).toBeUndefined()
    expect(line.requestBytes).toBeGreaterThan(1000)
  })

  test("large messages arrive whole", async () => {
    const socket = await open("/ws/large")
    const data = randomBytes(16 * 1024 * 1024)
    const echo = message(socket)
    socket.send(data)
    const digest = (bytes: Buffer): string => createHash("sha1").update(bytes).digest("hex")
    expect(digest(await echo)).toBe(digest(data))
    socket.terminate()
  })

  test("a server that speaks first is heard", async () => {
    // The first message comes with the 101 in one segment.
    const client = await RawClient.connect(gateway.port("main"))
    client.send(handshake("/ws/speaks-first"))
    const head = await client.readHead()
    expect(head.startLine).toMatch(/^HTTP\/1\.1 101 /)
    expect((await client.readBytes(9)).toString("latin1")).toBe("\x81\x07welcome")
    client.destroy()
  })

  test("a close by the server reaches the client", async () => {
    const socket = await open("/ws/closes")
    expect(await ended(socket)).toEqual({ code: 4001, reason: "enough" })
  })

  test("the time limits of requests don't apply", async () => {
    const socket = await open("/ws/lasting")
    await sleep(500)
    const echo = message(socket)
    socket.send("still here")
    expect((await echo).toString()).toBe("still here")
    socket.terminate()
  })

  test("a refused upgrade is an ordinary response", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send(handshake("/ws/refused"))
    const response = await client.readResponse()
    expect([response.status, response.text()]).toEqual([403, "not today"])
    // And the connection an ordinary connection.
    client.send("GET /raw HTTP/1.1\r\nhost: a\r\n\r\n")
    expect((await client.readResponse()).text()).toBe("no upgrade here")
    client.destroy()
  })

  test("the handshake reaches the server as it was sent", async () => {
    const socket = await open("/ws/handshake")
    const request = seen.find(({ url }) => url === "/ws/handshake")
    expect(request?.headers).toMatchObject({ connection: "upgrade", upgrade: "websocket", "sec-websocket-version": "13" })
    socket.terminate()
  })
})

describe("tunnels that break", () => {
  test("a client that vanishes ends the server's side", async () => {
    const socket = await open("/ws/vanish")
    await until(() => sockets.clients.size >= 1, "the server's side")
    const end = [...sockets.clients].at(-1) as WebSocket
    const closing = ended(end)
    socket.terminate()
    expect((await closing).code).toBe(1006)
  })

  test("a server that vanishes ends the client's side", async () => {
    const socket = await open("/ws/dies")
    expect((await ended(socket)).code).toBe(1006)
  })

  test("an idle tunnel is ended by its time limit, both sides", async () => {
    const before = raw.open
    const client = await RawClient.connect(gateway.port("brief"))
    client.send(handshake("/raw/idle"))
    await client.readHead()
    client.send("tick")
    await client.readBytes(4)
    await client.closed(3000)
    await until(() => raw.open <= before, "close of the upstream's side")
    expect(await gateway.accessLine(({ path }) => path === "/raw/idle", "the idle tunnel")).toMatchObject({ status: 101, flag: "SI" })
    client.destroy()
  })
})

describe("tunnels of octets", () => {
  test("octets behind the handshake in one segment get through", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send(`${handshake("/raw/early")}early bird`)
    expect((await client.readHead()).startLine).toContain("101")
    expect((await client.readBytes(10)).toString()).toBe("early bird")
    client.destroy()
  })

  test("the client's end is passed on, and what the upstream still sends arrives", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send(handshake("/raw/half"))
    await client.readHead()
    const body = "0123456789".repeat(100_000)
    client.pause()
    client.send(body)
    client.end()
    await sleep(100)
    client.resume()
    expect((await client.readToEnd()).toString() === body).toBe(true)
    expect(client.ending).toBe("end")
  })

  test("the upstream's end is passed on, and what was sent before it arrives at a slow client", async () => {
    const client = await RawClient.connect(gateway.port("main"))
    client.send(handshake("/raw/bye"))
    await client.readHead()
    client.pause()
    const body = `${"0123456789".repeat(400_000)}bye`
    client.send(body)
    await sleep(100)
    client.resume()
    const got = await client.readToEnd()
    expect([got.length, got.toString() === body]).toEqual([body.length, true])
    client.destroy()
  })

  test("nothing is left behind", async () => {
    for (const client of sockets.clients) client.terminate()
    await until(async () => {
      const metrics = await readMetrics(gateway.adminPort)
      return metrics.sum("sluice_requests_active") === 0 && metrics.sum("sluice_downstream_connections_active") === 0
    }, "no active exchange")
  })
})
