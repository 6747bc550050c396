// What services of HTTP/2 may ask of the gateway as their client: few streams, small windows, another connection.

import { describe, expect, test } from "vitest"
import { Gateway } from "../support/gateway.ts"
import { goaway, settingIds } from "../support/h2-frames.ts"
import { type H2Arrival, H2Origin, type H2Script } from "../support/h2-origin.ts"
import { ask } from "../support/pairing.ts"
import { StreamOrigin } from "../support/stream-origin.ts"

describe("what a service of HTTP/2 asks for", () => {
  async function inFrontOf(
    options: Parameters<typeof H2Origin.start>[1],
    script: H2Script,
    run: (origin: H2Origin, port: number) => Promise<void>,
  ): Promise<void> {
    const origin = await H2Origin.start(script, options)
    const own = await Gateway.start({
      config: {
        admin: false,
        workers: 1,
        listeners: [{ address: "127.0.0.1:0" }],
        services: { h2: { endpoints: [origin.address], protocol: "h2" } },
        routes: [{ backends: "h2" }],
      },
    })
    try {
      await run(origin, own.port())
      expect(origin.problems).toEqual([])
    } finally {
      await own.kill()
      await origin.stop()
    }
  }

  test("MAX_CONCURRENT_STREAMS: no connection has more, and all are answered", async () => {
    const held: H2Arrival[] = []
    let most = 0
    await inFrontOf(
      { settings: [[settingIds.MAX_CONCURRENT_STREAMS, 2]] },
      (arrival) => {
        held.push(arrival)
        for (const peer of new Set(held.map((each) => each.peer))) most = Math.max(most, held.filter((each) => each.peer === peer).length)
        setTimeout(() => {
          held.splice(held.indexOf(arrival), 1)
          arrival.reply(200, "answer")
        }, 20)
      },
      async (origin, port) => {
        // The first connection's SETTINGS are known before the crowd comes.
        await ask("2", port, { path: "/first" })
        const answers = await Promise.all(Array.from({ length: 20 }, (_, i) => ask("2", port, { path: `/${i}` })))
        expect(answers.map(({ status }) => status)).toEqual(Array<number>(20).fill(200))
        expect(most).toBeLessThanOrEqual(2)
        expect(origin.arrivals.length).toBeGreaterThanOrEqual(21)
      },
    )
  })

  test("small windows and frames: the request's body keeps to them", async () => {
    await inFrontOf(
      {
        settings: [
          [settingIds.INITIAL_WINDOW_SIZE, 10],
          [settingIds.HEADER_TABLE_SIZE, 0],
        ],
      },
      (arrival) => {
        // The window is given back as the body comes, octets at a time.
        arrival.complete(20_000).then(
          () => arrival.reply(200, arrival.stream.body),
          () => {},
        )
      },
      async (origin, port) => {
        const sent = Buffer.alloc(3000, "0123456789")
        for (let i = 0; i < 3; i++) expect((await ask("2", port, { path: `/${i}`, body: sent })).body.equals(sent)).toBe(true)
        expect(origin.peers[0].hpack.entries).toBe(0)
      },
    )
  })

  test("a connection that ends with GOAWAY before anything was asked, and one that is closed while idle", async () => {
    await inFrontOf(
      { onConnection: (peer, index) => index === 0 && peer.send(goaway(0, "NO_ERROR")) },
      (arrival) => arrival.reply(200, "answer"),
      async (origin, port) => {
        expect((await ask("2", port, { path: "/1" })).status).toBe(200)
        origin.dropConnections()
        expect((await ask("1.1", port, { path: "/2" })).status).toBe(200)
      },
    )
  })

  test("a service that speaks another protocol: 502 or 503, and no hanging", async () => {
    const other = await StreamOrigin.start(({ socket }) => socket.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"))
    const own = await Gateway.start({
      config: {
        admin: false,
        workers: 1,
        listeners: [{ address: "127.0.0.1:0" }],
        services: { h2: { endpoints: [other.address], protocol: "h2" } },
        routes: [{ backends: "h2", timeout: { request: "5s" } }],
      },
    })
    expect((await ask("2", own.port(), { path: "/" })).status).toBeGreaterThanOrEqual(502)
    await own.kill()
    await other.stop()
  })
})
