// Makes one connection to an endpoint, within its time: TCP, and TLS on top of it where the service has it. Whose codec the
// connection gets is decided by who asked for it.

import { connect, type Socket } from "node:net"
import { readBuffer } from "../http/scratch.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"

/** A codec, as the socket that reads into shared memory knows it. */
export interface DialReader {
  /** The first `length` octets of `bytes` have come; good until this returns. */
  onRead(bytes: Buffer, length: number): void
}

/** Exactly one of its methods is called. */
export interface DialOwner {
  /** It is there. Octets it reads go to {@link Dial.reader}, which is to be set before this returns. */
  onDialed(dial: Dial, socket: Socket): void
  /** `details`: the system's code, or what was wrong. */
  onDialFailed(dial: Dial, timedOut: boolean, details: string): void
}

export class Dial implements DeadlineOwner {
  reader: DialReader | null = null
  /** When its time is over, ms of the wheel's clock. */
  readonly until: number
  readonly #socket: Socket
  readonly #deadline: Deadline
  readonly #owner: DialOwner
  #failure = ""
  #done = false

  /** `timeout`: ms. */
  constructor(host: string, port: number, wheel: TimerWheel, timeout: number, owner: DialOwner) {
    this.#owner = owner
    this.until = wheel.refresh() + timeout
    this.#deadline = new Deadline(wheel, this)
    this.#deadline.set(this.until)
    const onread = {
      buffer: readBuffer,
      callback: (length: number): boolean => {
        this.reader?.onRead(readBuffer, length)
        return true
      },
    }
    const socket = connect({ host, port, noDelay: true, allowHalfOpen: true, onread })
    this.#socket = socket
    socket.on("data", (bytes: Buffer) => this.reader?.onRead(bytes, bytes.length))
    socket.on("connect", () => this.#connected())
    socket.on("error", (error: Error & { code?: string }) => {
      this.#failure ||= error.code ?? error.message
      // Some runtimes report a failed connect here and leave out `close`.
      this.#failed(false)
    })
    socket.on("close", () => this.#failed(false))
  }

  #connected(): void {
    if (this.#done) return
    this.#done = true
    this.#deadline.release()
    this.#owner.onDialed(this, this.#socket)
  }

  #failed(timedOut: boolean): void {
    if (this.#done) return
    this.#done = true
    this.#deadline.release()
    this.#socket.destroy()
    this.#owner.onDialFailed(this, timedOut, this.#failure)
  }

  onDeadline(): void {
    this.#failed(true)
  }

  /** Gives it up. No call follows. */
  cancel(): void {
    if (this.#done) return
    this.#done = true
    this.#deadline.release()
    this.#socket.destroy()
  }
}
