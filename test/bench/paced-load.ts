// GET requests at a fixed rate, whether earlier ones were answered or not, on as many keep-alive connections as that takes. A
// request's time counts from when it was due. Run as a child by failures.ts with its task as JSON; prints one RESULT line.

import { connect, type Socket } from "node:net"
import type { PacedResult, PacedTask } from "./paced-result.ts"

/** More than this unanswered: the rest is not sent, and counts as failed. */
const MAX_OPEN = 1500

const { port, rate, seconds } = JSON.parse(process.argv[2]) as PacedTask
const request = `GET /x HTTP/1.1\r\nhost: a\r\n\r\n`
const idle: Connection[] = []
const slots: { latencies: number[]; failures: Record<string, number> }[] = []
let open = 0
let sent = 0
let finished = false
const start = performance.now()

class Connection {
  readonly #socket: Socket
  #due = 0
  #head = ""
  /** Octets of the answer that are still to come; −1 while its head is incomplete. */
  #left = -1
  #status = ""
  #waiting = false

  constructor() {
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true })
    this.#socket.on("data", (chunk: Buffer) => this.#read(chunk))
    this.#socket.on("error", () => {})
    this.#socket.on("close", () => this.#closed())
  }

  send(due: number): void {
    this.#due = due
    this.#head = ""
    this.#left = -1
    this.#waiting = true
    this.#socket.write(request)
  }

  #read(chunk: Buffer): void {
    let size = chunk.length
    if (this.#left < 0) {
      this.#head += chunk.toString("latin1")
      const end = this.#head.indexOf("\r\n\r\n")
      if (end < 0) return
      this.#status = this.#head.slice(9, 12)
      this.#left = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#head.slice(0, end))?.[1] ?? 0)
      size = this.#head.length - end - 4
    }
    this.#left -= size
    if (this.#left > 0) return
    this.#waiting = false
    over(this.#due, this.#status === "200" ? "" : this.#status)
    idle.push(this)
  }

  #closed(): void {
    const i = idle.indexOf(this)
    if (i >= 0) idle.splice(i, 1)
    if (!this.#waiting) return
    this.#waiting = false
    over(this.#due, this.#left < 0 ? "closed" : "cut short")
  }
}

function over(due: number, failure: string): void {
  open--
  note(due, performance.now() - start - due, failure)
  if (finished && open === 0) report()
}

// By the half second in which the request was due.
function note(due: number, latency: number, failure: string): void {
  const i = Math.floor(due / 500)
  slots[i] ??= { latencies: [], failures: {} }
  slots[i].latencies.push(latency)
  if (failure !== "") slots[i].failures[failure] = (slots[i].failures[failure] ?? 0) + 1
}

function report(): void {
  const result: PacedResult = {
    sent,
    slots: Array.from(slots, (slot) => ({
      requests: slot?.latencies.length ?? 0,
      p50: quantile(slot?.latencies ?? [], 0.5),
      p99: quantile(slot?.latencies ?? [], 0.99),
      failures: slot?.failures ?? {},
    })),
  }
  process.stdout.write(`RESULT ${JSON.stringify(result)}\n`, () => process.exit(0))
}

function quantile(values: number[], q: number): number {
  values.sort((a, b) => a - b)
  return values.length === 0 ? 0 : values[Math.min(values.length - 1, Math.floor(values.length * q))]
}

const total = rate * seconds
const timer = setInterval(() => {
  const now = performance.now() - start
  while (sent < total && (sent * 1000) / rate <= now) {
    const due = (sent * 1000) / rate
    sent++
    if (open >= MAX_OPEN) {
      note(due, 0, "not sent")
      continue
    }
    open++
    ;(idle.pop() ?? new Connection()).send(due)
  }
  if (sent < total) return
  clearInterval(timer)
  finished = true
  if (open === 0) report()
  else setTimeout(report, 16_000).unref()
}, 2)
