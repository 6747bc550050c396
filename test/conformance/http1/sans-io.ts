// Drives the gateway's HTTP/1.1 parsers over octets alone, as its connections do, and says what the other side would get.

import { errors } from "../../../gateway/errors.ts"
import { normalizePath } from "../../../gateway/http/path.ts"
import { BROKEN, ChunkedDecoder, type ChunkSink, DONE, lastChunk, TOO_LARGE, UNFINISHED } from "../../../gateway/http1/chunked.ts"
import type { HeadLimits } from "../../../gateway/http1/head-reader.ts"
import { NEED_MORE, REFUSED, RequestParser } from "../../../gateway/http1/request-parser.ts"
import { ResponseParser } from "../../../gateway/http1/response-parser.ts"
import { serializeRequest, serializeResponse } from "../../../gateway/http1/serialize.ts"
import { parseBody } from "../../support/http-message.ts"

export const requestLimits: HeadLimits = { startLine: 8 * 1024, head: 32 * 1024, fields: 100 }
export const responseLimits: HeadLimits = { startLine: 64 * 1024, head: 64 * 1024, fields: 200 }
/** Octets of a request body. */
export const bodyLimit: number = 64 * 1024

const pathPolicy = { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "reject", mergeSlashes: true } as const

export interface Message {
  readonly line: string
  readonly fields: readonly string[]
  body: string
  trailers: readonly string[]
}

/** How reading ended: refused with a status; in the middle of a message; or after the last one. */
export type End = number | "incomplete" | "kept" | "closed"

export interface Requests {
  /** Whole requests. */
  readonly messages: readonly Message[]
  readonly end: End
}

function messageOf(head: string): Message {
  const [line, ...fields] = head.slice(0, -4).split("\r\n")
  return { line, fields, body: "", trailers: [] }
}

class Collector implements ChunkSink {
  text = ""
  onChunkBytes(buffer: Buffer, from: number, to: number): void {
    if (from < 0 || to <= from || to > buffer.length) throw new Error("no piece of a body")
    this.text += buffer.toString("latin1", from, to)
  }
}

/** Reads a body piece by piece. */
class Body {
  readonly #decoder = new ChunkedDecoder()
  readonly #sink = new Collector()
  #kind: "length" | "chunked" | "close"
  #left: number
  #reframe: boolean

  constructor(kind: "length" | "chunked" | "close", length: number, reframe: boolean, limit: number) {
    this.#kind = kind
    this.#left = length
    this.#reframe = reframe
    this.#decoder.reset(reframe, limit)
  }

  /** Offset after the body; −1: more; −2: broken; −3: too large. */
  read(buffer: Buffer, from: number, to: number): number {
    if (this.#kind === "close") {
      this.#sink.text += buffer.toString("latin1", from, to)
      return -1
    }
    if (this.#kind === "length") {
      const take = Math.min(this.#left, to - from)
      this.#sink.text += buffer.toString("latin1", from, from + take)
      this.#left -= take
      return this.#left === 0 ? from + take : -1
    }
    const result = this.#decoder.read(buffer, from, to, this.#sink)
    if (result === DONE) return this.#decoder.end
    if (result === UNFINISHED) return -1
    if (result === BROKEN) return -2
    if (result === TOO_LARGE) return -3
    throw new Error(`the decoder gave ${result}`)
  }

  finish(message: Message): void {
    message.body = this.#sink.text
    if (this.#kind !== "chunked") return
    const { trailers, total } = this.#decoder
    if (this.#reframe) {
      const wire = Buffer.from(this.#sink.text + lastChunk(trailers), "latin1")
      const body = parseBody(wire, { kind: "chunked" }, true)
      if (body === null || body.length !== wire.length) throw new Error("the reframed body is not one body")
      message.body = body.bytes.toString("latin1")
      message.trailers = body.trailers.map(([name, value]) => `${name}: ${value}`)
    } else if (trailers !== null) {
      message.trailers = trailers.serialize().slice(0, -2).split("\r\n")
    }
    if (message.body.length !== total) throw new Error(`${message.body.length} octets of data, but the decoder counted ${total}`)
  }

  /** What came so far. */
  get soFar(): string {
    return this.#sink.text
  }
}

/** Reads what a client sends, in these segments. `reframe`: chunked bodies stay in that coding on the way. */
export function readRequests(segments: readonly Buffer[], reframe: boolean): Requests {
  const parser = new RequestParser(requestLimits)
  const messages: Message[] = []
  let message: Message | null = null
  let body: Body | null = null
  for (const segment of segments) {
    // Names are lower-cased in place: the caller's octets are left alone.
    const buffer = Buffer.from(segment)
    let i = 0
    while (i < buffer.length) {
      if (body === null) {
        const end = parser.read(buffer, i, buffer.length)
        if (end === NEED_MORE) break
        if (end === REFUSED) return { messages, end: errors[parser.error ?? "badRequest"].status }
        i = end
        const { head } = parser
        if (head.contentLength > bodyLimit) return { messages, end: errors.bodyTooLarge.status }
        const mark = head.target.indexOf("?")
        const path = normalizePath(mark === -1 ? head.target : head.target.slice(0, mark), pathPolicy)
        if (path === null) return { messages, end: errors.badRequest.status }
        // Which methods need a route's permission is not the parser's to say.
        if (head.method === "TRACE") return { messages, end: errors.methodNotAllowed.status }
        head.path = path
        head.query = mark === -1 ? undefined : head.target.slice(mark + 1)
        message = messageOf(serializeRequest(head, head.authority === "" ? "@origin" : head.authority, head.body === "chunked"))
        if (head.body !== "none") body = new Body(head.body, head.contentLength, reframe, bodyLimit)
      } else {
        const end = body.read(buffer, i, buffer.length)
        if (end === -1) break
        if (end < 0) return { messages, end: errors[end === -3 ? "bodyTooLarge" : "badRequest"].status }
        i = end
        body.finish(message as Message)
        body = null
      }
      if (body === null) {
        messages.push(message as Message)
        if (!parser.head.keepAlive) return { messages, end: "closed" }
        message = null
        parser.reset()
      }
    }
  }
  return { messages, end: body !== null || parser.started ? "incomplete" : "kept" }
}

export interface ResponseRead {
  readonly interim: readonly (readonly string[])[]
  /** Null: none that could be passed on. */
  readonly message: Message | null
  readonly truncated: boolean
  readonly reused: boolean
}

/** Reads what a service answers to a request with this method, in these segments. `ended`: it then ended its side. */
export function readResponse(segments: readonly Buffer[], ended: boolean, method: string, reframe: boolean): ResponseRead {
  const parser = new ResponseParser(responseLimits)
  const interim: string[][] = []
  let message: Message | null = null
  let body: Body | null = null
  let complete = false
  let after = false
  for (const segment of segments) {
    const buffer = Buffer.from(segment)
    let i = 0
    while (i < buffer.length) {
      if (complete) {
        after = true
        break
      }
      if (body === null) {
        const end = parser.read(buffer, i, buffer.length, method)
        if (end === NEED_MORE) break
        if (end === REFUSED) return { interim, message: null, truncated: false, reused: false }
        i = end
        const { head } = parser
        if (head.status === 101 || interim.length > 16) return { interim, message: null, truncated: false, reused: false }
        message = messageOf(serializeResponse(head, head.body === "chunked" || head.body === "close", ""))
        if (head.status < 200) {
          interim.push([message.line, ...message.fields])
          message = null
          parser.reset()
        } else if (head.body === "none") complete = true
        else body = new Body(head.body, head.contentLength, reframe, 0)
      } else {
        const end = body.read(buffer, i, buffer.length)
        if (end === -1) break
        if (end < 0) return { interim, message, truncated: true, reused: false }
        i = end
        body.finish(message as Message)
        complete = true
      }
    }
  }
  if (!complete && ended && parser.head.body === "close" && body !== null) {
    ;(message as Message).body = body.soFar
    complete = true
  }
  return { interim, message, truncated: message !== null && !complete, reused: complete && parser.head.keepAlive && !after && !ended }
}
