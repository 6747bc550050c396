// The sending half of a connection: gathers a head, small pieces of a body and the last chunk into one write, and says when
// the peer has taken too little. It keeps no buffer it is given: larger pieces are copied, with what goes before them.

import type { Socket } from "node:net"
import type { BodyTransfer } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import { latin1 } from "../http/latin1.ts"
import { writeBuffers } from "../http/scratch.ts"
import { LATIN1_MAY_WAIT } from "../runtime/latin1-writing.ts"
import { chunkHead, lastChunk } from "./chunked.ts"
import { CR, LF } from "./octets.ts"

/** Octets up to which a body leaves in one string with its head and its last chunk. */
const JOIN_LIMIT = 16 * 1024
/** Octets up to which a later piece of a body waits for its neighbours in the same segment. */
const GATHER_LIMIT = 2 * 1024

export class MessageWriter {
  /** False after writes the peer has not taken yet, until {@link drained}. */
  writable = true
  readonly #socket: Socket
  #transfer: BodyTransfer = "none"
  /** Text that leaves with the next write. */
  #out = ""
  /** It begins with a message's head. */
  #headWaits = false

  constructor(socket: Socket) {
    this.#socket = socket
  }

  /** Nothing waits for {@link flush}. */
  get empty(): boolean {
    return this.#out === ""
  }

  /** Octets the system has not taken yet. */
  get unsent(): number {
    return this.#socket.writableLength
  }

  /** Begins a message; its head leaves with the first bytes of its body, or at {@link flush}. */
  begin(head: string, transfer: BodyTransfer): void {
    this.#out = head
    this.#transfer = transfer
    this.#headWaits = true
  }

  /** Takes the message back; false when some of it has left already. */
  retract(): boolean {
    if (!this.#headWaits) return false
    this.#headWaits = false
    this.#out = ""
    return true
  }

  /** Sends octets `[from, to)` of `buffer` as the next of the body. */
  bytes(buffer: Buffer, from: number, to: number): void {
    const length = to - from
    if (length === 0) return
    const encode = this.#transfer === "encode"
    const out = this.#out
    if (length <= (out === "" ? GATHER_LIMIT : JOIN_LIMIT) && out.length <= JOIN_LIMIT) {
      const body = latin1(buffer, from, to)
      this.#out = encode ? `${out}${chunkHead(length)}${body}\r\n` : out + body
      return
    }
    this.#out = ""
    this.#headWaits = false
    this.#copy(encode ? out + chunkHead(length) : out, buffer, from, to, encode)
  }

  // One write from memory that is used again: by the next one, if the system takes all of it at once.
  #copy(before: string, buffer: Buffer, from: number, to: number, chunk: boolean): void {
    const socket = this.#socket
    const size = before.length + to - from + (chunk ? 2 : 0)
    // Behind others that wait it will wait too, and should hold no more than it needs.
    const bytes = socket.writableLength > 0 ? Buffer.allocUnsafeSlow(size) : writeBuffers.take(size)
    let end = before === "" ? 0 : bytes.write(before, "latin1")
    end += buffer.copy(bytes, end, from, to)
    if (chunk) {
      bytes[end++] = CR
      bytes[end++] = LF
    }
    if (!socket.write(end === bytes.length ? bytes : bytes.subarray(0, end))) this.writable = false
    if (socket.writableLength === 0) writeBuffers.giveBack(bytes)
  }

  /** Sends latin1 text at once. */
  text(text: string): void {
    this.#headWaits = false
    const socket = this.#socket
    const taken = LATIN1_MAY_WAIT || socket.writableLength === 0 ? socket.write(text, "latin1") : socket.write(Buffer.from(text, "latin1"))
    if (!taken) this.writable = false
  }

  /** Sends what waits. */
  flush(): void {
    const out = this.#out
    if (out === "") return
    this.#out = ""
    this.text(out)
  }

  /** Ends the message. */
  end(trailers: Fields | null): void {
    if (this.#transfer === "encode" || this.#transfer === "chunked") this.#out += lastChunk(trailers)
    this.flush()
  }

  /** The socket has drained; whether anyone was waiting for it. */
  drained(): boolean {
    if (this.writable) return false
    this.writable = true
    return true
  }
}
