// What filters that mean harm do to others: latency of another route under steady load, without and with requests to each
// hostile filter of test/support/hostile-guests.ts, in one worker. Prints a table. Run: `node test/bench/hostile.ts --help`.

import { type ChildProcess, spawn } from "node:child_process"
import { connect, type Socket } from "node:net"
import { fileURLToPath } from "node:url"
import { parseArgs } from "node:util"
import { sleep } from "../support/deadline.ts"
import { Gateway } from "../support/gateway.ts"
import { type HostileGuest, hostileGuests } from "../support/hostile-guests.ts"
import { markdownTable, median } from "./report.ts"
import { sluiceCommand } from "./sluice.ts"

const usage = `node test/bench/hostile.ts -- [options]
  --runtimes a,b   of: bun, node, deno; default bun
  --only TEXT      guests whose title holds it; default all
  --seconds N      of each measurement, default 5
  --rate N         requests a second to the other route, default 400`

const { values } = parseArgs({
  options: {
    runtimes: { type: "string", default: "bun" },
    only: { type: "string", default: "" },
    seconds: { type: "string", default: "5" },
    rate: { type: "string", default: "400" },
    help: { type: "boolean", default: false },
  },
})
if (values.help) {
  process.stdout.write(`${usage}\n`)
  process.exit(0)
}
const seconds = Number(values.seconds)
const rate = Number(values.rate)
const CONNECTIONS = 16
const HOSTILE_CONNECTIONS = 8
/** ms between two requests on one connection to the hostile route. */
const HOSTILE_PAUSE = 20

interface Latency {
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly errors: number
}

/** One keep-alive connection that asks for `path` at fixed times; late requests count from when they were due. */
class Asker {
  readonly #port: number
  readonly #request: string
  readonly #interval: number
  readonly latencies: number[] = []
  errors = 0
  #socket: Socket | null = null
  #due = 0
  #seen = ""
  #timer: ReturnType<typeof setTimeout> | undefined
  #stopped = false

  constructor(port: number, path: string, interval: number, body: string) {
    this.#port = port
    this.#interval = interval
    const fields = body === "" ? "" : `content-length: ${body.length}\r\n`
    this.#request = `${body === "" ? "GET" : "POST"} ${path} HTTP/1.1\r\nhost: a\r\n${fields}\r\n${body}`
  }

  start(delay: number): void {
    this.#due = performance.now() + delay
    this.#schedule()
  }

  stop(): void {
    this.#stopped = true
    clearTimeout(this.#timer)
    this.#socket?.destroy()
  }

  #schedule(): void {
    if (this.#stopped) return
    this.#timer = setTimeout(() => this.#ask(), Math.max(0, this.#due - performance.now()))
  }

  #ask(): void {
    this.#seen = ""
    if (this.#socket === null) {
      const socket = connect({ port: this.#port, host: "127.0.0.1", noDelay: true })
      socket.setEncoding("latin1")
      socket.on("data", (text: string) => this.#receive(socket, text))
      socket.on("error", () => undefined)
      socket.on("close", () => {
        if (this.#socket !== socket) return
        this.#socket = null
        this.#answered(false)
      })
      this.#socket = socket
    }
    this.#socket.write(this.#request)
  }

  #receive(socket: Socket, text: string): void {
    if (this.#socket !== socket) return
    if (this.#seen.length < 4096) this.#seen += text
    const end = this.#seen.indexOf("\r\n\r\n")
    if (end === -1) return
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(this.#seen)?.[1] ?? -1)
    if (length >= 0 && length < 2048 && this.#seen.length >= end + 4 + length) this.#answered(this.#seen.startsWith("HTTP/1.1 200"))
    else if (length < 0 || length >= 2048) {
      // Whatever it is, it is too long to be waited for here.
      this.#socket = null
      socket.destroy()
      this.#answered(this.#seen.startsWith("HTTP/1.1 200"))
    }
  }

  #answered(ok: boolean): void {
    if (this.#stopped) return
    const now = performance.now()
    this.latencies.push(now - this.#due)
    if (!ok) this.errors++
    this.#due = Math.max(this.#due + this.#interval, now - 1000)
    this.#schedule()
  }
}

async function measure(port: number): Promise<Latency> {
  const interval = (CONNECTIONS * 1000) / rate
  const askers = Array.from({ length: CONNECTIONS }, () => new Asker(port, "/echo/x/2", interval, ""))
  for (const [i, asker] of askers.entries()) asker.start((i * interval) / CONNECTIONS)
  await sleep(seconds * 1000)
  for (const asker of askers) asker.stop()
  const all = askers.flatMap((asker) => asker.latencies).sort((a, b) => a - b)
  const at = (q: number): number => all[Math.min(all.length - 1, Math.floor(all.length * q))] ?? Number.NaN
  return { p50: at(0.5), p99: at(0.99), max: at(1), errors: askers.reduce((sum, asker) => sum + asker.errors, 0) }
}

async function origin(): Promise<{ port: number; child: ChildProcess }> {
  const file = fileURLToPath(new URL("soak-origin.ts", import.meta.url))
  const child = spawn(process.execPath, [file, "0"], { stdio: ["ignore", "pipe", "inherit"] })
  const port = await new Promise<number>((resolve) => child.stdout.once("data", (data: Buffer) => resolve(Number(data.toString()))))
  return { port, child }
}

async function trial(
  runtime: string,
  originPort: number,
  guest: HostileGuest,
): Promise<{ before: Latency; during: Latency; state: string }> {
  const gateway = await Gateway.start({
    config: {
      admin: { address: "127.0.0.1:0" },
      workers: 1,
      accessLog: "off",
      listeners: [{ name: "main", address: "127.0.0.1:0" }],
      services: { origin: { endpoints: [`127.0.0.1:${originPort}`] } },
      filters: { hostile: { module: "./hostile.wasm" } },
      routes: [{ backends: "origin" }, { match: { path: "/echo/hostile" }, filters: "hostile", backends: "origin", timeout: "1s" }],
    },
    files: { "hostile.wasm": guest.bytes },
    command: sluiceCommand(runtime) as string[],
    startLimit: 60_000,
  })
  try {
    const port = gateway.port()
    await measure(port)
    const before = await measure(port)
    const askers = Array.from({ length: HOSTILE_CONNECTIONS }, () => new Asker(port, "/echo/hostile/2", HOSTILE_PAUSE, guest.body ?? ""))
    for (const [i, asker] of askers.entries()) asker.start(i * 2)
    const during = await measure(port)
    for (const asker of askers) asker.stop()
    const response = await fetch(`http://127.0.0.1:${gateway.adminPort}/filters`)
    const { filters } = (await response.json()) as { filters: { state: string; traps: Record<string, number> }[] }
    const traps = Object.entries(filters[0].traps).map(([reason, count]) => `${reason} ${count}`)
    return { before, during, state: [filters[0].state, ...traps].join(", ") }
  } finally {
    await gateway.kill()
  }
}

const ms = (value: number): string => value.toFixed(value < 10 ? 2 : 0)
const server = await origin()
for (const runtime of values.runtimes.split(",")) {
  const rows: string[][] = []
  const moved: number[] = []
  for (const [title, make] of Object.entries(hostileGuests)) {
    if (!title.includes(values.only)) continue
    const { before, during, state } = await trial(runtime, server.port, make())
    moved.push(during.p99 - before.p99)
    rows.push([title, ...[before.p50, during.p50, before.p99, during.p99, before.max, during.max].map(ms), String(during.errors), state])
    process.stderr.write(
      `${runtime}: ${title}: p99 ${ms(before.p99)} → ${ms(during.p99)} ms, max ${ms(before.max)} → ${ms(during.max)} ms; ${state}\n`,
    )
  }
  const header = [
    "a filter that …",
    "p50 without, ms",
    "with",
    "p99 without, ms",
    "with",
    "max without, ms",
    "with",
    "errors",
    "the filter in the end",
  ]
  process.stdout.write(`\n### ${runtime}\n\n${markdownTable(header, rows)}\n`)
  process.stdout.write(`\np99 moves by ${ms(median(moved))} ms in the median, ${ms(Math.max(...moved))} ms at most\n`)
}
server.child.kill()
