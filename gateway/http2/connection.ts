// The connection under a session's frames: its socket, what is sent on it, its deadline, and its end, in order or not. A peer that
// asks without reading the answers is read no further until it does. It knows nothing of streams but that they are lost with it.

import type { Socket } from "node:net"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import { FrameOutput } from "./frame-output.ts"
import { errorName, GOAWAY, NO_ERROR, writeUint32 } from "./frames.ts"

/** Octets that wait for a peer that doesn't read; over it nothing is read of it either. */
const UNSENT_LIMIT = 1024 * 1024
/** ms that what was sent last has to leave once the connection is being closed. */
const LINGER = 1000
/** ms without progress after which a peer that doesn't read is given up. */
const STALL = 30_000

const OPEN = 0
/** GOAWAY was sent for good; what is left is sent, nothing is read. */
const CLOSING = 1
const CLOSED = 2

// Events of the socket.
const DRAIN = 0
const END = 1
const CLOSE = 2

export abstract class Connection implements DeadlineOwner {
  /** @internal */ readonly output: FrameOutput
  protected readonly socket: Socket
  protected readonly wheel: TimerWheel
  protected readonly deadline: Deadline
  /** The newest stream of the peer that was looked at. */
  protected lastPeerStream = 0
  #state = OPEN
  /** Nothing is read, because the peer doesn't. */
  #choked = false
  #unsentBefore = 0
  #failure = ""

  constructor(socket: Socket, wheel: TimerWheel) {
    this.socket = socket
    this.wheel = wheel
    this.output = new FrameOutput(socket)
    this.deadline = new Deadline(wheel, this)
    socket.on("drain", () => this.#guarded(DRAIN))
    socket.on("error", (error: Error & { code?: string }) => {
      this.#failure ||= error.code ?? error.message
    })
    socket.on("end", () => this.#guarded(END))
    socket.on("close", () => this.#guarded(CLOSE))
  }

  /** All streams are over, none in order; none more is read. `broken`: because the peer broke the protocol. */
  protected abstract loseAll(broken: boolean, details: string): void
  /** Nothing more is read. */
  protected abstract stopReading(): void
  /** The socket takes more. */
  protected abstract onWritable(): void
  /** Reading goes on after {@link choked}: the deadline is the subclass's again. */
  protected abstract onUnchoked(): void
  protected abstract onDue(): void
  /** The connection is over. Its streams have been told. */
  protected abstract onClosed(failure: string): void
  protected abstract onFault(error: unknown): void

  protected get open(): boolean {
    return this.#state === OPEN
  }

  /** Nothing is read, because the peer doesn't: the deadline is not the subclass's. */
  protected get choked(): boolean {
    return this.#choked
  }

  /** False while the connection takes nothing more. */
  get writable(): boolean {
    return this.output.writable && this.#state === OPEN
  }

  /** A turn of reading is over: whether its peer reads as well decides about the next. */
  protected choke(): void {
    if (this.#choked || this.output.unsent < UNSENT_LIMIT || this.#state !== OPEN) return
    this.output.flush()
    if (this.output.writable) return
    this.#choked = true
    this.#unsentBefore = this.output.unsent
    this.socket.pause()
    this.deadline.set(this.wheel.now + STALL)
  }

  protected sendGoaway(lastStream: number, code: number, reason: string): void {
    const at = this.output.frame(8 + reason.length, GOAWAY, 0, 0)
    writeUint32(this.output.buffer, at, lastStream)
    writeUint32(this.output.buffer, at + 4, code)
    this.output.buffer.write(reason, at + 8, "latin1")
  }

  #guarded(event: number): void {
    try {
      if (event === DRAIN) this.#onDrain()
      else if (event === END) this.#onEnd()
      else this.#onClose()
    } catch (error) {
      this.onFault(error)
      this.destroy()
    }
  }

  #onDrain(): void {
    if (!this.output.drained() || this.#state !== OPEN) return
    if (this.#choked) {
      this.#choked = false
      this.socket.resume()
      this.onUnchoked()
    }
    this.onWritable()
  }

  #onEnd(): void {
    // HTTP/2 has no half-closed connections; but what we sent last may still be on its way out.
    if (this.#state === OPEN) this.#abandon("closed")
    else if (this.socket.writableLength === 0) this.destroy()
  }

  #onClose(): void {
    if (this.#state === OPEN) this.#abandon("closed")
    else this.#over()
  }

  // The connection is lost.
  #abandon(failure: string): void {
    this.#failure ||= failure
    this.destroy()
  }

  /** Ends the connection with GOAWAY; its streams are lost. */
  protected fail(code: number, reason: string): void {
    if (this.#state !== OPEN) return
    this.#failure ||= `${errorName(code)}: ${reason}`
    this.sendGoaway(this.lastPeerStream, code, reason)
    this.output.flush()
    // Whoever is told may want another stream at once: not of this connection.
    this.#state = CLOSING
    this.loseAll(code !== NO_ERROR, this.#failure)
    this.#finish()
  }

  /** Ends the connection in order: no stream is left. */
  protected finish(reason: string): void {
    if (this.#state !== OPEN) return
    this.sendGoaway(this.lastPeerStream, NO_ERROR, reason)
    this.output.flush()
    this.stopReading()
    this.#state = CLOSING
    this.#finish()
  }

  #finish(): void {
    this.output.close()
    this.#unsentBefore = this.socket.writableLength
    this.deadline.set(this.wheel.now + (this.#unsentBefore > 0 ? STALL : LINGER))
    this.socket.end()
    // What the peer still sends is thrown away: unread, it would reset the connection and lose our last words.
    this.socket.resume()
  }

  onDeadline(): void {
    try {
      if (this.#state === OPEN && !this.#choked) return this.onDue()
      const unsent = this.#state === OPEN ? this.output.unsent : this.socket.writableLength
      if (unsent > 0 && unsent < this.#unsentBefore) {
        this.#unsentBefore = unsent
        this.deadline.set(this.wheel.now + STALL)
      } else if (this.#state === OPEN) this.#abandon("the peer doesn't read")
      else this.destroy()
    } catch (error) {
      this.onFault(error)
      this.destroy()
    }
  }

  /** Closes at once. */
  destroy(): void {
    if (this.#state === CLOSED) return
    if (this.#state === OPEN) {
      this.#state = CLOSING
      this.loseAll(false, this.#failure === "" ? "closed" : this.#failure)
    }
    this.#over()
  }

  #over(): void {
    if (this.#state === CLOSED) return
    this.#state = CLOSED
    this.deadline.release()
    this.output.close()
    this.socket.destroy()
    this.onClosed(this.#failure)
  }
}
