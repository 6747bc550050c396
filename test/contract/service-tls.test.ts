// TLS towards services: who is believed to be the service that was meant, in HTTP/1.1, HTTP/2 and opaque connections.

import { createServer as createTcp, type Server } from "node:net"
import { createServer, type TLSSocket, type TlsOptions } from "node:tls"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import { Authority, type CertificateOptions } from "../support/certs.ts"
import { Gateway } from "../support/gateway.ts"
import { headers } from "../support/h2-frames.ts"
import { Peer } from "../support/h2-peer.ts"
import { listen } from "../support/ports.ts"
import { get, RawClient } from "../support/raw-client.ts"

const ID = "spiffe://example.org/api"
const authority = new Authority()
const stranger = new Authority("A stranger")
const own = authority.issue({ commonName: "gateway" })

/** Speaks what was agreed upon: HTTP/2, or HTTP/1.1 to those who begin with GET, or sends back what it gets. */
function answer(socket: TLSSocket): void {
  socket.on("error", () => {})
  if (socket.alpnProtocol === "h2") {
    const peer = new Peer(socket, "server", {})
    peer.onHead = ({ id }) => peer.send(headers(id, [[":status", "200"]], { end: true }))
    return
  }
  socket.on("data", (bytes: Buffer) => {
    socket.write(bytes.toString("latin1", 0, 4) === "GET " ? "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" : bytes)
  })
  socket.on("end", () => socket.end())
}

const servers: Server[] = []

async function serve(by: Authority, certificate: CertificateOptions, options: TlsOptions = {}): Promise<string> {
  const { cert, key } = by.issue(certificate)
  const server = createServer({ cert, key, ALPNProtocols: ["h2", "http/1.1"], allowHalfOpen: true, ...options }, answer)
  server.on("tlsClientError", () => {})
  servers.push(server)
  return `127.0.0.1:${(await listen(server)).port}`
}

interface Case {
  readonly what: string
  /** Where the service is. */
  readonly at: "id" | "named" | "address" | "commonName" | "stranger" | "expired" | "mutual" | "leaving"
  readonly tls: object
  /** Why it is refused; null = it isn't. */
  readonly refused: RegExp | null
}

const ca = "ca.pem"
const cases: readonly Case[] = [
  { what: "the right SPIFFE ID and no name", at: "id", tls: { ca, identity: ID }, refused: null },
  {
    what: "another SPIFFE ID",
    at: "id",
    tls: { ca, identity: `${ID}/v2` },
    refused: /certificate refused: it is of spiffe:\/\/example\.org\/api$/,
  },
  {
    what: "the right name and no SPIFFE ID",
    at: "address",
    tls: { ca, identity: ID },
    refused: /certificate refused: it is of no SPIFFE ID$/,
  },
  { what: "a SPIFFE ID where a name is wanted", at: "id", tls: { ca }, refused: /certificate refused: it is not for 127\.0\.0\.1$/ },
  { what: "the endpoint's address", at: "address", tls: { ca }, refused: null },
  { what: "another name than the endpoint's", at: "named", tls: { ca }, refused: /certificate refused: it is not for 127\.0\.0\.1$/ },
  { what: "the name that is given instead", at: "named", tls: { ca, serverName: "api.test" }, refused: null },
  {
    what: "the name as its common name, beside a URI",
    at: "commonName",
    tls: { ca, serverName: "api.test" },
    refused: /certificate refused: it is not for api\.test$/,
  },
  { what: "another authority", at: "stranger", tls: { ca, identity: ID }, refused: /certificate refused: [A-Z_]+$/ },
  { what: "another authority where any will do", at: "stranger", tls: { insecureSkipVerify: true }, refused: null },
  { what: "an end in the past", at: "expired", tls: { ca, identity: ID }, refused: /certificate refused: CERT_HAS_EXPIRED$/ },
  { what: "a demand for ours, which it gets", at: "mutual", tls: { ca, cert: "own.pem", key: "own.key" }, refused: null },
  { what: "no word in the handshake", at: "leaving", tls: { ca }, refused: /./ },
]

const protocols = ["http1", "h2", "auto"] as const
let gateway: Gateway

beforeAll(async () => {
  const leaving = createTcp({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => {})
    socket.once("data", () => socket.end())
  })
  servers.push(leaving)
  const at: Record<Case["at"], string> = {
    id: await serve(authority, { uris: [ID] }),
    named: await serve(authority, { names: ["api.test"] }),
    address: await serve(authority, { names: ["127.0.0.1"] }),
    commonName: await serve(authority, { commonName: "api.test", uris: [ID] }),
    stranger: await serve(stranger, { names: ["127.0.0.1"], uris: [ID] }),
    expired: await serve(authority, { names: ["127.0.0.1"], uris: [ID], from: -20, days: -10 }),
    mutual: await serve(authority, { names: ["127.0.0.1"] }, { requestCert: true, rejectUnauthorized: true, ca: authority.cert }),
    leaving: `127.0.0.1:${(await listen(leaving)).port}`,
  }
  const services: Record<string, object> = {}
  for (const [i, each] of cases.entries()) {
    for (const protocol of protocols)
      services[`${protocol}-${i}`] = { endpoints: [at[each.at]], protocol, tls: each.tls, connectTimeout: "30s" }
  }
  services.distrusted = { endpoints: [at.mutual], tls: { ca } }
  services.second = { endpoints: [at.leaving, at.address], tls: { ca }, loadBalancing: "roundRobin" }
  gateway = await Gateway.start({
    files: { "ca.pem": authority.cert, "own.pem": own.cert, "own.key": own.key },
    config: {
      admin: false,
      workers: 1,
      accessLog: "all",
      listeners: [
        { name: "http", address: "127.0.0.1:0" },
        ...cases.map((_, i) => ({ name: `tcp-${i}`, address: "127.0.0.1:0", protocol: "tcp", backends: `http1-${i}` })),
        { name: "second", address: "127.0.0.1:0", protocol: "tcp", backends: "second" },
      ],
      services,
      routes: Object.keys(services).map((name) => ({ match: { path: `/${name}` }, backends: name })),
    },
  })
})

afterAll(async () => {
  await gateway?.stop()
  for (const server of servers) server.close()
})

describe.each(protocols)("a service that speaks %s", (protocol) => {
  test.each(cases.map((each, i) => [each.what, each, i] as const))("and shows %s", async (_what, { refused }, i) => {
    const target = `/${protocol}-${i}`
    const { status } = await get(gateway.port("http"), target)
    expect(status).toBe(refused === null ? 200 : 503)
    const line = await gateway.accessLine(({ path }) => path === target, "the request")
    expect(line.flag ?? "").toBe(refused === null ? "" : "UF")
    if (refused !== null) expect(line.flagDetails).toMatch(refused)
  })
})

describe("a connection's service", () => {
  test.each(cases.map((each, i) => [each.what, each, i] as const))("that shows %s", async (_what, { refused }, i) => {
    const client = await RawClient.connect(gateway.port(`tcp-${i}`))
    client.send("octets")
    if (refused === null) expect((await client.readBytes(6)).toString()).toBe("octets")
    else expect((await client.readToEnd()).length).toBe(0)
    client.end()
    await client.closed()
    client.destroy()
    const line = await gateway.accessLine(({ listener }) => listener === `tcp-${i}`, "the connection")
    expect(line.flag ?? "").toBe(refused === null ? "" : "UF")
    if (refused !== null) expect(line.flagDetails).toMatch(refused)
  })

  test("gets all of what a client sends, after another one ended in the handshake", async () => {
    for (let i = 0; i < 2; i++) {
      const client = await RawClient.connect(gateway.port("second"))
      client.send("first")
      expect((await client.readBytes(5)).toString()).toBe("first")
      client.send("second")
      expect((await client.readBytes(6)).toString()).toBe("second")
      client.end()
      await client.closed()
      client.destroy()
    }
  })
})

test("a service that demands our certificate and gets none answers nothing", async () => {
  expect((await get(gateway.port("http"), "/distrusted")).status).toBeGreaterThanOrEqual(502)
})
