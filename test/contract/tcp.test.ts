import { createHash, randomBytes } from "node:crypto"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { sleep, until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics, residentMemory } from "../support/metrics.ts"
import { freePort } from "../support/ports.ts"
import { RawClient } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"

const MIB = 1024 * 1024

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex")
}

describe("a tcp listener", () => {
  let echo: TcpOrigin
  let silent: TcpOrigin
  let gateway: Gateway

  beforeAll(async () => {
    echo = await TcpOrigin.echo()
    silent = await TcpOrigin.start(({ socket }) => {
      socket.on("data", () => {})
      socket.on("end", () => socket.end())
    })
    const dead = await freePort()
    gateway = await Gateway.start({
      config: {
        admin: { address: "127.0.0.1:0" },
        workers: 1,
        accessLog: "all",
        listeners: [
          { name: "echo", address: "127.0.0.1:0", protocol: "tcp", backends: "echo" },
          { name: "silent", address: "127.0.0.1:0", protocol: "tcp", backends: "silent" },
          { name: "idle", address: "127.0.0.1:0", protocol: "tcp", backends: "silent", timeouts: { idle: "300ms" } },
          { name: "few", address: "127.0.0.1:0", protocol: "tcp", backends: "echo", limits: { connections: 2 } },
          { name: "narrow", address: "127.0.0.1:0", protocol: "tcp", backends: "narrow" },
          { name: "dead", address: "127.0.0.1:0", protocol: "tcp", backends: "dead" },
          { name: "half-dead", address: "127.0.0.1:0", protocol: "tcp", backends: "half-dead" },
          { name: "empty", address: "127.0.0.1:0", protocol: "tcp", backends: "empty" },
          { name: "missing", address: "127.0.0.1:0", protocol: "tcp", backends: "missing" },
          {
            name: "split",
            address: "127.0.0.1:0",
            protocol: "tcp",
            backends: [
              { service: "echo", weight: 0 },
              { service: "silent", weight: 3 },
            ],
          },
        ],
        services: {
          echo: { endpoints: [echo.address] },
          silent: { endpoints: [silent.address] },
          narrow: { endpoints: [echo.address, `localhost:${echo.port}`], pool: { maxConnections: 1 } },
          dead: { endpoints: [`127.0.0.1:${dead}`] },
          "half-dead": { endpoints: [`127.0.0.1:${dead}`, echo.address], loadBalancing: "roundRobin" },
          empty: { endpoints: [] },
        },
      },
    })
  })

  afterAll(async () => {
    await gateway?.stop()
    await echo?.stop()
    await silent?.stop()
  })

  const open = (listener: string): Promise<RawClient> => RawClient.connect(gateway.port(listener))
  const flagged = (listener: string) => (line: { [key: string]: unknown }) => line.listener === listener

  test("carries octets both ways and both ends, one after the other", async () => {
    const client = await open("echo")
    const { localPort } = client
    client.send("one ")
    expect((await client.readBytes(4)).toString()).toBe("one ")
    client.send("two")
    client.end()
    expect((await client.readToEnd()).toString()).toBe("two")
    expect(client.ending).toBe("end")
    const line = await gateway.accessLine(flagged("echo"), "the connection")
    expect(line).toMatchObject({
      protocol: "TCP",
      receivedBytes: 7,
      sentBytes: 7,
      service: "echo",
      upstream: echo.address,
      source: `127.0.0.1:${localPort}`,
    })
    expect(line.flag).toBeUndefined()
    expect(line.status).toBeUndefined()
    client.destroy()
  })

  test("lets the service speak first and end first, while the client goes on sending", async () => {
    const talker = await TcpOrigin.start(({ socket }) => {
      socket.end("hello")
      socket.on("data", () => {})
    })
    const gate = await Gateway.start({
      config: {
        admin: false,
        workers: 1,
        listeners: [{ name: "talk", address: "127.0.0.1:0", protocol: "tcp", backends: "talk" }],
        services: { talk: { endpoints: [talker.address] } },
      },
    })
    try {
      const client = await RawClient.connect(gate.port("talk"))
      expect((await client.readToEnd()).toString()).toBe("hello")
      client.send("still here")
      const [arrival] = talker.arrivals
      await until(() => arrival.received().toString() === "still here", "octets after the service's end")
      expect(arrival.ending()).toBeNull()
      client.end()
      await until(() => arrival.ending() === "end", "the client's end")
      client.destroy()
    } finally {
      await gate.stop()
      await talker.stop()
    }
  })

  test("carries large amounts both ways at once, unchanged", async () => {
    const client = await open("echo")
    const sent = randomBytes(24 * MIB)
    client.send(sent)
    client.end()
    const received = await client.readToEnd(30_000)
    expect(received.length).toBe(sent.length)
    expect(digest(received)).toBe(digest(sent))
    client.destroy()
  })

  test("holds little for a client that reads nothing", async () => {
    const size = 64 * MIB
    const block = Buffer.alloc(MIB, "x")
    let written = 0
    const flood = await TcpOrigin.start(({ socket }) => {
      const go = (): void => {
        while (written < size) {
          written += block.length
          if (!socket.write(block)) return
        }
        socket.end()
      }
      socket.on("drain", go)
      socket.on("data", () => {})
      go()
    })
    const gate = await Gateway.start({
      config: {
        admin: false,
        workers: 1,
        listeners: [{ name: "flood", address: "127.0.0.1:0", protocol: "tcp", backends: "flood" }],
        services: { flood: { endpoints: [flood.address] } },
      },
    })
    try {
      const before = await residentMemory(gate.pid)
      const clients = await Promise.all(
        Array.from({ length: 4 }, async () => {
          const client = await RawClient.connect(gate.port("flood"))
          client.pause()
          return client
        }),
      )
      let last = -1
      await until(async () => {
        const same = written === last
        last = written
        if (!same) await sleep(300)
        return same && written > 0
      }, "standstill of the service")
      expect((await residentMemory(gate.pid)) - before).toBeLessThan(24 * MIB)
      for (const client of clients) client.destroy()
    } finally {
      await gate.kill()
      await flood.stop()
    }
  })

  test("passes a client's reset on", async () => {
    const client = await open("silent")
    client.send("x")
    const arrival = await until(() => silent.arrivals.at(-1)?.received().toString() === "x" && silent.arrivals.at(-1), "the connection")
    client.reset()
    await until(() => arrival !== undefined && arrival.ending() === "reset", "the reset at the service")
    expect(await gateway.accessLine(flagged("silent"), "the connection")).toMatchObject({ flag: "DC", receivedBytes: 1, sentBytes: 0 })
  })

  test("passes a service's reset on", async () => {
    const rude = await TcpOrigin.start(({ socket }) => {
      socket.on("data", () => socket.resetAndDestroy())
    })
    const gate = await Gateway.start({
      config: {
        admin: false,
        workers: 1,
        listeners: [{ name: "rude", address: "127.0.0.1:0", protocol: "tcp", backends: "rude" }],
        services: { rude: { endpoints: [rude.address] } },
      },
    })
    try {
      const client = await RawClient.connect(gate.port("rude"))
      client.send("x")
      expect(await client.closed()).toBe("reset")
      expect(await gate.accessLine(flagged("rude"), "the connection")).toMatchObject({ flag: "UC", service: "rude" })
    } finally {
      await gate.stop()
      await rude.stop()
    }
  })

  test("goes on with another endpoint when a connect fails", async () => {
    for (let i = 0; i < 4; i++) {
      const client = await open("half-dead")
      client.send("ping")
      expect((await client.readBytes(4)).toString()).toBe("ping")
      client.destroy()
    }
  })

  test.each([
    ["dead", "UF"],
    ["empty", "UH"],
    ["missing", "NC"],
  ])("closes the connection when its service is %s", async (listener, flag) => {
    const client = await open(listener)
    client.send("x")
    expect((await client.readToEnd()).toString()).toBe("")
    expect(await gateway.accessLine(flagged(listener), "the connection")).toMatchObject({ flag, sentBytes: 0 })
    client.destroy()
  })

  test("shares connections out by weight", async () => {
    const before = silent.arrivals.length
    const clients = await Promise.all([open("split"), open("split"), open("split")])
    await until(() => silent.arrivals.length >= before + 3, "three connections")
    for (const client of clients) client.destroy()
  })

  test("closes a connection on which nothing moves", async () => {
    const client = await open("idle")
    client.send("x")
    expect((await client.readToEnd()).toString()).toBe("")
    expect(await gateway.accessLine(flagged("idle"), "the connection")).toMatchObject({ flag: "SI", receivedBytes: 1 })
    client.destroy()
  })

  test("closes connections over its limit at once", async () => {
    const clients = [await open("few"), await open("few")]
    for (const client of clients) {
      client.send("a")
      await client.readBytes(1)
    }
    const refused = await open("few")
    expect((await refused.closed()) !== null).toBe(true)
    clients[0].destroy()
    await until(
      async () => (await readMetrics(gateway.adminPort)).sum("sluice_downstream_connections_active", { listener: "few" }) === 1,
      "room",
    )
    const third = await open("few")
    third.send("b")
    expect((await third.readBytes(1)).toString()).toBe("b")
    for (const client of [...clients, third]) client.destroy()
  })

  test("closes connections for which its service has no room, and uses room wherever it is", async () => {
    const clients = [await open("narrow"), await open("narrow")]
    for (const client of clients) {
      client.send("a")
      await client.readBytes(1)
    }
    const over = await open("narrow")
    const { localPort } = over
    expect((await over.readToEnd()).length).toBe(0)
    expect(
      await gateway.accessLine(({ listener, source }) => listener === "narrow" && source === `127.0.0.1:${localPort}`, "the connection"),
    ).toMatchObject({
      flag: "UO",
      flagDetails: "connections",
      service: "narrow",
    })
    over.destroy()
    expect((await readMetrics(gateway.adminPort)).sum("sluice_upstream_overflows_total", { service: "narrow" })).toBe(1)
    const lines = gateway.access.length
    clients[1].destroy()
    await until(() => gateway.access.slice(lines).some(({ listener, flag }) => listener === "narrow" && flag !== "UO"), "room")
    const next = await open("narrow")
    next.send("b")
    expect((await next.readBytes(1)).toString()).toBe("b")
    for (const client of [clients[0], next]) client.destroy()
  })

  test("counts", async () => {
    const before = await readMetrics(gateway.adminPort)
    const client = await open("echo")
    client.send("12345")
    await client.readBytes(5)
    const during = await readMetrics(gateway.adminPort)
    expect(during.sum("sluice_downstream_connections_active", { listener: "echo" })).toBe(1)
    expect(during.sum("sluice_upstream_connections_active", { service: "echo" })).toBeGreaterThanOrEqual(1)
    const labels = { listener: "echo", service: "echo" }
    for (const name of ["sluice_tcp_received_bytes_total", "sluice_tcp_sent_bytes_total"]) {
      expect(during.sum(name, labels) - before.sum(name, labels)).toBe(5)
    }
    client.end()
    await client.readToEnd()
    client.destroy()
    await until(
      async () =>
        (await readMetrics(gateway.adminPort)).sum("sluice_tcp_connections_total", labels) >
        before.sum("sluice_tcp_connections_total", labels),
      "the count of the connection",
    )
    const after = await readMetrics(gateway.adminPort)
    expect(after.sum("sluice_downstream_connections_active", { listener: "echo" })).toBe(0)
    expect(after.sum("sluice_tcp_flags_total", { listener: "idle", flag: "SI" })).toBe(1)
  })
})

describe("connections of a tcp listener", () => {
  const config = (services: object, listeners: object[], timeout = "30s"): object => ({
    admin: false,
    workers: 1,
    accessLog: "all",
    drain: { timeout },
    listeners,
    services,
  })

  test("stay with their service when a reload sends new ones elsewhere", async () => {
    const [one, two] = await Promise.all([TcpOrigin.echo("one "), TcpOrigin.echo("two ")])
    const port = await freePort()
    const services = { one: { endpoints: [one.address] }, two: { endpoints: [two.address] } }
    const listener = { name: "db", address: `127.0.0.1:${port}`, protocol: "tcp" }
    const gateway = await Gateway.start({ config: config(services, [{ ...listener, backends: "one" }]) })
    try {
      const before = await RawClient.connect(port)
      await before.readThrough("one ")
      gateway.writeConfig(config(services, [{ ...listener, backends: "two" }]))
      await gateway.waitForLog((line) => line.message === "configuration taken", "the reload")
      const after = await RawClient.connect(port)
      await after.readThrough("two ")
      before.send("still there")
      expect((await before.readBytes(11)).toString()).toBe("still there")
      before.destroy()
      after.destroy()
    } finally {
      await gateway.stop()
      await one.stop()
      await two.stop()
    }
  })

  test("outlive their listener until the drain time-out", async () => {
    const echo = await TcpOrigin.echo()
    const [port, other] = [await freePort(), await freePort()]
    const services = { echo: { endpoints: [echo.address] } }
    const listener = { name: "db", protocol: "tcp", backends: "echo" }
    const gateway = await Gateway.start({ config: config(services, [{ ...listener, address: `127.0.0.1:${port}` }], "700ms") })
    try {
      const client = await RawClient.connect(port)
      client.send("a")
      await client.readBytes(1)
      gateway.writeConfig(config(services, [{ ...listener, address: `127.0.0.1:${other}` }], "700ms"))
      await gateway.waitForLog((line) => line.message === "configuration taken", "the reload")
      client.send("b")
      expect((await client.readBytes(1)).toString()).toBe("b")
      await expect(RawClient.connect(port)).rejects.toThrow()
      await client.closed()
      expect(await gateway.accessLine((line) => line.flag === "DT", "the cut")).toMatchObject({ receivedBytes: 2 })
      // Without any time to drain it is cut off at once.
      const next = await RawClient.connect(other)
      next.send("c")
      await next.readBytes(1)
      gateway.writeConfig(config(services, [{ ...listener, address: `127.0.0.1:${port}` }], "0s"))
      await next.closed()
    } finally {
      await gateway.stop()
      await echo.stop()
    }
  })

  test("hold up a shutdown until they end", async () => {
    const echo = await TcpOrigin.echo()
    const gateway = await Gateway.start({
      config: config({ echo: { endpoints: [echo.address] } }, [{ name: "db", address: "127.0.0.1:0", protocol: "tcp", backends: "echo" }]),
    })
    try {
      const client = await RawClient.connect(gateway.port("db"))
      client.send("a")
      await client.readBytes(1)
      gateway.signal("SIGTERM")
      await gateway.waitForLog((line) => line.message === "draining", "the drain")
      client.send("b")
      expect((await client.readBytes(1)).toString()).toBe("b")
      client.end()
      expect((await gateway.exited()).code).toBe(0)
      client.destroy()
    } finally {
      await gateway.kill()
      await echo.stop()
    }
  })

  test("are cut off when a shutdown has waited long enough", async () => {
    const echo = await TcpOrigin.echo()
    const gateway = await Gateway.start({
      config: config(
        { echo: { endpoints: [echo.address] } },
        [{ name: "db", address: "127.0.0.1:0", protocol: "tcp", backends: "echo" }],
        "300ms",
      ),
    })
    try {
      const client = await RawClient.connect(gateway.port("db"))
      client.send("a")
      await client.readBytes(1)
      gateway.signal("SIGTERM")
      await client.closed()
      expect((await gateway.exited()).code).toBe(1)
    } finally {
      await gateway.kill()
      await echo.stop()
    }
  })
})
