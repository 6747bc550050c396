import { connect as connectTcp, createServer as createTcp, type Server } from "node:net"
import { connect, createServer, type TLSSocket } from "node:tls"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { ServiceTlsConfig } from "../../../gateway/config/model.ts"
import { type ClientMaterial, ClientTls } from "../../../gateway/tls/client-context.ts"
import { Authority } from "../../support/certs.ts"
import { until, within } from "../../support/deadline.ts"
import { listen } from "../../support/ports.ts"

const ID = "spiffe://example.org/api"
const authority = new Authority()
const stranger = new Authority("A stranger")
const server = authority.issue({ names: ["api.test", "127.0.0.1"], uris: [ID] })
const client = authority.issue({ commonName: "gateway" })
const servers: Server[] = []
let port = 0
let strangers = 0
let mutual = 0
let seen = ""

async function serve(options: Parameters<typeof createServer>[0]): Promise<number> {
  const secure = createServer(options, (socket) => {
    seen = `${socket.getPeerX509Certificate()?.subject ?? ""} ${socket.alpnProtocol} ${JSON.stringify(socket.servername || "")}`
    socket.on("error", () => {})
    socket.resume()
  })
  secure.on("tlsClientError", () => {})
  const tcp = createTcp((socket) => {
    socket.on("error", () => {})
    secure.emit("connection", socket)
  })
  servers.push(tcp)
  return (await listen(tcp)).port
}

beforeAll(async () => {
  port = await serve({ cert: server.cert, key: server.key, ALPNProtocols: ["h2", "http/1.1"] })
  const fake = stranger.issue({ names: ["api.test"], uris: [ID] })
  strangers = await serve({ cert: fake.cert, key: fake.key })
  mutual = await serve({ cert: server.cert, key: server.key, requestCert: true, rejectUnauthorized: true, ca: authority.cert })
})

afterAll(() => {
  for (const each of servers) each.close()
})

function tls(config: Partial<ServiceTlsConfig>, material: Partial<ClientMaterial> = {}): ClientTls {
  const all = {
    ca: "ca.pem",
    cert: "",
    key: "",
    serverName: "",
    identity: "",
    insecureSkipVerify: false,
    minVersion: "1.2",
    ...config,
  } as const
  return new ClientTls(all, { ca: authority.cert, cert: "", key: "", ...material })
}

/** Connects on top of an open TCP connection, as a PROXY header in front needs it, and asks whether who answers is who was meant. */
async function verdict(each: ClientTls, host: string, to: number = port, alpn: readonly string[] = []): Promise<string> {
  const tcp = connectTcp({ port: to, host: "127.0.0.1" })
  const connected = new Promise<TLSSocket>((resolve, reject) => {
    tcp.once("error", reject)
    tcp.once("connect", () => {
      const socket = connect({ ...each.connectOptions(host, alpn), socket: tcp })
      socket.once("error", reject)
      socket.once("secureConnect", () => resolve(socket))
    })
  })
  const socket = await within(connected, "TLS with the service")
  const text = each.verify(socket, host)
  const agreed = socket.alpnProtocol
  socket.on("error", () => {})
  // In order, so that the service sees the end of the handshake too.
  socket.end()
  return alpn.length === 0 ? text : `${text}${agreed}`
}

describe("a service's certificate", () => {
  test("must be for the endpoint's host, or for the name in its place", async () => {
    expect(await verdict(tls({}), "api.test")).toBe("")
    expect(await verdict(tls({}), "127.0.0.1")).toBe("")
    expect(await verdict(tls({}), "other.test")).toMatch(/not for other\.test/)
    expect(await verdict(tls({}), "127.0.0.2")).toMatch(/not for 127\.0\.0\.2/)
    expect(await verdict(tls({}), "::1")).toMatch(/not for ::1/)
    expect(await verdict(tls({ serverName: "api.test" }), "127.0.0.2")).toBe("")
  })

  test("must have the SPIFFE ID that is expected, and no name then", async () => {
    expect(await verdict(tls({ identity: ID }), "10.9.9.9")).toBe("")
    expect(await verdict(tls({ identity: `${ID}/v2` }), "api.test")).toMatch(/it is of spiffe:\/\/example\.org\/api$/)
  })

  test("must be from the authorities given, or from the system's", async () => {
    for (const each of [tls({}), tls({ identity: ID })])
      expect(await verdict(each, "api.test", strangers)).toMatch(/^certificate refused: [A-Z_]+$/)
    expect(await verdict(tls({}, { ca: "" }), "api.test")).toMatch(/^certificate refused/)
    expect(await verdict(tls({ insecureSkipVerify: true }), "other.test", strangers)).toBe("")
  })
})

test("protocols are agreed upon in the caller's order, and the service sees name and certificate", async () => {
  expect(await verdict(tls({}), "api.test", port, ["http/1.1"])).toBe("http/1.1")
  expect(await verdict(tls({}), "api.test", port, ["h2", "http/1.1"])).toBe("h2")
  await until(() => seen.includes('h2 "api.test"'), "the name at the service")
  expect(await verdict(tls({}, { cert: client.cert, key: client.key }), "api.test", mutual)).toBe("")
  await until(() => seen.includes("CN=gateway"), "the certificate at the service")
})

test("the key tells apart what must not share connections", () => {
  const keys = [
    tls({}),
    tls({ serverName: "api.test" }),
    tls({ identity: ID }),
    tls({ insecureSkipVerify: true }),
    tls({ minVersion: "1.3" }),
    tls({}, { ca: stranger.cert }),
    tls({}, { cert: client.cert, key: client.key }),
  ].map(({ key }) => key)
  expect(new Set(keys).size).toBe(keys.length)
  expect(tls({}).key).toBe(keys[0])
  expect(tls({ ca: "renamed.pem" }).key).toBe(keys[0])
})
