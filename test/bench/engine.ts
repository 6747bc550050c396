// What one exchange costs in the engine itself, without kernel and without the runtime's streams: requests are fed to a
// real server connection over a socket made of plain calls, and answered by one. With a module (`FILTER=three.wasm`) every
// exchange passes through it. Run: `bun test/bench/engine.ts [exchanges a round]`.

import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import type { Socket } from "node:net"
import { validateConfig } from "../../gateway/config/load.ts"
import type { HttpListenerConfig } from "../../gateway/config/model.ts"
import { Wrong } from "../../gateway/config/units.ts"
import type { HttpFilter } from "../../gateway/filter/filter.ts"
import { TimerWheel } from "../../gateway/http/timer-wheel.ts"
import { ClientConnection, type ClientConnectionOwner } from "../../gateway/http1/client-connection.ts"
import { ServerConnection } from "../../gateway/http1/server-connection.ts"
import { Exchanges } from "../../gateway/proxy/exchange.ts"
import { ForwardedFields } from "../../gateway/proxy/forwarded.ts"
import { LocalReplies } from "../../gateway/proxy/local-reply.ts"
import { MirrorSender } from "../../gateway/proxy/mirror-sender.ts"
import { Route } from "../../gateway/proxy/route.ts"
import { Router } from "../../gateway/router/router.ts"
import { parseTapQuery } from "../../gateway/tap/query.ts"
import { Tap } from "../../gateway/tap/tap.ts"
import { AccessLog } from "../../gateway/telemetry/access-log.ts"
import { IdentityCounts } from "../../gateway/telemetry/identity-counts.ts"
import { Instruments } from "../../gateway/telemetry/instruments.ts"
import { MetricsRegistry } from "../../gateway/telemetry/metrics-registry.ts"
import { MetricsWriter } from "../../gateway/telemetry/metrics-writer.ts"
import { OwnFiles } from "../../gateway/telemetry/own-files.ts"
import { EndpointRecorder, ServiceRecorder } from "../../gateway/telemetry/recorders.ts"
import { TraceIds } from "../../gateway/telemetry/tracing/trace-ids.ts"
import { TraceOutbox } from "../../gateway/telemetry/tracing/trace-outbox.ts"
import { Tracing } from "../../gateway/telemetry/tracing/tracing.ts"
import { Watch } from "../../gateway/telemetry/watch.ts"
import { EndpointTable } from "../../gateway/upstream/endpoint-table.ts"
import { LimitsMemory } from "../../gateway/upstream/limits-memory.ts"
import { LimitsTable } from "../../gateway/upstream/limits-table.ts"
import { Services } from "../../gateway/upstream/services.ts"
import { calibrate } from "../../gateway/wasm/meter/calibrate.ts"
import { prepareModule } from "../../gateway/wasm/module.ts"
import { WasmRuntime } from "../../gateway/wasm/runtime.ts"
import { trialEnvironment } from "../../gateway/wasm/trial-environment.ts"
import { FakeSocket } from "../support/fake-socket.ts"
import { requestFields } from "./scenarios.ts"

/** Without the policies that are on by default and can be turned off: `POLICIES=off`. */
const bare = process.env.POLICIES === "off"
/** Share of the exchanges that are traced: `TRACING=1%`; their spans go nowhere. */
const sampling = process.env.TRACING
const loaded = validateConfig(
  {
    ...(sampling === undefined ? {} : { tracing: { otlp: "http://127.0.0.1:9", sampling } }),
    listeners: [{ name: "edge", address: "127.0.0.1:0" }],
    services: {
      origin: { endpoints: ["127.0.0.1:9", "127.0.0.1:10", "127.0.0.1:11"], ...(bare ? { outlierDetection: false } : {}) },
    },
    routes: [{ name: "all", backends: "origin", ...(bare ? { retry: false } : {}) }],
  },
  { file: "bench", baseDir: "." },
)
if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems))
const { config } = loaded
const registry = new MetricsRegistry()
const instruments = new Instruments(registry)
registry.begin()
const slots = instruments.route("edge", "all", "origin")
const listenerSlots = instruments.listener("edge")
const serviceSlots = instruments.service("origin")
const metrics = new MetricsWriter(registry.attach(0))
const wheel = new TimerWheel()
const watch = new Watch()
// Somebody taps: `TAP="path=/other"`; nothing reads what is told.
const tapped = parseTapQuery((name) => new URLSearchParams(process.env.TAP).getAll(name))
if (process.env.TAP !== undefined && !(tapped instanceof Wrong)) {
  const tap = new Tap({ worker: 0, watch, post: () => {}, now: () => performance.now(), random: Math.random })
  tap.receive({ kind: "subscriptions", version: 1, subscriptions: [{ id: 1, query: tapped }] })
}

const upstreamSocket = new FakeSocket()
let connection: ClientConnection
const owner: ClientConnectionOwner = {
  onReusable: () => {},
  onClosed: () => {},
  onFault: () => {},
}
// Endpoints, balancer, limits and ejection as a worker has them; but no sockets.
const table = new EndpointTable(1)
const limits = new LimitsTable(1)
const ignored = (): void => {}
const services = new Services({
  wheel,
  random: Math.random,
  workers: 1,
  epoch: performance.timeOrigin,
  memory: new LimitsMemory(limits.memory, 1, 0),
  outliers: { worker: 0, listener: { onEjected: ignored, onReadmitted: ignored } },
  meter: (_, own) => new EndpointRecorder(metrics, own, serviceSlots),
  counters: () => new ServiceRecorder(metrics, serviceSlots, (error) => console.error(error)),
})
const built = services.build(
  config.services,
  {},
  {
    records: table.assign(config.services),
    cells: limits.assign(config.services),
    endpointSlots: instruments.endpoints.assign(config.services),
  },
)
services.retire(built.endpoints)
for (const endpoint of built.endpoints.values()) {
  endpoint.acquire = (waiter) => {
    endpoint.outlier?.begins(waiter)
    waiter.onConnection(connection)
  }
}
connection = new ClientConnection(upstreamSocket as unknown as Socket, { startLine: 65536, head: 65536, fields: 200 }, wheel, owner)

const outbox = new TraceOutbox({
  post: (traces) => {
    structuredClone(traces)
    outbox.taken(traces.length)
  },
  onRecorded: () => {},
  onDrop: () => console.error("dropped"),
})
const randomHex = (octets: number): string => randomBytes(octets).toString("hex")
const tracing = new Tracing(watch, { ids: new TraceIds(randomHex), outbox, epoch: performance.timeOrigin })
tracing.use(config.tracing)

function filterFrom(file: string): HttpFilter {
  const prepared = prepareModule(readFileSync(file), { memory: 16 << 20 })
  if (!prepared.ok) throw new Error(prepared.reason)
  const clock = { now: () => performance.timeOrigin + performance.now(), monotonic: () => performance.now(), schedule: () => () => {} }
  const ignore = (): void => {}
  const runtime = new WasmRuntime({
    logger: { enabled: () => false, log: ignore },
    environment: trialEnvironment(clock, null),
    unitsPerMs: calibrate(),
    metrics: () => ({
      calls: ignore,
      budget: ignore,
      duration: ignore,
      trap: ignore,
      instances: ignore,
      exchange: ignore,
      refusal: ignore,
      quarantined: ignore,
    }),
  })
  return runtime.plugin({
    name: "filter",
    ...prepared,
    generation: 1,
    rootId: "",
    config: process.env.CONFIG ?? "",
    onError: "deny",
    cpuMs: 50,
    memory: 16 << 20,
  })
}

const file = process.env.FILTER
const filters = file === undefined ? [] : [filterFrom(file)]
const route = new Route(config.routes[0], {
  service: (name) => built.services.get(name) ?? null,
  slots: () => slots,
  filters,
})
// A line for each request, to a file: `LOG=/tmp/access.log`.
const lost = (lines: number): void => console.error(`${lines} lines of the access log are lost`)
const logFiles = new OwnFiles({ log: (...event) => console.error(event), onLost: lost })
const accessLog: AccessLog = new AccessLog({
  random: Math.random,
  onDrop: () => lost(1),
  post: (batch) => logFiles.write(batch, () => accessLog.acknowledge(batch.lines.length)),
})
if (process.env.LOG !== undefined) {
  const to = { kind: "file", path: process.env.LOG } as const
  logFiles.prepare(to)
  accessLog.use({ when: "all", only: null, to, format: { kind: "json" }, headers: { request: [], response: [] }, redact: null })
}

const exchanges = new Exchanges({
  means: {
    wheel,
    metrics,
    identities: new IdentityCounts(metrics, instruments.identities.overflow, () => {}),
    accessLog,
    replies: new LocalReplies(),
    random: Math.random,
    epoch: performance.timeOrigin,
    overload: { sheds: () => false },
    watch,
    forwarded: new ForwardedFields(randomHex),
    mirrors: new MirrorSender(wheel, (error) => console.error(error)),
  },
  snapshot: { pin: () => {}, unpin: () => {} },
  name: "edge",
  port: 8080,
  config: config.listeners[0] as HttpListenerConfig,
  tls: null,
  router: new Router([{ route: config.routes[0], target: route }], "edge"),
  listenerSlots,
  noRouteSlots: slots,
  serviceSlots: () => serviceSlots,
  service: () => undefined,
})
const downstreamSocket = new FakeSocket()
new ServerConnection(
  downstreamSocket as unknown as Socket,
  1,
  { head: { startLine: 8192, head: 32768, fields: 100 }, body: 0, headTimeout: 10000, idleTimeout: 60000 },
  wheel,
  exchanges,
  { onRefused: () => {}, onClosed: () => {}, onFault: (error) => console.error(error) },
)

const request = `GET /1k HTTP/1.1\r\n${requestFields("127.0.0.1:8080")
  .map(([name, value]) => `${name}: ${value}\r\n`)
  .join("")}\r\n`
const response = `HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 10:10:49 GMT\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\nLast-Modified: Sun, 22 Nov 2026 10:10:49 GMT\r\nConnection: keep-alive\r\nETag: "69218d0a-400"\r\nAccept-Ranges: bytes\r\n\r\n${"x".repeat(1024)}`

// Exchanges between two turns of the event loop.
const TURN = 64

async function run(count: number): Promise<number> {
  const start = process.cpuUsage()
  for (let i = 0; i < count; i++) {
    downstreamSocket.emit("data", Buffer.from(request, "latin1"))
    const bytes = Buffer.from(response, "latin1")
    connection.onRead(bytes, bytes.length)
    if (i % TURN === 0) await new Promise(setImmediate)
  }
  const used = process.cpuUsage(start)
  return ((used.user + used.system) * 1000) / count
}
function feed(count: number): number {
  const start = process.cpuUsage()
  let sum = 0
  for (let i = 0; i < count; i++) sum += Buffer.from(request, "latin1").length + Buffer.from(response, "latin1").length
  const used = process.cpuUsage(start)
  return ((used.user + used.system) * 1000) / count + sum * 0
}

const count = Number(process.argv[2] ?? 100_000)
await run(20_000)
feed(20_000)
function median(values: number[]): number {
  return values.sort((a, b) => a - b)[values.length >> 1]
}
if (sampling !== undefined) {
  // In turns, so that what else the machine does is in both.
  const round = (on: boolean): Promise<number> => {
    tracing.use(on ? config.tracing : undefined)
    return run(count / 10)
  }
  // Short and many, each once the first and once the second: a machine that is busy for a while spoils some, and not their median.
  const pairs: number[][] = []
  for (let i = 0; i < 90; i++) {
    const first = await round(i % 2 === 1)
    const second = await round(i % 2 === 0)
    pairs.push(i % 2 === 1 ? [second, first] : [first, second])
  }
  const [off, on] = [0, 1].map((i) => median(pairs.map((pair) => pair[i])))
  const more = Math.round(median(pairs.map(([without, traced]) => traced - without)))
  console.log(`tracing ${sampling}: ${more} ns/exchange more (median of 90 pairs; ${Math.round(off)} without, ${Math.round(on)} with)`)
  process.exit(0)
}
const rounds: number[] = []
for (let i = 0; i < 5; i++) rounds.push((await run(count)) - feed(count))
rounds.sort((a, b) => a - b)
console.log(
  `${Math.round(rounds[0])} ns/exchange best, ${Math.round(rounds[2])} median; sent up ${upstreamSocket.written / (20_000 + 5 * count)} octets, down ${downstreamSocket.written / (20_000 + 5 * count)}`,
)
process.exit(0)
