import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { sleep, until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { field, parseBody } from "../support/http-message.ts"
import { residentMemory } from "../support/metrics.ts"
import { RawClient } from "../support/raw-client.ts"
import { StreamClient } from "../support/stream-client.ts"
import { type Arrival, StreamOrigin } from "../support/stream-origin.ts"
import { digestOf, sendBody } from "../support/traffic.ts"

const MIB = 1024 * 1024
const LARGE = 64 * MIB

/** The origin: what it does is in the target. */
function script(arrival: Arrival): void {
  const { socket } = arrival
  const url = new URL(arrival.target, "http://origin")
  const octets = Number(url.searchParams.get("octets") ?? 0)
  switch (url.pathname) {
    case "/upload":
      void arrival.complete.then(() => {
        socket.write("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ntook")
      })
      return
    case "/length":
      socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${octets}\r\n\r\n`)
      void sendBody(socket, arrival.target, octets).catch(() => {})
      return
    case "/chunked":
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
      void sendBody(socket, arrival.target, octets, { chunked: true }).catch(() => {})
      return
    case "/close":
      socket.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
      void sendBody(socket, arrival.target, octets).then(
        () => socket.end(),
        () => {},
      )
      return
    case "/echo":
      socket.write("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
      arrival.onRaw = (bytes) => {
        if (!socket.write(bytes)) {
          socket.pause()
          socket.once("drain", () => socket.resume())
        }
      }
      return
    case "/never-reads":
      socket.pause()
      return
  }
}

let origin: StreamOrigin
let gateway: Gateway

beforeAll(async () => {
  origin = await StreamOrigin.start(script)
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [{ address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [origin.address] } },
      routes: [{ backends: "origin", timeout: { request: "60s" } }],
    },
  })
})

afterAll(async () => {
  await gateway.kill()
  await origin.stop()
})

describe("large bodies", () => {
  test.each(["length", "chunked"] as const)("an upload of 64 MiB by %s arrives whole", async (kind) => {
    const chunked = kind === "chunked"
    const framing = chunked ? "transfer-encoding: chunked" : `content-length: ${LARGE}`
    const client = await StreamClient.open(gateway.port(), `POST /upload?${kind} HTTP/1.1\r\nhost: a\r\n${framing}\r\n\r\n`)
    await sendBody(client.socket, kind, LARGE, { chunked })
    await client.complete
    const arrival = await origin.arrival(`/upload?${kind}`)
    expect(arrival.body.octets).toBe(LARGE)
    expect(arrival.body.digest()).toBe(digestOf(kind, LARGE))
    client.socket.destroy()
  })

  test.each(["length", "chunked", "close"] as const)("a download of 64 MiB by %s arrives whole", async (kind) => {
    const target = `/${kind}?octets=${LARGE}`
    const client = await StreamClient.open(gateway.port(), `GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`)
    const head = await client.head
    expect(field(head, "content-length")).toBe(kind === "length" ? String(LARGE) : null)
    expect(field(head, "transfer-encoding")).toBe(kind === "length" ? null : "chunked")
    await client.complete
    expect(client.body?.octets).toBe(LARGE)
    expect(client.body?.digest()).toBe(digestOf(target, LARGE))
    client.socket.destroy()
  })

  test("an echo streams both ways at once", async () => {
    const octets = 16 * MIB
    const client = await StreamClient.open(gateway.port(), "POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
    // The first octets come back while the request is still open.
    client.socket.write("5\r\nfirst\r\n")
    await until(() => client.body !== null && client.body.octets === 5, "the echo of the first chunk")
    await sendBody(client.socket, "echo", octets, { chunked: true })
    await client.complete
    expect(client.body?.octets).toBe(5 + octets)
    client.socket.destroy()
  })

  test("a body that trickles octet by octet goes on as it comes", async () => {
    const client = await RawClient.connect(gateway.port())
    await client.sendSegments(["POST /echo HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"])
    await client.readHead()
    for (const wire of ["3\r\nabc\r\n", "1;x=y\r\nd\r\n", "0\r\n\r\n"]) await client.sendSegments([...wire], 1)
    const echoed = parseBody(await client.readThrough("0\r\n\r\n"), { kind: "chunked" }, false)
    expect(echoed?.bytes.toString()).toBe("abcd")
    client.destroy()
  })
})

describe("back-pressure", () => {
  /** Octets for which neither side's kernel has room, many times over, were the gateway to hold them. */
  const CLIENTS = 8

  /** Resolves when `read` has stood still for a while. */
  async function settled(read: () => number): Promise<number> {
    let before = -1
    for (let still = 0; still < 5; ) {
      await sleep(50)
      const now = read()
      still = now === before ? still + 1 : 0
      before = now
    }
    return before
  }

  test("clients that don't read hold up their upstreams, and the gateway's memory stays", async () => {
    const before = await residentMemory(gateway.pid)
    const target = `/length?octets=${LARGE}&slow`
    const clients: StreamClient[] = []
    for (let i = 0; i < CLIENTS; i++) {
      const client = await StreamClient.open(gateway.port(), `GET ${target}${i} HTTP/1.1\r\nhost: a\r\n\r\n`)
      client.socket.pause()
      clients.push(client)
    }
    const arrivals = await Promise.all(clients.map((_, i) => origin.arrival(`${target}${i}`)))
    const sent = await settled(() => arrivals.reduce((sum, { socket }) => sum + socket.bytesWritten - socket.writableLength, 0))
    expect(sent).toBeLessThan((CLIENTS * LARGE) / 2)
    // Some buffers a connection and the garbage of those passed on; eight bodies would be eight times as much.
    expect((await residentMemory(gateway.pid)) - before).toBeLessThan(LARGE)
    // What was held up is still whole.
    clients[0].socket.resume()
    await clients[0].complete
    expect(clients[0].body?.digest()).toBe(digestOf(`${target}0`, LARGE))
    for (const client of clients) client.socket.destroy()
    await Promise.all(arrivals.slice(1).map(({ closed }) => closed))
  })

  test("an upstream that doesn't read holds up its clients, and the gateway's memory stays", async () => {
    const before = await residentMemory(gateway.pid)
    const clients: StreamClient[] = []
    const progress: number[] = []
    for (let i = 0; i < CLIENTS; i++) {
      const client = await StreamClient.open(
        gateway.port(),
        `POST /never-reads?${i} HTTP/1.1\r\nhost: a\r\ncontent-length: ${LARGE}\r\n\r\n`,
      )
      clients.push(client)
      sendBody(client.socket, "up", LARGE, { onProgress: (octets) => (progress[i] = octets) }).catch(() => {})
    }
    const arrivals = await Promise.all(clients.map((_, i) => origin.arrival(`/never-reads?${i}`)))
    const sent = await settled(() => progress.reduce((sum, octets) => sum + octets, 0))
    expect(sent).toBeLessThan((CLIENTS * LARGE) / 2)
    // Some buffers a connection and the garbage of those passed on; eight bodies would be eight times as much.
    expect((await residentMemory(gateway.pid)) - before).toBeLessThan(LARGE)
    for (const client of clients) client.socket.destroy()
    for (const { socket } of arrivals) socket.resume()
    await Promise.all(arrivals.map(({ closed }) => closed))
  })

  test("clients that read slowly and quickly at once each get their own octets", async () => {
    const octets = 4 * MIB
    const download = async (target: string, slow: boolean, minor: number): Promise<void> => {
      const client = await StreamClient.open(gateway.port(), `GET ${target} HTTP/1.${minor}\r\nhost: a\r\n\r\n`)
      // Stands still long enough for the gateway's writes to be taken only in part, again and again.
      const stall = setInterval(() => {
        if (!slow) return
        client.socket.pause()
        setTimeout(() => client.socket.resume(), 15)
      }, 20)
      await client.complete
      clearInterval(stall)
      expect(client.body?.octets).toBe(octets)
      expect(client.body?.digest()).toBe(digestOf(target, octets))
      client.socket.destroy()
    }
    const downloads: Promise<void>[] = []
    for (const kind of ["length", "chunked", "close"]) {
      for (let i = 0; i < 6; i++) downloads.push(download(`/${kind}?octets=${octets}&mixed${i}`, i % 2 === 0, i < 4 ? 1 : 0))
    }
    await Promise.all(downloads)
  })

  test("a client that reads slowly gets everything", async () => {
    const target = `/chunked?octets=${8 * MIB}&slowly`
    const client = await StreamClient.open(gateway.port(), `GET ${target} HTTP/1.1\r\nhost: a\r\n\r\n`)
    const pause = setInterval(() => {
      client.socket.pause()
      setTimeout(() => client.socket.resume(), 2)
    }, 4)
    await client.complete
    clearInterval(pause)
    expect(client.body?.digest()).toBe(digestOf(target, 8 * MIB))
    client.socket.destroy()
  })
})
