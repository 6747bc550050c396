// An upstream for tests whose every octet the test decides: it records what arrives and answers as scripted.

import { createServer, type Server, type Socket } from "node:net"
import { defaultLimit, within } from "./deadline.ts"
import { type Body, type Framing, field, type Head, parseBody, parseHead, requestFraming } from "./http-message.ts"
import { type Address, listen } from "./ports.ts"

export interface OriginRequest extends Head {
  readonly method: string
  readonly target: string
  /** Empty while `answerAt` is "head". */
  readonly body: Buffer
  readonly trailers: Head["fields"]
  /** The octets of the head as they came. */
  readonly rawHead: string
  /** Number of the connection, from 0. */
  readonly connection: number
  /** Number of the request on its connection, from 0. */
  readonly index: number
  header(name: string): string | null
}

/** One connection to the origin, as its script sees it. */
export interface OriginConnection {
  readonly number: number
  readonly socket: Socket
  /** Sends octets as they are; strings are latin1. */
  write(data: string | Uint8Array): void
  /** A whole response with its content-length. */
  reply(status: number, body?: string | Uint8Array, fields?: Readonly<Record<string, string>>): void
  /** Half-close. */
  end(): void
  /** RST. */
  reset(): void
}

export type OriginScript = (request: OriginRequest, connection: OriginConnection) => void | Promise<void>

export interface OriginOptions {
  /** Whether the script is asked when the head is there or (default) when the whole request is. */
  readonly answerAt?: "head" | "request"
  /** Default: any. */
  readonly port?: number
  /** Default: 127.0.0.1. */
  readonly host?: string
  /** Asked when a connection opens. */
  readonly onConnection?: (connection: OriginConnection) => void
  /** Makes a request with `upgrade` the last of its connection: what follows it comes here. */
  readonly onTunnel?: (data: Buffer, connection: OriginConnection) => void
}

export class Origin {
  readonly #server: Server
  readonly #sockets: Set<Socket> = new Set()
  readonly #waiting: { count: number; resolve: () => void }[] = []
  #script: OriginScript
  readonly #options: OriginOptions
  #address: Address = { host: "127.0.0.1", port: 0 }
  #accepted = 0

  /** Every request so far, in the order the script was asked. */
  readonly requests: OriginRequest[] = []
  /** What went wrong: requests this origin can't read, scripts that threw. A test that expects none asserts that. */
  readonly problems: Error[] = []

  private constructor(script: OriginScript, options: OriginOptions) {
    this.#script = script
    this.#options = options
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket))
  }

  static async start(script: OriginScript, options: OriginOptions = {}): Promise<Origin> {
    const origin = new Origin(script, options)
    origin.#address = await listen(origin.#server, options.port, options.host)
    return origin
  }

  get port(): number {
    return this.#address.port
  }

  /** `host:port`, as configurations write it. */
  get address(): string {
    return `${this.#address.host}:${this.#address.port}`
  }

  /** Connections accepted so far. */
  get accepted(): number {
    return this.#accepted
  }

  /** Connections open now. */
  get open(): number {
    return this.#sockets.size
  }

  /** Another script from the next request on. */
  script(script: OriginScript): void {
    this.#script = script
  }

  /** Resolves when `count` requests have come since the start. */
  received(count: number, limit: number = defaultLimit): Promise<void> {
    if (this.requests.length >= count) return Promise.resolve()
    const arrived = new Promise<void>((resolve) => this.#waiting.push({ count, resolve }))
    return within(arrived, `${count} requests at the origin (${this.requests.length} so far)`, limit)
  }

  /** Resets every open connection; the origin goes on listening. */
  resetConnections(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
  }

  /** Closes the listening socket and every connection. */
  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await within(closed, "close of the origin")
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    const connection = connectionOf(socket, this.#accepted++)
    let unread: Buffer = Buffer.alloc(0)
    let index = 0
    let head: Head | null = null
    let rawHead = ""
    let framing: Framing = { kind: "none" }
    let asked = false
    let tunnel = false
    // One request at a time: the next is read when the script's promise, if it gave one, is settled.
    let busy = false

    const fail = (error: unknown): void => {
      this.problems.push(error as Error)
      socket.destroy()
    }
    const run = (of: Head, body: Body | null): void => {
      const request = requestOf(of, body, rawHead, connection.number, index++)
      this.requests.push(request)
      this.#arrived()
      tunnel = this.#options.onTunnel !== undefined && field(request, "upgrade") !== null
      const answering = this.#script(request, connection)
      if (answering === undefined) return
      busy = true
      answering
        .then(() => {
          busy = false
          advance()
        })
        .catch(fail)
    }
    const advance = (): void => {
      while (!busy) {
        if (tunnel) {
          if (unread.length > 0) this.#options.onTunnel?.(unread, connection)
          unread = Buffer.alloc(0)
          return
        }
        if (head === null) {
          head = parseHead(unread)
          if (head === null) return
          rawHead = unread.toString("latin1", 0, head.length)
          framing = requestFraming(head)
          unread = unread.subarray(head.length)
        }
        if (this.#options.answerAt === "head" && !asked) {
          asked = true
          run(head, null)
          continue
        }
        const body = parseBody(unread, framing, false)
        if (body === null) return
        const whole = head
        head = null
        unread = unread.subarray(body.length)
        if (!asked) run(whole, body)
        asked = false
      }
    }

    socket.on("data", (chunk: Buffer) => {
      unread = unread.length === 0 ? chunk : Buffer.concat([unread, chunk])
      try {
        advance()
      } catch (error) {
        fail(error)
      }
    })
    socket.on("end", () => socket.end())
    socket.on("error", () => {})
    socket.on("close", () => this.#sockets.delete(socket))
    this.#options.onConnection?.(connection)
  }

  #arrived(): void {
    for (let i = this.#waiting.length - 1; i >= 0; i--) {
      if (this.#waiting[i].count > this.requests.length) continue
      this.#waiting[i].resolve()
      this.#waiting.splice(i, 1)
    }
  }
}

/** An origin that answers every request with 200 and this text. */
export function staticOrigin(text: string, fields: Readonly<Record<string, string>> = {}): Promise<Origin> {
  return Origin.start((_request, connection) => connection.reply(200, text, fields))
}

/** An origin that answers with a JSON description of the request it saw. */
export function echoOrigin(name: string = "echo"): Promise<Origin> {
  return Origin.start((request, connection) => {
    const seen = { name, method: request.method, target: request.target, fields: request.fields, body: request.body.toString("latin1") }
    connection.reply(200, JSON.stringify(seen), { "content-type": "application/json" })
  })
}

function connectionOf(socket: Socket, number: number): OriginConnection {
  return {
    number,
    socket,
    write: (data) => {
      socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data)
    },
    reply: (status, body = "", fields = {}) => {
      const bytes = typeof body === "string" ? Buffer.from(body, "latin1") : Buffer.from(body)
      const lines = Object.entries(fields).map(([key, value]) => `${key}: ${value}\r\n`)
      const head = `HTTP/1.1 ${status} scripted\r\ncontent-length: ${bytes.length}\r\n${lines.join("")}\r\n`
      socket.write(Buffer.concat([Buffer.from(head, "latin1"), bytes]))
    },
    end: () => {
      socket.end()
    },
    reset: () => {
      socket.resetAndDestroy()
    },
  }
}

function requestOf(head: Head, body: Body | null, rawHead: string, connection: number, index: number): OriginRequest {
  const [method = "", target = ""] = head.startLine.split(" ")
  return {
    ...head,
    method,
    target,
    body: body === null ? Buffer.alloc(0) : Buffer.from(body.bytes),
    trailers: body === null ? [] : body.trailers,
    rawHead,
    connection,
    index,
    header: (name) => field(head, name),
  }
}
