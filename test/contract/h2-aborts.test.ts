// HTTP/2 where exchanges break: clients that cancel, services that reset, refuse and go away, answers before the request's end.

import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { H2Client } from "../support/h2-client.ts"
import { data, rstStream } from "../support/h2-frames.ts"
import { type H2Arrival, H2Origin, type H2Script } from "../support/h2-origin.ts"
import { readMetrics } from "../support/metrics.ts"
import { ask, type Version } from "../support/pairing.ts"
import { RawClient } from "../support/raw-client.ts"
import { type Arrival, StreamOrigin } from "../support/stream-origin.ts"

const plain: H2Script = (arrival) => {
  if (!arrival.target.startsWith("/h2/waits")) arrival.reply(200, "answer")
}

let h1: StreamOrigin
let h2: H2Origin
let gateway: Gateway

function http1(arrival: Arrival): void {
  const { socket, target } = arrival
  if (target.startsWith("/h1/waits")) return
  if (target.startsWith("/h1/part")) {
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart", () => setTimeout(() => socket.resetAndDestroy(), 30))
    return
  }
  if (target.startsWith("/h1/early")) {
    socket.write("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nearly")
    return
  }
  socket.write("HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nanswer")
}

beforeAll(async () => {
  h1 = await StreamOrigin.start(http1)
  h2 = await H2Origin.start(plain)
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [{ address: "127.0.0.1:0", timeouts: { halfClose: "50ms" } }],
      services: { h1: { endpoints: [h1.address] }, h2: { endpoints: [h2.address], protocol: "h2" } },
      routes: ["h1", "h2"].map((service) => ({ name: service, match: { path: `/${service}` }, backends: service })),
    },
  })
})

afterAll(async () => {
  await gateway?.kill()
  await h1?.stop()
  await h2?.stop()
})

afterEach(() => {
  h2?.script(plain)
})

let number = 0
const target = (what: string): string => `/${what}/${++number}`

/** Scripts the next requests for a target, one script each; others are answered as ever. */
function scripts(path: string, ...each: readonly H2Script[]): H2Arrival[] {
  const seen: H2Arrival[] = []
  h2.script((arrival) => {
    if (arrival.target !== path) return plain(arrival)
    seen.push(arrival)
    const script = each[seen.length - 1] ?? plain
    script(arrival)
  })
  return seen
}

describe("clients that cancel", () => {
  test("a stream: the service of HTTP/1.1 loses that connection, other streams go on", async () => {
    const client = await H2Client.connect(gateway.port())
    const path = target("h1/waits")
    const id = client.request({ path })
    const arrival = await h1.arrival(path)
    client.send(rstStream(id, "CANCEL"))
    await arrival.closed
    expect((await client.ask({ path: target("h1") })).text()).toBe("answer")
    expect(await gateway.accessLine((line) => line.path === path, "the cancelled request")).toMatchObject({ status: 0, flag: "DC" })
    client.destroy()
  })

  test("a stream: the service of HTTP/2 gets RST_STREAM, other streams of its connection go on", async () => {
    const client = await H2Client.connect(gateway.port())
    const [path, otherPath] = [target("h2/waits"), target("h2/waits")]
    const id = client.request({ path })
    const other = client.request({ path: otherPath })
    const arrival = await h2.arrival(path)
    const held = await h2.arrival(otherPath)
    expect(arrival.peer).toBe(held.peer)
    client.send(rstStream(id, "CANCEL"))
    expect(await arrival.cancelled()).toBe("CANCEL")
    held.reply(200, "still here")
    expect((await client.response(other)).text()).toBe("still here")
    client.destroy()
  })

  test("the connection: every stream is cancelled", async () => {
    const client = await H2Client.connect(gateway.port())
    const paths = [target("h2/waits"), target("h2/waits"), target("h1/waits")]
    for (const path of paths) client.request({ path })
    const [first, second] = await Promise.all([h2.arrival(paths[0]), h2.arrival(paths[1])])
    const third = await h1.arrival(paths[2])
    client.destroy()
    expect([await first.cancelled(), await second.cancelled()]).toEqual(["CANCEL", "CANCEL"])
    await third.closed
  })

  test("a client of HTTP/1.1: the service of HTTP/2 gets RST_STREAM and keeps the connection", async () => {
    const path = target("h2/waits")
    const client = await RawClient.connect(gateway.port())
    client.send(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`)
    const arrival = await h2.arrival(path)
    client.destroy()
    expect(await arrival.cancelled()).toBe("CANCEL")
    const next = target("h2")
    await ask("1.1", gateway.port(), { path: next })
    expect((await h2.arrival(next)).peer).toBe(arrival.peer)
  })

  test("inside an upload: the request is never completed", async () => {
    for (const service of ["h1", "h2"]) {
      const client = await H2Client.connect(gateway.port())
      const path = target(`${service}/waits`)
      client.request({ path, method: "POST", end: false })
      client.send(data(1, "part of it"))
      if (service === "h1") {
        const arrival = await h1.arrival(path)
        await until(() => arrival.body.octets === 10, "the part")
        client.send(rstStream(1, "CANCEL"))
        await arrival.closed
        await expect(arrival.complete).rejects.toThrow("inside the request")
      } else {
        const arrival = await h2.arrival(path)
        await arrival.peer.until(() => arrival.stream.length === 10, "the part")
        client.send(rstStream(1, "CANCEL"))
        expect(await arrival.cancelled()).toBe("CANCEL")
        expect(arrival.stream.ended).toBe(false)
      }
      client.destroy()
    }
  })

  test("inside a download: the service stops", async () => {
    const path = target("h2")
    scripts(path, (arrival) => {
      arrival.head(200)
      arrival.peer.sendBody(arrival.id, Buffer.alloc(64 * 1024 * 1024)).catch(() => {})
    })
    const client = await H2Client.connect(gateway.port())
    const id = client.request({ path })
    await client.until(() => client.stream(id).length > 100_000, "part of the body")
    const arrival = await h2.arrival(path)
    client.send(rstStream(id, "CANCEL"))
    expect(await arrival.cancelled()).toBe("CANCEL")
    expect((await client.ask({ path: target("h2") })).text()).toBe("answer")
    client.destroy()
  })
})

describe("services that break off never look complete", () => {
  const asks = async (version: Version, path: string): Promise<string> => {
    if (version === "2") {
      const client = await H2Client.connect(gateway.port())
      const id = client.request({ path })
      const code = await client.resetOf(id)
      expect(client.stream(id).ended).toBe(false)
      expect((await client.ask({ path: target("h2") })).text()).toBe("answer")
      client.destroy()
      return code
    }
    await expect(ask("1.1", gateway.port(), { path })).rejects.toThrow(/before the rest|reset inside/)
    return "cut"
  }

  test.each(["1.1", "2"] as const)("a service of HTTP/1.1 (to HTTP/%s)", async (version) => {
    const path = target("h1/part")
    expect(["cut", "INTERNAL_ERROR", "CANCEL", "PROTOCOL_ERROR"]).toContain(await asks(version, path))
    expect(await gateway.accessLine((line) => line.path === path, "the truncated response")).toMatchObject({ status: 200, flag: "UC,TR" })
  })

  test.each(["1.1", "2"] as const)("a stream of a service of HTTP/2 (to HTTP/%s)", async (version) => {
    for (const length of [true, false]) {
      const path = target("h2")
      scripts(path, (arrival) => {
        arrival.head(200, length ? [["content-length", "100"]] : [])
        arrival.data("part")
        setTimeout(() => arrival.reset("INTERNAL_ERROR"), 30)
      })
      expect(["cut", "INTERNAL_ERROR", "CANCEL", "PROTOCOL_ERROR"]).toContain(await asks(version, path))
    }
  })

  test.each(["1.1", "2"] as const)("the connection of a service of HTTP/2 (to HTTP/%s)", async (version) => {
    const path = target("h2")
    scripts(path, (arrival) => {
      arrival.head(200)
      arrival.data("part")
      setTimeout(() => arrival.peer.destroy(), 30)
    })
    expect(["cut", "INTERNAL_ERROR", "CANCEL", "PROTOCOL_ERROR"]).toContain(await asks(version, path))
  })
})

describe("requests that may be sent again", () => {
  test.each(["GET", "POST"])("REFUSED_STREAM: a %s is, since nothing was done with it", async (method) => {
    const path = target("h2")
    const seen = scripts(path, (arrival) => arrival.reset("REFUSED_STREAM"))
    expect((await ask("2", gateway.port(), { method, path })).body.toString()).toBe("answer")
    expect(seen.length).toBe(2)
  })

  test("REFUSED_STREAM for ever: the client is told, after few attempts", async () => {
    const path = target("h2")
    const refuse: H2Script = (arrival) => arrival.reset("REFUSED_STREAM")
    const seen = scripts(path, ...Array<H2Script>(20).fill(refuse))
    expect((await ask("2", gateway.port(), { path })).status).toBeGreaterThanOrEqual(502)
    expect(seen.length).toBeLessThanOrEqual(4)
  })

  test("GOAWAY below the stream: sent again on another connection, a POST too", async () => {
    for (const method of ["GET", "POST"]) {
      const path = target("h2")
      const seen = scripts(path, (arrival) => arrival.goaway(Math.max(0, arrival.id - 2)))
      expect((await ask("1.1", gateway.port(), { method, path, ...(method === "POST" ? { body: Buffer.alloc(0) } : {}) })).status).toBe(200)
      expect(seen.length).toBe(2)
      expect(seen[1].peer).not.toBe(seen[0].peer)
    }
  })

  test("GOAWAY at or above the stream: it is finished there, and the next goes elsewhere", async () => {
    const path = target("h2")
    const seen = scripts(path, (arrival) => {
      arrival.goaway(arrival.id)
      arrival.head(200)
      setTimeout(() => arrival.data("finished", true), 30)
    })
    const client = await H2Client.connect(gateway.port())
    const id = client.request({ path })
    await client.head(id)
    const next = target("h2")
    expect((await client.ask({ path: next })).text()).toBe("answer")
    expect((await client.response(id)).text()).toBe("finished")
    expect((await h2.arrival(next)).peer).not.toBe(seen[0].peer)
    // A connection that carries nothing any more is left.
    await seen[0].peer.closed()
    client.destroy()
  })

  test("a connection that dies before the response: a GET is sent again once, a POST never", async () => {
    const die: H2Script = (arrival) => arrival.peer.destroy()
    const getPath = target("h2")
    await ask("2", gateway.port(), { path: target("h2") })
    const gets = scripts(getPath, die)
    expect((await ask("2", gateway.port(), { path: getPath })).status).toBe(200)
    expect(gets.length).toBe(2)
    for (const version of ["1.1", "2"] as const) {
      const postPath = target("h2")
      await ask("2", gateway.port(), { path: target("h2") })
      const posts = scripts(postPath, die)
      expect((await ask(version, gateway.port(), { path: postPath, body: Buffer.from("pay") })).status).toBe(502)
      expect(posts.length).toBe(1)
    }
  })

  test("a stream reset by the service before its head: 502, and a POST is not sent again", async () => {
    const path = target("h2")
    const seen = scripts(path, (arrival) => arrival.reset("INTERNAL_ERROR"))
    expect((await ask("2", gateway.port(), { path, body: Buffer.from("pay") })).status).toBe(502)
    expect(seen.length).toBe(1)
  })
})

describe("answers before the request's end", () => {
  test.each(["h1", "h2"] as const)("reach a client of HTTP/2 whole (from %s)", async (service) => {
    const path = target(`${service}/early`)
    if (service === "h2") scripts(path, (arrival) => arrival.reply(200, "early"))
    const client = await H2Client.connect(gateway.port())
    const id = client.request({ method: "POST", path, fields: [["content-length", "1000000"]], end: false })
    client.send(data(id, "beginning"))
    expect((await client.response(id)).text()).toBe("early")
    // No more is needed: the gateway may say so, but not as an error.
    await client.barrier()
    expect([null, "NO_ERROR"]).toContain(client.stream(id).reset)
    expect((await client.ask({ path: target(service) })).text()).toBe("answer")
    client.destroy()
  })

  test("reach a client of HTTP/1.1 whole", async () => {
    const path = target("h2/early")
    scripts(path, (arrival) => {
      arrival.reply(200, "early")
      arrival.reset("NO_ERROR")
    })
    const client = await RawClient.connect(gateway.port())
    client.send(`POST ${path} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000000\r\n\r\nbeginning`)
    expect((await client.readResponse("POST")).text()).toBe("early")
    client.destroy()
  })
})

test("nothing is left behind: no exchange, no client", async () => {
  await until(async () => {
    const metrics = await readMetrics(gateway.adminPort)
    return metrics.sum("sluice_requests_active") === 0 && metrics.sum("sluice_downstream_connections_active") === 0
  }, "no active exchange")
  expect(h2.problems).toEqual([])
})
