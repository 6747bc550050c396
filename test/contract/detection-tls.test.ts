// Detection and PROXY headers where TLS ends at the gateway: what is inside of it decides again.

import { connect as connectPlain, type Socket } from "node:net"
import { connect as connectTls, type TLSSocket } from "node:tls"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Authority } from "../support/certs.ts"
import { within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { Origin } from "../support/origin.ts"
import { RawClient } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"

const HEADER = "PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\r\n"
const GET = "GET / HTTP/1.1\r\nHost: any.test\r\nConnection: close\r\n\r\n"
const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
/** An empty SETTINGS frame: both sides begin with one. */
const SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0])

describe("where TLS ends", () => {
  const authority = new Authority()
  const { cert, key } = authority.issue({ names: ["any.test", "*.any.test"] })
  let origin: Origin
  let echo: TcpOrigin
  let named: TcpOrigin
  let gateway: Gateway

  beforeAll(async () => {
    origin = await Origin.start((request, connection) => connection.reply(200, request.header("x-forwarded-for") ?? "none"))
    echo = await TcpOrigin.echo("welcome\n")
    named = await TcpOrigin.echo("named\n")
    const tls = { certificates: [{ cert: "any.pem", key: "any.key" }] }
    const address = "127.0.0.1:0"
    const serverNames = [{ hosts: "named.any.test", backends: "named" }]
    const proxyProtocol = { trusted: "127.0.0.1" }
    gateway = await Gateway.start({
      files: { "any.pem": cert, "any.key": key },
      config: {
        admin: false,
        workers: 1,
        accessLog: "all",
        listeners: [
          { name: "auto", address, protocol: "auto", tls, serverNames, backends: "echo" },
          { name: "quick", address, protocol: "auto", tls, serverNames, backends: "echo", timeouts: { detect: "1s" } },
          { name: "behind", address, protocol: "auto", tls, serverNames, backends: "echo", proxyProtocol },
          { name: "https", address, protocol: "https", tls, proxyProtocol },
          { name: "tls", address, protocol: "tls", tls, serverNames, backends: "told", proxyProtocol },
        ],
        services: {
          web: { endpoints: [origin.address] },
          echo: { endpoints: [echo.address] },
          named: { endpoints: [named.address] },
          told: { endpoints: [echo.address], proxyProtocol: "v1" },
        },
        routes: [{ backends: "web" }],
      },
    })
  })

  afterAll(async () => {
    await gateway?.stop()
    await origin?.stop()
    await echo?.stop()
    await named?.stop()
  })

  /** Shakes hands, behind a PROXY header if there is one. */
  async function secure(listener: string, options: { name?: string; protocols?: string[]; header?: string } = {}): Promise<TLSSocket> {
    const { name = "any.test", protocols, header = "" } = options
    const socket: Socket = connectPlain(gateway.port(listener), "127.0.0.1")
    socket.on("error", () => {})
    await within(new Promise((resolve) => socket.once("connect", resolve)), "connect")
    if (header !== "") await new Promise<void>((resolve) => socket.write(header, () => resolve()))
    const tls = connectTls({
      socket,
      servername: name,
      ca: authority.cert,
      ...(protocols === undefined ? {} : { ALPNProtocols: protocols }),
    })
    await within(
      new Promise((resolve, reject) => {
        tls.once("secureConnect", resolve)
        tls.once("error", reject)
      }),
      "the handshake",
    )
    tls.on("error", () => {})
    return tls
  }

  /** What comes until `done`. */
  function receive(socket: TLSSocket, done: (text: string) => boolean): Promise<string> {
    let text = ""
    const received = new Promise<string>((resolve, reject) => {
      socket.on("data", (bytes: Buffer) => {
        text += bytes.toString("latin1")
        if (done(text)) resolve(text)
      })
      socket.on("close", () => reject(new Error(`closed after ${JSON.stringify(text)}`)))
    })
    return within(received, "the answer").finally(() => socket.destroy())
  }

  async function ask(socket: TLSSocket, octets: string | Buffer, done: (text: string) => boolean): Promise<string> {
    const answer = receive(socket, done)
    if (octets.length > 0) socket.write(octets)
    return answer
  }

  /** The answer to {@link GET}, which says where it came from. */
  async function get(socket: TLSSocket, client: string): Promise<void> {
    expect(await ask(socket, GET, (text) => text.endsWith(client))).toMatch(/^HTTP\/1\.1 200 /)
  }

  test.each([
    ["http/1.1 agreed upon", ["http/1.1"]],
    ["the better of both offered", ["http/1.1", "h2"]],
    ["nothing agreed upon", undefined],
  ])("a request goes to its route: %s", async (_what, protocols) => {
    const socket = await secure("auto", protocols === undefined ? {} : { protocols })
    if (socket.alpnProtocol === "h2") {
      const answer = await ask(socket, Buffer.concat([Buffer.from(PREFACE), SETTINGS]), (text) => text.length >= 9)
      expect(answer.charCodeAt(3)).toBe(4)
      return
    }
    await get(socket, "127.0.0.1")
  })

  test("HTTP/2 is spoken with those who agreed upon it, and with those who begin with it", async () => {
    for (const protocols of [["h2"], undefined]) {
      const socket = await secure("auto", protocols === undefined ? {} : { protocols })
      const answer = await ask(socket, Buffer.concat([Buffer.from(PREFACE), SETTINGS]), (text) => text.length >= 9)
      expect(answer.charCodeAt(3)).toBe(4)
    }
    const plain = await RawClient.connect(gateway.port("auto"))
    plain.send(Buffer.concat([Buffer.from(PREFACE), SETTINGS]))
    expect((await plain.readBytes(9))[3]).toBe(4)
    plain.destroy()
  })

  test("another protocol goes to the backends, by the server name too", async () => {
    expect(await ask(await secure("auto"), "EHLO a\r\n", (text) => text.endsWith("\r\n"))).toBe("welcome\nEHLO a\r\n")
    expect(await ask(await secure("auto", { name: "named.any.test" }), "\0\x01", (text) => text.endsWith("\x01"))).toBe("named\n\0\x01")
    expect(await gateway.accessLine(({ serverName }) => serverName === "named.any.test", "the connection")).toMatchObject({
      service: "named",
      listener: "auto",
    })
  })

  test("TLS inside of TLS is another protocol too", async () => {
    const octets = "\x16\x03\x01\0\x05\x01\0\0\x01\0"
    expect(await ask(await secure("auto"), Buffer.from(octets, "latin1"), (text) => text.endsWith(octets))).toBe(`welcome\n${octets}`)
  })

  test("a silent client is taken for one of another protocol", async () => {
    expect(await ask(await secure("quick"), "", (text) => text.endsWith("\n"))).toBe("welcome\n")
  })

  test("without TLS the same port takes requests and others", async () => {
    const web = await RawClient.connect(gateway.port("auto"))
    web.send(GET)
    expect((await web.readResponse()).status).toBe(200)
    web.destroy()
    const other = await RawClient.connect(gateway.port("auto"))
    other.send("EHLO a\r\n")
    expect((await other.readThrough("\r\n")).toString()).toBe("welcome\nEHLO a\r\n")
    other.destroy()
  })

  test.each([
    ["https", undefined],
    ["https", ["http/1.1"]],
    ["behind", ["http/1.1"]],
    ["behind", undefined],
  ])("the client is the one of the PROXY header: %s, %s", async (listener, protocols) => {
    const socket = await secure(listener, { header: HEADER, ...(protocols === undefined ? {} : { protocols }) })
    await get(socket, "192.0.2.7")
  })

  test("the client of the PROXY header is passed on to a service that wants to know", async () => {
    const socket = await secure("tls", { header: HEADER })
    expect(await ask(socket, "x", (text) => text.endsWith("x"))).toBe(`welcome\n${HEADER}x`)
    expect(await ask(await secure("tls", { header: HEADER, name: "named.any.test" }), "y", (text) => text.endsWith("y"))).toBe("named\ny")
  })

  test("TLS without the PROXY header is closed", async () => {
    await expect(secure("https")).rejects.toThrow()
    expect(await gateway.accessLine(({ listener, flag }) => listener === "https" && flag === "DPE", "the connection")).toMatchObject({
      flagDetails: "proxyHeader: no header",
    })
  })
})
