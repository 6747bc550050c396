// gRPC-Web's differences from gRPC (PROTOCOL-WEB.md), as functions of octets and fields: types, the frame that carries
// trailers in the body, and the two directions of a body. It knows no streams.

import { Buffer } from "node:buffer"
import { Base64Decoder, Base64Encoder } from "./base64-stream.ts"
import type { Fields } from "./fields.ts"
import { FrameScanner, grpcFrame, TRAILERS } from "./grpc-frames.ts"

const EMPTY: Buffer = Buffer.alloc(0)
// The coding's name is a token (RFC 9110 §8.3.1); parameters mean nothing to gRPC.
const WEB_TYPE = /^application\/grpc-web(-text)?(\+[a-z0-9!#$&^_.-]{1,64})?[\t ]*(?:;.*)?$/i
const GRPC_TYPE = /^application\/grpc(\+[^;\t ]+)?/i
const ACCEPTS_TEXT = /(?:^|,)[\t ]*application\/grpc-web-text(?:[+;,\t ]|$)/i

/** What the type of a request says. */
export interface WebType {
  /** The body is base64. */
  readonly text: boolean
  /** The same type in gRPC. */
  readonly grpcType: string
}

/** Takes the type of a gRPC-Web request apart; null when it is none. */
export function parseWebType(type: string | undefined): WebType | null {
  const match = type === undefined || type.length > 256 ? null : WEB_TYPE.exec(type)
  return match === null ? null : { text: match[1] !== undefined, grpcType: `application/grpc${(match[2] ?? "+proto").toLowerCase()}` }
}

/** The type of the response to a gRPC-Web request, of a response with gRPC's `type`. */
export function webResponseType(type: string, text: boolean): string {
  return `application/grpc-web${text ? "-text" : ""}${GRPC_TYPE.exec(type)?.[1] ?? "+proto"}`
}

/** Whether the response is to be base64: what `accept` asks for, or else like the request. */
export function answersInText(accept: string | undefined, request: WebType): boolean {
  if (accept === undefined || !/application\/grpc-web/i.test(accept)) return request.text
  return ACCEPTS_TEXT.test(accept)
}

/** The frame that trailers become. */
export function trailerFrame(trailers: Fields): Buffer {
  let text = ""
  trailers.forEach((name, value) => {
    text += `${name}: ${value}\r\n`
  })
  return grpcFrame(TRAILERS, Buffer.from(text, "latin1"))
}

/** The body of a request on its way to gRPC. */
export class WebRequestBody {
  readonly #decoder: Base64Decoder | null
  readonly #scanner = new FrameScanner()

  constructor(text: boolean) {
    this.#decoder = text ? new Base64Decoder() : null
  }

  /** What octets `[from, to)` of it are in gRPC; null when it is malformed. In the binary form they are the octets themselves. */
  read(buffer: Buffer, from: number, to: number): Buffer | null {
    const bytes = this.#decoder === null ? buffer.subarray(from, to) : this.#decoder.decode(buffer, from, to)
    return bytes !== null && this.#scanner.scan(bytes, 0, bytes.length) ? bytes : null
  }

  /** Whether it may end here. */
  get whole(): boolean {
    return this.#scanner.atBoundary && (this.#decoder === null || this.#decoder.atBoundary)
  }
}

/** The body of a response on its way to the browser. */
export class WebResponseBody {
  readonly #encoder: Base64Encoder | null
  readonly #scanner = new FrameScanner()
  #broken = false

  constructor(text: boolean) {
    this.#encoder = text ? new Base64Encoder() : null
  }

  /** Trailers may follow what was written. Behind a part of a message they would be taken for the rest of it. */
  get whole(): boolean {
    return !this.#broken && this.#scanner.atBoundary
  }

  /** What octets `[from, to)` of gRPC's body are in it: nothing from a frame on that is none of a message, but could be trailers. */
  write(buffer: Buffer, from: number, to: number): Buffer {
    this.#broken ||= !this.#scanner.scan(buffer, from, to)
    if (this.#broken) return EMPTY
    return this.#encoder === null ? buffer.subarray(from, to) : this.#encoder.encode(buffer, from, to)
  }

  /** What has to leave so that nothing waits. */
  flush(): Buffer {
    return this.#encoder === null ? EMPTY : this.#encoder.end()
  }

  /** The end of it. */
  end(trailers: Fields | null): Buffer {
    const frame = trailers === null ? EMPTY : trailerFrame(trailers)
    return this.#encoder === null ? frame : Buffer.concat([this.#encoder.encode(frame, 0, frame.length), this.#encoder.end()])
  }
}
