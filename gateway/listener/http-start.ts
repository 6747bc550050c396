// The first octets of a plain connection: whether its client begins with HTTP/2's preface (prior knowledge, RFC 9113 §3.3) or
// with a request of HTTP/1. Nothing else is decided here, and what was read goes to the codec.

import type { Socket } from "node:net"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import { PREFACE } from "../http2/frames.ts"

/** Exactly one of its methods is called, unless the start is destroyed. */
export interface HttpStartOwner {
  /** `first`: what was read. */
  onStarted(start: HttpStart, socket: Socket, http2: boolean, first: Buffer): void
  /** The client went away, or was closed for saying nothing. */
  onNotStarted(start: HttpStart): void
  onFault(error: unknown): void
}

const NOTHING = Buffer.alloc(0)

export class HttpStart implements DeadlineOwner {
  readonly id: number
  readonly #socket: Socket
  readonly #owner: HttpStartOwner
  readonly #deadline: Deadline
  #first: Buffer = NOTHING
  #done = false
  readonly #onData = (bytes: Buffer): void => this.#read(bytes)
  readonly #onEnd = (): void => this.#end()

  /** `timeout`: ms for its first octets. */
  constructor(socket: Socket, id: number, wheel: TimerWheel, timeout: number, owner: HttpStartOwner) {
    this.id = id
    this.#socket = socket
    this.#owner = owner
    this.#deadline = new Deadline(wheel, this)
    this.#deadline.set(wheel.now + timeout)
    socket.on("error", () => {})
    socket.on("data", this.#onData)
    socket.on("end", this.#onEnd)
    socket.on("close", this.#onEnd)
  }

  #read(bytes: Buffer): void {
    const first = this.#first.length === 0 ? bytes : Buffer.concat([this.#first, bytes])
    this.#first = first
    const length = Math.min(first.length, PREFACE.length)
    const like = PREFACE.compare(first, 0, length, 0, length) === 0
    if (like && length < PREFACE.length) return
    this.#leave()
    try {
      this.#owner.onStarted(this, this.#socket, like, first)
    } catch (error) {
      this.#owner.onFault(error)
      this.#socket.destroy()
    }
  }

  #leave(): void {
    this.#done = true
    this.#deadline.release()
    this.#socket.removeListener("data", this.#onData)
    this.#socket.removeListener("end", this.#onEnd)
    this.#socket.removeListener("close", this.#onEnd)
  }

  #end(): void {
    if (this.#done) return
    this.#leave()
    this.#socket.destroy()
    this.#owner.onNotStarted(this)
  }

  onDeadline(): void {
    this.#end()
  }

  /** Nothing was asked yet: the client has a moment. */
  drain(grace: number, now: number): void {
    this.#deadline.set(now + grace)
  }

  destroy(): void {
    this.#end()
  }
}
