// What is said of requests beforehand, and what then becomes of them: the same requests are asked about and sent. Of chance, what
// happens has to be among what was said to be possible.

import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { ServiceStatus } from "../../gateway/admin/service-status.ts"
import type { Explanation, Outcome } from "../../gateway/explain/explanation.ts"
import { type Asked, askedConfig, askedRequests, CERTIFICATE, NAMES } from "../support/asked-and-sent.ts"
import { Authority } from "../support/certs.ts"
import { until } from "../support/deadline.ts"
import { type AccessLine, Gateway } from "../support/gateway.ts"
import { H2Client } from "../support/h2-client.ts"
import { H2Origin } from "../support/h2-origin.ts"
import { Origin } from "../support/origin.ts"
import { freePort } from "../support/ports.ts"
import { exchange, get, RawClient } from "../support/raw-client.ts"
import { secure } from "../support/tls-client.ts"

const SEED = Number(process.env.SLUICE_EXPLAIN_SEED ?? 20261129)
const COUNT = Number(process.env.SLUICE_EXPLAIN_COUNT ?? 200)
/** Requests under way at a time. */
const AT_ONCE = 8

let gateway: Gateway
let origin: Origin
let h2Origin: H2Origin

beforeAll(async () => {
  origin = await Origin.start(
    (request, connection) => {
      connection.reply(200, JSON.stringify({ method: request.method, target: request.target, fields: request.fields }))
    },
    { host: "0.0.0.0" },
  )
  h2Origin = await H2Origin.start((arrival) => {
    const fields = arrival.fields.filter(([name]) => !name.startsWith(":"))
    const host: [string, string] = ["host", arrival.header(":authority") ?? ""]
    const seen = { method: arrival.method, target: arrival.target, fields: [host, ...fields] }
    arrival.reply(200, arrival.method === "HEAD" ? "" : JSON.stringify(seen))
  })
  const { cert, key } = new Authority().issue({ names: NAMES })
  const files = { [CERTIFICATE.cert]: cert, [CERTIFICATE.key]: key }
  gateway = await Gateway.start({ files, config: askedConfig(origin.port, h2Origin.port, await freePort()) })
  await eject()
  await order(`/services/drained/endpoints/127.0.0.25:${origin.port}/drain`)
})

afterAll(async () => {
  await gateway.kill()
  await Promise.all([origin.stop(), h2Origin.stop()])
})

async function order(path: string): Promise<void> {
  const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\nx-sluice-admin: 1\r\ncontent-length: 0\r\nconnection: close\r\n\r\n`
  expect((await exchange(gateway.adminPort, head)).status).toBe(200)
}

/** Has all endpoints ejected at which nobody listens. */
async function eject(): Promise<void> {
  await until(async () => {
    await Promise.all(["/sick", "/sicker"].map((path) => get(gateway.port("edge"), path)))
    const { services } = JSON.parse((await get(gateway.adminPort, "/services")).text()) as { services: ServiceStatus[] }
    return services.reduce((sum, { endpoints }) => sum + endpoints.filter(({ ejected }) => ejected !== null).length, 0) === 3
  }, "ejections")
}

async function explain(request: Asked): Promise<Outcome> {
  const { http2: _, tag: __, body: ___, ...asked } = request
  const response = await fetch(`http://127.0.0.1:${gateway.adminPort}/explain`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-sluice-admin": "1" },
    body: JSON.stringify(asked),
  })
  const said = (await response.json()) as Explanation
  if (response.status !== 200) throw new Error(JSON.stringify(said))
  return said.outcomes[0]
}

interface Seen {
  readonly status: number
  readonly location: string | null
  readonly grpcStatus: string | null
  readonly text: string
}

async function send({ method, url, headers, listener, serverName, http2, body }: Asked): Promise<Seen> {
  const [, scheme = listener === "secure" ? "https" : "http", authority = "", path = "*"] = /^(https?):\/\/([^/]+)(.*)$/.exec(url) ?? []
  const name = authority.replace(/:\d+$/, "")
  const servername = serverName ?? (/[^\d.]/.test(name) ? name : "")
  const port = gateway.port(listener)
  // A whole message of gRPC, which is empty, where it is five octets.
  const octets = "\0".repeat(body)
  if (http2) {
    const client = await H2Client.connect(port, scheme === "https" ? { tls: { rejectUnauthorized: false, servername } } : {})
    try {
      const fields = headers.map(([name, value]) => [name, value] as const)
      const id = client.request({
        method,
        path,
        authority: authority || `127.0.0.1:${port}`,
        fields,
        ...(body > 0 ? { body: octets } : {}),
      })
      const stream = client.stream(id)
      await client.until(() => stream.ended || stream.reset !== null, "an answer")
      // What HTTP/1.1 answers with 400 is a stream error there (RFC 9113 §8.1.1).
      if (stream.head === null) return { status: 400, location: null, grpcStatus: null, text: "" }
      const answer = await client.response(id)
      return { status: answer.status, location: answer.header("location"), grpcStatus: answer.header("grpc-status"), text: answer.text() }
    } finally {
      client.destroy()
    }
  }
  const client = scheme === "https" ? (await secure(port, { servername })).client : await RawClient.connect(port)
  try {
    const said = headers.some(([name]) => name === "host")
    const fields = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")
    client.send(`${method} ${path} HTTP/1.1\r\n${said ? "" : `host: ${authority || `127.0.0.1:${port}`}\r\n`}${fields}\r\n${octets}`)
    const answer = await client.readResponse(method)
    return { status: answer.status, location: answer.header("location"), grpcStatus: answer.header("grpc-status"), text: answer.text() }
  } finally {
    client.destroy()
  }
}

/** What came of a request that was said to end otherwise; "" = nothing. */
function disagreement(request: Asked, said: Outcome, seen: Seen, line: AccessLine | undefined): string {
  const { verdict, route, odds, action, service, sent } = said
  const differs = (what: string, expected: unknown, actual: unknown): string =>
    `${what}: said ${JSON.stringify(expected)}, was ${JSON.stringify(actual)}`
  if (line !== undefined && (line.flag ?? "") !== verdict.flag) return differs("flag", verdict.flag, line?.flag ?? "")
  if (verdict.status !== null && verdict.status !== seen.status) return differs("status", verdict.status, seen.status)
  if (verdict.status === null && seen.status !== 200) return differs("status", "the service's", seen.status)
  const { grpcStatus } = verdict
  if (verdict.status !== null && String(grpcStatus) !== String(seen.grpcStatus)) return differs("gRPC status", grpcStatus, seen.grpcStatus)
  if (action?.kind === "redirect" && action.location !== seen.location) return differs("location", action.location, seen.location)
  if (line === undefined) return verdict.ok ? "it isn't in the access log" : ""
  const routes = odds.length > 0 ? odds.map((each) => each.route) : [route?.name ?? ""]
  if (!routes.includes(String(line.route ?? ""))) return differs("route", routes, line.route)
  if (line.route !== route?.name || action?.kind !== "forward") return ""
  const backends = action.backends.filter((each) => each.odds > 0)
  if (!verdict.ok) return ""
  if (!backends.some((each) => each.service === line.service)) return differs("service", backends, line.service)
  if (service === null || line.service !== service.name) return ""
  const takers =
    service.order.length > 0
      ? service.order.slice(0, 1)
      : service.endpoints.filter(({ share }) => (share ?? 0) > 0).map(({ address }) => address)
  if (!takers.includes(String(line.upstream))) return differs("endpoint", takers, line.upstream)
  if (request.method === "HEAD" || sent === null) return ""
  const arrived = JSON.parse(seen.text) as { method: string; target: string; fields: [string, string][] }
  if (arrived.target !== sent.path || arrived.method !== sent.method)
    return differs("request line", [sent.method, sent.path], [arrived.method, arrived.target])
  const host = sent.authority || String(line.upstream)
  const hosts = arrived.fields.filter(([name]) => name === "host").map(([, value]) => value)
  if (String(hosts) !== host) return differs("host", host, hosts)
  const made = new Set(sent.headers.filter(([, value]) => value.startsWith("(") || value === "[redacted]").map(([name]) => name))
  const fields = (list: readonly (readonly [string, string])[]): string =>
    list
      .map(([name, value]) => (made.has(name) ? name : `${name}: ${value}`))
      .sort()
      .join("\n")
  const framing = new Set(["host", "content-length", "connection"])
  const expected = fields(sent.headers.filter(([name]) => !framing.has(name)))
  const actual = fields(arrived.fields.filter(([name]) => !framing.has(name)))
  return expected === actual ? "" : differs("headers", expected, actual)
}

describe("explain and what happens", () => {
  test("agree on requests of every kind", async () => {
    const requests = askedRequests(COUNT, SEED)
    const results: { request: Asked; said: Outcome; seen: Seen }[] = []
    const work = [...requests]
    const goOn = async (): Promise<void> => {
      for (let request = work.pop(); request !== undefined; request = work.pop()) {
        const said = await explain(request)
        results.push({ request, said, seen: await send(request) })
      }
    }
    await Promise.all(Array.from({ length: AT_ONCE }, goOn))
    const tagged = (line: AccessLine): string => String((line.requestHeaders as Record<string, string> | undefined)?.["x-tag"] ?? "")
    const lines = new Map<string, AccessLine>()
    await until(() => {
      for (const line of gateway.access) lines.set(tagged(line), line)
      return results.every(({ request, seen }) => lines.has(request.tag) || seen.status >= 400)
    }, "the access log")
    const found = results
      .map(({ request, said, seen }) => ({ request, said, differs: disagreement(request, said, seen, lines.get(request.tag)) }))
      .filter(({ differs }) => differs !== "")
      .map(({ request, said, differs }) => `${differs}\n  ${JSON.stringify(request)}\n  ${said.verdict.text}`)
    expect(found).toEqual([])
    // It takes a bit of everything to say so.
    expect(new Set(results.map(({ said }) => said.route?.name)).size).toBeGreaterThan(25)
    expect(new Set(results.map(({ said }) => said.verdict.code)).size).toBeGreaterThan(7)
  })
})
