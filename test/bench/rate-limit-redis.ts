// By hand: what a limit that gateways share costs and how exact it is, and what happens while its Redis is killed and comes back.
// `node test/bench/rate-limit-redis.ts [runtime …]`; runtimes: bun, deno, node. Writes to standard output only.

import { connect, type Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { sleep, until } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { readMetrics } from "../support/metrics.ts"
import { Redis, redisServer } from "../support/redis.ts"

const CONNECTIONS = 16
/** Requests a second that are asked for, of two gateways together. */
const RATE = 2000
const SECONDS = 6

const main = fileURLToPath(new URL("../../gateway/main.ts", import.meta.url))

function command(runtime: string): string[] {
  const path = fileURLToPath(new URL(`../../node_modules/.bin/${runtime}`, import.meta.url))
  return runtime === "deno" ? [path, "run", "-A", "--quiet", main] : [path, main]
}

function config(redis: string, onFailure: string): object {
  const figures = { scope: "global", by: "header:x-user" }
  const respond = { status: 200, body: "passed" }
  return {
    admin: { address: "127.0.0.1:0" },
    workers: 1,
    accessLog: "off",
    rateLimitStore: { redis, onFailure, replicas: 2 },
    listeners: [{ address: "127.0.0.1:0" }],
    routes: [
      { match: { path: "/without" }, respond },
      { match: { path: "/below" }, rateLimit: { ...figures, requests: 10_000, per: "1s" }, respond },
      { match: { path: "/each" }, rateLimit: { ...figures, requests: 4000, per: "1s", burst: 30 }, respond },
      { match: { path: "/above" }, rateLimit: { ...figures, requests: 1000, per: "1s" }, respond },
      { match: { path: "/exact" }, rateLimit: { ...figures, requests: 100, per: "1m", burst: 100 }, respond },
    ],
  }
}

/** One keep-alive connection with one request at a time. */
class Client {
  readonly #socket: Socket
  #done: ((status: number) => void) | null = null

  constructor(port: number) {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true })
    this.#socket.on("data", (bytes: Buffer) => this.#finish(Number(bytes.toString("latin1", 9, 12))))
    this.#socket.on("error", () => this.#finish(0))
  }

  #finish(status: number): void {
    const done = this.#done
    this.#done = null
    done?.(status)
  }

  get busy(): boolean {
    return this.#done !== null
  }

  send(text: string, done: (status: number) => void): void {
    this.#done = done
    this.#socket.write(text)
  }

  close(): void {
    this.#socket.destroy()
  }
}

interface Load {
  readonly latencies: number[]
  /** By status. */
  readonly statuses: Map<number, number>
  /** Requests that found no connection free. */
  skipped: number
}

/** `seconds` at RATE, evenly over the gateways; `each` hears of every answer. */
async function load(
  gateways: readonly Gateway[],
  path: string,
  seconds: number,
  each?: (status: number, ms: number) => void,
): Promise<Load> {
  const pools = gateways.map((gateway) => Array.from({ length: CONNECTIONS }, () => new Client(gateway.port())))
  const text = `GET ${path} HTTP/1.1\r\nhost: a\r\nx-user: ${path} ${Math.random()}\r\n\r\n`
  const result: Load = { latencies: [], statuses: new Map(), skipped: 0 }
  const began = performance.now()
  let sent = 0
  while (performance.now() - began < seconds * 1000) {
    const due = Math.floor(((performance.now() - began) / 1000) * RATE)
    for (; sent < due; sent++) {
      const client = pools[sent % pools.length].find(({ busy }) => !busy)
      if (client === undefined) {
        result.skipped++
        continue
      }
      const from = performance.now()
      client.send(text, (status) => {
        const ms = performance.now() - from
        result.latencies.push(ms)
        result.statuses.set(status, (result.statuses.get(status) ?? 0) + 1)
        each?.(status, ms)
      })
    }
    await new Promise((resolve) => setImmediate(resolve))
  }
  await sleep(200)
  for (const client of pools.flat()) client.close()
  result.latencies.sort((a, b) => a - b)
  return result
}

function quantile({ latencies }: Load, share: number): string {
  return (latencies[Math.floor(latencies.length * share)] ?? Number.NaN).toFixed(3)
}

async function trips(gateways: readonly Gateway[]): Promise<number> {
  const all = await Promise.all(gateways.map(({ adminPort }) => readMetrics(adminPort)))
  return all.reduce((sum, metrics) => sum + metrics.sum("sluice_rate_limit_store_requests_total"), 0)
}

const isUp = (gateway: Gateway): Promise<unknown> =>
  until(async () => (await readMetrics(gateway.adminPort)).sum("sluice_rate_limit_store_up") === 1, "the store to be up")

async function measure(runtime: string): Promise<void> {
  console.log(`\n## ${runtime}: two gateways of one worker, ${RATE} requests/s together for ${SECONDS} s each`)
  const redis = await Redis.start()
  const start = (): Promise<Gateway> => Gateway.start({ config: config(redis.url, "local"), command: command(runtime) })
  const gateways = await Promise.all([start(), start()])
  try {
    await Promise.all(gateways.map(isUp))
    await load(gateways, "/without", 2)
    for (const [path, what] of [
      ["/without", "no limit"],
      ["/below", "global, below it (10000/s)"],
      ["/each", "global, each request asks (burst 30)"],
      ["/above", "global, twice what it lets pass (1000/s, burst 1000)"],
      ["/exact", "global, 100/m, burst 100"],
    ]) {
      const before = await trips(gateways)
      const result = await load(gateways, path, SECONDS)
      const asked = (await trips(gateways)) - before
      const statuses = [...result.statuses].sort().map(([status, count]) => `${status}: ${count}`)
      console.log(
        `${what}: p50 ${quantile(result, 0.5)} ms, p99 ${quantile(result, 0.99)} ms, ${statuses.join(", ")}, round trips ${asked}, not sent ${result.skipped}`,
      )
    }
    await outage(gateways, redis)
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()))
    await redis.kill()
  }
}

/** What clients see, in steps of 250 ms, while Redis is killed after a second, comes back after three, and stops for two at six. */
async function outage(gateways: readonly Gateway[], redis: Redis): Promise<void> {
  const step = 250
  const rows: { statuses: Map<number, number>; longest: number; events: string[] }[] = []
  const began = performance.now()
  const row = (): (typeof rows)[number] => {
    const i = Math.floor((performance.now() - began) / step)
    while (rows.length <= i) rows.push({ statuses: new Map(), longest: 0, events: [] })
    return rows[i]
  }
  const act = async (after: number, event: string, action: () => unknown): Promise<void> => {
    await sleep(after)
    row().events.push(event)
    await action()
  }
  const acts = Promise.all([
    act(1000, "killed", () => redis.kill()),
    act(3000, "started", () => redis.run()),
    act(6000, "stopped (SIGSTOP)", () => redis.pause()),
    act(8000, "continued", () => redis.resume()),
  ])
  await load(gateways, "/above", 10, (status, ms) => {
    const { statuses, longest } = row()
    statuses.set(status, (statuses.get(status) ?? 0) + 1)
    row().longest = Math.max(longest, ms)
  })
  await acts
  console.log("Redis killed and restarted, then stopped; limit 1000/s, onFailure local; by 250 ms:")
  rows.forEach(({ statuses, longest, events }, i) => {
    const counts = [...statuses].sort().map(([status, count]) => `${status}: ${count}`)
    console.log(`  ${((i * step) / 1000).toFixed(2)} s  ${counts.join(", ")}; longest ${longest.toFixed(1)} ms  ${events.join(", ")}`)
  })
}

if (redisServer === null) throw new Error("needs redis-server")
for (const runtime of process.argv.length > 2 ? process.argv.slice(2) : ["bun", "node"]) await measure(runtime)
process.exit(0)
