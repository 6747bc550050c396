// Makes one connection to an endpoint, within its time: TCP, and TLS on top of it where the service has it. Whose codec the
// connection gets is decided by who asked for it.

import { connect, type Socket } from "node:net"
import { connect as connectTls, type TLSSocket } from "node:tls"
import { readBuffer } from "../http/scratch.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import type { ClientTls } from "../tls/client-context.ts"

/** A codec, as the socket that reads into shared memory knows it. */
export interface DialReader {
  /** The first `length` octets of `bytes` have come; good until this returns. */
  onRead(bytes: Buffer, length: number): void
}

/** Exactly one of its methods is called, unless it is cancelled. */
export interface DialOwner {
  /**
   * It is there. Octets it reads go to {@link Dial.reader}, which is to be set before this returns. `protocol`: agreed upon by
   * ALPN; "" = nothing was.
   */
  onDialed(dial: Dial, socket: Socket, protocol: string): void
  /** `details`: the system's code, or what was wrong. */
  onDialFailed(dial: Dial, timedOut: boolean, details: string): void
}

/** Where to, and with what TLS. */
export interface Target {
  readonly host: string
  readonly port: number
  /** Null: none. */
  readonly tls: ClientTls | null
}

export class Dial implements DeadlineOwner {
  reader: DialReader | null = null
  /** When it began, and when its time is over, ms of the wheel's clock. */
  readonly began: number
  readonly until: number
  readonly #socket: Socket
  readonly #deadline: Deadline
  readonly #owner: DialOwner
  readonly #target: Target
  #failure = ""
  #done = false

  /** `alpn`: protocols offered over TLS, the best first. `timeout`: ms. */
  constructor(target: Target, alpn: readonly string[], wheel: TimerWheel, timeout: number, owner: DialOwner) {
    this.#target = target
    this.#owner = owner
    this.began = wheel.refresh()
    this.until = this.began + timeout
    this.#deadline = new Deadline(wheel, this)
    this.#deadline.set(this.until)
    const onread = {
      buffer: readBuffer,
      callback: (length: number): boolean => {
        this.reader?.onRead(readBuffer, length)
        return true
      },
    }
    const { host, port, tls } = target
    const where = { host, port, noDelay: true, allowHalfOpen: true }
    const socket = tls === null ? connect({ ...where, onread }) : connectTls({ ...tls.connectOptions(host, alpn), ...where })
    this.#socket = socket
    socket.on("data", (bytes: Buffer) => this.reader?.onRead(bytes, bytes.length))
    socket.on(tls === null ? "connect" : "secureConnect", () => this.#connected())
    socket.on("error", (error: Error & { code?: string }) => {
      this.#failure ||= error.code ?? error.message
      // Some runtimes report a failed connect here and leave out `close`.
      this.#failed(false)
    })
    socket.on("close", () => this.#failed(false))
  }

  #connected(): void {
    if (this.#done) return
    let protocol = ""
    const { tls, host } = this.#target
    if (tls !== null) {
      const socket = this.#socket as TLSSocket
      this.#failure = tls.verify(socket, host)
      if (this.#failure !== "") return this.#failed(false)
      protocol = socket.alpnProtocol || ""
    }
    this.#done = true
    this.#deadline.release()
    this.#owner.onDialed(this, this.#socket, protocol)
  }

  #failed(timedOut: boolean): void {
    if (this.#done) return
    this.#done = true
    this.#deadline.release()
    this.#socket.destroy()
    this.#owner.onDialFailed(this, timedOut, this.#failure)
  }

  /** Gives it up: its owner hears nothing of it. */
  cancel(): void {
    if (this.#done) return
    this.#done = true
    this.#deadline.release()
    this.#socket.destroy()
  }

  onDeadline(): void {
    this.#failed(true)
  }
}
