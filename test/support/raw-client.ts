// A client that speaks octets: what a test sends is what goes out, cut where the test cuts it, and what came back is kept whole.

import { connect, type Socket } from "node:net"
import { defaultLimit, sleep, within } from "./deadline.ts"
import { field, type Head, parseBody, parseHead, responseFraming, statusOf } from "./http-message.ts"

export interface Response extends Head {
  readonly status: number
  readonly body: Buffer
  readonly trailers: Head["fields"]
  /** 1xx heads that came before it. */
  readonly interim: readonly Head[]
  header(name: string): string | null
  text(): string
}

/** How the other side ended the connection: orderly, or with a reset. */
export type Ending = "end" | "reset"

export class RawClient {
  readonly #socket: Socket
  readonly #chunks: Buffer[] = []
  /** Everything from here on has not been taken by a read. */
  #unread: Buffer = Buffer.alloc(0)
  #ending: Ending | null = null
  #wake: (() => void)[] = []

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk)
      this.#notify()
    })
    socket.on("end", () => this.#finish("end"))
    socket.on("error", () => this.#finish("reset"))
    socket.on("close", () => this.#finish("end"))
  }

  /** A client on a connection that is open already, over TLS, say. */
  static over(socket: Socket): RawClient {
    return new RawClient(socket)
  }

  /** Connects to 127.0.0.1. The client's side stays open when the server ends its own, until `end` or `destroy`. */
  static connect(port: number, host: string = "127.0.0.1"): Promise<RawClient> {
    const socket = connect({ port, host, noDelay: true, allowHalfOpen: true })
    const connected = new Promise<RawClient>((resolve, reject) => {
      socket.once("error", reject)
      socket.once("connect", () => {
        socket.removeListener("error", reject)
        resolve(new RawClient(socket))
      })
    })
    return within(connected, `connect to ${host}:${port}`)
  }

  get localPort(): number {
    return this.#socket.localPort ?? 0
  }

  /** How the server ended the connection; null while it is open. */
  get ending(): Ending | null {
    return this.#ending
  }

  /** Octets received and not yet taken by a read. */
  get unread(): Buffer {
    if (this.#chunks.length > 0) {
      this.#unread = Buffer.concat([this.#unread, ...this.#chunks])
      this.#chunks.length = 0
    }
    return this.#unread
  }

  /** Sends at once. Strings are latin1. */
  send(data: string | Uint8Array): void {
    this.#socket.write(typeof data === "string" ? Buffer.from(data, "latin1") : data)
  }

  /** Sends each segment in a packet of its own: the next leaves `gap` ms after the last was handed to the kernel. */
  async sendSegments(segments: readonly (string | Uint8Array)[], gap: number = 2): Promise<void> {
    for (const segment of segments) {
      const data = typeof segment === "string" ? Buffer.from(segment, "latin1") : segment
      await within(new Promise<void>((resolve) => this.#socket.write(data, () => resolve())), "write of a segment")
      await sleep(gap)
    }
  }

  /** Stops reading: the server's writes back up, as with a slow client. */
  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    this.#socket.resume()
  }

  /** Half-close: no more from this side, still reading. */
  end(): void {
    this.#socket.end()
  }

  /** Ends with RST. */
  reset(): void {
    this.#socket.resetAndDestroy()
  }

  destroy(): void {
    this.#socket.destroy()
  }

  /** Takes `length` octets. */
  async readBytes(length: number, limit: number = defaultLimit): Promise<Buffer> {
    await this.#until(() => this.unread.length >= length, `${length} octets`, limit)
    return this.#take(length)
  }

  /** Takes everything up to and with `needle`. */
  async readThrough(needle: string, limit: number = defaultLimit): Promise<Buffer> {
    await this.#until(() => this.unread.includes(needle, 0, "latin1"), JSON.stringify(needle), limit)
    return this.#take(this.unread.indexOf(needle, 0, "latin1") + needle.length)
  }

  /** Takes everything until the server ends the connection; `ending` then says how. */
  async readToEnd(limit: number = defaultLimit): Promise<Buffer> {
    await this.#until(() => this.#ending !== null, "end of the connection", limit)
    return this.#take(this.unread.length)
  }

  /** Waits for the end of the connection, whatever comes before it. */
  async closed(limit: number = defaultLimit): Promise<Ending> {
    await this.#until(() => this.#ending !== null, "end of the connection", limit)
    return this.#ending as Ending
  }

  async readHead(limit: number = defaultLimit): Promise<Head> {
    let head: Head | null = null
    await this.#until(
      () => {
        head = parseHead(this.unread)
        return head !== null
      },
      "a response head",
      limit,
    )
    const found = head as unknown as Head
    this.#take(found.length)
    return found
  }

  /** Takes one whole response to `method`, with the 1xx before it. Rejects when it is cut short. */
  async readResponse(method: string = "GET", limit: number = defaultLimit): Promise<Response> {
    const interim: Head[] = []
    let head = await this.readHead(limit)
    while (statusOf(head) < 200 && statusOf(head) !== 101) {
      interim.push(head)
      head = await this.readHead(limit)
    }
    const framing = responseFraming(head, method)
    let body = parseBody(this.unread, framing, this.#ending !== null)
    if (body === null) {
      await this.#until(
        () => {
          if (framing.kind === "close" && this.#ending === "reset") throw new Error("the connection was reset inside the body")
          body = parseBody(this.unread, framing, this.#ending !== null)
          return body !== null
        },
        "the rest of the response body",
        limit,
      )
    }
    const { bytes, trailers, length } = body as unknown as NonNullable<typeof body>
    this.#take(length)
    return {
      ...head,
      status: statusOf(head),
      body: bytes,
      trailers,
      interim,
      header: (name) => field(head, name),
      text: () => bytes.toString("latin1"),
    }
  }

  #take(length: number): Buffer {
    const all = this.unread
    this.#unread = all.subarray(length)
    return Buffer.from(all.subarray(0, length))
  }

  async #until(done: () => boolean, what: string, limit: number): Promise<void> {
    const end = performance.now() + limit
    while (!done()) {
      if (this.#ending !== null) throw new Error(`the connection closed (${this.#ending}) before ${what}; got ${this.#excerpt()}`)
      const left = end - performance.now()
      if (left <= 0) throw new Error(`no ${what} within ${limit} ms; got ${this.#excerpt()}`)
      let timer: ReturnType<typeof setTimeout> | undefined
      await new Promise<void>((resolve) => {
        this.#wake.push(resolve)
        timer = setTimeout(resolve, left)
      })
      clearTimeout(timer)
    }
  }

  #excerpt(): string {
    return JSON.stringify(this.unread.toString("latin1", 0, 300))
  }

  #finish(ending: Ending): void {
    this.#ending ??= ending
    this.#notify()
  }

  #notify(): void {
    const wake = this.#wake
    this.#wake = []
    for (const resolve of wake) resolve()
  }
}

/** One request on a connection of its own; `request` is sent as it is. */
export async function exchange(port: number, request: string | Uint8Array, method: string = "GET"): Promise<Response> {
  const client = await RawClient.connect(port)
  try {
    client.send(request)
    return await client.readResponse(method)
  } finally {
    client.destroy()
  }
}

/** GET on a connection of its own, with the fields given beside `host`. */
export function get(port: number, target: string, fields: Readonly<Record<string, string>> = {}): Promise<Response> {
  const { host = "localhost", ...rest } = fields
  const lines = Object.entries(rest).map(([name, value]) => `${name}: ${value}\r\n`)
  return exchange(port, `GET ${target} HTTP/1.1\r\nhost: ${host}\r\n${lines.join("")}\r\n`)
}
