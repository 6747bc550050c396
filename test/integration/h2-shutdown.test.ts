// Shutdown with HTTP/2 on both sides: streams finish, connections are told to go.

import { describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { H2Client, requestFields } from "../support/h2-client.ts"
import { data, headers, settings } from "../support/h2-frames.ts"
import { type H2Arrival, H2Origin } from "../support/h2-origin.ts"

describe("drain", () => {
  test("SIGTERM with open streams: GOAWAY, they finish, new ones are refused, exit code 0", async () => {
    const held: H2Arrival[] = []
    const origin = await H2Origin.start((arrival) => {
      held.push(arrival)
    })
    const own = await Gateway.start({
      config: {
        admin: { address: "127.0.0.1:0" },
        workers: 2,
        listeners: [{ address: "127.0.0.1:0" }],
        services: { h2: { endpoints: [origin.address], protocol: "h2" } },
        routes: [{ backends: "h2" }],
      },
    })
    try {
      const client = await H2Client.connect(own.port())
      const idle = await H2Client.connect(own.port())
      await idle.barrier()
      const waiting = client.request({ path: "/waiting" })
      const streaming = client.request({ path: "/streaming" })
      const uploading = client.request({ path: "/uploading", method: "POST", end: false })
      await until(() => held.length === 3, "three requests at the origin")
      const find = (path: string): H2Arrival => held.find((arrival) => arrival.target === path) as H2Arrival
      find("/streaming").head(200)
      find("/streaming").data("first ")
      await client.until(() => client.stream(streaming).length === 6, "the first part")
      own.signal("SIGTERM")
      await client.until(() => client.goaway !== null, "GOAWAY")
      expect(client.goaway?.code).toBe("NO_ERROR")
      await idle.closed()
      expect(idle.goaway?.code).toBe("NO_ERROR")
      // Announced first, then final: the last stream is named.
      await client.until(() => client.goaway?.lastStream === uploading, "the last GOAWAY")
      const late = client.request({ path: "/late" })
      await client.barrier().catch(() => {})
      expect(client.stream(late).head).toBe(null)
      find("/streaming").data("and last", true)
      find("/waiting").reply(200, "waited")
      client.send(data(uploading, "all of it", { end: true }))
      await find("/uploading").complete()
      find("/uploading").reply(200, "got it")
      expect((await client.response(streaming)).text()).toBe("first and last")
      expect((await client.response(waiting)).text()).toBe("waited")
      expect((await client.response(uploading)).text()).toBe("got it")
      await client.closed()
      expect(await own.exited()).toEqual({ code: 0, signal: null })
      for (const each of [client, idle]) each.destroy()
    } finally {
      await own.kill()
      await origin.stop()
    }
  })

  test("streams that don't end in time are cut; exit code 1", async () => {
    const origin = await H2Origin.start(() => {})
    const own = await Gateway.start({
      config: {
        admin: false,
        workers: 1,
        drain: { timeout: "200ms" },
        listeners: [{ address: "127.0.0.1:0" }],
        services: { h2: { endpoints: [origin.address], protocol: "h2" } },
        routes: [{ backends: "h2" }],
      },
    })
    try {
      const client = await H2Client.connect(own.port(), { settings: null })
      client.send(settings(), headers(1, requestFields("/held")))
      await origin.arrival("/held")
      own.signal("SIGTERM")
      await client.closed()
      expect(client.stream(1).ended).toBe(false)
      expect((await own.exited()).code).toBe(1)
      client.destroy()
    } finally {
      await own.kill()
      await origin.stop()
    }
  })
})
