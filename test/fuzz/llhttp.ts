// Reads requests with Node's own parser (llhttp, strict), for comparison: what we accept it must not read as something else.

import { ChunkedDecoder, type ChunkSink, DONE } from "../../gateway/http1/chunked.ts"
import { RequestParser } from "../../gateway/http1/request-parser.ts"

interface Parser {
  initialize(type: number, resource: object, maxHeaderSize: number, lenientFlags: number): void
  execute(bytes: Buffer): number | Error
  [callback: number]: (...values: never[]) => unknown
}

interface ParserClass {
  new (): Parser
  readonly REQUEST: number
  readonly kLenientNone: number
  readonly kOnHeaders: number
  readonly kOnHeadersComplete: number
  readonly kOnBody: number
  readonly kOnMessageComplete: number
}

interface Read {
  method: string
  target: string
  /** name, value, name, value … in lower case and as they came. */
  fields: string[]
  body: string
  trailers: string[]
  complete: boolean
}

/** Runs only on Node: the other runtimes have no such parser. */
export const available: boolean = process.versions.bun === undefined && process.versions.deno === undefined

export class Comparison {
  readonly #class: ParserClass
  readonly #methods: readonly string[]
  readonly #parser = new RequestParser({ startLine: 1000, head: 4000, fields: 30 })
  readonly #decoder = new ChunkedDecoder()
  /** Requests that both accepted, and that only we did. */
  agreed = 0
  onlyOurs = 0
  /** The other parser refused what it was given last, or its rest. */
  #failed = false

  private constructor(parserClass: ParserClass, methods: readonly string[]) {
    this.#class = parserClass
    this.#methods = methods
  }

  static async load(): Promise<Comparison> {
    // In a variable: it has no types, and exists on Node alone.
    const name = "node:_http_common"
    const common = await import(name)
    return new Comparison(common.HTTPParser, common.methods)
  }

  /** A difference, or null. */
  compare(octets: Buffer): string | null {
    const ours = this.#ours(octets)
    if (ours.length === 0) return null
    const theirs = this.#theirs(octets)
    for (let i = 0; i < ours.length; i++) {
      // It may be stricter: what it refuses it doesn't misunderstand.
      if (i >= theirs.length || (ours[i].complete && !theirs[i].complete && this.#failed)) {
        this.onlyOurs++
        return null
      }
      // Of a body that we refuse, or that is not all there, only the head counts.
      if (!ours[i].complete) ours[i].body = theirs[i].body
      if (!ours[i].complete) ours[i].trailers = theirs[i].trailers
      const one = JSON.stringify({ ...ours[i], complete: true })
      const other = JSON.stringify({ ...theirs[i], complete: theirs[i].complete || !ours[i].complete })
      if (one !== other) return `ours:   ${one}\nllhttp: ${other}`
      this.agreed++
    }
    return null
  }

  #theirs(octets: Buffer): Read[] {
    const { REQUEST, kLenientNone, kOnBody, kOnHeaders, kOnHeadersComplete, kOnMessageComplete } = this.#class
    const parser = new this.#class()
    parser.initialize(REQUEST, {}, 1 << 16, kLenientNone)
    const requests: Read[] = []
    let pending: string[] = []
    let url = ""
    parser[kOnHeaders] = (fields: string[], target: string) => {
      pending.push(...fields)
      url = target
    }
    parser[kOnHeadersComplete] = (_major: number, _minor: number, fields: string[] | null, method: number, target: string | null) => {
      const all = fields ?? pending
      requests.push({
        method: this.#methods[method],
        target: target ?? url,
        fields: lowerNames(all),
        body: "",
        trailers: [],
        complete: false,
      })
      pending = []
      return 0
    }
    parser[kOnBody] = (bytes: Buffer) => {
      requests[requests.length - 1].body += bytes.toString("latin1")
    }
    parser[kOnMessageComplete] = () => {
      const request = requests[requests.length - 1]
      request.trailers = lowerNames(pending)
      pending = []
      request.complete = true
    }
    const result = parser.execute(Buffer.from(octets))
    this.#failed = typeof result !== "number"
    return requests
  }

  #ours(octets: Buffer): Read[] {
    const parser = this.#parser
    const buffer = Buffer.from(octets)
    const requests: Read[] = []
    let i = 0
    while (i < buffer.length) {
      parser.reset()
      const end = parser.read(buffer, i, buffer.length)
      if (end < 0) break
      i = end
      const { head } = parser
      const { at, count, text } = head.fields
      const fields: string[] = []
      for (let f = 0; f < count; f++) {
        const nameEnd = at[f * 4 + 1]
        // A dropped field has lost its start, but not its line's.
        fields.push(text.slice(text.lastIndexOf("\n", nameEnd) + 1, nameEnd), text.slice(at[f * 4 + 2], at[f * 4 + 3]))
      }
      const target = text.split("\r\n")[text.startsWith("\r\n") ? 1 : 0].split(" ")[1]
      const read: Read = { method: head.method, target, fields, body: "", trailers: [], complete: false }
      requests.push(read)
      if (head.body === "length") {
        read.body = buffer.toString("latin1", i, i + head.contentLength)
        if (read.body.length < head.contentLength) break
        i += head.contentLength
      } else if (head.body === "chunked") {
        const sink: ChunkSink = {
          onChunkBytes: (bytes, from, to) => {
            read.body += bytes.toString("latin1", from, to)
          },
        }
        this.#decoder.reset(false, 0)
        if (this.#decoder.read(buffer, i, buffer.length, sink) !== DONE) break
        i = this.#decoder.end
        this.#decoder.trailers?.forEach((name, value) => {
          read.trailers.push(name, value)
        })
      }
      read.complete = true
      // After an upgrade llhttp reads no HTTP; after a close neither of us does.
      if (!head.keepAlive || fields.includes("upgrade")) break
    }
    return requests
  }
}

function lowerNames(flat: readonly string[]): string[] {
  return flat.map((text, i) => (i % 2 === 0 ? text.toLowerCase() : text))
}
