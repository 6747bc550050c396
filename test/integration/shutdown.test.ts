import { fileURLToPath } from "node:url"
import { afterEach, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway, runtimeCommand } from "../support/gateway.ts"
import { H2Client } from "../support/h2-client.ts"
import { Origin, type OriginConnection } from "../support/origin.ts"
import { get, RawClient } from "../support/raw-client.ts"

let origin: Origin | null = null
let gateway: Gateway | null = null

afterEach(async () => {
  await gateway?.kill()
  await origin?.stop()
  gateway = null
  origin = null
})

/** A gateway before an origin that answers only what the test answers. `all`: it has listeners of every kind, and can lose a worker. */
async function start(drain: object = {}, all: boolean = false): Promise<{ gateway: Gateway; held: OriginConnection[] }> {
  const held: OriginConnection[] = []
  origin = await Origin.start((request, connection) => {
    if (request.target === "/quick") connection.reply(200, "quick")
    else held.push(connection)
  })
  const { command, args } = runtimeCommand(fileURLToPath(new URL("../support/killable-main.ts", import.meta.url)))
  gateway = await Gateway.start({
    ...(all ? { command: [command, ...args] } : {}),
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 2,
      drain,
      listeners: [
        { name: "http", address: "127.0.0.1:0" },
        ...(all ? ["tcp", "auto"].map((protocol) => ({ name: protocol, address: "127.0.0.1:0", protocol, backends: "origin" })) : []),
      ],
      services: { origin: { endpoints: [origin.address] } },
      routes: [{ backends: "origin" }],
    },
  })
  return { gateway, held }
}

async function ask(port: number, path: string): Promise<RawClient> {
  const client = await RawClient.connect(port)
  client.send(`GET ${path} HTTP/1.1\r\nhost: a\r\n\r\n`)
  return client
}

const refuses = (port: number): Promise<boolean> =>
  RawClient.connect(port).then(
    async (client) => {
      // Accepted by a kernel that had not heard of the end yet: closed without a word.
      const ending = await client.closed().catch(() => null)
      client.destroy()
      return ending !== null && client.unread.length === 0
    },
    () => true,
  )

describe("shutdown", () => {
  test("SIGTERM: running exchanges end, idle connections are closed, new ones refused; exit code 0", async () => {
    const { gateway, held } = await start()
    const port = gateway.port()
    const idle = await ask(port, "/quick")
    await idle.readResponse()
    const waiting = await ask(port, "/slow")
    await until(() => held.length === 1, "the first request at the origin")
    const streaming = await ask(port, "/stream")
    await until(() => held.length === 2, "the second request at the origin")
    const [slow, stream] = held
    stream.write("HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf")
    await streaming.readHead()

    gateway.signal("SIGTERM")
    await gateway.waitForLog(({ message }) => message === "draining", "draining")
    const ready = await get(gateway.adminPort, "/ready")
    expect([ready.status, JSON.parse(ready.text()).ready]).toEqual([503, false])
    expect(await idle.closed()).toBe("end")
    await until(() => refuses(port), "the end of accepting")
    slow.reply(200, "slow but done")
    const response = await waiting.readResponse()
    expect([response.text(), response.header("connection")]).toEqual(["slow but done", "close"])
    stream.write("half")
    expect((await streaming.readBytes(8)).toString()).toBe("halfhalf")
    expect(await gateway.exited()).toEqual({ code: 0, signal: null })
    expect(gateway.log.at(-1)?.message).toBe("stopped")
    for (const client of [idle, waiting, streaming]) client.destroy()
  })

  test("a connection whose client sends once more while draining is served and told to close", async () => {
    const { gateway, held } = await start()
    const keeps = await ask(gateway.port(), "/slow")
    const client = await ask(gateway.port(), "/quick")
    await client.readResponse()
    await until(() => held.length === 1, "a request at the origin")
    gateway.signal("SIGTERM")
    // Until its worker has heard of it, the connection is as good as ever.
    const last = await until(async () => {
      client.send("GET /quick HTTP/1.1\r\nhost: a\r\n\r\n")
      const response = await client.readResponse()
      expect(response.text()).toBe("quick")
      return response.header("connection") === "close"
    }, "the last response")
    expect(last).toBe(true)
    expect(await client.closed()).toBe("end")
    held[0].reply(200, "done")
    await keeps.readResponse()
    expect((await gateway.exited()).code).toBe(0)
    for (const each of [keeps, client]) each.destroy()
  })

  test("what isn't finished when the drain time is over is cut off; exit code 1", async () => {
    const { gateway, held } = await start({ timeout: "200ms" })
    const client = await ask(gateway.port(), "/slow")
    await until(() => held.length === 1, "a request at the origin")
    gateway.signal("SIGTERM")
    await client.closed()
    expect((await client.readToEnd()).length).toBe(0)
    expect((await gateway.exited()).code).toBe(1)
    client.destroy()
  })

  test("in the delay of a drain all is served, clients are told to go elsewhere, and /ready says no; a second signal ends it", async () => {
    const { gateway, held } = await start({ delay: "1h" }, true)
    const port = gateway.port("http")
    const waiting = await ask(port, "/slow")
    await until(() => held.length === 1, "the request at the origin")
    const idle = await ask(port, "/quick")
    expect((await idle.readResponse()).header("connection")).toBe(null)
    const session = await RawClient.connect(gateway.port("tcp"))
    const streams = await H2Client.connect(port)
    await streams.barrier()
    expect(JSON.parse((await get(gateway.adminPort, "/ready")).text())).toMatchObject({ ready: true, draining: false })

    gateway.signal("SIGTERM")
    await gateway.waitForLog(({ message }) => message === "draining", "draining")
    const ready = await get(gateway.adminPort, "/ready")
    expect([ready.status, JSON.parse(ready.text())]).toMatchObject([503, { ready: false, draining: true, reasons: ["shutting down"] }])
    // Both workers have heard of it when its connections of HTTP/2 have, or soon.
    await streams.until(() => streams.goaway !== null, "GOAWAY")
    const told = async (listener: string): Promise<boolean> => {
      const client = await ask(gateway.port(listener), "/quick")
      const response = await client.readResponse()
      client.destroy()
      expect(response.text()).toBe("quick")
      return response.header("connection") === "close"
    }
    let inARow = 0
    await until(async () => {
      inARow = (await told("http")) && (await told("auto")) ? inARow + 1 : 0
      return inARow > 8
    }, "new connections that are told")
    idle.send("GET /quick HTTP/1.1\r\nhost: a\r\n\r\n")
    const last = await idle.readResponse()
    expect([last.text(), last.header("connection")]).toEqual(["quick", "close"])
    expect(await idle.closed()).toBe("end")
    // New connections of HTTP/2 are not told before the delay is over.
    const more = await H2Client.connect(port)
    expect((await more.response(more.request({ path: "/quick" }))).text()).toBe("quick")
    expect(more.goaway).toBe(null)
    for (const carried of [session, await RawClient.connect(gateway.port("tcp"))]) {
      carried.send("GET /quick HTTP/1.1\r\nhost: a\r\n\r\n")
      expect((await carried.readResponse()).text()).toBe("quick")
      carried.destroy()
    }
    held[0].reply(200, "slow but done")
    const response = await waiting.readResponse()
    expect([response.text(), response.header("connection")]).toEqual(["slow but done", "close"])
    // A worker that takes another's place tells its clients, too.
    const from = gateway.log.length
    gateway.signal("SIGUSR2")
    await gateway.waitForLog(({ message }) => message === "worker replaced", "the replacement", undefined, from)
    for (let i = 0; i < 8; i++) expect(await told("http")).toBe(true)
    gateway.signal("SIGTERM")
    expect((await gateway.exited(5000)).code).toBe(143)
    for (const each of [waiting, idle, streams, more]) each.destroy()
  })

  test("after the delay no connection is accepted, and what runs finishes; exit code 0", async () => {
    const { gateway, held } = await start({ delay: "100ms" })
    const waiting = await ask(gateway.port(), "/slow")
    await until(() => held.length === 1, "the request at the origin")
    gateway.signal("SIGTERM")
    await gateway.waitForLog(({ message }) => message === "closing listeners", "the end of the delay")
    await until(() => refuses(gateway.port()), "the end of accepting")
    held[0].reply(200, "slow but done")
    const response = await waiting.readResponse()
    expect([response.text(), response.header("connection")]).toEqual(["slow but done", "close"])
    expect((await gateway.exited()).code).toBe(0)
    waiting.destroy()
  })

  test("a second signal ends it at once", async () => {
    const { gateway, held } = await start()
    const client = await ask(gateway.port(), "/slow")
    await until(() => held.length === 1, "a request at the origin")
    gateway.signal("SIGTERM")
    await gateway.waitForLog(({ message }) => message === "draining", "draining")
    gateway.signal("SIGTERM")
    expect((await gateway.exited(5000)).code).toBe(143)
    client.destroy()
  })

  test("SIGINT does the same; an idle gateway ends at once", async () => {
    const { gateway } = await start()
    const started = performance.now()
    gateway.signal("SIGINT")
    expect((await gateway.exited()).code).toBe(0)
    expect(performance.now() - started).toBeLessThan(5000)
  })
})
