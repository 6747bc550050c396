// The admin API of a running gateway: configurations that were in force and the way back, the log's level, profiles, connections and
// certificates; and what is kept of who has ordered what.

import { execFile } from "node:child_process"
import { once } from "node:events"
import { createServer } from "node:net"
import { hostname, userInfo } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, beforeAll, describe, expect, test } from "vitest"
import type { Change } from "../../gateway/admin/change-history.ts"
import { Authority } from "../support/certs.ts"
import { runCommand } from "../support/cli.ts"
import { helloMessage, records } from "../support/client-hello.ts"
import { until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { freePort } from "../support/ports.ts"
import { exchange, get, RawClient, type Response } from "../support/raw-client.ts"

let gateway: Gateway
let sparePort: number
const certificate = new Authority().issue({ names: ["shop.example.com"], uris: ["spiffe://mesh/shop"], days: 9 })

const config = (body: string, more: readonly object[] = []): object => ({
  admin: { address: "127.0.0.1:0" },
  workers: 1,
  listeners: [
    { name: "edge", address: "127.0.0.1:0" },
    { name: "secure", address: "127.0.0.1:0", protocol: "https", tls: { certificates: [{ cert: "c.pem", key: "k.pem" }] } },
    ...more,
  ],
  routes: [{ name: "all", headers: { request: { set: { authorization: `Basic s3cr3t-${body}` } } }, respond: { status: 200, body } }],
})

const spare = (): object => ({ name: "spare", address: `127.0.0.1:${sparePort}` })
const shown = async (): Promise<string> => (await get(gateway.port("edge"), "/")).text()
const ask = async <T>(path: string): Promise<T> => JSON.parse((await get(gateway.adminPort, path)).text()) as T
const generation = async (): Promise<number> => (await ask<{ generation: number }>("/ready")).generation

function order(method: string, path: string, body: object | null = null, fields = "x-sluice-user: ann@laptop\r\n"): Promise<Response> {
  const text = body === null ? "" : JSON.stringify(body)
  const type = body === null ? "" : "content-type: application/json\r\n"
  return exchange(
    gateway.adminPort,
    `${method} ${path} HTTP/1.1\r\nhost: localhost\r\nx-sluice-admin: 1\r\n${fields}${type}content-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
    method,
  )
}

beforeAll(async () => {
  sparePort = await freePort()
  const files = { "c.pem": certificate.cert, "k.pem": certificate.key }
  gateway = await Gateway.start({ config: config("first", [spare()]), files })
})

afterAll(() => gateway.kill())

async function write(body: string, more: readonly object[] = []): Promise<number> {
  const from = gateway.log.length
  gateway.writeConfig(config(body, more))
  await gateway.waitForLog(({ message }) => message === "configuration taken", `configuration ${body}`, 20_000, from)
  return generation()
}

describe("configurations that were in force", () => {
  test("are listed, compared, and taken again; the file's next change wins; who did it is in the history", async () => {
    // With a listener that the second hasn't.
    const first = await generation()
    const second = await write("second")
    const { history } = await ask<{ history: { generation: number; who: string; why: string; inForce: boolean }[] }>("/config/history")
    expect(history[0]).toMatchObject({ generation: second, who: "the file", why: "file changed", inForce: true })
    expect(history[1]).toMatchObject({ generation: first, inForce: false })
    const { diff } = await ask<{ diff: string }>(`/config/diff?from=${first}&to=${second}`)
    expect(diff).toContain("@@ routes[all].respond.body @@\n-first\n+second\n")
    expect(diff).toContain(`@@ listeners[spare] @@\n-{ name: spare, address: 127.0.0.1:${sparePort} }\n`)
    expect(diff).toContain("@@ routes[all].headers.request.set.authorization @@\n")
    expect(diff).not.toContain("s3cr3t")

    // What can't be taken any more changes nothing.
    const other = createServer().listen(sparePort, "127.0.0.1")
    await once(other, "listening")
    const refused = await order("POST", "/config/rollback", { generation: first })
    other.close()
    expect([refused.status, JSON.parse(refused.text()).error]).toEqual([422, expect.stringContaining("nothing has changed")])
    expect(await shown()).toBe("second")
    expect(await ask("/ready")).toMatchObject({ generation: second, reasons: [] })

    const back = await order("POST", "/config/rollback", { generation: first })
    expect([back.status, JSON.parse(back.text()).done]).toEqual([
      200,
      expect.stringContaining("the file is as it was, and its next change wins"),
    ])
    expect(await shown()).toBe("first")
    const { reasons } = await ask<{ reasons: string[] }>("/ready")
    expect(reasons).toEqual([
      expect.stringMatching(`^the configuration of generation ${first} is in force again, not that of the file \\(ann@laptop from `),
    ])
    const { departure, history: after } = await ask<{ departure: string; history: { who: string; why: string }[] }>("/config/history")
    expect(departure).toBe(reasons[0])
    expect(after[0]).toMatchObject({ who: "ann@laptop from 127.0.0.1", why: `rollback to generation ${first}` })
    expect((await order("POST", "/config/rollback", { generation: first })).status).toBe(409)
    expect((await order("POST", "/config/rollback", { generation: 99_999 })).status).toBe(404)

    // What the file says is no departure from it.
    expect((await order("POST", "/config/rollback", { generation: second })).status).toBe(200)
    expect([await shown(), (await ask<{ departure: string | null }>("/config/history")).departure]).toEqual(["second", null])

    await write("third")
    expect(await shown()).toBe("third")
    expect(await ask("/ready")).toMatchObject({ ready: true, reasons: [] })
    const changes = (await ask<{ history: Change[] }>("/history")).history.slice(0, 6)
    const to = `to generation ${first}`
    expect(changes.map(({ who, kind, what, refused }) => [who, kind, what, refused === null])).toEqual([
      ["the file", "config", "file changed", true],
      ["ann@laptop from 127.0.0.1", "config rollback", `to generation ${second}`, true],
      ["ann@laptop from 127.0.0.1", "config rollback", "to generation 99999", false],
      ["ann@laptop from 127.0.0.1", "config rollback", to, false],
      ["ann@laptop from 127.0.0.1", "config rollback", to, true],
      ["ann@laptop from 127.0.0.1", "config rollback", to, false],
    ])
  })

  test("are refused by the file's mistakes as ever, which the history tells", async () => {
    gateway.writeConfig("listeners: nonsense")
    const change = await until(
      async () => {
        const [newest] = (await ask<{ history: Change[] }>("/history")).history
        return newest.kind !== "config" || newest.refused === null ? null : newest
      },
      "a refused configuration in the history",
      20_000,
    )
    expect(change).toMatchObject({ who: "the file", kind: "config" })
    expect(change.refused).toContain("listeners")
  })
})

test("the log's level changes at once in the workers too, until the next configuration", async () => {
  const failed = async (): Promise<void> => {
    const client = await RawClient.connect(gateway.port("secure"))
    client.send(Buffer.concat([records(helloMessage({ serverName: "shop.example.com" })), Buffer.from("no part of a handshake")]))
    await client.readToEnd()
    client.destroy()
  }
  const told = (from: number) => gateway.waitForLog(({ message }) => message === "TLS handshake failed", "a failed handshake", 10_000, from)
  const from = gateway.log.length
  await failed()
  expect((await order("PUT", "/log", { level: "debug" })).status).toBe(200)
  expect(await ask("/log")).toEqual({ level: "debug", configured: "info" })
  expect(gateway.log.slice(from).some(({ message }) => message === "TLS handshake failed")).toBe(false)
  await failed()
  await told(from)
  expect((await order("PUT", "/log", { level: "loud" })).status).toBe(400)
  await write("another")
  expect(await ask("/log")).toEqual({ level: "info", configured: "info" })
})

test("a CPU profile of a worker and of the main thread, one at a time", async () => {
  const [worker, refused] = await Promise.all([
    order("POST", "/profile/cpu?seconds=1&worker=0"),
    until(async () => {
      const answer = await order("POST", "/profile/cpu?seconds=1&worker=main")
      return answer.status === 409 ? answer : null
    }, "a profile while another is taken"),
  ])
  expect(JSON.parse(refused.text()).error).toContain("ask again when it is done")
  for (const answer of [worker, await order("POST", "/profile/cpu?seconds=1&worker=main")]) {
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.text())).toMatchObject({ nodes: expect.any(Array), timeDeltas: expect.any(Array) })
  }
  expect((await order("POST", "/profile/cpu?seconds=61")).status).toBe(400)
  expect((await order("POST", "/profile/cpu?worker=7")).status).toBe(404)
})

test("a profile of memory, as the runtime can make it", async () => {
  const sampled = await order("POST", "/profile/heap?seconds=1")
  if (process.versions.bun === undefined) {
    expect(sampled.status).toBe(200)
    expect(JSON.parse(sampled.text())).toHaveProperty("head")
  } else expect([sampled.status, JSON.parse(sampled.text()).error]).toEqual([501, expect.stringContaining("ask for kind=snapshot")])
  const url = `http://127.0.0.1:${gateway.adminPort}/profile/heap?kind=snapshot&worker=0`
  const snapshot = await fetch(url, { method: "POST", headers: { "x-sluice-admin": "1" } })
  expect(snapshot.status).toBe(200)
  expect(await snapshot.json()).toHaveProperty("snapshot.meta")
})

test("open connections are told with who is at the other end and what they have asked", async () => {
  const client = await RawClient.connect(gateway.port("edge"))
  for (let i = 0; i < 3; i++) {
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
    await client.readResponse()
  }
  const { total, connections, missing } = await ask<{ total: number; connections: Record<string, unknown>[]; missing: string[] }>(
    "/connections",
  )
  client.destroy()
  expect(missing).toEqual([])
  expect(total).toBeGreaterThanOrEqual(1)
  const own = connections.filter(({ requests }) => requests === 3)
  expect(own).toHaveLength(1)
  expect(own[0]).toMatchObject({ worker: 0, listener: "edge", protocol: "HTTP/1.1", tls: "", identity: "", underWay: 0 })
  expect(own[0].peer).toMatch(/^127\.0\.0\.1:\d+$/)
})

test("certificates are told with whom they are for and how long, never with a key", async () => {
  const answer = await get(gateway.adminPort, "/certificates")
  const { certificates } = JSON.parse(answer.text())
  expect(certificates).toHaveLength(1)
  expect(certificates[0]).toMatchObject({
    shownBy: "listener",
    name: "secure",
    names: ["shop.example.com", "spiffe://mesh/shop"],
    issuer: "CN=Sluice test CA",
    daysLeft: 8,
  })
  expect(answer.text()).not.toContain("PRIVATE")
})

test("no page of another origin gives orders or reads; the dashboard's own does", async () => {
  const host = `localhost:${gateway.adminPort}`
  const page = (origin: string, site: string): string => `origin: ${origin}\r\nsec-fetch-site: ${site}\r\n`
  const put = async (fields: string): Promise<number> => {
    const text = '{"level":"info"}'
    const head = `PUT /log HTTP/1.1\r\nhost: ${host}\r\nx-sluice-admin: 1\r\n${fields}content-type: application/json\r\n`
    return (await exchange(gateway.adminPort, `${head}content-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`, "PUT")).status
  }
  expect(await put(page(`http://${host}`, "same-origin"))).toBe(200)
  expect(await put(page("http://evil.example", "cross-site"))).toBe(403)
  expect(await put(page("http://localhost:8080", "same-site"))).toBe(403)
  expect(await put(page(`http://${host}`, "cross-site"))).toBe(403)
  expect(await put(`origin: http://${host}\r\n`)).toBe(403)
  expect((await get(gateway.adminPort, "/config", { host, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors" })).status).toBe(403)
  expect((await get(gateway.adminPort, "/config", { host, "sec-fetch-site": "same-origin" })).status).toBe(200)
})

describe("the command line", () => {
  const admin = (): string => `127.0.0.1:${gateway.adminPort}`

  test("looks the gateway over, and goes back to a configuration and forth", async () => {
    const checked = await runCommand(["check", "--admin", admin(), "--json"])
    const findings = JSON.parse(checked.stdout) as { state: string; what: string; say: string }[]
    expect(findings.find(({ what }) => what === "certificates")).toEqual({
      state: "warn",
      what: "certificates",
      say: "the certificate shop.example.com of listener secure expires in 8 days; put a new one in its place before",
    })
    expect(findings.filter(({ what }) => what === "serves" || what === "version").map(({ state }) => state)).toEqual(["ok", "ok"])
    // Of what was in force before the newest one.
    const { history } = await ask<{ history: { generation: number }[] }>("/config/history")
    const back = await runCommand(["config", "rollback", String(history[1].generation), "--admin", admin()])
    expect([back.code, back.stderr]).toEqual([0, ""])
    expect(await shown()).toBe("third")
    const [change] = (await ask<{ history: Change[] }>("/history")).history
    expect(change.who).toBe(`${userInfo().username}@${hostname()} from 127.0.0.1`)
  })

  test("makes a bundle with everything in it but secrets", async () => {
    const file = join(gateway.folder, "bundle.tar.gz")
    const made = await runCommand(["debug", "bundle", "-o", file, "--admin", admin()])
    expect([made.code, made.stderr]).toEqual([0, ""])
    const { stdout: names } = await promisify(execFile)("tar", ["tzf", file])
    for (const name of ["config.yaml", "ready.json", "metrics.txt", "log.txt", "certificates.json", "routes.json", "command.json"])
      expect(names.split("\n")).toContain(`sluice-debug/${name}`)
    expect(names).not.toContain(".error")
    const { stdout: content } = await promisify(execFile)("tar", ["xzOf", file], { maxBuffer: 64 * 1024 * 1024 })
    expect(content).toContain("body: third")
    expect(content).toContain('"message":"ready"')
    expect(content).not.toContain("s3cr3t")
    expect(content).not.toContain("PRIVATE KEY")
  })
})
