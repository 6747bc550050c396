// What is seen of connections that are carried as they are, and of exchanges that last, while they live and at their end. The last test
// ends the gateway.

import { createServer } from "node:http2"
import type { AddressInfo } from "node:net"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Authority } from "../support/certs.ts"
import { helloMessage, records, serverNames } from "../support/client-hello.ts"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { H2Client } from "../support/h2-client.ts"
import { type Metrics, readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { OtlpReceiver } from "../support/otlp-receiver.ts"
import { freePort } from "../support/ports.ts"
import { get, RawClient } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"
import { secure } from "../support/tls-client.ts"

const authority = new Authority("authority")
const clients = new Authority("clients")
const ALICE = "spiffe://example.org/ns/shop/sa/alice"
const alice = clients.issue({ commonName: "alice", uris: [ALICE] })
const shop = authority.issue({ names: ["shop.test"] })
const UPGRADE = "GET /socket?token=secret HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"

let receiver: OtlpReceiver
let echo: TcpOrigin
let sockets: Origin
let grpc: ReturnType<typeof createServer>
let dead: number
let gateway: Gateway

function config(db: number): object {
  const tcp = { address: "127.0.0.1:0", protocol: "tcp" }
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    accessLog: { when: "all", openEvery: "1s" },
    drain: { timeout: "1s" },
    tracing: { otlp: receiver.url, sampling: "100%" },
    listeners: [
      { name: "edge", address: "127.0.0.1:0" },
      { ...tcp, name: "db", address: `127.0.0.1:${db}`, backends: "half-dead" },
      { ...tcp, name: "dead", backends: "dead" },
      { ...tcp, name: "untraced", backends: "echo", tracing: false },
      { ...tcp, name: "passed", protocol: "tls", serverNames: [{ hosts: "db.test", backends: "echo" }] },
      {
        ...tcp,
        name: "mutual",
        protocol: "tls",
        backends: "echo",
        tls: { certificates: [{ cert: "shop.pem", key: "shop.key" }], clientCa: "clients.pem" },
      },
    ],
    services: {
      echo: { endpoints: [echo.address] },
      dead: { endpoints: [`127.0.0.1:${dead}`] },
      "half-dead": {
        endpoints: [
          { address: `127.0.0.1:${dead}`, priority: 0 },
          { address: echo.address, priority: 1 },
        ],
        outlierDetection: false,
      },
      sockets: { endpoints: [sockets.address] },
      grpc: { endpoints: [`127.0.0.1:${(grpc.address() as AddressInfo).port}`], protocol: "h2" },
    },
    routes: [
      { name: "sockets", match: { path: "/socket" }, backends: "sockets" },
      { name: "calls", match: { path: "/shop.Watch" }, backends: "grpc" },
    ],
  }
}

beforeAll(async () => {
  receiver = await OtlpReceiver.start()
  echo = await TcpOrigin.echo()
  sockets = await Origin.start(
    (_, connection) => connection.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
    { onTunnel: (data, connection) => connection.write(data) },
  )
  grpc = createServer((_, response) => {
    response.writeHead(200, { "content-type": "application/grpc" })
    response.write("\0\0\0\0\x05hello")
  })
  await new Promise<void>((resolve) => grpc.listen(0, "127.0.0.1", resolve))
  dead = await freePort()
  gateway = await Gateway.start({
    files: { "shop.pem": shop.cert, "shop.key": shop.key, "clients.pem": clients.cert },
    config: config(await freePort()),
  })
})

afterAll(async () => {
  await gateway?.kill()
  await receiver?.stop()
  await echo?.stop()
  await sockets?.stop()
  grpc?.close()
})

interface Carried {
  readonly method: string
  readonly path: string
  readonly route: string
  readonly service: string
  readonly endpoint: string
  readonly status: number
  readonly received: number
  readonly sent: number
}

/** What connections of a listener carry. */
async function carried(listener: string): Promise<Carried[]> {
  const { connections } = JSON.parse((await get(gateway.adminPort, "/connections")).text()) as {
    connections: { listener: string; carries: Carried[] }[]
  }
  return connections.filter((each) => each.listener === listener).flatMap(({ carries }) => carries)
}

/** Waits for a sum to have grown by so much. */
async function grown(before: Metrics, name: string, labels: Readonly<Record<string, string>>, by: number): Promise<void> {
  await until(async () => (await readMetrics(gateway.adminPort)).sum(name, labels) - before.sum(name, labels) === by, `${name} +${by}`)
}

const call = { method: "POST", path: "/shop.Watch/All", fields: [["content-type", "application/grpc"]] as [string, string][], end: false }

describe("a connection that is carried as it is", () => {
  /** Sends `bytes`, waits for so many, and gives the port it came from. */
  async function carry(listener: string, bytes: Buffer, answer = bytes.length): Promise<number> {
    const client = await RawClient.connect(gateway.port(listener))
    const { localPort } = client
    client.send(bytes)
    await client.readBytes(answer).catch(() => {})
    client.end()
    await client.readToEnd()
    client.destroy()
    return localPort
  }
  const traceFrom = (port: number) => receiver.trace(({ attributes }) => attributes["network.peer.port"] === port, "the connection")

  test("is a trace: one span of it, and one of every attempt, unless its listener says no", async () => {
    await carry("untraced", Buffer.from("x"))
    const hello = records(helloMessage({ extensions: [[0, serverNames("db.test")]] }))
    const [named, lost, carried] = [
      await carry("passed", hello),
      await carry("dead", Buffer.from("x"), 0),
      await carry("db", Buffer.from("hello")),
    ]
    const [server, failed, came] = await traceFrom(carried)
    expect(server).toMatchObject({ name: "TCP db", parentId: "", status: "unset", links: [] })
    expect(server.attributes).toMatchObject({
      "network.transport": "tcp",
      "network.peer.address": "127.0.0.1",
      "client.address": "127.0.0.1",
      "server.port": gateway.port("db"),
      "sluice.listener": "db",
      "sluice.service": "half-dead",
      "sluice.attempts": 2,
      "sluice.received_bytes": 5,
      "sluice.sent_bytes": 5,
    })
    expect(server.attributes).not.toHaveProperty("error.type")
    expect(failed).toMatchObject({ name: "TCP half-dead", kind: "client", status: "error" })
    expect(failed.attributes).toMatchObject({ "server.port": dead, "error.type": "connectFailure", "sluice.attempt.outcome": "failed" })
    expect(failed.attributes).not.toHaveProperty("sluice.sent_bytes")
    expect(came).toMatchObject({ kind: "client", status: "unset", events: ["sluice.connected"] })
    expect(came.attributes).toMatchObject({ "network.peer.port": echo.port, "sluice.attempt.outcome": "connected", "sluice.sent_bytes": 5 })
    expect(came.end <= server.end && came.end - came.start > 0n).toBe(true)

    const [unreached, attempt] = await traceFrom(lost)
    expect(unreached).toMatchObject({ status: "error", attributes: { "error.type": "UF", "sluice.response_flag": "UF" } })
    expect(attempt.attributes).toMatchObject({ "error.type": "connectFailure" })
    const [passed] = await traceFrom(named)
    expect(passed.attributes).toMatchObject({ "server.address": "db.test", "sluice.received_bytes": hello.length })
    expect(receiver.spans.filter(({ attributes }) => attributes["sluice.listener"] === "untraced")).toEqual([])
  })

  test("counts for the identity of its client, while it lives and at its end", async () => {
    const before = await readMetrics(gateway.adminPort)
    const labels = { source: ALICE, service: "echo" }
    const { client } = await secure(gateway.port("mutual"), { servername: "shop.test", cert: alice.cert, key: alice.key })
    client.send("hello")
    await client.readBytes(5)
    await grown(before, "sluice_identity_tcp_received_bytes_total", labels, 5)
    await grown(before, "sluice_identity_tcp_sent_bytes_total", labels, 5)
    expect((await readMetrics(gateway.adminPort)).sum("sluice_identity_tcp_connections_total", labels)).toBe(
      before.sum("sluice_identity_tcp_connections_total", labels),
    )
    client.end()
    await client.readToEnd()
    client.destroy()
    await grown(before, "sluice_identity_tcp_connections_total", labels, 1)
    await grown(before, "sluice_identity_tcp_sent_bytes_total", labels, 5)
  })
})

describe("what lasts", () => {
  test("is seen while it does: in metrics, and in the list of connections", async () => {
    const before = await readMetrics(gateway.adminPort)
    const socket = await RawClient.connect(gateway.port("edge"))
    socket.send(UPGRADE)
    await socket.readHead()
    socket.send("12345")
    await socket.readBytes(5)
    const h2 = await H2Client.connect(gateway.port("edge"))
    const stream = h2.request(call)
    await h2.until(() => h2.stream(stream).length === 10, "the first message")
    await grown(before, "sluice_request_body_bytes_total", { route: "sockets" }, 5)
    await grown(before, "sluice_response_body_bytes_total", { route: "sockets" }, 5)
    await grown(before, "sluice_response_body_bytes_total", { route: "calls" }, 10)
    const during = await readMetrics(gateway.adminPort)
    expect(during.sum("sluice_requests_active", { listener: "edge" })).toBe(2)
    expect(during.sum("sluice_upstream_limit_used", { service: "sockets", limit: "requests" })).toBe(1)
    expect(during.sum("sluice_upstream_limit_used", { service: "grpc", limit: "requests" })).toBe(1)
    const [first, second] = await carried("edge")
    expect(first).toMatchObject({ method: "GET", path: "/socket", route: "sockets", endpoint: sockets.address, status: 101, received: 5 })
    expect(second).toMatchObject({ method: "POST", path: "/shop.Watch/All", service: "grpc", status: 200, sent: 10 })
    const open = (route: string) => gateway.accessLine((line) => line.route === route && line.open === true, `${route}, while it lasts`)
    expect(await open("sockets")).toMatchObject({ status: 101, requestBytes: 5, responseBytes: 5 })
    expect(await open("calls")).toMatchObject({ status: 200, responseBytes: 10 })
    h2.destroy()
    socket.destroy()
    const line = await gateway.accessLine(({ route, flag }) => route === "calls" && flag === "DC", "the call")
    expect(line).toMatchObject({ status: 200, responseBytes: 10 })
    expect(line.open).toBeUndefined()
    await grown(before, "sluice_response_body_bytes_total", { route: "sockets" }, 5)
    await grown(before, "sluice_requests_active", { listener: "edge" }, 0)
  })

  test("is told of to its end, also when the gateway waits no longer for it", async () => {
    const tcp = await RawClient.connect(gateway.port("db"))
    tcp.send("hello")
    await tcp.readBytes(5)
    const socket = await RawClient.connect(gateway.port("edge"))
    socket.send(UPGRADE)
    await socket.readHead()
    socket.send("123")
    await socket.readBytes(3)
    const h2 = await H2Client.connect(gateway.port("edge"))
    const stream = h2.request(call)
    await h2.until(() => h2.stream(stream).length === 10, "the first message")
    const open = await gateway.accessLine((line) => line.listener === "db" && line.open === true, "the connection")
    expect(open).toMatchObject({ protocol: "TCP", receivedBytes: 5 })
    const lines = gateway.access.length
    // Its listener goes before the gateway does.
    const port = await freePort()
    const from = gateway.log.length
    gateway.writeConfig(config(port))
    await gateway.waitForLog(({ message }) => message === "configuration taken", "the reload", undefined, from)
    expect(await carried("db")).toMatchObject([{ service: "half-dead", endpoint: echo.address, received: 5, sent: 5 }])
    gateway.signal("SIGTERM")
    // A call learns why.
    expect((await h2.response(stream)).trailers).toContainEqual(["grpc-status", "14"])
    expect((await gateway.exited()).code).toBe(1)
    expect(await socket.closed()).not.toBeNull()
    const cut = gateway.access.slice(lines).filter(({ flag }) => flag === "DT")
    expect(cut.map(({ listener, protocol }) => `${listener} ${protocol}`).sort()).toEqual(["db TCP", "edge HTTP/1.1", "edge HTTP/2"])
    expect(cut.find(({ protocol }) => protocol === "HTTP/1.1")).toMatchObject({ status: 101, requestBytes: 3, responseBytes: 3 })
    expect(receiver.spans.filter(({ attributes }) => attributes["sluice.response_flag"] === "DT")).toHaveLength(3)
    for (const client of [tcp, socket, h2]) client.destroy()
  })
})
