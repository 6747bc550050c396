import { once } from "node:events"
import { connect, type Socket } from "node:net"
import { afterEach, describe, expect, test } from "vitest"
import { createAdmin } from "../../../gateway/admin/admin.ts"
import { type AdminServer, serveAdmin } from "../../../gateway/admin/server.ts"
import type { Logger } from "../../../gateway/telemetry/log.ts"
import { config } from "./support/config.ts"

const logged: string[] = []
const log: Logger = { enabled: () => true, log: (level, message) => logged.push(`${level} ${message}`) }
const servers: AdminServer[] = []

async function serve(host = "127.0.0.1", port = 0): Promise<AdminServer> {
  const app = createAdmin(
    {
      history: { record: () => {} },
      changes: () => [],
      live: () => true,
      ready: () => ({
        ready: false,
        draining: false,
        reasons: ["starting"],
        generation: 0,
        lastReload: null,
        workers: { running: 0, wanted: 1 },
        filtersInTrouble: [],
      }),
      exposition: () => Promise.resolve({ contentType: "text/plain; version=0.0.4; charset=utf-8", body: "up 1\n".repeat(100_000) }),
      config: () => config,
      filters: () => [],
      services: () => [],
      push: () => Promise.reject(new Error("not asked for")),
      unpush: () => Promise.reject(new Error("not asked for")),
      release: () => Promise.reject(new Error("not asked for")),
      canaries: () => [],
      drain: () => Promise.reject(new Error("not asked for")),
      undrain: () => Promise.reject(new Error("not asked for")),
      weights: () => ({ status: 404, message: "" }),
      restore: () => Promise.reject(new Error("not asked for")),
      quarantine: () => Promise.reject(new Error("not asked for")),
      hasFilter: () => false,
      filterLog: () => [],
      followFilter: () => null,
      profileFilter: () => Promise.reject(new Error("not asked for")),
      setWeights: () => Promise.reject(new Error("not asked for")),
      tap: () => null,
      routes: () => null,
      explain: () => "nothing is in force",
      steer: () => Promise.reject(new Error("not asked for")),
    },
    host,
  )
  const server = await serveAdmin(app, { host, port }, log)
  servers.push(server)
  return server
}

/** Sends octets and reads until the server closes. */
async function raw(port: number, request: string): Promise<string> {
  const socket = connect(port, "127.0.0.1")
  let text = ""
  socket.setEncoding("latin1").on("data", (chunk: string) => {
    text += chunk
  })
  socket.on("error", () => {})
  socket.write(request, "latin1")
  await once(socket, "close")
  return text
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()))
  logged.length = 0
})

describe("over the wire", () => {
  test("GET answers with status, content type and body", async () => {
    const { port } = await serve()
    const ready = await fetch(`http://127.0.0.1:${port}/ready`)
    expect(ready.status).toBe(503)
    expect((await ready.json()).reasons).toEqual(["starting"])
    const metrics = await fetch(`http://localhost:${port}/metrics`)
    expect(metrics.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8")
    expect((await metrics.text()).length).toBe(500_000)
  })

  test("HEAD answers the same head without a body", async () => {
    const { port } = await serve()
    for (const path of ["/", "/live", "/metrics", "/config", "/filters", "/nope"]) {
      const answer = await raw(port, `HEAD ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`)
      expect(answer).toMatch(path === "/nope" ? /^HTTP\/1\.1 404 / : /^HTTP\/1\.1 200 /)
      expect(answer.endsWith("\r\n\r\n")).toBe(true)
      expect(answer.toLowerCase()).toContain("content-type: ")
    }
  })

  test("a foreign Host gets nothing, a missing one neither", async () => {
    const { port } = await serve()
    expect(await raw(port, "GET /config HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")).toMatch(/^HTTP\/1\.1 421 /)
    const hostless = await raw(port, "GET /config HTTP/1.0\r\nConnection: close\r\n\r\n")
    expect(hostless).toMatch(/^HTTP\/1\.[01] 4\d\d /)
    expect(hostless).not.toContain("listeners")
  })

  test("an absolute-form target doesn't get around the check", async () => {
    const { port } = await serve()
    const answer = await raw(port, "GET http://localhost/config HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")
    expect(answer).not.toContain("listeners")
  })

  test("a body that is sent to it harms nothing", async () => {
    const { port } = await serve()
    const answer = await fetch(`http://127.0.0.1:${port}/config`, {
      method: "POST",
      headers: { "x-sluice-admin": "1" },
      body: "x".repeat(100_000),
    })
    expect(answer.status).toBe(405)
    expect((await fetch(`http://127.0.0.1:${port}/live`)).status).toBe(200)
  })
})

describe("binding", () => {
  test("a taken address is an error that says what to do", async () => {
    const { port } = await serve()
    await expect(serve("127.0.0.1", port)).rejects.toThrow(`admin: can't listen on 127.0.0.1:${port}: the address is in use; change`)
  })

  test("an address others can reach is warned about, loopback isn't", async () => {
    await serve()
    expect(logged).toEqual([])
    const { port } = await serve("0.0.0.0")
    expect(logged).toEqual(["warn the admin API has no authentication and listens on an address that others can reach"])
    expect((await fetch(`http://127.0.0.1:${port}/live`)).status).toBe(200)
  })

  test("close ends idle connections and frees the port", async () => {
    const server = await serve()
    const idle: Socket = connect(server.port, "127.0.0.1")
    idle.on("error", () => {})
    idle.write("GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
    await once(idle, "data")
    const closed = once(idle, "close")
    await server.close()
    idle.destroy()
    await closed
    expect((await serve("127.0.0.1", server.port)).port).toBe(server.port)
  })
})
