// Writes heads and trailers as HEADERS frames: straight into what the connection sends, unless one is unusually large. The
// WebSocket handshake of HTTP/1.1, which the rest of the gateway speaks, becomes the one of RFC 8441 here.

import type { Fields } from "../http/fields.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import type { FrameOutput } from "./frame-output.ts"
import { CONTINUATION, END_HEADERS, END_STREAM, FRAME_HEAD, HEADERS, MAX_PAYLOAD, writeFrameHead } from "./frames.ts"
import { BEGIN_ROOM, FIELD_ROOM, HpackEncoder } from "./hpack-encoder.ts"

/** Octets most heads fit in. */
const USUAL = 2048

export class HeadWriter {
  readonly #output: FrameOutput
  readonly #encoder = new HpackEncoder()
  /** Where the section is written, from `#from` on, up to `#at`. */
  #bytes: Buffer
  #from = 0
  #at = 0
  /** A field that stays behind. */
  #skipped = ""
  /** Fields that are never to be indexed, beside those the encoder knows. */
  #secrets: readonly string[] | null = null
  readonly #visit = (name: string, value: string): void => {
    if (name !== this.#skipped) this.#field(name, value)
  }

  constructor(output: FrameOutput) {
    this.#output = output
    this.#bytes = output.buffer
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE. */
  setMaxTableSize(size: number): void {
    this.#encoder.setMaxTableSize(size)
  }

  /** `scheme`: of the connection it leaves by. */
  request(stream: number, head: RequestHead, scheme: string, authority: string, endStream: boolean): void {
    this.#begin()
    const webSocket = head.upgrade !== ""
    this.#field(":method", webSocket ? "CONNECT" : head.method)
    if (webSocket) this.#field(":protocol", head.upgrade)
    this.#field(":scheme", scheme)
    this.#field(":authority", authority)
    this.#field(":path", head.query === undefined ? head.path : `${head.path}?${head.query}`)
    this.#skipped = webSocket ? "sec-websocket-key" : ""
    this.#fields(head.fields)
    if (head.acceptsTrailers) this.#field("te", "trailers")
    if (head.expectContinue) this.#field("expect", "100-continue")
    this.#end(stream, endStream)
  }

  response(stream: number, head: ResponseHead, endStream: boolean): void {
    this.#begin()
    const webSocket = head.status === 101
    this.#at = this.#encoder.status(this.#bytes, this.#at, webSocket ? 200 : head.status)
    this.#skipped = webSocket ? "sec-websocket-accept" : ""
    this.#fields(head.fields)
    this.#end(stream, endStream)
  }

  trailers(stream: number, fields: Fields): void {
    this.#begin()
    this.#skipped = ""
    this.#fields(fields)
    this.#end(stream, true)
  }

  #fields(fields: Fields): void {
    this.#secrets = fields.secrets
    fields.forEach(this.#visit)
    this.#secrets = null
  }

  #begin(): void {
    const output = this.#output
    output.reserve(FRAME_HEAD + USUAL)
    this.#bytes = output.buffer
    this.#from = output.length + FRAME_HEAD
    this.#at = this.#encoder.begin(this.#bytes, this.#from)
  }

  #field(name: string, value: string): void {
    const room = name.length + value.length + FIELD_ROOM
    if (this.#at + room > this.#bytes.length) this.#move(room)
    const secret = this.#secrets?.includes(name) === true
    this.#at = secret ? this.#encoder.secret(this.#bytes, this.#at, name, value) : this.#encoder.field(this.#bytes, this.#at, name, value)
  }

  // Goes on in memory of its own.
  #move(room: number): void {
    const used = this.#at - this.#from
    const bytes = Buffer.allocUnsafe((used + room + BEGIN_ROOM) * 2)
    this.#bytes.copy(bytes, 0, this.#from, this.#at)
    this.#bytes = bytes
    this.#from = 0
    this.#at = used
  }

  #end(stream: number, endStream: boolean): void {
    const output = this.#output
    const flags = endStream ? END_STREAM : 0
    const length = this.#at - this.#from
    if (this.#bytes === output.buffer && length <= MAX_PAYLOAD) {
      writeFrameHead(output.buffer, output.length, length, HEADERS, flags | END_HEADERS, stream)
      output.length += FRAME_HEAD + length
      return
    }
    if (this.#bytes === output.buffer) this.#move(0)
    for (let at = 0; at < length; at += MAX_PAYLOAD) {
      const part = Math.min(MAX_PAYLOAD, length - at)
      const last = at + part === length ? END_HEADERS : 0
      const place = output.frame(part, at === 0 ? HEADERS : CONTINUATION, (at === 0 ? flags : 0) | last, stream)
      this.#bytes.copy(output.buffer, place, at, at + part)
    }
    this.#bytes = output.buffer
  }
}
