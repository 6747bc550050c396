// One port for every protocol: what a client's first octets make of its connection.

import { readFileSync } from "node:fs"
import { connect as connectTls, createServer, type Server } from "node:tls"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Authority } from "../support/certs.ts"
import { helloMessage, records } from "../support/client-hello.ts"
import { within } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { Origin } from "../support/origin.ts"
import { listen } from "../support/ports.ts"
import { RawClient } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"

const GET = "GET /x?y HTTP/1.1\r\nHost: a\r\n\r\n"

describe("an auto listener", () => {
  let origin: Origin
  let echo: TcpOrigin
  let talker: TcpOrigin
  let secure: Server
  let gateway: Gateway
  const authority = new Authority()

  beforeAll(async () => {
    origin = await Origin.start((request, connection) => connection.reply(200, `${request.method} ${request.target} ${request.body}`))
    echo = await TcpOrigin.echo()
    talker = await TcpOrigin.start(({ socket }) => {
      socket.write("220 welcome\r\n")
      socket.on("end", () => socket.end())
    })
    secure = createServer(authority.issue({ names: ["tls.test"] }), (socket) => {
      socket.on("error", () => {})
      socket.end("secure")
    })
    const { port } = await listen(secure)
    const listener = { address: "127.0.0.1:0", protocol: "auto", serverNames: [{ hosts: "tls.test", backends: "secure" }] }
    gateway = await Gateway.start({
      config: {
        admin: false,
        workers: 1,
        accessLog: "all",
        listeners: [
          { ...listener, name: "any", backends: "echo" },
          { ...listener, name: "quick", backends: "talker", timeouts: { detect: "200ms" } },
          { ...listener, name: "closed" },
          { ...listener, name: "hasty", timeouts: { detect: "200ms" } },
          { ...listener, name: "behind", backends: "echo", proxyProtocol: { trusted: "127.0.0.0/8" } },
        ],
        services: {
          web: { endpoints: [origin.address] },
          echo: { endpoints: [echo.address] },
          talker: { endpoints: [talker.address] },
          secure: { endpoints: [`127.0.0.1:${port}`] },
        },
        routes: [{ backends: "web" }],
      },
    })
  })

  afterAll(async () => {
    await gateway?.stop()
    await origin?.stop()
    await echo?.stop()
    await talker?.stop()
    secure?.close()
  })

  const open = (listener: string): Promise<RawClient> => RawClient.connect(gateway.port(listener))

  test("takes requests to their routes, wherever they are cut", async () => {
    await Promise.all(
      Array.from({ length: GET.length }, async (_, cut) => {
        const client = await open("any")
        await client.sendSegments(cut === 0 ? [GET] : [GET.slice(0, cut), GET.slice(cut)])
        expect((await client.readResponse()).text()).toBe("GET /x?y ")
        client.send("POST /again HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody")
        expect((await client.readResponse()).text()).toBe("POST /again body")
        client.destroy()
      }),
    )
  })

  test("takes a request with a body in the same segment", async () => {
    const client = await open("any")
    client.send(`\r\nPOST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n${"b".repeat(100_000)}`)
    expect((await client.readResponse()).body.length).toBe("POST / ".length + 100_000)
    client.destroy()
  })

  test.each([
    ["a text protocol", "EHLO a.example\r\n"],
    ["SSH", "SSH-2.0-OpenSSH_9.6\r\n"],
    ["Redis", "*1\r\n$4\r\nPING\r\n"],
    ["what begins like TLS", "\x16\x03\x01\x00\x05\x02\0\0\0\0"],
    ["what begins like a request", "GET / ICY\r\n"],
    ["a PROXY header of nobody", "PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\r\n"],
  ])("carries %s to its backends, wherever it is cut", async (_what, octets) => {
    await Promise.all(
      Array.from({ length: octets.length }, async (_, cut) => {
        const client = await open("any")
        await client.sendSegments(cut === 0 ? [octets] : [octets.slice(0, cut), octets.slice(cut)])
        expect((await client.readBytes(octets.length)).toString("latin1")).toBe(octets)
        client.send("more")
        client.end()
        expect((await client.readToEnd()).toString()).toBe("more")
        client.destroy()
      }),
    )
  })

  test("carries what ends before it says what it is", async () => {
    const client = await open("any")
    client.send("GE")
    client.end()
    expect((await client.readToEnd()).toString()).toBe("GE")
    expect(client.ending).toBe("end")
    client.destroy()
  })

  test("carries TLS by its server name, wherever its ClientHello is cut", async () => {
    const socket = connectTls({ port: gateway.port("any"), host: "127.0.0.1", servername: "tls.test", ca: authority.cert })
    const text = await within(
      new Promise<string>((resolve, reject) => {
        let all = ""
        socket.on("error", reject)
        socket.on("data", (bytes: Buffer) => {
          all += bytes.toString()
        })
        socket.on("end", () => resolve(all))
      }),
      "the service's answer",
    )
    expect(text).toBe("secure")
    socket.destroy()
    expect(await gateway.accessLine(({ serverName }) => serverName === "tls.test", "the connection")).toMatchObject({ service: "secure" })
    const hello = records(helloMessage({ serverName: "elsewhere.test" }), 1)
    await Promise.all(
      Array.from({ length: hello.length }, async (_, cut) => {
        const client = await open("any")
        await client.sendSegments(cut === 0 ? [hello] : [hello.subarray(0, cut), hello.subarray(cut)])
        expect(await client.readBytes(hello.length)).toEqual(hello)
        client.destroy()
      }),
    )
  })

  test("takes a silent client for one of another protocol", async () => {
    const client = await open("quick")
    expect((await client.readThrough("\r\n")).toString()).toBe("220 welcome\r\n")
    client.end()
    await client.readToEnd()
    client.destroy()
    const slow = await open("quick")
    slow.send("GET / HT")
    expect((await slow.readThrough("\r\n")).toString()).toBe("220 welcome\r\n")
    slow.destroy()
  })

  test("closes what it has no backends for", async () => {
    const cases: readonly (readonly [string, string | Buffer, object])[] = [
      ["closed", "EHLO a\r\n", { flag: "NR", flagDetails: "no backend" }],
      ["hasty", "", { flag: "NR", flagDetails: "no backend" }],
      ["closed", records(helloMessage({ serverName: "elsewhere.test" })), { flag: "NR", serverName: "elsewhere.test" }],
      ["closed", records(helloMessage({ serverName: "a b" })), { flag: "DPE", flagDetails: "clientHello: server name that is none" }],
      ["hasty", records(helloMessage()).subarray(0, 40), { flag: expect.stringMatching(/^(?:RT|NR)$/) }],
    ]
    await Promise.all(
      cases.map(async ([listener, octets, line]) => {
        const client = await open(listener)
        const { localPort } = client
        client.send(octets)
        await client.closed()
        client.destroy()
        expect(
          await gateway.accessLine((each) => each.listener === listener && each.source === `127.0.0.1:${localPort}`, "the connection"),
        ).toMatchObject(line)
      }),
    )
    const client = await open("closed")
    client.send(GET)
    expect((await client.readResponse()).status).toBe(200)
    client.destroy()
  })

  test("believes a PROXY header first, whatever comes after it", async () => {
    const header = "PROXY TCP4 192.0.2.7 198.51.100.1 4242 443\r\n"
    const web = await open("behind")
    await web.sendSegments([header.slice(0, 10), `${header.slice(10)}GET /behind HT`, "TP/1.1\r\nHost: a\r\n\r\n"])
    await web.readResponse()
    web.destroy()
    expect(await gateway.accessLine(({ path }) => path === "/behind", "the request")).toMatchObject({ source: "192.0.2.7:4242" })
    const other = await open("behind")
    other.send(`${header}SSH-2.0-x\r\n`)
    expect((await other.readThrough("\n")).toString()).toBe("SSH-2.0-x\r\n")
    other.end()
    await other.readToEnd()
    other.destroy()
    expect(
      await gateway.accessLine(({ protocol, listener }) => protocol === "TCP" && listener === "behind", "the connection"),
    ).toMatchObject({
      source: "192.0.2.7:4242",
      receivedBytes: 11,
    })
  })

  test("passes resets on", async () => {
    const before = echo.arrivals.length
    const client = await open("any")
    client.send("\0binary")
    await client.readBytes(7)
    const arrival = echo.arrivals.slice(before).find((each) => each.received().toString() === "\0binary")
    client.reset()
    await within(new Promise((resolve) => arrival?.socket.once("close", resolve)), "the end at the service")
    expect(arrival?.ending()).toBe("reset")
  })

  test("keeps its connections over a reload, and takes new settings", async () => {
    const kept = await open("closed")
    kept.send(GET)
    await kept.readResponse()
    const { listeners, ...rest } = JSON.parse(readFileSync(gateway.configFile, "utf8"))
    const from = gateway.log.length
    gateway.writeConfig({
      ...rest,
      listeners: listeners.map((each: { name: string }) => (each.name === "closed" ? { ...each, backends: "echo" } : each)),
    })
    await gateway.waitForLog(({ message }) => message === "configuration taken", "the reload", undefined, from)
    const client = await open("closed")
    client.send("EHLO a\r\n")
    expect((await client.readThrough("\n")).toString()).toBe("EHLO a\r\n")
    client.destroy()
    kept.send(GET)
    expect((await kept.readResponse()).status).toBe(200)
    kept.destroy()
  })
})
