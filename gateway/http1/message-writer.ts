// The sending half of a connection: gathers a head, small pieces of a body and the last chunk into one write, passes larger
// pieces as the buffers they arrived in, and says when the peer has taken too little.

import type { Socket } from "node:net"
import type { BodyTransfer } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import { latin1 } from "../http/latin1.ts"
import { chunkHead, lastChunk } from "./chunked.ts"

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
    const bytes = length === buffer.length ? buffer : buffer.subarray(from, to)
    const socket = this.#socket
    if (!encode && out === "") {
      if (!socket.write(bytes)) this.writable = false
      return
    }
    this.#out = ""
    socket.cork()
    this.text(encode ? out + chunkHead(length) : out)
    if (!socket.write(bytes)) this.writable = false
    if (encode) this.text("\r\n")
    socket.uncork()
  }

  /** Sends latin1 text at once. */
  text(text: string): void {
    this.#headWaits = false
    if (!this.#socket.write(text, "latin1")) this.writable = false
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
