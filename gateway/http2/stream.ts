// One stream of an HTTP/2 connection: its two windows, what waits to be sent because one of them is closed, and what came
// while its receiver was not ready (RFC 9113 §§5, 6.9). Which messages it carries is its subclass's matter.

import type { Fields } from "../http/fields.ts"
import { DATA, END_STREAM, FRAME_HEAD, MAX_PAYLOAD, MAX_WINDOW } from "./frames.ts"
import { EARN_DATA, EARNING_DATA } from "./patience.ts"
import type { Session } from "./session.ts"

/** Octets the receiving window of a stream that is always read at once grows to. */
const WIDE_WINDOW = 1024 * 1024

export abstract class Stream {
  /** 0 before it is opened. */
  id = 0
  /** The peer has ended its side. */
  remoteClosed = false
  /** We have ended ours, with everything before it sent. */
  localClosed = false
  /** It is no longer the connection's: nothing is sent or told any more. */
  closed = false
  /** @internal Waits in the session for the connection, or a window, to take more. */
  waiting = false
  /** @internal Was told of data in this turn of reading. */
  touched = false
  protected readonly session: Session
  #sendWindow: number
  /** Octets the peer may still send, and what the window was last widened to. */
  #receiveWindow: number
  #window: number
  /** Octets that were taken and not yet given back to the peer's window. */
  #taken = 0
  /** Bytes for the peer that don't fit, the first of them from `#sentOf` on. */
  #unsent: Buffer[] | null = null
  #sentOf = 0
  #unsentLength = 0
  #endWaits = false
  #trailers: Fields | null = null
  /** Where the head of the last DATA frame is, while it has not left. */
  #lastFrame = -1
  #lastEpoch = 0
  /** Bytes from the peer that its receiver hasn't taken. */
  #kept: Buffer[] | null = null
  #keptLength = 0
  #endKept = false
  #keptTrailers: Fields | null = null
  #ready: boolean
  #paused = false
  #pausedLately = false

  /** `ready`: data is delivered as it comes, from the first on. */
  constructor(session: Session, ready: boolean) {
    this.session = session
    this.#ready = ready
    this.#sendWindow = session.peerWindow
    this.#window = session.streamWindow
    this.#receiveWindow = session.streamWindow
  }

  // ------------------------------------------------------------------------------------------------------- receiving

  protected abstract onBytes(buffer: Buffer, from: number, to: number): void
  /** The message is complete. */
  protected abstract onEnd(trailers: Fields | null): void
  /** All that had arrived was handed over. */
  abstract onTurnEnd(): void
  /** The peer's side takes data again. */
  protected abstract onWritable(): void
  /** The peer has reset the stream. `code`: of HTTP/2. */
  abstract onReset(code: number, details: string): void
  /** The stream ends before its messages did. `broken`: because the peer broke the protocol; else with its connection. */
  abstract onLost(details: string, broken: boolean): void

  protected get paused(): boolean {
    return this.#paused
  }

  /** A DATA frame of `length` octets begins; false when the peer had no right to send so much. */
  takeFromWindow(length: number): boolean {
    this.#receiveWindow -= length
    return this.#receiveWindow >= 0
  }

  /** Padding, or data nobody takes: given back to the peer's window at once. */
  skip(length: number): void {
    this.#giveBack(length)
  }

  receive(buffer: Buffer, from: number, to: number): void {
    if (!this.#ready || this.#paused || this.#kept !== null) {
      this.#kept ??= []
      this.#kept.push(Buffer.from(buffer.subarray(from, to)))
      this.#keptLength += to - from
      this.session.held(to - from)
      return
    }
    this.onBytes(buffer, from, to)
    this.#giveBack(to - from)
  }

  receiveEnd(trailers: Fields | null): void {
    this.remoteClosed = true
    if (this.#kept !== null || !this.#ready || this.#paused) {
      this.#endKept = true
      this.#keptTrailers = trailers
    } else this.onEnd(trailers)
  }

  /** From now on data is delivered; first what has come already. */
  protected makeReady(): void {
    if (this.#ready) return
    this.#ready = true
    this.#deliver()
  }

  protected pause(): void {
    this.#paused = true
    this.#pausedLately = true
  }

  protected resume(): void {
    if (!this.#paused) return
    this.#paused = false
    if (this.#ready) this.#deliver()
  }

  #deliver(): void {
    const kept = this.#kept
    if (kept !== null) {
      while (kept.length > 0 && !this.#paused && !this.closed) {
        // Gone before it is handed on: whoever gets it may pause and resume.
        const bytes = kept.shift() as Buffer
        this.#keptLength -= bytes.length
        this.session.held(-bytes.length)
        this.onBytes(bytes, 0, bytes.length)
        this.#giveBack(bytes.length)
      }
      if (this.closed) return
      if (kept.length > 0) return this.onTurnEnd()
      this.#kept = null
    }
    if (this.#endKept && !this.#paused) {
      this.#endKept = false
      const trailers = this.#keptTrailers
      this.#keptTrailers = null
      this.onEnd(trailers)
    } else if (kept !== null) this.onTurnEnd()
  }

  // A window that was never found closed by its reader is widened, from what the connection has to spare.
  #giveBack(length: number): void {
    this.#taken += length
    if (this.closed || this.remoteClosed || this.#taken < this.#window >> 1) return
    let increment = this.#taken
    this.#taken = 0
    if (!this.#pausedLately && this.#window < WIDE_WINDOW) {
      const wider = this.session.spare(Math.min(this.#window, WIDE_WINDOW - this.#window))
      this.#window += wider
      increment += wider
    }
    this.#pausedLately = this.#paused
    this.#receiveWindow += increment
    this.session.sendWindowUpdate(this.id, increment)
  }

  // --------------------------------------------------------------------------------------------------------- sending

  /** False while the peer takes nothing more of this stream; whoever is told so is told, too, when it does. */
  get writable(): boolean {
    if (this.#unsent === null && this.session.writable) return true
    if (!this.closed && !this.localClosed) this.session.wait(this)
    return false
  }

  /** Octets `[from, to)` of `buffer` are the next of the message. */
  sendBytes(buffer: Buffer, from: number, to: number): void {
    if (this.closed || from === to) return
    let at = from
    if (this.#unsent === null && this.session.writable) at += this.#sendFrames(buffer, from, to)
    if (at < to) {
      this.#unsent ??= []
      this.#unsent.push(Buffer.from(buffer.subarray(at, to)))
      this.#unsentLength += to - at
    }
    if (this.#unsent !== null) this.session.wait(this)
  }

  // Sends what the windows allow of `buffer[from, to)`; how much that was.
  #sendFrames(buffer: Buffer, from: number, to: number): number {
    const { session } = this
    const allowed = Math.min(to - from, this.#sendWindow, session.sendWindow)
    if (allowed <= 0) return 0
    const { output } = session
    let at = from
    const end = from + allowed
    while (at < end && output.writable) {
      const length = Math.min(end - at, MAX_PAYLOAD)
      const place = output.frame(length, DATA, 0, this.id)
      buffer.copy(output.buffer, place, at, at + length)
      this.#lastFrame = place - FRAME_HEAD
      at += length
      if (length >= EARNING_DATA) session.patience.earn(EARN_DATA)
    }
    this.#lastEpoch = output.epoch
    const sent = at - from
    this.#sendWindow -= sent
    session.sendWindow -= sent
    return sent
  }

  /** Ends the message, behind what waits. */
  sendEnd(trailers: Fields | null): void {
    if (this.closed || this.localClosed) return
    if (this.#unsent !== null) {
      this.#endWaits = true
      this.#trailers = trailers
      return
    }
    this.#finish(trailers)
  }

  #finish(trailers: Fields | null): void {
    const { output } = this.session
    if (trailers !== null && trailers.size > 0) this.session.sendTrailers(this.id, trailers)
    else if (this.#lastFrame >= 0 && this.#lastEpoch === output.epoch) output.buffer[this.#lastFrame + 4] |= END_STREAM
    else output.frame(0, DATA, END_STREAM, this.id)
    this.endLocal()
  }

  /** Our side has ended. */
  protected endLocal(): void {
    this.localClosed = true
    this.onLocalEnd()
  }

  protected abstract onLocalEnd(): void

  /** @internal Sends one frame of what waits; whether there was a chance to. */
  pump(): boolean {
    const unsent = this.#unsent
    if (unsent === null) return false
    const bytes = unsent[0]
    const to = Math.min(bytes.length, this.#sentOf + MAX_PAYLOAD)
    const sent = this.#sendFrames(bytes, this.#sentOf, to)
    if (sent === 0) return false
    this.#unsentLength -= sent
    this.#sentOf += sent
    if (this.#sentOf === bytes.length) {
      unsent.shift()
      this.#sentOf = 0
      if (unsent.length === 0) this.#unsent = null
    }
    if (this.#unsent === null && this.#endWaits) {
      this.#endWaits = false
      this.#finish(this.#trailers)
    }
    return true
  }

  /** @internal The connection takes more: its owner may go on, if nothing of what it gave still waits. */
  notifyWritable(): void {
    if (!this.closed && !this.localClosed && this.writable) this.onWritable()
  }

  /** The peer has opened our window by `increment`; false when it is larger than a window may be. */
  widen(increment: number): boolean {
    this.#sendWindow += increment
    return this.#sendWindow <= MAX_WINDOW
  }

  /** @internal What its window was widened by, for the next stream; once. */
  takeWidened(): number {
    const widened = this.#window - this.session.streamWindow
    this.#window = this.session.streamWindow
    return widened
  }

  /**
   * @internal The peer wants nothing more of us; whether all it has to say is here, and waits for its reader alone. Then the
   * stream is told of no end of its connection.
   */
  outlives(): boolean {
    return false
  }

  /** Nothing more of our message is sent. */
  protected stopSending(): void {
    this.#unsent = null
    this.#unsentLength = 0
    this.#endWaits = false
    this.localClosed = true
  }

  /** Octets that wait for the peer. */
  get unsent(): number {
    return this.#unsentLength
  }

  /** @internal Lets go of everything: the stream is no longer the connection's. */
  release(): void {
    this.closed = true
    this.#unsent = null
    this.#unsentLength = 0
    if (this.#kept !== null) {
      this.session.held(-this.#keptLength)
      this.#kept = null
    }
    this.#keptTrailers = null
    this.#trailers = null
  }
}
