// Load that looks at every answer: keep-alive connections, one request at a time on each, every request with a token of its
// own that must come back in the right field and in every octet of the body. Tells failures apart by kind.

import { connect, type Socket } from "node:net"
import { sleep } from "../support/deadline.ts"
import { type Framing, field, type Head, parseBody, parseHead, responseFraming, statusOf } from "../support/http-message.ts"
import { tokenBody } from "./token.ts"

export interface SoakClientOptions {
  readonly port: number
  readonly connections: number
  /** Prefix of every target; default none. */
  readonly prefix?: string
  /** Stop by itself after so many requests; default none. */
  readonly requests?: number
  /** ms a request may take before it counts as `timeout`; default 10 s. */
  readonly limit?: number
  /** Further fields of every request. */
  readonly fields?: Readonly<Record<string, string>>
}

/** Every way a client can see the gateway fail. A keep-alive connection closed between two requests is none. */
export type FailureKind =
  | "refused" // no connection
  | "reset before the response" // a request was sent, RST came and no octet of an answer
  | "closed before the response" // the same with an orderly end
  | "truncated" // the answer stopped in the middle
  | "timeout"
  | "malformed" // not HTTP/1.1, or octets after the answer
  | "wrong octets" // another exchange's token
  | `status ${number}`

export class SoakClient {
  readonly #options: SoakClientOptions
  readonly #head: string
  readonly #connections: Connection[] = []
  /** By kind and method: a GET that was not answered can be sent again, a POST can't. */
  readonly failures: Map<string, number> = new Map()
  /** One line about each of the first failures. */
  readonly examples: string[] = []
  /** Milliseconds of answered requests, newest last; at most 200 000 are kept. */
  readonly latencies: number[] = []
  /** Requests with a complete and right answer. */
  completed = 0
  started = 0
  #stopping = false
  #reopening = true
  #reached: { count: number; resolve: () => void }[] = []

  constructor(options: SoakClientOptions) {
    this.#options = options
    this.#head = Object.entries(options.fields ?? {})
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join("")
    for (let i = 0; i < options.connections; i++) this.#connections.push(new Connection(this, i))
  }

  get failed(): number {
    let sum = 0
    for (const count of this.failures.values()) sum += count
    return sum
  }

  start(): void {
    for (const connection of this.#connections) connection.open()
  }

  /** Resolves when so many requests are over, well or not. */
  finished(count: number): Promise<void> {
    if (this.completed + this.failed >= count) return Promise.resolve()
    return new Promise((resolve) => this.#reached.push({ count, resolve }))
  }

  /** No connection is opened any more; what is open goes on. What a client does whose server is being replaced. */
  stopReopening(): void {
    this.#reopening = false
  }

  /** Waits until every connection is closed; `ms` at most. */
  async drained(ms: number): Promise<boolean> {
    const end = performance.now() + ms
    while (this.#connections.some((connection) => connection.isOpen)) {
      if (performance.now() > end) return false
      await sleep(10)
    }
    return true
  }

  /** Lets running requests finish, then closes. */
  async stop(): Promise<void> {
    this.#stopping = true
    for (const connection of this.#connections) connection.closeWhenIdle()
    await this.drained((this.#options.limit ?? 10_000) + 1000)
    for (const connection of this.#connections) connection.destroy()
  }

  percentile(share: number): number {
    const sorted = [...this.latencies].sort((a, b) => a - b)
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0
  }

  get options(): SoakClientOptions {
    return this.#options
  }

  get extraFields(): string {
    return this.#head
  }

  get mayOpen(): boolean {
    return this.#reopening && !this.#stopping
  }

  get mayStart(): boolean {
    return !this.#stopping && (this.#options.requests === undefined || this.started < this.#options.requests)
  }

  complete(milliseconds: number): void {
    this.completed++
    if (this.latencies.length >= 200_000) this.latencies.length = 0
    this.latencies.push(milliseconds)
    this.#notify()
  }

  fail(kind: FailureKind, method: string, detail: string): void {
    const name = method === "" ? kind : `${kind} (${method})`
    this.failures.set(name, (this.failures.get(name) ?? 0) + 1)
    if (this.examples.length < 20) this.examples.push(`${kind}: ${detail}`)
    this.#notify()
  }

  #notify(): void {
    const over = this.completed + this.failed
    if (this.#reached.length === 0 || this.#reached.every((wait) => wait.count > over)) return
    for (const wait of this.#reached) if (wait.count <= over) wait.resolve()
    this.#reached = this.#reached.filter((wait) => wait.count > over)
  }
}

/** Sizes of bodies in the mix, repeated: mostly about 1 KiB, some empty, some larger than any buffer on the way. */
const sizes = [1024, 1023, 0, 1024, 513, 1024, 16_384, 1024, 1025, 70_001]

class Connection {
  readonly #client: SoakClient
  readonly #number: number
  #socket: Socket | null = null
  #unread: Buffer = Buffer.alloc(0)
  #head: Head | null = null
  #framing: Framing = { kind: "none" }
  /** Of the running request; empty when there is none. */
  #token = ""
  #method = ""
  #size = 0
  #sent = 0
  #count = 0
  #sawOctets = false
  #timer: ReturnType<typeof setTimeout> | null = null

  constructor(client: SoakClient, number: number) {
    this.#client = client
    this.#number = number
  }

  get isOpen(): boolean {
    return this.#socket !== null
  }

  open(): void {
    const socket = connect({ port: this.#client.options.port, host: "127.0.0.1", noDelay: true })
    this.#socket = socket
    this.#unread = Buffer.alloc(0)
    this.#head = null
    let connected = false
    let reset = false
    socket.on("connect", () => {
      connected = true
      this.#next()
    })
    socket.on("data", (chunk: Buffer) => {
      if (this.#socket === socket) this.#read(chunk)
    })
    socket.on("error", (error: NodeJS.ErrnoException) => {
      reset = true
      if (!connected && this.#client.mayOpen) this.#client.fail("refused", "", `${error.code} on connection ${this.#number}`)
    })
    socket.on("close", () => {
      if (this.#socket === socket) this.#closed(reset)
    })
  }

  closeWhenIdle(): void {
    if (this.#token === "") this.#socket?.end()
  }

  destroy(): void {
    this.#socket?.destroy()
  }

  #next(): void {
    const socket = this.#socket
    if (socket === null) return
    if (!this.#client.mayStart) {
      socket.end()
      return
    }
    this.#client.started++
    const n = this.#count++
    this.#token = `t${process.pid}-${this.#number}-${n}`
    this.#size = sizes[n % sizes.length]
    this.#sawOctets = false
    // Every fourth request carries a body, unless it would be empty.
    const body = n % 4 === 3 && this.#size > 0 ? tokenBody(this.#token, this.#size) : null
    this.#method = body === null ? "GET" : "POST"
    const { prefix = "", limit = 10_000 } = this.#client.options
    const head = `${this.#method} ${prefix}/echo/${this.#token}/${this.#size} HTTP/1.1\r\nhost: soak.example.com\r\nuser-agent: sluice-soak\r\naccept: */*\r\n${this.#client.extraFields}`
    this.#sent = performance.now()
    if (body === null) socket.write(`${head}\r\n`)
    else socket.write(Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]))
    this.#timer = setTimeout(() => this.#failed("timeout", `${this.#token} after ${limit} ms`), limit)
  }

  #read(chunk: Buffer): void {
    if (this.#token === "") {
      this.#failed("malformed", `octets without a request: ${JSON.stringify(chunk.toString("latin1", 0, 100))}`)
      return
    }
    this.#sawOctets = true
    this.#unread = this.#unread.length === 0 ? chunk : Buffer.concat([this.#unread, chunk])
    this.#advance(false)
  }

  #advance(ended: boolean): void {
    try {
      if (this.#head === null) {
        this.#head = parseHead(this.#unread)
        if (this.#head === null) return
        this.#framing = responseFraming(this.#head, "GET")
        this.#unread = this.#unread.subarray(this.#head.length)
      }
      const body = parseBody(this.#unread, this.#framing, ended)
      if (body === null) return
      this.#unread = this.#unread.subarray(body.length)
      this.#judge(this.#head, body.bytes)
    } catch (error) {
      this.#failed("malformed", `${this.#token}: ${(error as Error).message}`)
    }
  }

  #judge(head: Head, body: Buffer): void {
    const status = statusOf(head)
    const close = field(head, "connection")?.toLowerCase() === "close"
    const token = this.#token
    if (status !== 200) {
      this.#failed(`status ${status}`, `${token}: ${body.toString("latin1", 0, 100).trim()}`, true)
    } else if (field(head, "x-token") !== token || !body.equals(tokenBody(token, this.#size))) {
      this.#failed(
        "wrong octets",
        `${token} (${this.#size}) got x-token ${field(head, "x-token")}, ${body.length} octets ${body.toString("latin1", 0, 60)}`,
      )
      return
    } else if (this.#unread.length > 0) {
      this.#failed("malformed", `${this.#unread.length} octets after the answer to ${token}`)
      return
    } else {
      this.#finish()
      this.#client.complete(performance.now() - this.#sent)
    }
    this.#head = null
    if (close) this.#socket?.end()
    else this.#next()
  }

  #finish(): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
    this.#token = ""
  }

  /** `usable`: the connection can go on. */
  #failed(kind: FailureKind, detail: string, usable: boolean = false): void {
    this.#finish()
    this.#client.fail(kind, this.#method, detail)
    if (!usable) this.#socket?.destroy()
  }

  #closed(reset: boolean): void {
    if (this.#token !== "" && this.#head !== null && this.#framing.kind === "close" && !reset) this.#advance(true)
    if (this.#token !== "") {
      const kind = this.#sawOctets ? "truncated" : reset ? "reset before the response" : "closed before the response"
      this.#failed(kind, `${this.#token} on connection ${this.#number} after ${(performance.now() - this.#sent).toFixed(0)} ms`)
    }
    this.#socket = null
    if (!this.#client.mayOpen || !this.#client.mayStart) return
    // A moment between attempts, so that a gateway that is down is not counted a million times.
    setTimeout(() => {
      if (this.#client.mayOpen && this.#socket === null) this.open()
    }, 20)
  }
}

/** Requests that clients give up: cut in the head, after it, and inside the answer, in turn. Resolves when `count` have been. */
export async function abortRequests(port: number, count: number, prefix: string = "", together: number = 16): Promise<void> {
  let started = 0
  const one = (): Promise<void> =>
    new Promise((resolve) => {
      const n = started++
      const socket = connect({ port, host: "127.0.0.1", noDelay: true })
      const body = n % 4 === 3 ? tokenBody("aborted", 50_000) : null
      const head = `${body === null ? "GET" : "POST"} ${prefix}/echo/aborted-${n}/70000 HTTP/1.1\r\nhost: soak.example.com\r\n`
      const request = body === null ? `${head}\r\n` : `${head}content-length: ${body.length}\r\n\r\n`
      const cut = (): void => {
        if (n % 2 === 0) socket.resetAndDestroy()
        else socket.destroy()
      }
      socket.on("connect", () => {
        if (n % 4 === 0) {
          socket.write(request.slice(0, 40), cut)
        } else if (n % 4 === 1) {
          socket.write(request, cut)
        } else if (n % 4 === 2) {
          // The first octets of the answer end it.
          socket.write(request)
        } else {
          socket.write(request)
          socket.write((body as Buffer).subarray(0, 20_000), cut)
        }
      })
      socket.on("data", cut)
      socket.on("error", () => {})
      socket.on("close", () => resolve())
      socket.setTimeout(5000, cut)
    })
  const lane = async (): Promise<void> => {
    while (started < count) await one()
  }
  await Promise.all(Array.from({ length: together }, lane))
}
