// What a connection sends: frames of all its streams gather in one buffer and leave in one write at the end of a turn of the
// event loop. It says when the peer takes too little, and keeps no buffer it is given.

import type { Socket } from "node:net"
import { writeBuffers } from "../http/scratch.ts"
import { FRAME_HEAD, writeFrameHead } from "./frames.ts"

const NOTHING = Buffer.alloc(0)

/** Connections with frames to send; all leave together when what the sockets brought in this turn has been looked at. */
export class FlushQueue {
  #waiting: FrameOutput[] = []
  #scheduled = false
  readonly #run = (): void => {
    this.#scheduled = false
    const waiting = this.#waiting
    this.#waiting = []
    for (const output of waiting) output.flush()
  }

  add(output: FrameOutput): void {
    this.#waiting.push(output)
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(this.#run)
  }
}

/** The worker's. */
const flushQueue = new FlushQueue()

export class FrameOutput {
  /** False after a write the system has not taken yet, until {@link drained}. */
  writable = true
  /** Where {@link reserve} has made room. */
  buffer: Buffer = NOTHING
  /** Octets in {@link buffer}. */
  length = 0
  /** Counts buffers: a place in one is good as long as this stays the same. */
  epoch = 0
  readonly #socket: Socket
  #queued = false
  #closed = false
  /** The last write was done with when it returned: not so while the peer is slow, nor ever over TLS. */
  #takesAtOnce = true

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Octets the system has not taken yet. */
  get unsent(): number {
    return this.#socket.writableLength + this.length
  }

  /** Makes room for `size` octets behind {@link length}, which the caller writes and adds to it. */
  reserve(size: number): void {
    if (this.length + size > this.buffer.length) {
      if (this.length > 0) this.flush()
      this.buffer = writeBuffers.take(size)
    }
    if (this.#queued || this.#closed) return
    this.#queued = true
    flushQueue.add(this)
  }

  /** A frame of `payload` octets, which the caller writes at the offset that is returned. */
  frame(payload: number, type: number, flags: number, stream: number): number {
    this.reserve(FRAME_HEAD + payload)
    const at = this.length
    writeFrameHead(this.buffer, at, payload, type, flags, stream)
    this.length = at + FRAME_HEAD + payload
    return at + FRAME_HEAD
  }

  /** Sends what has gathered. */
  flush(): void {
    this.#queued = false
    const { buffer, length } = this
    if (length === 0) return
    this.buffer = NOTHING
    this.length = 0
    this.epoch++
    if (this.#closed) return writeBuffers.giveBack(buffer)
    const socket = this.#socket
    // What won't be taken at once keeps no more memory than it needs, and leaves the buffer to others.
    const lend = this.#takesAtOnce || length > buffer.length >> 1
    let bytes = buffer.subarray(0, length)
    if (!lend) {
      bytes = Buffer.from(bytes)
      writeBuffers.giveBack(buffer)
    }
    if (!socket.write(bytes)) this.writable = false
    this.#takesAtOnce = socket.writableLength === 0
    if (lend && this.#takesAtOnce) writeBuffers.giveBack(buffer)
  }

  /** The socket has drained; whether anyone was waiting for it. */
  drained(): boolean {
    if (this.writable) return false
    this.writable = true
    return true
  }

  /** Nothing more is sent. */
  close(): void {
    this.#closed = true
    if (this.length > 0) writeBuffers.giveBack(this.buffer)
    this.buffer = NOTHING
    this.length = 0
    this.epoch++
  }
}
