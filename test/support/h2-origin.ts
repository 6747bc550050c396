// An HTTP/2 upstream for tests whose every frame the test decides: it records what arrives and answers as scripted.

import { createServer, type Server, type Socket } from "node:net"
import { defaultLimit, within } from "./deadline.ts"
import { data, type ErrorName, goaway, headers, rstStream } from "./h2-frames.ts"
import type { Field } from "./h2-hpack.ts"
import { Peer, type PeerOptions, type PeerStream, value, values } from "./h2-peer.ts"
import { type Address, listen } from "./ports.ts"

/** One request at the origin, as its script sees it: when its head is there. */
export class H2Arrival {
  readonly peer: Peer
  readonly stream: PeerStream
  /** Number of the connection, from 0. */
  readonly connection: number

  constructor(peer: Peer, stream: PeerStream, connection: number) {
    this.peer = peer
    this.stream = stream
    this.connection = connection
  }

  get id(): number {
    return this.stream.id
  }

  get fields(): readonly Field[] {
    return this.stream.blocks[0]
  }

  get method(): string {
    return value(this.fields, ":method") ?? ""
  }

  get target(): string {
    return value(this.fields, ":path") ?? ""
  }

  header(name: string): string | null {
    return value(this.fields, name)
  }

  headers(name: string): string[] {
    return values(this.fields, name)
  }

  /** Resolves when the request is there whole; rejects when it is reset or the connection ends before. */
  async complete(limit: number = defaultLimit): Promise<void> {
    await this.peer.until(() => this.stream.ended || this.stream.reset !== null, `the end of the request for ${this.target}`, limit)
    if (!this.stream.ended) throw new Error(`the request for ${this.target} was reset (${this.stream.reset})`)
  }

  /** Waits until the gateway gives the stream up, by RST_STREAM (its code) or by the connection's end ("closed"). */
  async cancelled(limit: number = defaultLimit): Promise<string> {
    const { peer, stream } = this
    const gone = (): boolean => stream.reset !== null || peer.ending !== null
    await peer.until(gone, `the cancellation of ${this.target}`, limit)
    return stream.reset ?? "closed"
  }

  /** Sends a head: the response's, or with `status` 1xx one before it. */
  head(status: number, fields: readonly Field[] = [], end = false): void {
    this.peer.send(headers(this.id, [[":status", String(status)], ...fields], { end }))
  }

  /** A whole response in one write, when its body fits in the windows; longer ones follow them. */
  reply(status: number, body: string | Uint8Array = "", fields: readonly Field[] = []): void {
    const bytes = typeof body === "string" ? Buffer.from(body, "latin1") : body
    const head = headers(this.id, [[":status", String(status)], ...fields], { end: bytes.length === 0 })
    if (bytes.length <= Math.min(16_384, this.stream.sendWindow, this.peer.sendWindow)) {
      this.peer.take(bytes.length, this.id)
      this.peer.send(head, ...(bytes.length === 0 ? [] : [data(this.id, bytes, { end: true })]))
    } else {
      this.peer.send(head)
      this.peer.sendBody(this.id, bytes).catch(() => {})
    }
  }

  data(bytes: string | Uint8Array, end = false): void {
    this.peer.send(data(this.id, bytes, { end }))
  }

  trailers(fields: readonly Field[]): void {
    this.peer.send(headers(this.id, fields))
  }

  reset(code: ErrorName): void {
    this.peer.send(rstStream(this.id, code))
  }

  /** GOAWAY; `lastStream`: the last that was or will be served. */
  goaway(lastStream: number, code: ErrorName = "NO_ERROR"): void {
    this.peer.send(goaway(lastStream, code))
  }
}

export type H2Script = (arrival: H2Arrival) => void

export interface H2OriginOptions extends PeerOptions {
  /** Asked when a connection opens. */
  readonly onConnection?: (peer: Peer, number: number) => void
}

export class H2Origin {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #options: H2OriginOptions
  readonly #waiting: { match: (arrival: H2Arrival) => boolean; resolve: (arrival: H2Arrival) => void }[] = []
  #script: H2Script
  #address: Address = { host: "127.0.0.1", port: 0 }
  /** Every request whose head has arrived. */
  readonly arrivals: H2Arrival[] = []
  /** Every connection so far. */
  readonly peers: Peer[] = []

  private constructor(script: H2Script, options: H2OriginOptions) {
    this.#script = script
    this.#options = options
    this.#server = createServer({ noDelay: true, allowHalfOpen: true }, (socket) => this.#accept(socket))
  }

  static async start(script: H2Script, options: H2OriginOptions = {}): Promise<H2Origin> {
    const origin = new H2Origin(script, options)
    origin.#address = await listen(origin.#server)
    return origin
  }

  get port(): number {
    return this.#address.port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  /** Connections open now. */
  get open(): number {
    return this.#sockets.size
  }

  /** What gateways sent that breaks the protocol. A test that expects none asserts that. */
  get problems(): Error[] {
    return this.peers.flatMap(({ problems }) => problems)
  }

  /** Another script from the next request on. */
  script(script: H2Script): void {
    this.#script = script
  }

  /** The first request, so far or to come, for this target. */
  arrival(target: string, limit: number = defaultLimit): Promise<H2Arrival> {
    const match = (arrival: H2Arrival): boolean => arrival.target === target
    const known = this.arrivals.find(match)
    if (known !== undefined) return Promise.resolve(known)
    return within(new Promise((resolve) => this.#waiting.push({ match, resolve })), `request for ${target} at the origin`, limit)
  }

  /** Destroys every open connection; the origin goes on listening. */
  dropConnections(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  async stop(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await within(closed, "close of the origin")
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    socket.on("close", () => this.#sockets.delete(socket))
    socket.on("end", () => socket.end())
    const number = this.peers.length
    const peer = new Peer(socket, "server", this.#options)
    this.peers.push(peer)
    peer.onHead = (stream) => {
      const arrival = new H2Arrival(peer, stream, number)
      this.arrivals.push(arrival)
      this.#script(arrival)
      for (let i = this.#waiting.length - 1; i >= 0; i--) {
        if (!this.#waiting[i].match(arrival)) continue
        this.#waiting[i].resolve(arrival)
        this.#waiting.splice(i, 1)
      }
    }
    this.#options.onConnection?.(peer, number)
  }
}

/** An origin that answers with a JSON description of the request, once it is there whole. */
export function h2EchoOrigin(options: H2OriginOptions = {}): Promise<H2Origin> {
  return H2Origin.start((arrival) => {
    arrival.complete(30_000).then(
      () => {
        const { method, target, fields, stream } = arrival
        const seen = { name: "echo", method, target, fields, body: stream.body.toString("latin1"), trailers: stream.trailers }
        arrival.reply(200, JSON.stringify(seen), [["content-type", "application/json"]])
      },
      () => {},
    )
  }, options)
}
