import { spawn } from "node:child_process"
import { once } from "node:events"
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { request as plainRequest } from "node:http"
import { type RequestOptions, request as secureRequest } from "node:https"
import { connect, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, afterEach, describe, expect, test } from "vitest"
import type { AdminDeps } from "../../../gateway/admin/app.ts"
import { type AdminServer, serveAdmin } from "../../../gateway/admin/server.ts"
import { requestAdmin } from "../../../gateway/cli/admin-request.ts"
import { adminTarget } from "../../../gateway/cli/admin-target.ts"
import type { AdminConfig } from "../../../gateway/config/model.ts"
import type { Logger } from "../../../gateway/telemetry/log.ts"
import { Authority } from "../../support/certs.ts"
import { adminDeps } from "./support/deps.ts"

const logged: string[] = []
const log: Logger = { enabled: () => true, log: (level, message) => logged.push(`${level} ${message}`) }
const servers: AdminServer[] = []

async function serveAt(config: AdminConfig, overrides: Partial<AdminDeps> = {}): Promise<AdminServer> {
  const ready = {
    ready: false,
    draining: false,
    reasons: ["starting"],
    generation: 0,
    lastReload: null,
    workers: { running: 0, wanted: 1 },
    filtersInTrouble: [],
  }
  const deps = adminDeps({
    ready: () => ready,
    exposition: () => Promise.resolve({ contentType: "text/plain; version=0.0.4; charset=utf-8", body: "up 1\n".repeat(100_000) }),
    ...overrides,
  })
  const server = await serveAdmin(deps, config, { SHORT: "123" }, log)
  servers.push(server)
  return server
}

const serve = (host = "127.0.0.1", port = 0): Promise<AdminServer> => serveAt({ address: { host, port }, openMetrics: false })

const folder = mkdtempSync(join(tmpdir(), "sluice-admin-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Over TLS where an authority is given. */
function ask(at: RequestOptions, path: string, options: RequestOptions = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const make = at.ca === undefined ? plainRequest : secureRequest
    const request = make({ ...at, ...options, path, agent: false, headers: { host: "localhost", ...options.headers } }, (response) => {
      let text = ""
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece
      })
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text }))
    })
    request.on("error", reject)
    request.end()
  })
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

  test("an order's body may be absent, or of a length that isn't said; what is too long is refused", async () => {
    const rollback = (generation: number) => Promise.resolve({ status: 200 as const, message: `went to ${generation}` })
    const steer = () => Promise.resolve({ status: 200 as const, message: "paused" })
    const { port } = await serveAt({ address: { host: "127.0.0.1", port: 0 }, openMetrics: false }, { rollback, steer })
    const order = (path: string, rest: string) =>
      raw(
        port,
        `POST ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nx-sluice-admin: 1\r\ncontent-type: application/json\r\n${rest}`,
      )
    const chunked = (text: string) => `Transfer-Encoding: chunked\r\n\r\n${text.length.toString(16)}\r\n${text}\r\n0\r\n\r\n`
    // As `curl -X POST` does.
    expect(await order("/canaries/a/pause", "\r\n")).toMatch(/^HTTP\/1\.1 200 [\s\S]*paused/)
    expect(await order("/config/rollback", chunked('{"generation":7}'))).toMatch(/^HTTP\/1\.1 200 [\s\S]*went to 7/)
    expect(await order("/config/rollback", chunked(" ".repeat(300_000)))).toMatch(/^HTTP\/1\.1 413 /)
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

describe("a socket in the file system", () => {
  test("may be opened by its user alone, serves any name, and is gone after its end", async () => {
    const socket = join(folder, "admin.sock")
    const server = await serveAt({ address: { socket }, openMetrics: false })
    expect(server.address).toBe(`unix:${socket}`)
    expect((statSync(socket).mode & 0o777).toString(8)).toBe("600")
    const answer = await ask({ socketPath: socket }, "/config")
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.text).listeners[0].name).toBe("edge")
    expect((await requestAdmin(adminTarget({ admin: `unix:${socket}` }, {}), "/config")).statusCode).toBe(200)
    await server.close()
    expect(existsSync(socket)).toBe(false)
  })

  test("left behind by one that was killed is taken; one in use, or something else, is not", async () => {
    const socket = join(folder, "left.sock")
    const script = `require("node:net").createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, "SIGKILL"))`
    await once(spawn("node", ["-e", script], { stdio: "ignore" }), "exit")
    expect(existsSync(socket)).toBe(true)
    await serveAt({ address: { socket }, openMetrics: false })
    expect((await ask({ socketPath: socket }, "/live")).status).toBe(200)
    await expect(serveAt({ address: { socket }, openMetrics: false })).rejects.toThrow(`somebody listens at ${socket} already; end`)
    const file = join(folder, "file")
    writeFileSync(file, "precious")
    await expect(serveAt({ address: { socket: file }, openMetrics: false })).rejects.toThrow(
      `${file} is there already and is no socket; remove`,
    )
    expect(readFileSync(file, "utf8")).toBe("precious")
  })
})

describe("several at one socket", () => {
  /** As one that was killed leaves it. */
  async function leaveBehind(socket: string): Promise<void> {
    const script = `require("node:net").createServer().listen(${JSON.stringify(socket)}, () => process.kill(process.pid, "SIGKILL"))`
    await once(spawn("node", ["-e", script], { stdio: "ignore" }), "exit")
    expect(existsSync(socket)).toBe(true)
  }

  test("that begin at the same time where one was left behind: one gets it, and keeps it", async () => {
    const socket = join(folder, "raced.sock")
    await leaveBehind(socket)
    const ended = await Promise.allSettled(Array.from({ length: 4 }, () => serveAt({ address: { socket }, openMetrics: false })))
    const failed = ended.filter((each) => each.status === "rejected")
    expect(failed.length).toBe(3)
    for (const { reason } of failed) expect(String(reason)).toContain(`somebody listens at ${socket} already`)
    expect((await ask({ socketPath: socket }, "/live")).status).toBe(200)
    expect((statSync(socket).mode & 0o777).toString(8)).toBe("600")
    await servers[0].close()
    expect(readdirSync(folder).filter((name) => name.startsWith("raced") || name.startsWith(".sluice-"))).toEqual([])
  })

  test("one that ends leaves another's where it is", async () => {
    const socket = join(folder, "next.sock")
    const first = await serveAt({ address: { socket }, openMetrics: false })
    rmSync(socket)
    const second = await serveAt({ address: { socket }, openMetrics: false })
    await first.close()
    expect((await ask({ socketPath: socket }, "/live")).status).toBe(200)
    await second.close()
    expect(existsSync(socket)).toBe(false)
  })
})

describe("TLS", () => {
  test("lets in who has a good client certificate or the token, and tells others only whether it is ready", async () => {
    const authority = new Authority()
    const stranger = new Authority("Stranger")
    const write = (name: string, content: string): string => {
      writeFileSync(join(folder, name), content)
      return join(folder, name)
    }
    const own = authority.issue({ names: ["localhost", "127.0.0.1"] })
    const client = authority.issue({ uris: ["spiffe://mesh/operator"] })
    const other = stranger.issue({ uris: ["spiffe://mesh/operator"] })
    const heard: string[] = []
    const server = await serveAt(
      {
        address: { host: "127.0.0.1", port: 0 },
        token: { file: write("token", "0123456789abcdef\n") },
        tls: { certificate: write("c.pem", own.cert), key: write("k.pem", own.key), clientAuthority: write("ca.pem", authority.cert) },
        openMetrics: true,
      },
      { steer: () => Promise.resolve({ status: 200, message: "done" }), history: { record: ({ who }) => heard.push(who) } },
    )
    const secure = { host: "127.0.0.1", port: server.port, servername: "localhost", ca: authority.cert }
    const shown = { ...secure, cert: client.cert, key: client.key }
    const bearer = { authorization: "Bearer 0123456789abcdef" }
    expect((await ask(secure, "/config")).status).toBe(401)
    expect((await ask({ ...secure, cert: other.cert, key: other.key }, "/config")).status).toBe(401)
    expect((await ask(secure, "/config", { headers: { authorization: "Bearer 0123456789abcdeg" } })).status).toBe(401)
    expect((await ask(shown, "/config")).status).toBe(200)
    expect((await ask(secure, "/config", { headers: bearer })).status).toBe(200)
    for (const path of ["/live", "/metrics"]) expect((await ask(secure, path)).status).toBe(200)
    expect(JSON.parse((await ask(secure, "/ready")).text)).toEqual({ ready: false, draining: false })
    const order = { method: "POST", headers: { "x-sluice-admin": "1", "x-sluice-user": "ann@laptop" } }
    expect((await ask(shown, "/canaries/a/pause", order)).status).toBe(200)
    expect((await ask(secure, "/canaries/a/pause", { ...order, headers: { ...order.headers, ...bearer } })).status).toBe(200)
    expect((await ask(secure, "/canaries/a/pause", order)).status).toBe(401)
    // Bun doesn't show whose certificate it has found good.
    const name = process.versions.bun === undefined ? "spiffe://mesh/operator" : "a client certificate"
    expect(heard).toEqual([
      `ann@laptop (${name}) from 127.0.0.1`,
      "ann@laptop (the token) from 127.0.0.1",
      // Turned away.
      "ann@laptop from 127.0.0.1",
    ])
    await expect(ask({ host: "127.0.0.1", port: server.port }, "/live")).rejects.toThrow()
    const command = { admin: `https://127.0.0.1:${server.port}`, ca: join(folder, "ca.pem") }
    const files = { cert: write("own.pem", client.cert), key: write("own.key", client.key) }
    expect((await requestAdmin(adminTarget({ ...command, ...files }, {}), "/config")).statusCode).toBe(200)
    expect((await requestAdmin(adminTarget(command, { SLUICE_ADMIN_TOKEN: "0123456789abcdef" }), "/config")).statusCode).toBe(200)
    expect((await requestAdmin(adminTarget(command, {}), "/config")).statusCode).toBe(401)
    await expect(requestAdmin(adminTarget({ admin: command.admin }, {}), "/config")).rejects.toThrow(
      `no gateway's admin API answers at ${command.admin}`,
    )
  })

  test("a token that is missing, short or unreadable is no token", async () => {
    const at = { address: { host: "127.0.0.1", port: 0 }, openMetrics: false }
    await expect(serveAt({ ...at, token: { env: "NOT_SET" } })).rejects.toThrow(
      "admin.token: the environment variable NOT_SET is not set; put",
    )
    await expect(serveAt({ ...at, token: { env: "SHORT" } })).rejects.toThrow("holds a token that is too short")
    await expect(serveAt({ ...at, token: { file: join(folder, "none") } })).rejects.toThrow("can't be read")
  })
})
