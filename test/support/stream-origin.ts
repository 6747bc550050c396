// An upstream that sees requests as they arrive: its script is called with the head, bodies are measured and never kept.

import { createServer, type Server, type Socket } from "node:net"
import { defaultLimit, within } from "./deadline.ts"
import { type Head, parseHead, requestFraming } from "./http-message.ts"
import { type Address, listen } from "./ports.ts"
import { BodyMeter } from "./traffic.ts"

export interface Arrival {
  readonly head: Head
  readonly method: string
  readonly target: string
  readonly socket: Socket
  /** The request's body so far. */
  readonly body: BodyMeter
  /** Resolves when the body is complete; rejects when the connection ends before. */
  readonly complete: Promise<void>
  /** Resolves when the gateway has closed the connection. */
  readonly closed: Promise<void>
  /** Set to get the body's octets, framing included. */
  onRaw: ((bytes: Buffer) => void) | null
  /** Number of the connection, from 0. */
  readonly connection: number
}

export class StreamOrigin {
  readonly #server: Server
  readonly #sockets: Set<Socket> = new Set()
  readonly #script: (arrival: Arrival) => void
  readonly #waiting: { match: (arrival: Arrival) => boolean; resolve: (arrival: Arrival) => void }[] = []
  #address: Address = { host: "127.0.0.1", port: 0 }
  #accepted = 0
  /** Every request whose head has arrived. */
  readonly arrivals: Arrival[] = []

  private constructor(script: (arrival: Arrival) => void) {
    this.#script = script
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket))
  }

  static async start(script: (arrival: Arrival) => void): Promise<StreamOrigin> {
    const origin = new StreamOrigin(script)
    origin.#address = await listen(origin.#server)
    return origin
  }

  get port(): number {
    return this.#address.port
  }

  get address(): string {
    return `127.0.0.1:${this.port}`
  }

  get accepted(): number {
    return this.#accepted
  }

  get open(): number {
    return this.#sockets.size
  }

  /** The first request, so far or to come, for this target. */
  arrival(target: string, limit: number = defaultLimit): Promise<Arrival> {
    const match = (arrival: Arrival): boolean => arrival.target === target
    const known = this.arrivals.find(match)
    if (known !== undefined) return Promise.resolve(known)
    return within(new Promise((resolve) => this.#waiting.push({ match, resolve })), `request for ${target} at the origin`, limit)
  }

  async stop(): Promise<void> {
    const done = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const socket of this.#sockets) socket.destroy()
    await within(done, "close of the origin")
  }

  #accept(socket: Socket): void {
    const number = this.#accepted++
    this.#sockets.add(socket)
    const gone = new Promise<void>((resolve) => socket.once("close", () => resolve()))
    let unread: Buffer = Buffer.alloc(0)
    let current: { arrival: Arrival; finish: () => void; fail: (error: Error) => void } | null = null
    const read = (): void => {
      for (;;) {
        if (current !== null) {
          const { arrival, finish } = current
          const rest = arrival.body.feed(unread)
          if (unread.length > rest.length) arrival.onRaw?.(unread.subarray(0, unread.length - rest.length))
          unread = rest
          if (!arrival.body.complete) return
          current = null
          finish()
        }
        const head = parseHead(unread)
        if (head === null) return
        unread = unread.subarray(head.length)
        const [method, target] = head.startLine.split(" ")
        let finish = (): void => {}
        let fail = (_: Error): void => {}
        const complete = new Promise<void>((resolve, reject) => {
          finish = resolve
          fail = reject
        })
        complete.catch(() => {})
        const body = new BodyMeter(requestFraming(head))
        const arrival: Arrival = { head, method, target, socket, body, complete, closed: gone, onRaw: null, connection: number }
        this.arrivals.push(arrival)
        current = { arrival, finish, fail }
        this.#script(arrival)
        for (let i = this.#waiting.length - 1; i >= 0; i--) {
          if (!this.#waiting[i].match(arrival)) continue
          this.#waiting[i].resolve(arrival)
          this.#waiting.splice(i, 1)
        }
      }
    }
    socket.on("data", (bytes: Buffer) => {
      unread = unread.length === 0 ? bytes : Buffer.concat([unread, bytes])
      read()
    })
    socket.on("end", () => {
      if (!socket.destroyed && socket.writable) socket.end()
    })
    socket.on("error", () => {})
    socket.on("close", () => {
      this.#sockets.delete(socket)
      current?.fail(new Error("the connection ended inside the request"))
    })
  }
}
