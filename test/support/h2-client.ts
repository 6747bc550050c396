// An HTTP/2 client for tests that sends the frames it is given: over plain TCP by prior knowledge, or over TLS by ALPN.

import { connect, type Socket } from "node:net"
import { type ConnectionOptions, connect as connectTls } from "node:tls"
import { defaultLimit, within } from "./deadline.ts"
import { headers } from "./h2-frames.ts"
import type { Field } from "./h2-hpack.ts"
import { Peer, type PeerOptions, value } from "./h2-peer.ts"

export interface H2Response {
  readonly status: number
  readonly fields: readonly Field[]
  readonly body: Buffer
  readonly trailers: readonly Field[]
  /** 1xx heads that came before it. */
  readonly interim: readonly (readonly Field[])[]
  header(name: string): string | null
  text(): string
}

export interface H2ClientOptions extends PeerOptions {
  /** Over TLS, with ALPN `h2`. */
  readonly tls?: ConnectionOptions
  readonly host?: string
}

export interface RequestOptions {
  readonly method?: string
  readonly path?: string
  readonly authority?: string
  readonly fields?: readonly Field[]
  /** Sent as windows allow; the stream ends with it. */
  readonly body?: string | Uint8Array
  readonly trailers?: readonly Field[]
  /** Whether the stream ends with the head when there is no body (default true). */
  readonly end?: boolean
}

/** The four pseudo-header fields of a request, and what follows them. */
export function requestFields(path = "/", method = "GET", fields: readonly Field[] = [], authority = "a"): Field[] {
  return [[":method", method], [":scheme", "http"], [":path", path], [":authority", authority], ...fields]
}

export class H2Client extends Peer {
  /** Id of the next stream `request` opens. */
  nextStream = 1

  private constructor(socket: Socket, options: H2ClientOptions) {
    super(socket, "client", options)
  }

  static connect(port: number, options: H2ClientOptions = {}): Promise<H2Client> {
    const { host = "127.0.0.1", tls } = options
    const socket: Socket =
      tls === undefined
        ? connect({ port, host, noDelay: true, allowHalfOpen: true })
        : connectTls({ port, host, ALPNProtocols: ["h2"], servername: "localhost", ...tls })
    const connected = new Promise<H2Client>((resolve, reject) => {
      socket.once("error", reject)
      socket.once(tls === undefined ? "connect" : "secureConnect", () => {
        socket.removeListener("error", reject)
        socket.setNoDelay(true)
        resolve(new H2Client(socket, options))
      })
    })
    return within(connected, `connect to ${host}:${port}`)
  }

  /** Opens a stream with a request and gives its id. A body follows by itself; await `response` for what comes of it. */
  request(options: RequestOptions = {}): number {
    const { method = options.body === undefined ? "GET" : "POST", path = "/", authority = "a", fields = [], body, trailers } = options
    const id = this.nextStream
    this.nextStream += 2
    const { end = body === undefined && trailers === undefined } = options
    this.send(headers(id, requestFields(path, method, fields, authority), { end }))
    const bytes = body === undefined ? null : typeof body === "string" ? Buffer.from(body, "latin1") : body
    const finish = (): void => {
      if (trailers !== undefined) this.send(headers(id, trailers))
    }
    if (bytes !== null) this.sendBody(id, bytes, { end: trailers === undefined }).then(finish, () => {})
    else finish()
    return id
  }

  /** The head that answers a stream, as soon as it is there. Rejects on a reset. */
  async head(id: number, limit: number = defaultLimit): Promise<readonly Field[]> {
    const stream = this.stream(id)
    await this.until(() => stream.head !== null || stream.reset !== null, `the head of stream ${id}`, limit)
    if (stream.head === null) throw new Error(`stream ${id} was reset (${stream.reset}) before its head`)
    return stream.head
  }

  /** Waits for the reset of a stream, and gives its code. */
  async resetOf(id: number, limit: number = defaultLimit): Promise<string> {
    const stream = this.stream(id)
    await this.until(() => stream.reset !== null, `the reset of stream ${id}`, limit)
    return stream.reset as string
  }

  /** The whole response on a stream. Rejects when it is reset, or the connection ends, before its end. */
  async response(id: number, limit: number = defaultLimit): Promise<H2Response> {
    const stream = this.stream(id)
    await this.until(() => stream.ended || stream.reset !== null, `the response on stream ${id}`, limit)
    const { head } = stream
    if (!stream.ended || head === null) throw new Error(`stream ${id} was reset (${stream.reset}) after ${stream.length} octets`)
    return {
      status: Number(value(head, ":status")),
      fields: head.filter(([name]) => name !== ":status"),
      body: stream.body,
      trailers: stream.trailers,
      interim: stream.blocks.slice(0, stream.blocks.indexOf(head as Field[])),
      header: (name) => value(head, name),
      text: () => stream.body.toString("latin1"),
    }
  }

  /** One request and its whole response. */
  ask(options: RequestOptions = {}, limit: number = defaultLimit): Promise<H2Response> {
    return this.response(this.request(options), limit)
  }
}

/** One request on a connection of its own. */
export async function h2Get(port: number, path: string, fields: readonly Field[] = []): Promise<H2Response> {
  const client = await H2Client.connect(port)
  try {
    return await client.ask({ path, fields })
  } finally {
    client.destroy()
  }
}
