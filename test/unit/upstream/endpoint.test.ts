import { createServer, type Server, type Socket } from "node:net"
import { afterEach, describe, expect, test } from "vitest"
import type { ErrorCode } from "../../../gateway/errors.ts"
import type { UpstreamHandler, UpstreamStream } from "../../../gateway/http/exchange.ts"
import { RequestHead } from "../../../gateway/http/message.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import * as h2 from "../../../gateway/http2/frames.ts"
import { Endpoint } from "../../../gateway/upstream/endpoint.ts"
import type { ConnectionWaiter, PoolSettings } from "../../../gateway/upstream/pool.ts"
import { frame } from "../../fuzz/h2-inputs.ts"
import { until, within } from "../../support/deadline.ts"
import { freePort, listen } from "../../support/ports.ts"

const settings: PoolSettings = {
  connectTimeout: 5000,
  maxConnections: 10,
  maxPending: 10,
  idleTimeout: 60_000,
  maxAge: 0,
  head: { startLine: 8192, head: 65_536, fields: 100 },
}

class Counts {
  made = 0
  failed = 0
  open = 0
  waiting = 0
  spare = 0
  readonly dialed: number[] = []
  readonly waits: number[] = []

  connects(n: number): void {
    this.made += n
  }
  connectFailures(n: number): void {
    this.failed += n
  }
  active(n: number): void {
    this.open += n
  }
  fault(error: unknown): void {
    throw error
  }
  pending(n: number): void {
    this.waiting += n
  }
  idle(n: number): void {
    this.spare += n
  }
  connected(ms: number): void {
    this.dialed.push(ms)
  }
  waited(ms: number): void {
    this.waits.push(ms)
  }
}

/** One who wants a connection, and uses it for one request. */
class Client implements ConnectionWaiter, UpstreamHandler {
  connection: UpstreamStream | null = null
  refusal: ErrorCode | null = null
  body = ""
  complete = false
  failure: string | null = null
  /** Pauses the response at its first body octets. */
  slow = false
  #wake: () => void = () => {}

  onConnection(connection: UpstreamStream): void {
    this.connection = connection
    this.#wake()
  }
  onResponseComplete(): void {}
  needsHttp2(): boolean {
    return false
  }
  onNoConnection(code: ErrorCode): void {
    this.refusal = code
    this.#wake()
  }

  /** Resolves when it has a connection or knows that it gets none. */
  settled(): Promise<this> {
    if (this.connection !== null || this.refusal !== null) return Promise.resolve(this)
    return within(
      new Promise((resolve) => {
        this.#wake = () => resolve(this)
      }),
      "a connection",
    )
  }

  async exchange(path = "/"): Promise<string> {
    const head = new RequestHead()
    head.method = "GET"
    head.path = path
    const connection = this.connection as UpstreamStream
    connection.send(this, head, "a")
    connection.flush()
    await until(() => this.complete || this.failure !== null, "a response", 5000)
    return this.failure ?? this.body
  }

  onInformational(): void {}
  onResponseHead(): boolean {
    return false
  }
  onResponseBytes(bytes: Buffer, from: number, to: number): void {
    this.body += bytes.toString("latin1", from, to)
    if (this.slow) this.connection?.pauseResponse()
  }
  onResponseFlush(): void {}
  onResponseEnd(): void {
    this.complete = true
  }
  onUpstreamFailed(code: ErrorCode, _details: string, unanswered: boolean): void {
    this.failure = `${code}${unanswered ? " unanswered" : ""}`
  }
  onUpstreamWritable(): void {}
  onTunnelEnd(): void {}
}

interface Peer {
  readonly port: number
  readonly sockets: Socket[]
  close(): void
}

const peers: Peer[] = []
const wheels: TimerWheel[] = []

async function peer(answer: (request: string, socket: Socket) => void = reply): Promise<Peer> {
  const sockets: Socket[] = []
  const server: Server = createServer((socket) => {
    sockets.push(socket)
    socket.on("data", (bytes) => answer(bytes.toString(), socket))
    socket.on("error", () => {})
  })
  const { port } = await listen(server)
  const made = {
    port,
    sockets,
    close: () => {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
  peers.push(made)
  return made
}

function reply(_request: string, socket: Socket): void {
  socket.write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
}

const endpoints: Endpoint[] = []

function endpoint(
  port: number,
  changed: Partial<PoolSettings> = {},
  protocol: "http1" | "h2" = "http1",
): { pool: Endpoint; counts: Counts; wheel: TimerWheel } {
  const counts = new Counts()
  const wheel = new TimerWheel()
  wheels.push(wheel)
  const pool = new Endpoint("127.0.0.1", port, protocol, null, { ...settings, ...changed }, wheel, counts)
  endpoints.push(pool)
  return { pool, counts, wheel }
}

function acquire(pool: Endpoint, fresh = false): Client {
  const client = new Client()
  pool.acquire(client, fresh)
  return client
}

afterEach(() => {
  for (const pool of endpoints.splice(0)) pool.close()
  for (const each of peers.splice(0)) each.close()
})

describe("an endpoint's pool", () => {
  test("makes a connection when none is idle, and keeps it for the next", async () => {
    const { port } = await peer()
    const { pool, counts } = endpoint(port)
    const first = await acquire(pool).settled()
    expect(await first.exchange()).toBe("ok")
    const second = acquire(pool)
    expect(second.connection).toBe(first.connection)
    expect(second.connection?.uses).toBe(1)
    expect(await second.exchange()).toBe("ok")
    expect(counts).toMatchObject({ made: 1, failed: 0, open: 1, waiting: 0 })
  })

  test("tells how long connections took, how long requests waited for one, and how many are idle", async () => {
    const { port } = await peer()
    const { pool, counts } = endpoint(port, { maxConnections: 2 })
    const clients = [acquire(pool), acquire(pool), acquire(pool)]
    await Promise.all(clients.slice(0, 2).map((client) => client.settled()))
    expect([counts.dialed.length, counts.waits.length, counts.spare]).toEqual([2, 2, 0])
    await clients[0].exchange()
    expect([counts.waits.length, counts.spare]).toEqual([3, 0])
    expect([...counts.dialed, ...counts.waits].every((ms) => ms >= 0 && ms < 60_000)).toBe(true)
    await clients[1].exchange()
    expect(counts.spare).toBe(1)
    expect(acquire(pool).connection).toBe(clients[1].connection)
    expect(counts.spare).toBe(0)
    await clients[2].exchange()
    expect(counts.spare).toBe(1)
    pool.close()
    expect([counts.dialed.length, counts.waits.length, counts.spare]).toEqual([2, 3, 0])
  })

  test("takes the connection used last, so that spare ones go idle", async () => {
    const { port } = await peer()
    const { pool } = endpoint(port)
    const clients = await Promise.all([acquire(pool).settled(), acquire(pool).settled()])
    for (const client of clients) await client.exchange()
    expect(acquire(pool).connection).toBe(clients[1].connection)
    expect(acquire(pool).connection).toBe(clients[0].connection)
  })

  test("gives a fresh connection to who asks for one, though others are idle", async () => {
    const { port } = await peer()
    const { pool, counts } = endpoint(port)
    await (await acquire(pool).settled()).exchange()
    const fresh = await acquire(pool, true).settled()
    expect(fresh.connection?.uses).toBe(0)
    expect(counts.made).toBe(2)
  })

  test("makes no more than its cap; the others wait in order", async () => {
    const { port } = await peer()
    const { pool, counts } = endpoint(port, { maxConnections: 2 })
    const clients = Array.from({ length: 5 }, () => acquire(pool))
    await Promise.all(clients.slice(0, 2).map((client) => client.settled()))
    expect(counts).toMatchObject({ made: 2, open: 2, waiting: 3 })
    await clients[1].exchange()
    expect(clients[2].connection).toBe(clients[1].connection)
    expect(clients[3].connection).toBeNull()
    await clients[0].exchange()
    expect(clients[3].connection).toBe(clients[0].connection)
    await clients[2].exchange()
    expect(clients[4].connection).toBe(clients[2].connection)
    expect(counts).toMatchObject({ made: 2, waiting: 0 })
  })

  test("refuses who would wait behind too many, and not those for whom a connection is on its way", async () => {
    const { port } = await peer()
    const { pool, counts } = endpoint(port, { maxConnections: 3, maxPending: 1 })
    const clients = Array.from({ length: 6 }, () => acquire(pool))
    expect(clients.map(({ refusal }) => refusal)).toEqual([null, null, null, null, "overflow", "overflow"])
    await Promise.all(clients.slice(0, 3).map((client) => client.settled()))
    expect(counts.waiting).toBe(1)
  })

  test("with no queue refuses at the cap, and only there", async () => {
    const { port } = await peer()
    const { pool } = endpoint(port, { maxConnections: 1, maxPending: 0 })
    const first = acquire(pool)
    expect(acquire(pool).refusal).toBe("overflow")
    await first.settled()
    expect(await first.exchange()).toBe("ok")
    expect(acquire(pool).connection).toBe(first.connection)
  })

  test("a connection that is lost makes room for who waits", async () => {
    const origin = await peer((_request, socket) => socket.destroy())
    const { pool, counts } = endpoint(origin.port, { maxConnections: 1 })
    const first = await acquire(pool).settled()
    const second = acquire(pool)
    expect(await first.exchange()).toBe("upstreamClosed unanswered")
    await second.settled()
    expect(second.connection).not.toBe(first.connection)
    expect(counts).toMatchObject({ made: 2, open: 1 })
  })

  test("who gives up is passed by", async () => {
    const { port } = await peer()
    const { pool, counts } = endpoint(port, { maxConnections: 1 })
    const [first, gone, last] = [acquire(pool), acquire(pool), acquire(pool)]
    await first.settled()
    pool.abandon(gone)
    expect(counts.waiting).toBe(1)
    await first.exchange()
    expect([gone.connection, last.connection]).toEqual([null, first.connection])
    // A second time, or when it waits for nothing, it is harmless.
    pool.abandon(gone)
    expect(counts.waiting).toBe(0)
  })

  test("a connection made for who gave up is kept for the next", async () => {
    const { port } = await peer()
    const { pool, counts } = endpoint(port)
    const gone = acquire(pool)
    pool.abandon(gone)
    await until(() => peers[0].sockets.length === 1, "the connection")
    const next = await until(() => {
      const client = acquire(pool)
      return client.connection !== null && client
    }, "an idle connection")
    expect(gone.connection).toBeNull()
    expect(await next.exchange()).toBe("ok")
    expect(counts.waiting).toBe(0)
  })
})

describe("connects that fail", () => {
  test("are told to who waited, and the endpoint is avoided for a while", async () => {
    const { pool, counts } = endpoint(await freePort())
    expect(pool.suspect).toBe(false)
    const client = await acquire(pool).settled()
    expect([client.refusal, pool.suspect, pool.connections]).toEqual(["connectFailure", true, 0])
    expect(counts).toMatchObject({ made: 1, failed: 1, open: 0, waiting: 0 })
  })

  test("beside the pool are counted as connections, as those that are made are, and not as attempts", async () => {
    const { pool } = endpoint(await freePort())
    const metered: string[] = []
    pool.meter = {
      answered: (status) => metered.push(`${status}`),
      unanswered: () => metered.push("unanswered"),
      carried: () => metered.push("carried"),
      failed: () => metered.push("failed"),
    }
    pool.begins({})
    pool.begun(1)
    pool.ends()
    pool.begins({})
    pool.beginFailed()
    expect(metered.splice(0)).toEqual(["carried", "failed", "carried"])
    pool.failed("connectFailure", 0)
    pool.answered(503, -1, 1, 0)
    pool.answered(200, 14, 1, 0)
    pool.answered(200, -1, 1, 0)
    pool.ended(-1)
    expect(metered).toEqual(["unanswered", "failed", "503", "failed", "200", "failed", "200"])
  })

  test("are told to everyone who waited under the cap", async () => {
    const { pool, counts } = endpoint(await freePort(), { maxConnections: 1 })
    const clients = Array.from({ length: 4 }, () => acquire(pool))
    const refusals = await Promise.all(clients.map(async (client) => (await client.settled()).refusal))
    expect(refusals).toEqual(Array(4).fill("connectFailure"))
    expect(counts).toMatchObject({ open: 0, waiting: 0 })
  })

  test("are forgotten with the first that succeeds", async () => {
    const port = await freePort()
    const { pool } = endpoint(port)
    await acquire(pool).settled()
    expect(pool.suspect).toBe(true)
    const server = createServer((socket) => socket.on("error", () => {}))
    await listen(server, port)
    const client = await acquire(pool).settled()
    expect([client.refusal, pool.suspect]).toEqual([null, false])
    client.connection?.cancel()
    server.close()
  })
})

describe("connections that are kept", () => {
  test("end after their idle time", async () => {
    const { port } = await peer()
    const { pool, counts } = endpoint(port, { idleTimeout: 30 })
    await (await acquire(pool).settled()).exchange()
    await until(() => counts.open === 0, "the end of the idle connection", 2000)
  })

  test("are not kept at all when their peer announces no time", async () => {
    const { port } = await peer((_request, socket) => socket.write("HTTP/1.1 200 OK\r\nkeep-alive: timeout=0\r\ncontent-length: 0\r\n\r\n"))
    const { pool, counts } = endpoint(port)
    await (await acquire(pool).settled()).exchange()
    expect(counts.open).toBe(0)
  })

  test("end between two requests when they have lived long enough", async () => {
    const { port } = await peer()
    const { pool, counts, wheel } = endpoint(port, { maxAge: 30 })
    const client = await acquire(pool).settled()
    const madeAt = wheel.now
    await until(() => wheel.refresh() - madeAt >= 30, "age")
    expect(counts.open).toBe(1)
    expect(await client.exchange()).toBe("ok")
    expect(counts.open).toBe(0)
  })

  test("leave the pool when their peer ends them", async () => {
    const origin = await peer()
    const { pool, counts } = endpoint(origin.port)
    await (await acquire(pool).settled()).exchange()
    origin.sockets[0].end()
    await until(() => counts.open === 0, "the end of the connection")
    expect(acquire(pool).connection).toBeNull()
  })

  test("leave the pool when octets arrive that nobody asked for", async () => {
    const origin = await peer()
    const { pool, counts } = endpoint(origin.port)
    await (await acquire(pool).settled()).exchange()
    origin.sockets[0].write("HTTP/1.1 200 OK\r\n\r\n")
    await until(() => counts.open === 0, "the end of the connection")
  })

  test("tell a request that died unanswered from one whose answer had begun", async () => {
    const { port } = await peer((request, socket) => {
      if (request.startsWith("GET /begun")) socket.write("HTTP/1.1 2")
      socket.end()
    })
    const { pool } = endpoint(port)
    expect(await (await acquire(pool).settled()).exchange()).toBe("upstreamClosed unanswered")
    expect(await (await acquire(pool).settled()).exchange("/begun")).toBe("upstreamClosed")
  })

  test("carry the next request although the last one's client was slow to the end", async () => {
    const { port } = await peer()
    const { pool } = endpoint(port)
    const slow = await acquire(pool).settled()
    slow.slow = true
    expect(await slow.exchange()).toBe("ok")
    const next = acquire(pool)
    expect(next.connection).toBe(slow.connection)
    expect(await next.exchange()).toBe("ok")
  })
})

describe("connections of HTTP/2", () => {
  /** A peer whose settings allow so many streams; `allow` changes that. */
  async function greeter(streams: number): Promise<Peer & { allow(streams: number): void }> {
    const settings = (allowed: number): Buffer => {
      const payload = Buffer.from([0, h2.SETTINGS_MAX_CONCURRENT_STREAMS, 0, 0, 0, allowed])
      return frame(h2.SETTINGS, 0, 0, payload)
    }
    const greeted = new Set<Socket>()
    const made = await peer((_request, socket) => {
      if (!greeted.has(socket)) socket.write(settings(streams))
      greeted.add(socket)
    })
    const allow = (more: number): void => {
      for (const socket of made.sockets) socket.write(settings(more))
    }
    return { ...made, allow }
  }

  test("carry as many requests as the peer allows; then another is made", async () => {
    const { port } = await greeter(2)
    const { pool, counts } = endpoint(port, {}, "h2")
    const clients = Array.from({ length: 5 }, () => acquire(pool))
    await Promise.all(clients.map((client) => client.settled()))
    expect(counts).toMatchObject({ open: 3, waiting: 0 })
  })

  test("are not made again and again to a peer that allows no request; it is waited for", async () => {
    const { port, sockets, allow } = await greeter(0)
    const { pool, counts } = endpoint(port, {}, "h2")
    const first = acquire(pool)
    await until(() => sockets.length === 1, "a connection")
    const second = acquire(pool)
    // What would have been made by now: connects are told of before settings are.
    const other = await peer()
    for (let i = 0; i < 5; i++) await (await acquire(endpoint(other.port).pool).settled()).exchange()
    expect([counts.made, counts.waiting]).toEqual([1, 2])
    allow(10)
    await Promise.all([first.settled(), second.settled()])
    expect(counts).toMatchObject({ made: 1, waiting: 0 })
  })
})

describe("an endpoint that leaves the configuration", () => {
  test("ends idle connections at once and busy ones after their response", async () => {
    const held: (() => void)[] = []
    const { port } = await peer((request, socket) => {
      if (request.startsWith("GET /slow")) held.push(() => reply(request, socket))
      else reply(request, socket)
    })
    const { pool, counts } = endpoint(port)
    const [idle, busy] = await Promise.all([acquire(pool).settled(), acquire(pool).settled()])
    await idle.exchange()
    const answer = busy.exchange("/slow")
    await until(() => held.length === 1, "the slow request")
    pool.close()
    expect(counts.open).toBe(1)
    held[0]()
    expect(await answer).toBe("ok")
    expect(counts.open).toBe(0)
  })

  test("still serves who has asked before", async () => {
    const { port } = await peer()
    const { pool, counts } = endpoint(port)
    const client = acquire(pool)
    pool.close()
    expect(await (await client.settled()).exchange()).toBe("ok")
    expect(counts.open).toBe(0)
  })
})
