// Real exchanges between real sockets in this process, with filters written in TypeScript: for what the exchange and its
// chain do with bodies, without a WASM host in the way.

import { type AddressInfo, connect, createServer, type Server } from "node:net"
import { validateConfig } from "../../gateway/config/load.ts"
import type { HttpListenerConfig } from "../../gateway/config/model.ts"
import type { HttpFilter } from "../../gateway/filter/filter.ts"
import { TimerWheel } from "../../gateway/http/timer-wheel.ts"
import { ServerConnection } from "../../gateway/http1/server-connection.ts"
import { Exchanges } from "../../gateway/proxy/exchange.ts"
import { ForwardedFields } from "../../gateway/proxy/forwarded.ts"
import { LocalReplies } from "../../gateway/proxy/local-reply.ts"
import { MirrorSender } from "../../gateway/proxy/mirror-sender.ts"
import { Route } from "../../gateway/proxy/route.ts"
import { Router } from "../../gateway/router/router.ts"
import { AccessLog } from "../../gateway/telemetry/access-log.ts"
import { IdentityCounts } from "../../gateway/telemetry/identity-counts.ts"
import { Instruments } from "../../gateway/telemetry/instruments.ts"
import { MetricsRegistry } from "../../gateway/telemetry/metrics-registry.ts"
import { MetricsWriter } from "../../gateway/telemetry/metrics-writer.ts"
import { Watch } from "../../gateway/telemetry/watch.ts"
import { Services } from "../../gateway/upstream/services.ts"
import { silentCounters } from "./counters.ts"

export class ExchangeServer {
  readonly #server: Server
  readonly #connections = new Set<ServerConnection>()
  /** Flags of the exchanges that ended, as the access log has them. */
  readonly flags: string[] = []
  /** Exchanges under way. */
  running = 0
  port = 0

  private constructor(server: Server) {
    this.#server = server
  }

  /** `origin` and `other` are ports of services; every path but `/other` goes to the first, `/respond` to none. `timeout`: of `/timed`. */
  static async start(filters: readonly HttpFilter[], origin: number, other = origin, timeout = "15s"): Promise<ExchangeServer> {
    const loaded = validateConfig(
      {
        listeners: [{ name: "edge", address: "127.0.0.1:0" }],
        services: { origin: { endpoints: [`127.0.0.1:${origin}`] }, other: { endpoints: [`127.0.0.1:${other}`] } },
        routes: [
          { name: "respond", match: { path: "/respond" }, respond: { status: 200, body: "direct" } },
          {
            name: "other",
            match: { path: "/other" },
            backends: [{ service: "other", headers: { request: { set: { "x-backend": "other" } } } }],
            headers: { request: { set: { "x-route": "other" } } },
          },
          { name: "timed", match: { path: "/timed" }, backends: "origin", timeout },
          { name: "all", backends: "origin" },
        ],
      },
      { file: "test", baseDir: "." },
    )
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
    const { config } = loaded
    const registry = new MetricsRegistry()
    const instruments = new Instruments(registry)
    registry.begin()
    const slots = instruments.route("edge", "all", "origin")
    const metrics = new MetricsWriter(registry.attach(0))
    const wheel = new TimerWheel()
    const counters = silentCounters((error) => console.error(error))
    const { services } = new Services({ wheel, random: Math.random, workers: 1, counters: () => counters }).build(config.services, {})
    const entries = config.routes.map((route) => ({
      route,
      target: new Route(route, { service: (name) => services.get(name) ?? null, slots: () => slots, filters }),
    }))
    const server = createServer({ allowHalfOpen: true, noDelay: true })
    const self = new ExchangeServer(server)
    const accessLog = new AccessLog({ random: Math.random, post: () => {} })
    accessLog.wants = () => true
    accessLog.record = (entry) => {
      self.flags.push(entry.flag)
    }
    const exchanges = new Exchanges({
      means: {
        wheel,
        metrics,
        identities: new IdentityCounts(metrics, instruments.identities.overflow, () => {}),
        accessLog,
        replies: new LocalReplies(),
        random: Math.random,
        overload: { sheds: () => false },
        watch: new Watch(),
        epoch: performance.timeOrigin,
        forwarded: new ForwardedFields(() => "00"),
        mirrors: new MirrorSender(wheel, (error) => console.error(error)),
      },
      snapshot: {
        pin: () => {
          self.running++
        },
        unpin: () => {
          self.running--
        },
      },
      name: "edge",
      port: 8080,
      config: config.listeners[0] as HttpListenerConfig,
      tls: null,
      router: new Router(entries, "edge"),
      listenerSlots: instruments.listener("edge"),
      noRouteSlots: slots,
      serviceSlots: () => instruments.service("origin"),
      service: (name) => services.get(name),
    })
    server.on("connection", (socket) => {
      const connection = new ServerConnection(
        socket,
        1,
        { head: { startLine: 8192, head: 32768, fields: 100 }, body: 0, headTimeout: 10_000, idleTimeout: 60_000 },
        wheel,
        exchanges,
        {
          onRefused: () => {},
          onClosed: (closed) => self.#connections.delete(closed),
          onFault: (error) => console.error(error),
        },
      )
      self.#connections.add(connection)
      socket.on("close", () => self.#connections.delete(connection))
    })
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    self.port = (server.address() as AddressInfo).port
    return self
  }

  /** Sends the pieces of `text` on a connection of its own and resolves to all that comes back until the server closes. */
  send(text: string | readonly string[]): Promise<string> {
    return new Promise((resolve, reject) => {
      const socket = connect(this.port, "127.0.0.1")
      let got = ""
      const timer = setTimeout(() => {
        socket.destroy()
        reject(new Error(`no end in ${JSON.stringify(got)}`))
      }, 5000)
      const finish = (): void => {
        clearTimeout(timer)
        socket.destroy()
        resolve(got)
      }
      socket.on("data", (bytes) => {
        got += bytes.toString("latin1")
      })
      socket.on("error", finish)
      socket.on("close", finish)
      void (async () => {
        for (const piece of typeof text === "string" ? [text] : text) {
          socket.write(piece, "latin1")
          await new Promise((done) => setTimeout(done, 30))
        }
      })()
    })
  }

  async stop(): Promise<void> {
    this.#server.close()
  }
}
