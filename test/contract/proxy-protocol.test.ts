// Connections whose clients are told by a PROXY header, from trusted proxies and from others; and headers the gateway sends.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { checksummed, four, SIGNATURE, six, tlv, v2 } from "../support/proxy-headers.ts"
import { RawClient } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"

const V1 = "PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\r\n"
const GET = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n"
const trusted = { trusted: ["127.0.0.1", "10.0.0.0/8"] }
const others = { trusted: ["192.0.2.0/24", "::1"] }

let origin: Origin
let echo: TcpOrigin
let gateway: Gateway

beforeAll(async () => {
  origin = await Origin.start((request, connection) => connection.reply(200, request.header("x-forwarded-for") ?? "none"))
  echo = await TcpOrigin.echo()
  gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [
        { name: "web", address: "127.0.0.1:0", proxyProtocol: trusted },
        { name: "hasty", address: "127.0.0.1:0", proxyProtocol: { ...trusted, timeout: "300ms" } },
        { name: "open-web", address: "127.0.0.1:0", proxyProtocol: others },
        { name: "db", address: "127.0.0.1:0", protocol: "tcp", backends: "echo", proxyProtocol: trusted },
        { name: "open-db", address: "127.0.0.1:0", protocol: "tcp", backends: "echo", proxyProtocol: others },
        { name: "v1", address: "127.0.0.1:0", protocol: "tcp", backends: "told-v1" },
        { name: "v2", address: "127.0.0.1:0", protocol: "tcp", backends: "told-v2" },
        { name: "relay", address: "127.0.0.1:0", protocol: "tcp", backends: "told-v2", proxyProtocol: trusted },
      ],
      services: {
        web: { endpoints: [origin.address] },
        echo: { endpoints: [echo.address] },
        "told-v1": { endpoints: [echo.address], proxyProtocol: "v1" },
        "told-v2": { endpoints: [echo.address], proxyProtocol: "v2" },
      },
      routes: [{ backends: "web" }],
    },
  })
})

afterAll(async () => {
  await gateway?.stop()
  await origin?.stop()
  await echo?.stop()
})

const open = (listener: string): Promise<RawClient> => RawClient.connect(gateway.port(listener))

describe("an http listener behind a proxy", () => {
  test.each([
    ["v1", V1, "192.0.2.7"],
    ["v1 with IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 4242 443\r\n", "2001:db8::7"],
    ["v2", v2(0x11, four), "192.0.2.7"],
    ["v2 with IPv6", v2(0x21, six), "2001:db8::7"],
    ["v2 with TLVs and a checksum", checksummed(tlv(2, "a.example"), tlv(4, "pad")), "192.0.2.7"],
    ["v1 UNKNOWN", "PROXY UNKNOWN\r\n", "127.0.0.1"],
    ["v2 LOCAL", v2(0, Buffer.alloc(0), 0x20), "127.0.0.1"],
  ])("takes the client's address from the header: %s", async (_what, header, address) => {
    const client = await open("web")
    client.send(Buffer.concat([Buffer.from(header as string, "latin1"), Buffer.from(GET)]))
    expect((await client.readResponse()).text()).toBe(address)
    // The next request of the connection is the same client's.
    client.send(GET)
    expect((await client.readResponse()).text()).toBe(address)
    client.destroy()
  })

  test("logs the client", async () => {
    const client = await open("web")
    client.send(`${V1}${GET.replace("/x", "/logged")}`)
    await client.readResponse()
    expect(await gateway.accessLine(({ path }) => path === "/logged", "the request")).toMatchObject({ source: "192.0.2.7:4242" })
    client.destroy()
  })

  test.each([
    ["v1", Buffer.from(V1)],
    ["v2", checksummed(tlv(2, "a.example"))],
  ])("reads a header that comes octet by octet, cut anywhere: %s", async (_what, header) => {
    const whole = Buffer.concat([header, Buffer.from(GET)])
    const client = await open("web")
    await client.sendSegments(
      Array.from(whole, (_, i) => whole.subarray(i, i + 1)),
      0,
    )
    expect((await client.readResponse()).text()).toBe("192.0.2.7")
    client.destroy()
    await Promise.all(
      [1, 5, 6, 12, 13, 16, 20, header.length - 1, header.length, header.length + 3].map(async (cut) => {
        const each = await open("web")
        await each.sendSegments([whole.subarray(0, cut), whole.subarray(cut)])
        expect((await each.readResponse()).text()).toBe("192.0.2.7")
        each.destroy()
      }),
    )
  })

  test.each([
    ["no header", GET, "proxyHeader: no header"],
    ["a broken v1 header", "PROXY TCP4 192.0.2.7\r\n", "proxyHeader: wrong number of fields"],
    ["a v1 header without an end", `PROXY UNKNOWN ${"x".repeat(100)}`, "proxyHeader: header too long"],
    ["a v2 header that is too long", v2(0x11, Buffer.alloc(0), 0x21, 5000), "proxyHeader: header too long"],
    ["a v2 header with a wrong checksum", v2(0x11, Buffer.concat([four, tlv(3, "1234")])), "proxyHeader: wrong checksum"],
  ])("closes a connection that begins with %s", async (_what, octets, flagDetails) => {
    const requests = origin.requests.length
    const client = await open("web")
    const { localPort } = client
    client.send(octets)
    await client.closed()
    expect(client.unread.length).toBe(0)
    expect(
      await gateway.accessLine(({ flag, source }) => flag === "DPE" && source === `127.0.0.1:${localPort}`, "the connection"),
    ).toMatchObject({
      flag: "DPE",
      flagDetails,
      listener: "web",
    })
    expect(origin.requests.length).toBe(requests)
  })

  test("closes a connection whose header does not come, or ends in the middle", async () => {
    const silent = await open("hasty")
    const late = await open("hasty")
    late.send(V1.slice(0, 20))
    const ended = await open("web")
    ended.send(V1.slice(0, 20))
    ended.end()
    const ports = [silent, late, ended].map(({ localPort }) => `127.0.0.1:${localPort}`)
    await Promise.all([silent.closed(), late.closed(), ended.closed()])
    const line = (i: number) => gateway.accessLine((each) => each.source === ports[i] && each.flag !== undefined, "the connection")
    expect(await line(0)).toMatchObject({ flag: "RT", flagDetails: "openingTimeout: PROXY header" })
    expect(await line(1)).toMatchObject({ flag: "RT", flagDetails: "openingTimeout: PROXY header" })
    expect(await line(2)).toMatchObject({ flag: "DPE", flagDetails: "proxyHeader: ended in the header" })
  })

  test("counts what it refuses, and lets go of it", async () => {
    const before = await readMetrics(gateway.adminPort)
    const flags = (metrics: typeof before): number => metrics.sum("sluice_response_flags_total", { route: "-", flag: "DPE" })
    const client = await open("web")
    client.send("nonsense")
    await client.closed()
    await until(async () => flags(await readMetrics(gateway.adminPort)) === flags(before) + 1, "the count")
    await until(
      async () => (await readMetrics(gateway.adminPort)).sum("sluice_downstream_connections_active", { listener: "web" }) === 0,
      "no connection",
    )
  })

  test("takes a header from anybody else for what it is: a bad request", async () => {
    for (const header of [V1, v2(0x11, four)]) {
      const client = await open("open-web")
      client.send(Buffer.concat([Buffer.from(header as string, "latin1"), Buffer.from(GET)]))
      expect((await client.readResponse()).status).toBe(400)
      client.destroy()
    }
    const client = await open("open-web")
    client.send(GET)
    expect((await client.readResponse()).text()).toBe("127.0.0.1")
    client.destroy()
  })

  test("believes only the first of two headers", async () => {
    const client = await open("web")
    client.send(`${V1}PROXY TCP4 203.0.113.9 198.51.100.1 1 2\r\n${GET}`)
    expect((await client.readResponse()).status).toBe(400)
    client.destroy()
  })
})

describe("a tcp listener behind a proxy", () => {
  test("takes the client's address from the header, and passes on what follows it", async () => {
    const client = await open("db")
    const header = v2(0x11, Buffer.concat([four, tlv(2, "DB.example"), tlv(5, "id-7")]))
    client.send(Buffer.concat([header, Buffer.from("hello")]))
    expect((await client.readBytes(5)).toString()).toBe("hello")
    client.end()
    await client.readToEnd()
    expect(await gateway.accessLine(({ requestId }) => requestId === "id-7", "the connection")).toMatchObject({
      source: "192.0.2.7:4242",
      serverName: "db.example",
      receivedBytes: 5,
      sentBytes: 5,
    })
    client.destroy()
  })

  test("connects for a client that says nothing after its header", async () => {
    const before = echo.arrivals.length
    const client = await open("db")
    client.send(V1)
    await until(() => echo.arrivals.length > before, "the connection to the service")
    client.destroy()
  })

  test("passes on an end that comes with the header", async () => {
    const client = await open("db")
    client.send(`${V1}bye`)
    client.end()
    expect((await client.readToEnd()).toString()).toBe("bye")
    client.destroy()
  })

  test("lets another client's header through like any octets", async () => {
    const client = await open("open-db")
    client.send(V1)
    expect((await client.readBytes(V1.length)).toString()).toBe(V1)
    client.destroy()
  })

  test("closes a connection that begins with anything else", async () => {
    const before = echo.arrivals.length
    const client = await open("db")
    client.send(SIGNATURE.subarray(0, 8))
    client.send("xxxx")
    await client.closed()
    expect(echo.arrivals.length).toBe(before)
    const metrics = await readMetrics(gateway.adminPort)
    expect(metrics.sum("sluice_tcp_flags_total", { listener: "db", service: "-", flag: "DPE" })).toBeGreaterThanOrEqual(1)
  })

  test("says nothing of a probe that connects and leaves", async () => {
    const client = await open("db")
    const source = `127.0.0.1:${client.localPort}`
    client.end()
    await client.closed()
    const after = await open("db")
    after.send(Buffer.concat([v2(0x11, Buffer.concat([four, tlv(5, "after")]))]))
    after.end()
    await after.readToEnd()
    await gateway.accessLine(({ requestId }) => requestId === "after", "the connection after it")
    expect(gateway.access.filter((line) => line.listener === "db" && line.source === source)).toEqual([])
  })
})

describe("a service that wants to know its clients", () => {
  test("gets a v1 header before all else", async () => {
    const client = await open("v1")
    const { localPort } = client
    const header = `PROXY TCP4 127.0.0.1 127.0.0.1 ${localPort} ${gateway.port("v1")}\r\n`
    expect((await client.readBytes(header.length)).toString()).toBe(header)
    client.send("then")
    expect((await client.readBytes(4)).toString()).toBe("then")
    client.end()
    await client.readToEnd()
    // The header is the gateway's own, and counts for nobody.
    expect(
      await gateway.accessLine((each) => each.listener === "v1" && each.source === `127.0.0.1:${localPort}`, "the connection"),
    ).toMatchObject({
      receivedBytes: 4,
    })
    client.destroy()
  })

  test("gets a v2 header, also when the client has ended already", async () => {
    const client = await open("v2")
    const ports = Buffer.alloc(4)
    ports.writeUInt16BE(client.localPort, 0)
    ports.writeUInt16BE(gateway.port("v2"), 2)
    client.send("x")
    client.end()
    const header = v2(0x11, Buffer.concat([Buffer.from([127, 0, 0, 1, 127, 0, 0, 1]), ports]))
    expect(await client.readToEnd()).toEqual(Buffer.concat([header, Buffer.from("x")]))
    client.destroy()
  })

  test("is told of the client behind the proxy, and the name it asked for", async () => {
    const client = await open("relay")
    const header = v2(0x21, Buffer.concat([six, tlv(2, "db.example")]))
    client.send(Buffer.concat([header, Buffer.from("x")]))
    expect(await client.readBytes(header.length + 1)).toEqual(Buffer.concat([header, Buffer.from("x")]))
    client.destroy()
  })
})
