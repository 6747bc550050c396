import { rmSync } from "node:fs"
import { connect, createServer } from "node:net"
import { join } from "node:path"
import type { ConnectionOptions } from "node:tls"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Authority, type Certificate, type CertificateOptions } from "../support/certs.ts"
import { sleep, until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Origin } from "../support/origin.ts"
import { listen } from "../support/ports.ts"
import { get, RawClient } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"
import { curl, getSecurely, openssl, secure } from "../support/tls-client.ts"

const authority = new Authority()
const clients = new Authority("Sluice test clients")
const stranger = new Authority("A stranger")
const SPIFFE = "spiffe://example.org/ns/shop/sa/api"
const ALICE = clients.issue({
  commonName: "alice",
  names: ["alice.test"],
  uris: [SPIFFE],
  subject: [["2.5.4.10", 'Acme, "Inc"; Ltd']],
})

const files: Record<string, string> = { "clients.pem": clients.cert, "strangers.pem": stranger.cert }

function pair(name: string, options: CertificateOptions): { cert: string; key: string } {
  const { cert, key } = authority.issue(options)
  files[`${name}.pem`] = cert
  files[`${name}.key`] = key
  return { cert: `${name}.pem`, key: `${name}.key` }
}

const shop = pair("shop", { names: ["shop.test", "localhost"], uris: ["spiffe://example.org/edge"] })
const shopRsa = pair("shop-rsa", { names: ["shop.test", "localhost"], key: "rsa" })
const apps = pair("apps", { names: ["*.apps.test", "apps.test"] })
const other = pair("other", { names: ["other.test"], key: "rsa" })

function shows(certificate: Certificate): ConnectionOptions {
  return { cert: certificate.cert, key: certificate.key }
}

function namesOf(text: string | undefined): string {
  return text ?? ""
}

let origin: Origin
let echo: TcpOrigin
let gateway: Gateway

beforeAll(async () => {
  origin = await Origin.start((request, connection) => {
    if (request.target === "/until-close") {
      connection.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\npart")
      return
    }
    if (request.target === "/large") return connection.reply(200, Buffer.alloc(3_000_000, 120))
    connection.reply(200, JSON.stringify(request.fields))
  })
  echo = await TcpOrigin.echo()
  gateway = await Gateway.start({
    files,
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "all",
      listeners: [
        { name: "main", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [shop, shopRsa, apps, other] } },
        { name: "new", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [shop], minVersion: "1.3" } },
        { name: "http1", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [shop], alpn: ["http/1.1"] } },
        {
          name: "mutual",
          address: "127.0.0.1:0",
          protocol: "https",
          tls: { certificates: [shop], clientCa: "clients.pem", forwardClientCert: true },
        },
        {
          name: "optional",
          address: "127.0.0.1:0",
          protocol: "https",
          tls: { certificates: [shop], clientCa: "clients.pem", clientCertificate: "optional", forwardClientCert: true },
        },
        { name: "strangers", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [shop], clientCa: "strangers.pem" } },
        { name: "slow", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [shop], handshakeTimeout: "300ms" } },
        { name: "few", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [shop], maxHandshakes: 2 } },
        { name: "raw", address: "127.0.0.1:0", protocol: "tls", tls: { certificates: [shop], clientCa: "clients.pem" }, backends: "echo" },
        { name: "plain", address: "127.0.0.1:0" },
      ],
      services: { origin: { endpoints: [origin.address] }, echo: { endpoints: [echo.address] } },
      routes: [{ backends: "origin" }],
    },
  })
})

afterAll(async () => {
  await gateway?.stop()
  await origin?.stop()
  await echo?.stop()
})

async function handshakes(listener: string, result: string): Promise<number> {
  return (await readMetrics(gateway.adminPort)).sum("sluice_tls_handshakes_total", { listener, result })
}

/** Waits until so many more have been counted than `before`: a client may know of its handshake's end before it is. */
async function counted(listener: string, result: string, before: number, more: number): Promise<void> {
  await until(async () => (await handshakes(listener, result)) === before + more, `${more} handshakes that end with ${result}`)
}

/** Fields the origin has seen of a request, as they came. */
function seen(body: string, name: string): string[] {
  return (JSON.parse(body) as [string, string][]).filter(([each]) => each === name).map(([, value]) => value)
}

describe("an https listener", () => {
  test.each([
    ["shop.test", "DNS:shop.test"],
    ["a.apps.test", "DNS:*.apps.test"],
    ["apps.test", "DNS:*.apps.test"],
    ["other.test", "DNS:other.test"],
    ["a.b.apps.test", "DNS:shop.test"],
    ["nobody.test", "DNS:shop.test"],
    ["", "DNS:shop.test"],
  ])("shows the certificate for the name asked for: %s", async (servername, expected) => {
    const { client, socket } = await secure(gateway.port("main"), servername === "" ? {} : { servername })
    expect(namesOf(socket.getPeerCertificate().subjectaltname).split(",")[0]).toBe(expected)
    client.destroy()
  })

  test("is verified by a client that knows its authority, and says https to services", async () => {
    const response = await getSecurely(gateway.port("main"), "shop.test", { ca: authority.cert, rejectUnauthorized: true })
    expect(response.status).toBe(200)
    expect(seen(response.text(), "x-forwarded-proto")).toEqual(["https"])
    const line = await gateway.accessLine(({ listener }) => listener === "main", "a request over TLS")
    expect(line).toMatchObject({ protocol: "HTTP/1.1", tlsVersion: "TLSv1.3" })
    expect(line.peer).toBeUndefined()
  })

  test.each([
    ["ECDSA, with TLS 1.2", "ECDSA", ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]],
    ["RSA, with TLS 1.2", "RSA", ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"]],
    ["ECDSA, with TLS 1.3", "ECDSA", ["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256"]],
    ["RSA, with TLS 1.3", "RSA-PSS", ["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"]],
  ])("has a certificate for clients that know %s", async (_what, signature, args) => {
    const said = await openssl(gateway.port("main"), ["-servername", "shop.test", ...args], "", /Peer signature type: .*\n|alert/)
    expect(said).toContain(`Peer signature type: ${signature}`)
  })

  test("speaks no version of TLS older than it may", async () => {
    const port = gateway.port("new")
    await expect(secure(port, { maxVersion: "TLSv1.2" })).rejects.toThrow()
    const { client, socket } = await secure(port)
    expect(socket.getProtocol()).toBe("TLSv1.3")
    client.destroy()
    const older = await secure(gateway.port("main"), { maxVersion: "TLSv1.2" })
    expect(older.socket.getProtocol()).toBe("TLSv1.2")
    older.client.destroy()
  })

  test("shakes hands once: a client that asks for more is sent away", async () => {
    const said = await openssl(gateway.port("main"), ["-tls1_2", "-servername", "shop.test"], "R\n", /never/)
    if (said === null) return
    const [before, after] = said.split("RENEGOTIATING")
    expect(before).toContain("verify return:1")
    expect(after).not.toContain("verify return:1")
    expect(after).toContain("error:")
  })

  test("agrees on the protocol it prefers, and refuses a client that knows none of its own", async () => {
    const both = await secure(gateway.port("main"), { ALPNProtocols: ["http/1.1", "h2"] })
    expect(both.socket.alpnProtocol).toBe("h2")
    both.client.destroy()
    const one = await secure(gateway.port("http1"), { ALPNProtocols: ["h2", "http/1.1"] })
    expect(one.socket.alpnProtocol).toBe("http/1.1")
    one.client.destroy()
    await expect(secure(gateway.port("http1"), { ALPNProtocols: ["h2"] })).rejects.toThrow()
    const none = await secure(gateway.port("main"))
    expect(none.socket.alpnProtocol).toBe(false)
    none.client.destroy()
  })

  test("answers 421 to a request for a host that its connection's certificate is not for", async () => {
    const { client } = await secure(gateway.port("main"), { servername: "shop.test" })
    const ask = async (host: string): Promise<number> => {
      client.send(`GET / HTTP/1.1\r\nhost: ${host}\r\n\r\n`)
      return (await client.readResponse()).status
    }
    expect(await ask("other.test")).toBe(421)
    expect(await ask("shop.test:8443")).toBe(200)
    expect(await ask("localhost")).toBe(200)
    expect(await ask("a.apps.test")).toBe(421)
    client.destroy()
    const wild = await secure(gateway.port("main"), { servername: "a.apps.test" })
    wild.client.send("GET / HTTP/1.1\r\nhost: b.apps.test\r\n\r\nGET / HTTP/1.1\r\nhost: a.b.apps.test\r\n\r\n")
    expect((await wild.client.readResponse()).status).toBe(200)
    expect((await wild.client.readResponse()).status).toBe(421)
    wild.client.destroy()
    const line = await gateway.accessLine(({ flag }) => flag === "MR", "a misdirected request")
    expect(line).toMatchObject({ status: 421, flagDetails: "shop.test" })
    // A client that asked for no name has no certificate to be held to.
    expect((await getSecurely(gateway.port("main"), "other.test", { servername: undefined })).status).toBe(200)
  })

  test("closes a connection that speaks something else, and one that says nothing for too long", async () => {
    const port = gateway.port("main")
    const before = await handshakes("main", "notTls")
    const plain = await RawClient.connect(port)
    plain.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n")
    await plain.closed()
    await counted("main", "notTls", before, 1)
    const late = await handshakes("slow", "timeout")
    const silent = await RawClient.connect(gateway.port("slow"))
    const half = await RawClient.connect(gateway.port("slow"))
    half.send(Buffer.from([22, 3, 1, 2, 0, 1, 0]))
    await silent.closed()
    await half.closed()
    await counted("slow", "timeout", late, 2)
  })

  test("closes connections at once while too many shake hands, and goes on when they are done", async () => {
    const port = gateway.port("few")
    const [full, failed] = [await handshakes("few", "overflow"), await handshakes("few", "failed")]
    const waiting = [await RawClient.connect(port), await RawClient.connect(port)]
    await until(
      async () => (await readMetrics(gateway.adminPort)).sum("sluice_downstream_connections_active", { listener: "few" }) === 2,
      "two",
    )
    const third = await RawClient.connect(port)
    await third.closed()
    await counted("few", "overflow", full, 1)
    for (const client of waiting) client.destroy()
    await counted("few", "failed", failed, 2)
    expect((await getSecurely(port, "shop.test")).status).toBe(200)
  })

  test("reads a ClientHello however it is cut, and shows its keys to nobody", async () => {
    const cutting = createServer((client) => {
      const server = connect(gateway.port("main"), "127.0.0.1")
      server.setNoDelay(true)
      client.on("error", () => {})
      server.on("error", () => {})
      server.on("data", (bytes) => client.write(bytes))
      client.once("data", async (hello: Buffer) => {
        client.pause()
        let from = 0
        for (const to of [1, 4, 5, 6, 9, 40, 90, hello.length]) {
          await new Promise<void>((resolve) => server.write(hello.subarray(from, to), () => resolve()))
          await sleep(2)
          from = to
        }
        client.on("data", (bytes: Buffer) => server.write(bytes))
        client.resume()
      })
      client.on("close", () => server.destroy())
    })
    const { port } = await listen(cutting)
    try {
      expect((await getSecurely(port, "a.apps.test")).status).toBe(200)
    } finally {
      cutting.close()
    }
    const config = (await get(gateway.adminPort, "/config")).text()
    expect(config).toContain("shop-rsa.key")
    expect(config).not.toContain("PRIVATE")
    expect(gateway.logText()).not.toContain("PRIVATE")
  })

  test("survives hostile ClientHellos", async () => {
    const port = gateway.port("main")
    const hostile = [
      Buffer.from([22, 3, 1, 0, 0]),
      Buffer.from([22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff]),
      Buffer.concat([Buffer.from([22, 3, 1, 0, 6, 1, 0, 0, 2]), Buffer.alloc(64, 255)]),
      Buffer.alloc(20_000, 22),
      Buffer.from([0x80, 0x2e, 1, 3, 1]),
    ]
    for (const bytes of hostile) {
      const client = await RawClient.connect(port)
      client.send(bytes)
      client.end()
      await client.closed()
    }
    expect((await getSecurely(port, "shop.test")).status).toBe(200)
  })

  test("answers a client that has ended its side, and does not let a body cut short look whole", async () => {
    const { client } = await secure(gateway.port("main"), { servername: "shop.test" })
    client.send("GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n")
    client.end()
    expect((await client.readResponse()).status).toBe(200)
    expect(await client.closed()).toBe("end")
    origin.script((request, connection) => {
      if (request.target === "/cut") {
        connection.write("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\npart")
        connection.end()
      } else connection.reply(200, JSON.stringify(request.fields))
    })
    const said = await openssl(
      gateway.port("http1"),
      ["-quiet", "-servername", "shop.test"],
      "GET /cut HTTP/1.1\r\nhost: shop.test\r\n\r\n",
      /never/,
    )
    expect(said).toContain("part")
    expect(said).toMatch(/unexpected eof|Connection reset|errno/)
  })

  test("notices that a client is gone in the middle of a body", async () => {
    let closed = 0
    origin.script((request, connection) => {
      if (request.target !== "/stream") return connection.reply(200, JSON.stringify(request.fields))
      connection.socket.on("close", () => closed++)
      connection.write("HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
      const more = (): void => {
        while (!connection.socket.destroyed && connection.socket.write(Buffer.alloc(65536)));
      }
      connection.socket.on("drain", more)
      more()
    })
    const { client, tcp } = await secure(gateway.port("main"), { servername: "shop.test" })
    client.send("GET /stream HTTP/1.1\r\nhost: shop.test\r\n\r\n")
    await client.readBytes(100_000)
    tcp.resetAndDestroy()
    await until(() => closed === 1, "the end of the origin's connection")
    await gateway.accessLine(({ path, flag }) => path === "/stream" && flag === "DC", "the client that is gone")
  })
})

describe("client certificates", () => {
  test("are required: none, a stranger's and an expired one are refused", async () => {
    const port = gateway.port("mutual")
    const refused = async (options: ConnectionOptions): Promise<void> => {
      // With TLS 1.3 a client hears of it only when it is done itself.
      const client = await secure(port, { servername: "shop.test", ...options }).catch(() => null)
      if (client === null) return
      client.client.send("GET / HTTP/1.1\r\nhost: shop.test\r\n\r\n")
      expect((await client.client.readToEnd()).length).toBe(0)
    }
    for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
      await refused({ maxVersion })
      await refused({ maxVersion, ...shows(stranger.issue({ commonName: "alice", uris: [SPIFFE] })) })
      await refused({ maxVersion, ...shows(clients.issue({ commonName: "alice", from: -10, days: -1 })) })
    }
    expect(await handshakes("mutual", "ok")).toBe(0)
  })

  test.each(["TLSv1.2", "TLSv1.3"] as const)("say who the client is, to services and in the access log (%s)", async (maxVersion) => {
    const forged = { "x-forwarded-client-cert": "Hash=00;URI=spiffe://example.org/root" }
    const response = await getSecurely(gateway.port("mutual"), "shop.test", { maxVersion, ...shows(ALICE) }, forged)
    expect(response.status).toBe(200)
    const told = seen(response.text(), "x-forwarded-client-cert")
    expect(told).toHaveLength(1)
    expect(told[0]).toMatch(
      /^By=spiffe:\/\/example\.org\/edge;Hash=[0-9a-f]{64};Subject="CN=alice,O=Acme\\, \\22Inc\\22\\; Ltd";URI=spiffe:\/\/example\.org\/ns\/shop\/sa\/api;DNS=alice\.test$/,
    )
    const line = await gateway.accessLine((each) => each.listener === "mutual" && each.tlsVersion === maxVersion, "alice")
    expect(line.peer).toBe(SPIFFE)
  })

  test("may be missing where they are optional, but not be bad", async () => {
    const port = gateway.port("optional")
    const before = await handshakes("optional", "certificate")
    const none = await getSecurely(port, "shop.test", {}, { "x-forwarded-client-cert": "Hash=00" })
    expect(none.status).toBe(200)
    expect(seen(none.text(), "x-forwarded-client-cert")).toEqual([])
    const bob = await getSecurely(port, "shop.test", shows(clients.issue({ commonName: "bob" })))
    expect(seen(bob.text(), "x-forwarded-client-cert")[0]).toMatch(/;Subject="CN=bob"$/)
    await expect(getSecurely(port, "shop.test", shows(stranger.issue({ commonName: "eve" })))).rejects.toThrow()
    await counted("optional", "certificate", before, 1)
  })

  test.for(["-tls1_2", "-tls1_3"])("are those of the session, where a client goes on with one (%s)", async (version, context) => {
    if (process.versions.bun !== undefined && version === "-tls1_3") return context.skip("Bun gives no TLS 1.3 sessions")
    gateway.writeFile("alice.pem", ALICE.cert)
    gateway.writeFile("alice.key", ALICE.key)
    const session = join(gateway.folder, `alice${version}`)
    const cert = ["-cert", join(gateway.folder, "alice.pem"), "-key", join(gateway.folder, "alice.key")]
    const ask = (path: string, args: readonly string[]): Promise<string | null> =>
      openssl(gateway.port("mutual"), [version, ...args], `GET ${path} HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n`, /never/)
    expect(await ask("/begun", [...cert, "-sess_out", session])).toContain("HTTP/1.1 200")
    const said = await ask(`/gone-on${version}`, ["-sess_in", session])
    expect(said).toContain("Reused, TLSv1")
    expect(said).toContain(`URI=${SPIFFE}`)
    const line = await gateway.accessLine(({ path }) => path === `/gone-on${version}`, "the session")
    expect(line.peer).toBe(SPIFFE)
  })

  test.each(["-tls1_2", "-tls1_3"])("can't be smuggled in by a session that another listener has begun (%s)", async (version) => {
    const eve = stranger.issue({ commonName: "alice", uris: [SPIFFE] })
    gateway.writeFile("eve.pem", eve.cert)
    gateway.writeFile("eve.key", eve.key)
    const request = "GET / HTTP/1.1\r\nhost: shop.test\r\nconnection: close\r\n\r\n"
    for (const [i, first] of ["strangers", "optional", "main"].entries()) {
      const session = join(gateway.folder, `session${i}${version}`)
      const shown = ["-cert", join(gateway.folder, "eve.pem"), "-key", join(gateway.folder, "eve.key")]
      await openssl(gateway.port(first), [version, ...shown, "-sess_out", session], request, /never/)
      for (const second of ["mutual", "raw", "optional"]) {
        const said = await openssl(gateway.port(second), [version, "-sess_in", session], request, /never/)
        if (first === "strangers") expect(said).toContain("CONNECTED")
        // Without a certificate it is welcome where that is optional.
        if (second !== "optional") expect(said).not.toMatch(/HTTP\/1\.1 |GET \//)
        else expect(said ?? "").not.toContain("alice")
      }
    }
  })

  test("are never believed when a client writes of them, on a plain listener neither", async () => {
    const response = await get(gateway.port("plain"), "/", { "x-forwarded-client-cert": "Hash=00", "X-Forwarded-Client-Cert": "Hash=01" })
    expect(response.status).toBe(200)
    expect(seen(response.text(), "x-forwarded-client-cert")).toEqual([])
    expect(seen(response.text(), "x-forwarded-proto")).toEqual(["http"])
  })
})

describe("a tls listener", () => {
  test("ends TLS and carries what is in it, both ways and to both ends", async () => {
    const { client } = await secure(gateway.port("raw"), { servername: "shop.test", ...shows(ALICE) })
    client.send("one ")
    expect((await client.readBytes(4)).toString()).toBe("one ")
    client.send(Buffer.alloc(1_000_000, 97))
    expect((await client.readBytes(1_000_000)).every((octet) => octet === 97)).toBe(true)
    client.end()
    await client.readToEnd()
    const line = await gateway.accessLine(({ listener }) => listener === "raw", "the connection")
    expect(line).toMatchObject({ protocol: "TCP", peer: SPIFFE, receivedBytes: 1_000_004, sentBytes: 1_000_004 })
  })
})

describe("other programs", () => {
  test.each([
    ["1.2", "1.1"],
    ["1.3", "1.1"],
    ["1.2", "2"],
    ["1.3", "2"],
  ])("curl speaks TLS %s and HTTP/%s with a client certificate", async (tls, http) => {
    const folder = gateway.folder
    gateway.writeFile("ca.pem", authority.cert)
    gateway.writeFile("alice.pem", ALICE.cert)
    gateway.writeFile("alice.key", ALICE.key)
    const port = gateway.port("mutual")
    const result = await curl([
      ...[`--http${http}`, `--tlsv${tls}`, "--tls-max", tls, "--cacert", join(folder, "ca.pem")],
      ...["--cert", join(folder, "alice.pem"), "--key", join(folder, "alice.key"), "--resolve", `shop.test:${port}:127.0.0.1`],
      ...["--write-out", "\n%{http_version}", `https://shop.test:${port}/`],
    ])
    const [body, version] = (result?.text ?? "").split("\n")
    expect(version).toBe(http)
    expect(seen(body, "x-forwarded-client-cert")[0]).toContain(`URI=${SPIFFE}`)
  })
})

test("421 answers a request for another certificate's host over HTTP/2 too, and it strips what clients say of certificates", async () => {
  gateway.writeFile("ca.pem", authority.cert)
  const port = gateway.port("main")
  const ask = async (...args: string[]): Promise<string[]> => {
    const to = ["--http2", "--cacert", join(gateway.folder, "ca.pem"), "--resolve", `shop.test:${port}:127.0.0.1`]
    const result = await curl([...to, "--write-out", "\n%{http_version} %{http_code}", ...args, `https://shop.test:${port}/`])
    return (result?.text ?? "").split("\n")
  }
  expect((await ask("-H", "host: other.test")).at(-1)).toBe("2 421")
  const [body, status] = await ask("-H", "x-forwarded-client-cert: Hash=00")
  expect(status).toBe("2 200")
  expect(seen(body, "x-forwarded-client-cert")).toEqual([])
  expect(seen(body, "x-forwarded-proto")).toEqual(["https"])
})

describe("certificates that change", () => {
  test("are swapped in under live connections; broken ones are not, and the gateway says so", async () => {
    const own = new Authority()
    const first = own.issue({ names: ["swap.test"] })
    const gateway = await Gateway.start({
      files: { "swap.pem": first.cert, "swap.key": first.key },
      config: {
        admin: { address: "127.0.0.1:0" },
        workers: 2,
        listeners: [
          { name: "edge", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [{ cert: "swap.pem", key: "swap.key" }] } },
        ],
        routes: [{ respond: { status: 200, body: "here" } }],
      },
    })
    const port = gateway.port("edge")
    // A runtime's client may go on with a session, and then shows the certificate that began with.
    const shown = async (): Promise<string> => {
      const said = (await openssl(port, ["-servername", "swap.test"], "", /END CERTIFICATE-----/)) ?? ""
      return /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n/.exec(said)?.[0] ?? said
    }
    try {
      const live = await secure(port, { servername: "swap.test" })
      expect(await shown()).toBe(first.cert)

      const second = own.issue({ names: ["swap.test"] })
      let from = gateway.log.length
      gateway.writeFile("swap.key", second.key)
      gateway.writeFile("swap.pem", second.cert)
      await gateway.waitForLog(({ message }) => message === "certificates taken", "the new certificate", 10_000, from)
      for (let i = 0; i < 4; i++) expect(await shown()).toBe(second.cert)
      live.client.send("GET / HTTP/1.1\r\nhost: swap.test\r\n\r\n")
      expect((await live.client.readResponse()).text()).toBe("here")

      from = gateway.log.length
      gateway.writeFile("swap.pem", second.cert.slice(0, 200))
      await gateway.waitForLog(({ message }) => message.startsWith("certificate refused"), "the refusal", 10_000, from)
      expect(await shown()).toBe(second.cert)
      const ready = await get(gateway.adminPort, "/ready")
      expect(ready.status).toBe(200)
      expect(ready.text()).toContain("swap.pem was refused")

      from = gateway.log.length
      const third = own.issue({ names: ["swap.test"], days: 5 })
      gateway.writeFile("swap.key", third.key)
      gateway.writeFile("swap.pem", third.cert)
      await gateway.waitForLog(({ message }) => message === "certificates taken", "the third certificate", 10_000, from)
      expect(await shown()).toBe(third.cert)
      await gateway.waitForLog(({ message, level }) => level === "warn" && message.includes("expires on"), "the warning", 10_000, from)
      const expiry = (await readMetrics(gateway.adminPort)).sum("sluice_tls_certificate_expiry_timestamp_seconds", { listener: "edge" })
      expect(Math.abs(expiry - Date.now() / 1000 - 5 * 86_400)).toBeLessThan(3600)
      live.client.destroy()
    } finally {
      await gateway.stop()
    }
  })

  test("leave sessions of clients alone: one begun in a worker goes on in every other", async () => {
    const { cert, key } = authority.issue({ names: ["resume.test"] })
    const gateway = await Gateway.start({
      files: { "a.pem": cert, "a.key": key, "clients.pem": clients.cert },
      config: {
        admin: false,
        workers: 2,
        accessLog: "all",
        listeners: [
          {
            name: "edge",
            address: "127.0.0.1:0",
            protocol: "https",
            tls: { certificates: [{ cert: "a.pem", key: "a.key" }], clientCa: "clients.pem" },
          },
        ],
        routes: [{ respond: { status: 200, body: "here" } }],
      },
    })
    const session = join(gateway.folder, "session")
    gateway.writeFile("alice.pem", ALICE.cert)
    gateway.writeFile("alice.key", ALICE.key)
    const ask = async (version: string, args: readonly string[], path: string): Promise<string> =>
      (await openssl(
        gateway.port("edge"),
        [version, "-servername", "resume.test", ...args],
        `GET ${path} HTTP/1.1\r\nhost: resume.test\r\nconnection: close\r\n\r\n`,
        /never/,
      )) ?? ""
    try {
      for (const version of ["-tls1_2", "-tls1_3"]) {
        const cert = ["-cert", join(gateway.folder, "alice.pem"), "-key", join(gateway.folder, "alice.key")]
        expect(await ask(version, [...cert, "-sess_out", session], "/first")).toContain("here")
        // The ticket keys of Bun and Deno are a worker's own, whatever they are told.
        if (process.versions.bun !== undefined || process.versions.deno !== undefined) continue
        for (let i = 0; i < 6; i++) {
          const said = await ask(version, ["-sess_in", session], `/again${version}`)
          expect(said).toContain("Reused, TLSv1")
          expect(said).toContain("here")
        }
        const again = await until(() => {
          const lines = gateway.access.filter(({ path }) => path === `/again${version}`)
          return lines.length === 6 ? lines : null
        }, "six lines")
        for (const line of again) expect(line.peer).toBe(SPIFFE)
        rmSync(session)
      }
    } finally {
      await gateway.stop()
    }
  })
})
