// TLS connections carried to a service by the name their clients ask for. TLS itself is between client and service.

import { connect as connectTls, createServer, type Server, type TLSSocket } from "node:tls"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Authority } from "../support/certs.ts"
import { helloMessage, records } from "../support/client-hello.ts"
import { within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { listen } from "../support/ports.ts"
import { RawClient } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"

const authority = new Authority()

/** A service with a certificate of its own, which says its name and sends back what it gets. */
class SecureOrigin {
  readonly server: Server
  port = 0

  private constructor(name: string) {
    const { cert, key } = authority.issue({ names: [name, `*.${name}`] })
    this.server = createServer({ cert, key }, (socket) => {
      socket.write(`${name}\n`)
      socket.on("error", () => {})
      socket.pipe(socket)
    })
  }

  static async start(name: string): Promise<SecureOrigin> {
    const origin = new SecureOrigin(name)
    origin.port = (await listen(origin.server)).port
    return origin
  }

  stop(): void {
    this.server.close()
  }
}

describe("a tls listener without certificates", () => {
  let origins: SecureOrigin[]
  let raw: TcpOrigin
  let gateway: Gateway

  beforeAll(async () => {
    origins = await Promise.all(["db.example.com", "other.example.com", "fallback.example.org"].map((name) => SecureOrigin.start(name)))
    raw = await TcpOrigin.echo()
    const [db, other, fallback] = origins.map(({ port }) => ({ endpoints: [`127.0.0.1:${port}`] }))
    const serverNames = [
      { hosts: ["db.example.com", "*.db.example.com"], backends: "db" },
      { hosts: "*.example.com", backends: "other" },
      { hosts: "raw.test", backends: "raw" },
      { hosts: "told.test", backends: "told" },
      { hosts: "missing.test", backends: "missing" },
    ]
    gateway = await Gateway.start({
      files: { "ca.pem": authority.cert },
      config: {
        admin: false,
        workers: 1,
        accessLog: "all",
        listeners: [
          { name: "sni", address: "127.0.0.1:0", protocol: "tls", serverNames, backends: "fallback" },
          { name: "plain", address: "127.0.0.1:0", protocol: "tcp", backends: "secure" },
          { name: "distrusting", address: "127.0.0.1:0", protocol: "tcp", backends: "other-name" },
          { name: "strict", address: "127.0.0.1:0", protocol: "tls", serverNames },
          { name: "hasty", address: "127.0.0.1:0", protocol: "tls", serverNames, timeouts: { detect: "300ms" } },
        ],
        services: {
          db,
          other,
          fallback,
          secure: { ...db, tls: { ca: "ca.pem", serverName: "db.example.com" } },
          "other-name": { ...db, tls: { ca: "ca.pem", serverName: "elsewhere.example.com" } },
          raw: { endpoints: [raw.address] },
          told: { endpoints: [raw.address], proxyProtocol: "v2" },
        },
      },
    })
  })

  afterAll(async () => {
    await gateway?.stop()
    for (const origin of origins ?? []) origin.stop()
    await raw?.stop()
  })

  /** The first line a service says on a connection that asks for `name`, and how its certificate was taken. */
  async function ask(listener: string, name: string): Promise<{ line: string; authorized: boolean }> {
    const socket: TLSSocket = connectTls({
      port: gateway.port(listener),
      host: "127.0.0.1",
      ca: authority.cert,
      rejectUnauthorized: false,
      ...(name === "" ? {} : { servername: name }),
    })
    try {
      return await within(
        new Promise((resolve, reject) => {
          let text = ""
          socket.on("error", reject)
          socket.on("close", () => reject(new Error("closed")))
          socket.on("data", (bytes: Buffer) => {
            text += bytes.toString()
            if (text.endsWith("\n")) resolve({ line: text.trim(), authorized: socket.authorized })
          })
        }),
        "the service's line",
      )
    } finally {
      socket.on("error", () => {})
      socket.destroy()
    }
  }

  test.each([
    ["db.example.com", "db.example.com", true],
    ["DB.Example.COM", "db.example.com", true],
    ["a.db.example.com", "db.example.com", true],
    ["a.b.db.example.com", "db.example.com", false],
    ["x.example.com", "other.example.com", false],
    ["a.other.example.com", "other.example.com", true],
    ["example.com", "fallback.example.org", false],
    ["db.example.com.evil.org", "fallback.example.org", false],
  ])("%s reaches %s", async (name, service, authorized) => {
    expect(await ask("sni", name)).toMatchObject({ line: service })
    // The certificate is the service's own.
    if (authorized) expect((await ask("sni", name)).authorized).toBe(true)
  })

  test("no name reaches the others' service", async () => {
    expect(await ask("sni", "")).toMatchObject({ line: "fallback.example.org" })
    expect(await gateway.accessLine(({ service }) => service === "fallback", "the connection")).toMatchObject({ listener: "sni" })
  })

  test("the name is in the access log", async () => {
    await ask("sni", "log.db.example.com")
    const line = await gateway.accessLine(({ serverName }) => serverName === "log.db.example.com", "the connection")
    expect(line).toMatchObject({ listener: "sni", service: "db", protocol: "TCP" })
  })

  test("octets go on untouched, however they are cut", async () => {
    const message = helloMessage({ serverName: "raw.test", protocols: ["h2"] })
    const whole = Buffer.concat([records(message, 3, 60), Buffer.from([23, 3, 3, 0, 1, 0])])
    for (const segments of [[whole], Array.from(whole, (_, i) => whole.subarray(i, i + 1)), [whole.subarray(0, 70), whole.subarray(70)]]) {
      const client = await RawClient.connect(gateway.port("sni"))
      await client.sendSegments(segments, 0)
      expect(await client.readBytes(whole.length)).toEqual(whole)
      client.end()
      expect((await client.readToEnd()).length).toBe(0)
      client.destroy()
    }
  })

  test("a ClientHello of 16 KiB passes, with more behind it", async () => {
    const whole = Buffer.concat([records(helloMessage({ serverName: "raw.test", padding: 16_000 })), Buffer.alloc(40_000, 1)])
    const client = await RawClient.connect(gateway.port("sni"))
    client.send(whole)
    expect(await client.readBytes(whole.length)).toEqual(whole)
    client.destroy()
  })

  test("the service is told the name by a PROXY header", async () => {
    const hello = records(helloMessage({ serverName: "told.test" }))
    const client = await RawClient.connect(gateway.port("sni"))
    client.send(hello)
    const received = await client.readBytes(28 + 3 + "told.test".length + hello.length)
    expect(received.subarray(28, 40)).toEqual(Buffer.concat([Buffer.from([2, 0, 9]), Buffer.from("told.test")]))
    expect(received.subarray(40)).toEqual(hello)
    client.destroy()
  })

  test("TLS can be put on for the service, which must be the one meant", async () => {
    const client = await RawClient.connect(gateway.port("plain"))
    expect((await client.readThrough("\n")).toString()).toBe("db.example.com\n")
    client.send("through TLS")
    expect((await client.readThrough("TLS")).toString()).toBe("through TLS")
    client.end()
    expect((await client.readToEnd()).length).toBe(0)
    client.destroy()
    const refused = await RawClient.connect(gateway.port("distrusting"))
    await refused.closed()
    refused.destroy()
    expect(await gateway.accessLine(({ listener }) => listener === "distrusting", "the connection")).toMatchObject({
      flag: "UF",
      flagDetails: expect.stringMatching(/^certificate refused/),
    })
  })

  test("large amounts pass TLS put on for the service", async () => {
    const client = await RawClient.connect(gateway.port("plain"))
    await client.readThrough("\n")
    const octets = Buffer.alloc(8 * 1024 * 1024, "0123456789")
    client.send(octets)
    expect((await client.readBytes(octets.length, 30_000)).equals(octets)).toBe(true)
    client.destroy()
  })

  test.each([
    ["a name nobody has", records(helloMessage({ serverName: "nobody.test" })), { flag: "NR", serverName: "nobody.test" }],
    ["no name", records(helloMessage()), { flag: "NR" }],
    [
      "a name of a service that is missing",
      records(helloMessage({ serverName: "missing.test" })),
      { flag: "NC", serverName: "missing.test" },
    ],
    ["no TLS", Buffer.from("GET / HTTP/1.1\r\n\r\n"), { flag: "DPE", flagDetails: "clientHello: no ClientHello" }],
    ["a record that is too long", Buffer.from([22, 3, 1, 255, 255, 1]), { flag: "DPE", flagDetails: "clientHello: ClientHello too long" }],
    ["half a ClientHello", records(helloMessage()).subarray(0, 30), { flag: "RT", flagDetails: "openingTimeout: ClientHello" }],
    ["nothing", Buffer.alloc(0), { flag: "RT", flagDetails: "openingTimeout: ClientHello" }],
  ])("closes a connection with %s", async (_what, octets, line) => {
    const client = await RawClient.connect(gateway.port(line.flag === "RT" ? "hasty" : "strict"))
    const { localPort } = client
    client.send(octets)
    await client.closed()
    expect(client.unread.length).toBe(0)
    expect(
      await gateway.accessLine((each) => each.listener !== "sni" && each.source === `127.0.0.1:${localPort}`, "the connection"),
    ).toMatchObject(line)
    client.destroy()
  })
})
