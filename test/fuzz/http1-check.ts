// What must hold for the HTTP/1.1 parsers whatever octets they are fed: the same answer however these are cut and whatever
// lies around them, and chunked bodies passed on that say what came in.

import { ChunkedDecoder, type ChunkSink, DONE, lastChunk, UNFINISHED } from "../../gateway/http1/chunked.ts"
import { NEED_MORE, REFUSED, RequestParser } from "../../gateway/http1/request-parser.ts"
import { ResponseParser } from "../../gateway/http1/response-parser.ts"
import { serializeRequest } from "../../gateway/http1/serialize.ts"
import { cutRandomly, type Random } from "../conformance/http1/cuts.ts"
import { parseBody } from "../support/http-message.ts"

/** Small, so that random inputs meet them. */
const limits = { startLine: 60, head: 200, fields: 6 }
const BODY_LIMIT = 100

export type Kind = "request" | "response" | "chunked"

class Sink implements ChunkSink {
  text = ""
  onChunkBytes(buffer: Buffer, from: number, to: number): void {
    if (!(from >= 0 && from < to && to <= buffer.length)) throw new Error(`a piece [${from}, ${to}) of ${buffer.length} octets`)
    this.text += buffer.toString("latin1", from, to)
  }
}

// Octets that would complete or spoil a message if they were read.
const before = Buffer.from("\r\n: a\r\n\r\n")
const after = Buffer.from("\r\n\r\n0\r\n\r\n: x")

/** A segment as the parsers get it: a copy in the middle of other octets. */
class Segment {
  readonly buffer: Buffer
  readonly from: number
  readonly to: number

  constructor(octets: Buffer, embedded: boolean) {
    this.from = embedded ? before.length : 0
    this.to = this.from + octets.length
    this.buffer = embedded ? Buffer.concat([before, octets, after]) : Buffer.from(octets)
  }

  /** Whether what lies around was left alone. */
  get intact(): boolean {
    return this.from === 0 || (this.buffer.subarray(0, this.from).equals(before) && this.buffer.subarray(this.to).equals(after))
  }
}

/** What is left alive from input to input, as on a connection. */
export class Checker {
  readonly #requests = new RequestParser(limits)
  readonly #next = new RequestParser({ startLine: 1000, head: 2000, fields: 20 })
  readonly #responses = new ResponseParser(limits)
  readonly #decoder = new ChunkedDecoder()
  readonly #plain = new ChunkedDecoder()

  /** What is wrong, or null. */
  check(kind: Kind, octets: Buffer, random: Random): string | null {
    const whole = this.#digest(kind, [octets], false)
    const embedded = this.#digest(kind, [octets], true)
    if (embedded !== whole) return `fed whole: ${whole}\nwith octets around: ${embedded}`
    const segments = cutRandomly(octets, 1 + random.below(4), random)
    const cut = this.#digest(kind, segments, true)
    if (cut !== whole) return `fed whole: ${whole}\ncut ${segments.map((segment) => segment.length)}: ${cut}`
    if (random.below(8) === 0) {
      const bytes: Buffer[] = []
      for (let i = 0; i < octets.length; i++) bytes.push(octets.subarray(i, i + 1))
      const single = this.#digest(kind, bytes, false)
      if (single !== whole) return `fed whole: ${whole}\noctet by octet: ${single}`
    }
    return null
  }

  #digest(kind: Kind, segments: readonly Buffer[], embedded: boolean): string {
    return kind === "request"
      ? this.#request(segments, embedded)
      : kind === "response"
        ? this.#response(segments, embedded)
        : this.#chunks(segments, embedded)
  }

  #request(segments: readonly Buffer[], embedded: boolean): string {
    const parser = this.#requests
    parser.reset()
    let digest = ""
    let left = -1
    let chunks = false
    const sink = new Sink()
    for (const octets of segments) {
      const segment = new Segment(octets, embedded)
      let i = segment.from
      while (i < segment.to) {
        if (left === -1) {
          const end = parser.read(segment.buffer, i, segment.to)
          if (!segment.intact) return "wrote outside"
          if (end === NEED_MORE) break
          if (end === REFUSED) return `${digest}refused ${parser.error}`
          if (end <= i || end > segment.to) throw new Error(`the head ends at ${end} of [${i}, ${segment.to})`)
          i = end
          const { head } = parser
          // Normalising the path is not the parser's part.
          head.path = head.target
          const said = this.#again(serializeRequest(head, head.authority === "" ? "a" : head.authority, head.body === "chunked"))
          const meaning = `${head.method} ${head.target} ${head.host === "" ? "a" : head.host} ${head.body} ${head.contentLength} ${head.upgrade}\n${head.fields.serialize()}`
          if (said !== meaning) throw new Error(`sent on, the head says ${JSON.stringify(said)}, not ${JSON.stringify(meaning)}`)
          digest += `${meaning}${head.keepAlive} ${head.authority}\n`
          left = head.contentLength
          chunks = head.body === "chunked"
          if (chunks) this.#decoder.reset(true, BODY_LIMIT)
        } else if (chunks) {
          const result = this.#decoder.read(segment.buffer, i, segment.to, sink)
          if (result === UNFINISHED) break
          if (result !== DONE) return `${digest}body refused ${result}`
          i = this.#decoder.end
          digest += dechunked(sink.text, this.#decoder)
          sink.text = ""
          chunks = false
        } else {
          const take = Math.min(left, segment.to - i)
          digest += segment.buffer.toString("latin1", i, i + take)
          left -= take
          i += take
        }
        if (left === 0 && !chunks) {
          if (!parser.head.keepAlive) return `${digest}closed`
          left = -1
          parser.reset()
        }
      }
    }
    return `${digest}${left} ${chunks} ${left === -1 && parser.started}`
  }

  // What the next server would understand.
  #again(text: string): string {
    const parser = this.#next
    parser.reset()
    const wire = Buffer.from(text, "latin1")
    if (parser.read(wire, 0, wire.length) !== wire.length) return `no request: ${parser.error} ${text}`
    const { head } = parser
    const { body } = head
    return `${head.method} ${head.target} ${head.host} ${body} ${head.contentLength} ${head.upgrade}\n${head.fields.serialize()}`
  }

  #response(segments: readonly Buffer[], embedded: boolean): string {
    const parser = this.#responses
    parser.reset()
    let digest = ""
    const sink = new Sink()
    let body = ""
    let left = 0
    for (const octets of segments) {
      const segment = new Segment(octets, embedded)
      let i = segment.from
      while (i < segment.to) {
        if (body === "") {
          const end = parser.read(segment.buffer, i, segment.to, "GET")
          if (!segment.intact) return "wrote outside"
          if (end === NEED_MORE) break
          if (end === REFUSED) return `${digest}refused ${parser.reason}`
          if (end <= i || end > segment.to) throw new Error(`the head ends at ${end} of [${i}, ${segment.to})`)
          i = end
          const { head } = parser
          digest += `${head.minor} ${head.status} ${head.reason} ${head.body} ${head.contentLength} ${head.keepAlive} ${head.upgrade} ${head.keepAliveTimeout}\n${head.fields.serialize()}\n`
          if (head.status < 200) {
            parser.reset()
            continue
          }
          body = head.body
          left = head.contentLength
          if (body === "chunked") this.#decoder.reset(false, 0)
          if (body === "none") return digest
        } else if (body === "chunked") {
          const result = this.#decoder.read(segment.buffer, i, segment.to, sink)
          if (result === UNFINISHED) break
          // What came before a fault depends on the cuts; only a whole body counts.
          return result === DONE ? `${digest}${sink.text}\n${this.#decoder.trailers?.serialize()}` : `${digest}body refused ${result}`
        } else {
          const take = body === "close" ? segment.to - i : Math.min(left, segment.to - i)
          digest += segment.buffer.toString("latin1", i, i + take)
          left -= take
          i += take
          if (body === "length" && left === 0) return `${digest}\n`
        }
      }
    }
    return `${digest}${body} ${left} ${sink.text}`
  }

  // The same octets to both modes of the decoder.
  #chunks(segments: readonly Buffer[], embedded: boolean): string {
    const reframing = this.#decoder
    const plain = this.#plain
    const reframed = new Sink()
    const data = new Sink()
    reframing.reset(true, BODY_LIMIT)
    plain.reset(false, BODY_LIMIT)
    let consumed = 0
    for (const octets of segments) {
      const one = new Segment(octets, embedded)
      const two = new Segment(octets, embedded)
      const result = reframing.read(one.buffer, one.from, one.to, reframed)
      const other = plain.read(two.buffer, two.from, two.to, data)
      if (!one.intact || !two.intact) return "wrote outside"
      if (result !== other || (result === DONE && reframing.end - one.from !== plain.end - two.from))
        return `modes differ: ${result} ${other}`
      if (result === UNFINISHED) {
        consumed += octets.length
        continue
      }
      if (result !== DONE) return `refused ${result}`
      const said = dechunked(reframed.text, reframing)
      const meant = `${data.text}\n${plain.trailers?.serialize() ?? ""}${plain.total}\n`
      return said === meant ? `${consumed + plain.end - two.from} ${said}` : `modes differ: ${said} ${meant}`
    }
    return `unfinished ${data.text}`
  }
}

// Reads a reframed body with the tests' own reader.
function dechunked(text: string, decoder: ChunkedDecoder): string {
  const wire = Buffer.from(text + lastChunk(decoder.trailers), "latin1")
  const body = parseBody(wire, { kind: "chunked" }, true)
  if (body === null || body.length !== wire.length) throw new Error(`reframed into no body: ${JSON.stringify(wire.toString("latin1"))}`)
  const trailers = decoder.trailers?.serialize() ?? ""
  return `${body.bytes.toString("latin1")}\n${trailers}${decoder.total}\n`
}
