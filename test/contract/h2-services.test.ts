// What services of HTTP/2 may ask of the gateway as their client: few streams, small windows, another connection.

import { createServer, type Server } from "node:net"
import { afterAll, beforeAll, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { goaway, settingIds } from "../support/h2-frames.ts"
import { type H2Arrival, H2Origin } from "../support/h2-origin.ts"
import { ask } from "../support/pairing.ts"
import { listen } from "../support/ports.ts"

/** Takes two streams at once on a connection. */
let narrow: H2Origin
/** Gives windows of 10 octets, and has no dynamic table. */
let small: H2Origin
/** Ends its first connection with GOAWAY before anything was asked. */
let leaving: H2Origin
/** Answers in HTTP/1.1 whatever it is asked. */
let other: Server
let gateway: Gateway

const held: H2Arrival[] = []
let most = 0

beforeAll(async () => {
  narrow = await H2Origin.start(
    (arrival) => {
      held.push(arrival)
      most = Math.max(most, held.filter(({ peer }) => peer === arrival.peer).length)
      setTimeout(() => {
        held.splice(held.indexOf(arrival), 1)
        arrival.reply(200, "answer")
      }, 20)
    },
    { settings: [[settingIds.MAX_CONCURRENT_STREAMS, 2]] },
  )
  small = await H2Origin.start(
    (arrival) => {
      arrival.complete(20_000).then(
        () => arrival.reply(200, arrival.stream.body),
        () => {},
      )
    },
    {
      settings: [
        [settingIds.INITIAL_WINDOW_SIZE, 10],
        [settingIds.HEADER_TABLE_SIZE, 0],
      ],
    },
  )
  leaving = await H2Origin.start((arrival) => arrival.reply(200, "answer"), {
    onConnection: (peer, index) => {
      if (index === 0) peer.send(goaway(0, "NO_ERROR"))
    },
  })
  other = createServer((socket) => {
    socket.on("error", () => {})
    socket.end("HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
  })
  const { port } = await listen(other)
  const service = (address: string): object => ({ endpoints: [address], protocol: "h2" })
  const services = {
    narrow: service(narrow.address),
    small: service(small.address),
    leaving: service(leaving.address),
    other: service(`127.0.0.1:${port}`),
  }
  gateway = await Gateway.start({
    config: {
      admin: false,
      workers: 1,
      listeners: [{ address: "127.0.0.1:0" }],
      services,
      routes: Object.keys(services).map((name) => ({ match: { path: `/${name}` }, backends: name, timeout: { request: "8s" } })),
    },
  })
})

afterAll(async () => {
  await gateway?.kill()
  for (const origin of [narrow, small, leaving]) await origin?.stop()
  other?.close()
})

test("MAX_CONCURRENT_STREAMS: no connection has more, and all are answered", async () => {
  // The first connection's SETTINGS are known before the crowd comes.
  await ask("2", gateway.port(), { path: "/narrow/first" })
  const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask("2", gateway.port(), { path: `/narrow/${i}` })))
  expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(200))
  expect(most).toBeLessThanOrEqual(2)
  expect(narrow.arrivals.length).toBeGreaterThanOrEqual(21)
  expect(narrow.problems).toEqual([])
})

test("small windows: the request's body keeps to them", async () => {
  const sent = Buffer.alloc(3000, "0123456789")
  for (let i = 0; i < 3; i++) expect((await ask("2", gateway.port(), { path: `/small/${i}`, body: sent })).body.equals(sent)).toBe(true)
  expect(small.peers[0].hpack.entries).toBe(0)
  expect(small.problems).toEqual([])
})

test("GOAWAY before anything was asked, and a connection that is closed while idle", async () => {
  expect((await ask("2", gateway.port(), { path: "/leaving/1" })).status).toBe(200)
  leaving.dropConnections()
  expect((await ask("1.1", gateway.port(), { path: "/leaving/2" })).status).toBe(200)
  expect(leaving.problems).toEqual([])
})

test("a service that speaks HTTP/1.1 after all: 502 or 503, and no waiting for ever", async () => {
  const { status } = await ask("2", gateway.port(), { path: "/other" })
  expect([502, 503]).toContain(status)
})
