import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { createServer, type IncomingMessage } from "node:http"
import { connect } from "node:net"
import { resolve } from "node:path"
import { connect as connectTls, createServer as createTlsServer } from "node:tls"
import { fileURLToPath } from "node:url"
import { describe, expect, test } from "vitest"
import { startGreeter } from "../../examples/grpc/greeter.ts"
import { startService } from "../../examples/quickstart/services.ts"
import { makeCertificates } from "../../examples/tls/certificates.ts"
import { Authority } from "../support/certs.ts"
import { runCommand } from "../support/cli.ts"
import { until, within } from "../support/deadline.ts"
import { Gateway, type LogLine, runCli, runtimeCommand } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { staticOrigin } from "../support/origin.ts"
import { listen } from "../support/ports.ts"
import { exchange, get, RawClient, type Response } from "../support/raw-client.ts"
import { TcpOrigin } from "../support/tcp-origin.ts"
import { getSecurely } from "../support/tls-client.ts"

const folder = (name: string): string => fileURLToPath(new URL(`../../examples/${name}/`, import.meta.url))

/** The example's configuration as it is, but for its ports, and with its filters where they lie. */
function configuration(name: string, services: Readonly<Record<string, number>>): string {
  let text = readFileSync(`${folder(name)}sluice.yaml`, "utf8").replaceAll(
    /(module: )(\.{1,2}\/[^\s,}]+)/g,
    (_, key: string, path: string) => key + resolve(folder(name), path),
  )
  for (const [service, port] of Object.entries(services))
    text = text.replace(new RegExp(`(${service}: .*127\\.0\\.0\\.1:)\\d+`), `$1${port}`)
  return text.replaceAll(/(address: 127\.0\.0\.1:)\d+/g, "$10")
}

/** A service that answers what `answer` makes of a request and its body. */
async function service(
  answer: (request: IncomingMessage, body: string) => string | number,
): Promise<{ readonly port: number; stop(): void }> {
  const server = createServer((request, response) => {
    let body = ""
    request.on("data", (bytes: Buffer) => {
      body += bytes.toString("latin1")
    })
    request.on("end", () => {
      const made = answer(request, body)
      if (typeof made === "number") response.statusCode = made
      response.end(typeof made === "number" ? "" : made)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
  return {
    port: (server.address() as { port: number }).port,
    stop: () => {
      server.closeAllConnections()
      server.close()
    },
  }
}

function post(port: number, target: string, body: string): Promise<Response> {
  return exchange(
    port,
    `POST ${target} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1")
    socket.once("connect", () => {
      socket.destroy()
      resolve(false)
    })
    socket.once("error", () => resolve(true))
  })
}

describe("example", () => {
  test("quickstart: the filter asks for a key, names the client, and counts", async () => {
    const servers = [await startService("hello", 0), await startService("orders", 0)]
    const [hello, orders] = servers.map((server) => (server.address() as { port: number }).port)
    const gateway = await Gateway.start({ config: configuration("quickstart", { hello, orders }), startLimit: 40_000 })
    try {
      expect((await get(gateway.port(), "/")).text()).toBe('{"service":"hello","path":"/"}\n')
      expect((await get(gateway.port(), "/ping")).text()).toBe("pong\n")
      expect((await get(gateway.port(), "/orders/7")).status).toBe(401)
      expect((await get(gateway.port(), "/orders/7", { "x-api-key": "wrong" })).status).toBe(403)
      const answer = await get(gateway.port(), "/orders/7", { "x-api-key": "demo" })
      expect(answer.text()).toBe('{"service":"orders","path":"/orders/7","client":"alice"}\n')
      expect(answer.fields).toContainEqual(["x-filtered-by", "api-key"])
      const statuses: number[] = []
      for (let i = 0; i < 6; i++) statuses.push((await get(gateway.port(), "/orders", { "x-api-key": "secret" })).status)
      expect(statuses).toEqual([200, 200, 200, 200, 200, 429])
    } finally {
      await gateway.stop()
      for (const server of servers) server.close()
    }
  })

  test("observability: what fails has a line in the file of the access log", async () => {
    const shop = await staticOrigin("shop")
    const gateway = await Gateway.start({ config: configuration("observability", { shop: shop.port }) })
    try {
      expect((await get(gateway.port(), "/")).text()).toBe("shop")
      expect((await get(gateway.port(), "/orders", { "user-agent": "test" })).status).toBe(503)
      const written = await until(() => readFileSync(`${gateway.folder}/access.log`, "utf8") || null, "a line")
      expect(written).toMatch(/^\[\d{4}-[^\]]*Z\] "GET \/orders HTTP\/1\.1" 503 UF \d+ "test" "127\.0\.0\.1:\d+"\n$/)
    } finally {
      await gateway.stop()
      await shop.stop()
    }
  })

  test("canary: a tenth goes to the new version, and all of it for who asks", async () => {
    const stable = await staticOrigin("stable")
    const canary = await staticOrigin("canary")
    const gateway = await Gateway.start({ config: configuration("canary", { "shop-stable": stable.port, "shop-canary": canary.port }) })
    try {
      const answers: string[] = []
      for (let i = 0; i < 300; i++) answers.push((await get(gateway.port(), "/")).text())
      const share = answers.filter((answer) => answer === "canary").length
      // 30 are expected, with a standard deviation of 5.2.
      expect(share).toBeGreaterThan(3)
      expect(share).toBeLessThan(65)
      const asked = await get(gateway.port(), "/", { "x-canary": "always" })
      expect(asked.text()).toBe("canary")
    } finally {
      await gateway.stop()
      await stable.stop()
      await canary.stop()
    }
  })

  test("traffic-shaping: clients stay with their version, orders are copied, faults are asked for", async () => {
    const stable = await staticOrigin("stable")
    const next = await staticOrigin("next")
    const copies: string[] = []
    const shadow = await service((request, body) => {
      copies.push(`${request.method} ${request.url} ${body} ${request.headers["x-sluice-mirrored"]}`)
      return 500
    })
    const config = configuration("traffic-shaping", { stable: stable.port, next: next.port, shadow: shadow.port })
    const gateway = await Gateway.start({ config })
    try {
      const versions = new Map<string, string>()
      for (let i = 0; i < 20; i++) {
        const response = await get(gateway.port(), "/")
        versions.set(response.text(), response.header("set-cookie")?.split(";")[0] ?? "")
      }
      expect([...versions.keys()].sort()).toEqual(["next", "stable"])
      for (const [version, cookie] of versions) expect((await get(gateway.port(), "/", { cookie })).text()).toBe(version)
      expect((await get(gateway.port(), "/", { cookie: "tester=yes" })).text()).toBe("next")
      expect((await post(gateway.port(), "/orders", '{"item":7}')).text()).toBe("stable")
      await until(() => copies.length > 0, "the copy of an order")
      expect(copies).toEqual(['POST /orders {"item":7} true'])
      expect((await get(gateway.port(), "/", { "x-sluice-fault": "delay=50ms, abort=503" })).status).toBe(503)
    } finally {
      await gateway.stop()
      await stable.stop()
      await next.stop()
      shadow.stop()
    }
  })

  test("discovery: the file decides where requests go, and the system what localhost is", async () => {
    const first = await staticOrigin("first")
    const second = await staticOrigin("second")
    const config = configuration("discovery", {}).replace(/localhost:\d+/, `localhost:${second.port}`)
    const written = readFileSync(`${folder("discovery")}endpoints.yaml`, "utf8")
      .replace(/9073/, `${first.port}`)
      .replace(/9074/, `${second.port}`)
    const gateway = await Gateway.start({ config, files: { "endpoints.yaml": written } })
    try {
      expect((await get(gateway.port(), "/")).text()).toBe("first")
      expect((await get(gateway.port(), "/page")).text()).toBe("second")
      gateway.writeFile("endpoints.yaml", written.replace("# - {", "- {"))
      await until(async () => (await get(gateway.port(), "/")).text() === "second", "a request to the second server")
      expect((await readMetrics(gateway.adminPort)).sum("sluice_discovery_endpoints", { service: "shop" })).toBe(2)
    } finally {
      await gateway.stop()
      await Promise.all([first.stop(), second.stop()])
    }
  })

  test("progressive-canary: a new version that fails is given no more requests, and takes over when it is told to", async () => {
    const stable = await staticOrigin("stable")
    let broken = true
    const next = await service(() => (broken ? 500 : "canary"))
    const gateway = await Gateway.start({ config: configuration("progressive-canary", { "shop-v1": stable.port, "shop-v2": next.port }) })
    const admin = ["--admin", `127.0.0.1:${gateway.adminPort}`]
    const answers = async (): Promise<ReadonlySet<string>> => {
      const seen = new Set<string>()
      for (let i = 0; i < 50; i++) seen.add((await get(gateway.port(), "/")).text())
      return seen
    }
    try {
      await until(async () => {
        await answers()
        return gateway.log.some(({ message }) => message.startsWith("canary rolled back"))
      }, "the rollback")
      expect(await answers()).toEqual(new Set(["stable"]))
      expect((await runCommand(["canary", "ls", ...admin])).stdout).toMatch(/^shop +shop-v2 +rolled back +0\/3 +0%/m)
      broken = false
      expect((await runCommand(["canary", "restart", "shop", ...admin])).stdout).toBe(
        "the canary shop-v2 of route shop is progressing at 10%\n",
      )
      expect((await runCommand(["canary", "promote", "shop", ...admin])).stdout).toBe(
        "the canary shop-v2 of route shop is promoted at 100%\n",
      )
      expect(await answers()).toEqual(new Set(["canary"]))
    } finally {
      await gateway.kill()
      await stable.stop()
      next.stop()
    }
  })

  test("custom-filter: every route has its own greeting", async () => {
    const gateway = await Gateway.start({ config: configuration("custom-filter", {}), startLimit: 40_000 })
    try {
      expect((await get(gateway.port(), "/")).fields).toContainEqual(["x-greeting", "hello"])
      expect((await get(gateway.port(), "/fr")).fields).toContainEqual(["x-greeting", "bonjour"])
    } finally {
      await gateway.stop()
    }
  })

  test("body-filter: large orders go to a service of their own, and what is no JSON to none", async () => {
    const orders = await service((_, body) => `orders: ${body.length}`)
    const large = await service((_, body) => `large-orders: ${body.length}`)
    const config = configuration("body-filter", { orders: orders.port, "large-orders": large.port })
    const gateway = await Gateway.start({ config, startLimit: 40_000 })
    try {
      expect((await post(gateway.port(), "/orders", '{"order":{"total":20}}')).text()).toBe("orders: 22")
      expect((await post(gateway.port(), "/orders", '{"order":{"total":2000}}')).text()).toBe("large-orders: 24")
      const broken = await post(gateway.port(), "/orders", '{"order":')
      expect([broken.status, broken.text()]).toEqual([400, "unexpected end at line 1, column 10\n"])
      expect(gateway.log.filter((line) => line.level === "warn")).toEqual([])
    } finally {
      await gateway.stop()
      orders.stop()
      large.stop()
    }
  })

  test("callout: the auth service is asked, and its silence is an answer too", async () => {
    const app = await service((request) => `hello ${request.headers["x-user"]}`)
    const auth = await service((request) => {
      if (request.url !== "/check") return 404
      return request.headers.authorization === "Bearer t-alice" ? '{"user":"alice"}' : 403
    })
    const gateway = await Gateway.start({ config: configuration("callout", { app: app.port, auth: auth.port }), startLimit: 40_000 })
    try {
      const ask = (token: string): Promise<Response> => get(gateway.port(), "/", { authorization: `Bearer ${token}`, "x-user": "root" })
      expect((await get(gateway.port(), "/")).status).toBe(401)
      expect((await ask("t-alice")).text()).toBe("hello alice")
      expect((await ask("t-nobody")).status).toBe(403)
      expect(gateway.log.filter((line) => line.level === "warn")).toEqual([])
      auth.stop()
      expect((await ask("t-alice")).status).toBe(503)
    } finally {
      await gateway.stop()
      app.stop()
      auth.stop()
    }
  })

  test("grpc: a busy instance goes unnoticed, deadlines hold, and browsers get their answer", async () => {
    const busy = await startGreeter(0, true)
    const well = await startGreeter(0, false)
    const config = configuration("grpc", {}).replace(":9061", `:${busy.port}`).replace(":9062", `:${well.port}`)
    const gateway = await Gateway.start({ config })
    const say = async (...args: string[]): Promise<string> => {
      const { command, args: all } = runtimeCommand(`${folder("grpc")}client.ts`, args)
      const child = spawn(command, all, { env: { ...process.env, GREETER: `127.0.0.1:${gateway.port()}` } })
      let said = ""
      child.stdout.on("data", (bytes: Buffer) => {
        said += bytes.toString()
      })
      await within(new Promise((resolve) => child.on("close", resolve)), "end of the client", 20_000)
      return said.trim()
    }
    try {
      expect(await say("alice")).toBe("hello alice")
      expect(await say("nobody", "300")).toMatch(/^4: /)
      const frame = "AAAAAAVhbGljZQ=="
      const web = await exchange(
        gateway.port(),
        `POST /hello.Greeter/Say HTTP/1.1\r\nhost: x\r\ncontent-type: application/grpc-web-text\r\ncontent-length: ${frame.length}\r\n\r\n${frame}`,
        "POST",
      )
      const segments = web.text().match(/[A-Za-z0-9+/]+={0,2}/g) ?? []
      const body = segments.map((segment) => Buffer.from(segment, "base64").toString("latin1")).join("")
      expect(body).toContain("hello alice")
      expect(body).toContain("grpc-status: 0")
      expect(gateway.log.filter((line) => line.level === "warn")).toEqual([])
    } finally {
      await gateway.stop()
      busy.stop()
      well.stop()
    }
  })

  test("filter-canary: the new version has its share until it fails", async () => {
    const shop = await service((request) => String(request.headers["x-tier"] ?? "no tier"))
    const gateway = await Gateway.start({ config: configuration("filter-canary", { shop: shop.port }), startLimit: 40_000 })
    const tiers = async (points: string): Promise<ReadonlySet<string>> => {
      const answers: string[] = []
      for (let i = 0; i < 90; i++) answers.push((await get(gateway.port(), "/", { "x-points": points })).text())
      return new Set(answers)
    }
    try {
      expect(await tiers("2500")).toEqual(new Set(["gold", "platinum"]))
      // Versions are looked at once a second.
      const rolledBack = (): LogLine | undefined => gateway.log.find((line) => line.message.includes("rolled back"))
      const deadline = performance.now() + 20_000
      while (rolledBack() === undefined && performance.now() < deadline)
        for (const tier of await tiers("3500")) expect(["gold", "no tier"]).toContain(tier)
      expect(rolledBack()).toMatchObject({ filter: "tier", version: "canary" })
      expect(await tiers("2500")).toEqual(new Set(["gold"]))
    } finally {
      await gateway.stop()
      shop.stop()
    }
  })

  test("rate-limit: each is counted by what tells it apart, and shadow refuses nobody", async () => {
    const api = await service((request) => `${request.url}`)
    const gateway = await Gateway.start({ config: configuration("rate-limit", { api: api.port }) })
    try {
      const statuses = async (count: number, target: string, fields: Record<string, string> = {}): Promise<number[]> => {
        const seen: number[] = []
        for (let i = 0; i < count; i++) seen.push((await get(gateway.port(), target, fields)).status)
        return seen
      }
      expect(await statuses(6, "/search")).toEqual([200, 200, 200, 200, 200, 429])
      expect(await statuses(6, "/search", { "x-plan": "gold" })).toEqual([200, 200, 200, 200, 200, 200])
      expect(await statuses(2, "/files/a")).toEqual([200, 200])
      const told = await get(gateway.port(), "/search", { "x-plan": "silver" })
      expect(["limit", "remaining", "policy"].map((name) => told.header(`ratelimit-${name}`))).toEqual([
        "5",
        "4",
        '"listener";q=500;w=1, "route";q=5;w=60',
      ])
      const metrics = await readMetrics(gateway.adminPort)
      expect(metrics.sum("sluice_rate_limit_total", { limit: "route:files", outcome: "shadow" })).toBe(1)
      expect(metrics.sum("sluice_rate_limit_total", { limit: "service:api", outcome: "allowed" })).toBe(14)
      expect(metrics.sum("sluice_rate_limit_keys")).toBeGreaterThanOrEqual(3)
    } finally {
      await gateway.stop()
      api.stop()
    }
  })

  test("shipped-filters: browsers are told, callers known and counted", async () => {
    const api = await service((request) => `hello ${request.headers["x-client"]}`)
    const gateway = await Gateway.start({ config: configuration("shipped-filters", { api: api.port }), startLimit: 60_000 })
    try {
      const refused = await get(gateway.port(), "/", { origin: "https://app.example.com" })
      expect(refused.status).toBe(401)
      expect(refused.fields).toContainEqual(["access-control-allow-origin", "https://app.example.com"])
      const preflight = await exchange(
        gateway.port(),
        "OPTIONS / HTTP/1.1\r\nhost: x\r\norigin: https://app.example.com\r\naccess-control-request-method: GET\r\nconnection: close\r\n\r\n",
        "OPTIONS",
      )
      expect(preflight.status).toBe(204)
      const answers: Response[] = []
      for (let i = 0; i < 6; i++) answers.push(await get(gateway.port(), "/", { "x-api-key": "a-key-for-trying-out" }))
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200, 429])
      expect(answers[0].text()).toBe("hello alice")
    } finally {
      await gateway.stop()
      api.stop()
    }
  })

  test("tcp: services by name, clients by PROXY header, protocols by themselves", async () => {
    const authority = new Authority()
    const secure = (name: string) =>
      createTlsServer(authority.issue({ names: [name, `*.${name}`] }), (socket) => {
        socket.on("error", () => {})
        socket.end(`this is ${name}`)
      })
    const servers = [secure("orders.test"), secure("users.test")]
    const [orders, users] = (await Promise.all(servers.map((server) => listen(server)))).map(({ port }) => port)
    const greeter = await TcpOrigin.start(({ socket }) => {
      socket.once("data", (bytes: Buffer) => socket.end(bytes.toString("latin1").split("\r\n")[0]))
    })
    const gateway = await Gateway.start({ config: configuration("tcp", { orders, users, greeter: greeter.port }) })
    const named = async (listener: string, servername: string): Promise<string> => {
      const socket = connectTls({ port: gateway.port(listener), host: "127.0.0.1", servername, ca: authority.cert })
      let text = ""
      return within(
        new Promise<string>((resolve, reject) => {
          socket.on("error", reject)
          socket.on("data", (bytes: Buffer) => {
            text += bytes.toString()
          })
          socket.on("end", () => resolve(text))
        }),
        "the service's answer",
      ).finally(() => socket.destroy())
    }
    const said = async (listener: string, octets: string): Promise<string> => {
      const client = await RawClient.connect(gateway.port(listener))
      client.send(octets)
      const answer = (await client.readToEnd()).toString("latin1")
      client.destroy()
      return answer
    }
    try {
      expect(await named("by-name", "orders.test")).toBe("this is orders.test")
      expect(await named("by-name", "eu.users.test")).toBe("this is users.test")
      expect(await named("by-name", "other.test").catch(() => "")).toBe("")
      expect(await said("balanced", "PROXY TCP4 192.0.2.7 198.51.100.1 4242 5432\r\n")).toBe("PROXY TCP4 192.0.2.7 198.51.100.1 4242 5432")
      expect(await said("balanced", "no header\r\n")).toBe("")
      expect((await get(gateway.port("any"), "/")).text()).toBe("this is HTTP\n")
      expect(await named("any", "orders.test")).toBe("this is orders.test")
      expect(await said("any", "")).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 /)
    } finally {
      await gateway.stop()
      for (const server of servers) server.close()
      await greeter.stop()
    }
  })

  test("tls: a client is known by its certificate, where that is optional and where it is not", async () => {
    const shop = await service(
      (request) => `${request.headers["x-forwarded-proto"]}, ${request.headers["x-forwarded-client-cert"] ?? "none"}`,
    )
    const files = makeCertificates()
    const gateway = await Gateway.start({ config: configuration("tls", { shop: shop.port }), files })
    const anyone = { ca: files["ca.pem"], rejectUnauthorized: true }
    const alice = { ...anyone, cert: files["alice.pem"], key: files["alice.key"] }
    try {
      expect((await getSecurely(gateway.port("public"), "shop.localhost", anyone)).text()).toBe("https, none")
      for (const listener of ["public", "partners"]) {
        const told = (await getSecurely(gateway.port(listener), "eu.shop.localhost", alice)).text()
        expect(told).toMatch(/^https, Hash=[0-9a-f]{64};Subject="CN=alice";URI=spiffe:\/\/shop\.example\/user\/alice$/)
      }
      await expect(getSecurely(gateway.port("partners"), "shop.localhost", anyone)).rejects.toThrow()
      expect(gateway.log.filter((line) => line.level === "warn" || line.level === "error")).toEqual([])
    } finally {
      await gateway.stop()
      shop.stop()
    }
  })

  test("filters of the examples pass their own tests", async () => {
    const { code, stdout } = await runCli(["filter", "test", `${folder("body-filter")}filters`, `${folder("callout")}filters`], {
      limit: 60_000,
    })
    expect(stdout).toContain("2 filters, 7 cases: 7 passed")
    expect(code).toBe(0)
  })

  test("npm start: says what to try, serves, and ends in order", async (context) => {
    for (const port of [8080, 9001, 9002, 9901]) {
      if (!(await isFree(port))) return context.skip(`needs 127.0.0.1:${port}, which is in use`)
    }
    const { command, args } = runtimeCommand(`${folder("quickstart")}start.ts`)
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] })
    let output = ""
    for (const stream of [child.stdout, child.stderr]) {
      stream.on("data", (bytes: Buffer) => {
        output += bytes.toString()
      })
    }
    const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)))
    try {
      await until(() => output.includes("Ctrl-C ends it."), "the guide", 40_000)
      expect(output).toContain("examples/quickstart/filters/api-key/filter.ts")
      expect((await get(8080, "/orders/1", { "x-api-key": "demo" })).status).toBe(200)
      process.kill(child.pid as number, "SIGTERM")
      expect(await within(exited, "the end", 20_000)).toBe(0)
    } finally {
      child.kill("SIGKILL")
    }
  })
})
