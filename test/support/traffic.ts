// Large bodies for tests: made, sent at the receiver's pace, framed and checked piece by piece, so that none is ever held whole.

import { createHash, type Hash } from "node:crypto"
import type { Socket } from "node:net"
import { within } from "./deadline.ts"
import type { Framing, Head } from "./http-message.ts"
import { parseHead } from "./http-message.ts"

/** No power of two, so that a piece that is repeated, lost or moved by a buffer's size changes the digest. */
const BLOCK = 65_521

/** Octets that look random and depend on `seed` alone; a body repeats them. */
export function block(seed: string): Buffer {
  const parts: Buffer[] = []
  for (let length = 0, i = 0; length < BLOCK; length += 64, i++) parts.push(createHash("sha512").update(`${seed} ${i}`).digest())
  return Buffer.concat(parts).subarray(0, BLOCK)
}

/** Digest of a body of `octets` made of {@link block}s. */
export function digestOf(seed: string, octets: number): string {
  const hash = createHash("sha1")
  const piece = block(seed)
  for (let left = octets; left > 0; left -= BLOCK) hash.update(left < BLOCK ? piece.subarray(0, left) : piece)
  return hash.digest("hex")
}

export interface SendOptions {
  readonly chunked?: boolean
  /** Fields after the last chunk, with their CRLFs. */
  readonly trailers?: string
  /** Called with the octets handed over so far, the socket's own queue included. */
  readonly onProgress?: (octets: number) => void
}

/** Sends a body of {@link block}s, waiting whenever the socket asks for it. Rejects when the connection ends before the body does. */
export function sendBody(socket: Socket, seed: string, octets: number, options: SendOptions = {}): Promise<void> {
  const piece = block(seed)
  return new Promise((resolve, reject) => {
    let sent = 0
    const onClose = (): void => {
      socket.removeListener("drain", go)
      reject(new Error(`the connection ended after ${sent} of ${octets} octets were sent`))
    }
    const go = (): void => {
      while (sent < octets) {
        if (socket.destroyed) return
        const part = octets - sent < BLOCK ? piece.subarray(0, octets - sent) : piece
        sent += part.length
        options.onProgress?.(sent)
        let free: boolean
        if (options.chunked === true)
          free = socket.write(Buffer.concat([Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from("\r\n")]))
        else free = socket.write(part)
        if (!free) return
      }
      socket.removeListener("drain", go)
      socket.removeListener("close", onClose)
      if (options.chunked === true) socket.write(`0\r\n${options.trailers ?? ""}\r\n`)
      resolve()
    }
    socket.on("drain", go)
    socket.once("close", onClose)
    go()
  })
}

/** Reads a body as it arrives: counts and digests its data, whatever its framing. */
export class BodyMeter {
  octets = 0
  complete = false
  trailers: Head["fields"] = []
  readonly #framing: Framing
  readonly #hash: Hash = createHash("sha1")
  /** Of a chunk, its CRLF included. */
  #left = 0
  #text: Buffer = Buffer.alloc(0)
  #inTrailers = false

  constructor(framing: Framing) {
    this.#framing = framing
    if (framing.kind === "length") this.#left = framing.length
    this.complete = framing.kind === "none" || (framing.kind === "length" && framing.length === 0)
  }

  /** Takes what belongs to the body and gives back what follows it. */
  feed(bytes: Buffer): Buffer {
    if (this.complete) return bytes
    if (this.#framing.kind === "close") {
      this.#data(bytes)
      return bytes.subarray(bytes.length)
    }
    if (this.#framing.kind === "length") {
      const take = Math.min(this.#left, bytes.length)
      this.#data(bytes.subarray(0, take))
      this.#left -= take
      this.complete = this.#left === 0
      return bytes.subarray(take)
    }
    let rest = bytes
    while (rest.length > 0 && !this.complete) {
      if (this.#left > 0) {
        const take = Math.min(this.#left, rest.length)
        // The last two are the chunk's CRLF.
        const data = Math.min(take, Math.max(0, this.#left - 2))
        this.#data(rest.subarray(0, data))
        if (!"\r\n".slice(2 - (this.#left - data)).startsWith(rest.toString("latin1", data, take))) throw new Error("no CRLF after a chunk")
        this.#left -= take
        rest = rest.subarray(take)
        continue
      }
      this.#text = Buffer.concat([this.#text, rest])
      const end = this.#inTrailers ? this.#trailerEnd() : this.#text.indexOf("\r\n")
      if (end === -1) return rest.subarray(rest.length)
      if (this.#inTrailers) {
        rest = this.#text.subarray(end)
        this.#text = Buffer.alloc(0)
        this.complete = true
        continue
      }
      const line = this.#text.toString("latin1", 0, end)
      if (!/^[0-9a-f]+$/i.test(line)) throw new Error(`not a chunk size: ${JSON.stringify(line.slice(0, 40))}`)
      rest = this.#text.subarray(end + 2)
      this.#text = Buffer.alloc(0)
      const size = Number.parseInt(line, 16)
      if (size === 0) this.#inTrailers = true
      else this.#left = size + 2
    }
    return rest
  }

  #trailerEnd(): number {
    if (this.#text.subarray(0, 2).toString() === "\r\n") return 2
    const head = parseHead(Buffer.concat([Buffer.from("x\r\n"), this.#text]))
    if (head === null) return -1
    this.trailers = head.fields
    return head.length - 3
  }

  #data(bytes: Buffer): void {
    this.octets += bytes.length
    this.#hash.update(bytes)
  }

  /** The connection's orderly end. */
  end(): void {
    if (this.#framing.kind === "close") this.complete = true
  }

  /** Of the data so far; once. */
  digest(): string {
    return this.#hash.digest("hex")
  }
}

/** Resolves when `socket` is closed, however. */
export function closed(socket: Socket, what: string = "close of a socket"): Promise<void> {
  if (socket.closed) return Promise.resolve()
  return within(new Promise((resolve) => socket.once("close", () => resolve())), what)
}
