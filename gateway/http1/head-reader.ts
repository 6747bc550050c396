// Reads the head of an HTTP/1.x message, or a trailer section, out of segments cut anywhere. Sans-IO: it sees bytes and
// keeps offsets; it neither decides framing nor knows sockets. One pass, each octet looked at once.

import { type Fields, SLOTS } from "../http/fields.ts"
import { latin1 } from "../http/latin1.ts"
import { classify } from "./known-fields.ts"
import { COLON, CR, HTAB, LF, LOWER_TOKEN, REQUEST_LINE, SP, VALUE } from "./octets.ts"

/** The head isn't complete: call again with the bytes that follow. */
export const MORE = -1
/** The bytes break the grammar. */
export const MALFORMED = -2
/** The start line is longer than its limit. */
export const LINE_TOO_LONG = -3
/** The head is longer, or has more fields, than its limit. */
export const HEAD_TOO_LARGE = -4

export interface HeadLimits {
  /** Octets of the start line, without CRLF. */
  readonly startLine: number
  /** Octets of the whole head. */
  readonly head: number
  readonly fields: number
}

/** What a reader reads: heads of requests or responses, or trailer sections. */
export type HeadKind = "request" | "response" | "trailers"

const START = 0
const START_CR = 1
const LINE = 2
const LINE_LF = 3
const FIELD = 4
const NAME = 5
const SPACE = 6
const TEXT = 7
const TEXT_LF = 8
const END_LF = 9

/**
 * A resumable scanner. It lower-cases field names **in the buffer it is given** (the bytes are ours once read), so that
 * untouched fields can leave as slices. After {@link read} returned an end, `text` and `fields` hold the head.
 */
export class HeadReader {
  readonly #limits: HeadLimits
  readonly #kind: HeadKind
  readonly #lineOctets: Uint8Array
  readonly #fields: Fields
  /** Known-field id of each field, see known-fields.ts. */
  readonly known: Uint8Array
  /** End of the start line in `fields.text`; 0 for trailers. */
  lineEnd = 0
  #state: number
  /** Head bytes kept from earlier segments; empty while the head lies in one segment. */
  #kept: Buffer | null = null
  #keptLength = 0
  // Offsets below count from the head's first octet.
  #at = 0
  #mark = 0
  #nameEnd = 0

  constructor(kind: HeadKind, limits: HeadLimits, fields: Fields) {
    this.#kind = kind
    this.#limits = limits
    this.#fields = fields
    this.#lineOctets = kind === "request" ? REQUEST_LINE : VALUE
    this.#state = kind === "request" ? START : kind === "response" ? LINE : FIELD
    this.known = new Uint8Array(limits.fields)
    fields.at = new Int32Array(SLOTS * 32)
  }

  /** Ready for the next head. */
  reset(): void {
    this.#state = this.#kind === "request" ? START : this.#kind === "response" ? LINE : FIELD
    this.#kept = null
    this.#keptLength = 0
    this.#at = 0
    this.#mark = 0
    this.lineEnd = 0
    this.#fields.reset()
  }

  /** Whether an octet of a head was seen that is not an empty line before it. */
  get started(): boolean {
    return this.#state > LINE || (this.#state === LINE && this.#at > this.#mark)
  }

  /**
   * Reads on in `buffer[from, to)`. Returns the offset in `buffer` after the head, or {@link MORE}, or one of the errors.
   * After an error or an end, {@link reset} before the next call.
   */
  read(buffer: Buffer, from: number, to: number): number {
    const kept = this.#kept
    if (kept === null) {
      if (this.#at === 0) {
        const end = this.#regular(buffer, from, to)
        if (end !== MORE) return end
      }
      const end = this.#scan(buffer, from, to - from)
      if (end === MORE) this.#keep(buffer, from, to)
      return end < 0 ? end : from + end
    }
    const before = this.#keptLength
    this.#keep(buffer, from, to)
    const end = this.#scan(this.#kept as Buffer, 0, this.#keptLength)
    return end < 0 ? end : from + end - before
  }

  // The quick way through a head that lies whole in one segment and is regular in every respect, which is nearly all of
  // them. Anything else is MORE: the scanner below starts over, and it alone decides what is wrong with it.
  #regular(buffer: Buffer, from: number, to: number): number {
    const limits = this.#limits
    const fields = this.#fields
    // Locals: an imported binding is looked up anew at every use.
    const lowerToken = LOWER_TOKEN
    const value = VALUE
    const known = this.known
    const at = fields.at
    const stop = Math.min(to, from + limits.head)
    const maxFields = Math.min(limits.fields, (at.length / SLOTS) | 0)
    const last = stop - 4
    let i = from
    if (this.#kind !== "trailers") {
      const octets = this.#lineOctets
      const lineStop = Math.min(stop, from + limits.startLine + 1)
      while (i < lineStop && octets[buffer[i]] === 1) i++
      if (i >= lineStop || i === from || buffer[i] !== CR || buffer[i + 1] !== LF) return MORE
      this.lineEnd = i - from
      i += 2
    }
    let count = 0
    while (i < last) {
      const start = i
      let c = buffer[i]
      if (c === CR) break
      let lower = lowerToken[c]
      while (lower !== 0 && i < stop) {
        if (lower !== c) buffer[i] = lower
        c = buffer[++i]
        lower = lowerToken[c]
      }
      if (c !== COLON || i === start || count === maxFields) return MORE
      const nameEnd = i
      // One space, the value, CRLF: other spellings are legal too, but not regular.
      if (buffer[i + 1] !== SP) return MORE
      i += 2
      const valueStart = i
      c = buffer[i]
      if (c === SP || c === HTAB) return MORE
      // Four at a time: most of a head's octets are looked at here. Any of them below SP makes a difference negative; DEL,
      // the one other octet a value can't have, is looked for below.
      while (i < last && ((buffer[i] - 32) | (buffer[i + 1] - 32) | (buffer[i + 2] - 32) | (buffer[i + 3] - 32)) >= 0) i += 4
      while (i < stop && value[buffer[i]] === 1) i++
      if (i + 2 > stop || buffer[i] !== CR || buffer[i + 1] !== LF) return MORE
      const before = buffer[i - 1]
      if (i !== valueStart && (before === SP || before === HTAB)) return MORE
      const o = count * SLOTS
      at[o] = start - from
      at[o + 1] = nameEnd - from
      at[o + 2] = valueStart - from
      at[o + 3] = i - from
      known[count++] = classify(buffer, start, nameEnd - start)
      i += 2
    }
    if (i + 2 > stop || buffer[i] !== CR || buffer[i + 1] !== LF) return MORE
    i += 2
    const text = latin1(buffer, from, i)
    if (text.includes("\x7f")) return MORE
    fields.count = count
    fields.text = text
    this.#at = i - from
    return i
  }

  // Copies a segment behind what is kept: at most one octet more than the head may have, so the limit still shows.
  #keep(buffer: Buffer, from: number, to: number): void {
    const length = Math.min(to - from, this.#limits.head + 1 - this.#keptLength)
    const need = this.#keptLength + length
    let kept = this.#kept
    if (kept === null || kept.length < need) {
      const grown = Buffer.allocUnsafe(Math.max(1024, need * 2))
      if (kept !== null) kept.copy(grown, 0, 0, this.#keptLength)
      kept = this.#kept = grown
    }
    buffer.copy(kept, this.#keptLength, from, from + length)
    this.#keptLength = need
  }

  // `length` octets of the head lie from `base` on, of which the first `#at` have been seen. Returns the head's length,
  // MORE, or an error.
  #scan(buffer: Buffer, base: number, length: number): number {
    const fields = this.#fields
    const limits = this.#limits
    const stop = Math.min(length, limits.head)
    let i = this.#at
    let state = this.#state
    let mark = this.#mark
    let nameEnd = this.#nameEnd
    let at = fields.at
    for (;;) {
      if (state === NAME) {
        let c = 0
        let lower = 0
        while (i < stop) {
          c = buffer[base + i]
          lower = LOWER_TOKEN[c]
          if (lower === 0) break
          if (lower !== c) buffer[base + i] = lower
          i++
        }
        if (i === stop) break
        if (c !== COLON || i === mark) return MALFORMED
        nameEnd = i
        i++
        state = SPACE
      }
      if (state === SPACE) {
        while (i < stop) {
          const c = buffer[base + i]
          if (c !== SP && c !== HTAB) break
          i++
        }
        if (i === stop) break
        if (fields.count === limits.fields) return HEAD_TOO_LARGE
        const o = fields.count * SLOTS
        if (o + SLOTS > at.length) {
          at = new Int32Array(at.length * 2)
          at.set(fields.at)
          fields.at = at
        }
        at[o] = mark
        at[o + 1] = nameEnd
        at[o + 2] = i
        state = TEXT
      }
      if (state === TEXT) {
        while (i < stop && VALUE[buffer[base + i]] === 1) i++
        if (i === stop) break
        if (buffer[base + i] !== CR) return MALFORMED
        const o = fields.count * SLOTS
        const start = at[o + 2]
        let end = i
        while (end > start) {
          const c = buffer[base + end - 1]
          if (c !== SP && c !== HTAB) break
          end--
        }
        at[o + 3] = end
        nameEnd = at[o + 1]
        if (end !== i || start !== nameEnd + 2 || buffer[base + nameEnd + 1] !== SP) fields.canonical = false
        this.known[fields.count] = classify(buffer, base + at[o], nameEnd - at[o])
        fields.count++
        i++
        state = TEXT_LF
      }
      if (i === stop) break
      const c = buffer[base + i]
      if (state === TEXT_LF) {
        if (c !== LF) return MALFORMED
        i++
        state = FIELD
      } else if (state === FIELD) {
        if (c === CR) {
          i++
          state = END_LF
        } else {
          mark = i
          state = NAME
        }
      } else if (state === LINE) {
        // A start line's own limit comes before the head's; both show where the octets do, whatever the cuts.
        const lineStop = Math.min(stop, mark + limits.startLine + 1)
        const octets = this.#lineOctets
        while (i < lineStop && octets[buffer[base + i]] === 1) i++
        if (i === lineStop) {
          if (i > mark + limits.startLine) return LINE_TOO_LONG
          break
        }
        if (buffer[base + i] !== CR) return MALFORMED
        this.lineEnd = i
        i++
        state = LINE_LF
      } else if (state === LINE_LF) {
        if (c !== LF) return MALFORMED
        i++
        state = FIELD
      } else if (state === END_LF) {
        if (c !== LF) return MALFORMED
        i++
        // An empty line before a request line shifts nothing: offsets count from the first octet seen.
        fields.text = latin1(buffer, base, base + i)
        this.#at = i
        return i
      } else if (state === START) {
        if (c === CR) {
          i++
          state = START_CR
        } else {
          mark = i
          state = LINE
        }
      } else {
        // START_CR: one empty line is skipped, then the request line must come (RFC 9112 §2.2).
        if (c !== LF) return MALFORMED
        i++
        mark = i
        state = LINE
      }
    }
    if (i >= limits.head) return HEAD_TOO_LARGE
    this.#at = i
    this.#state = state
    this.#mark = mark
    this.#nameEnd = nameEnd
    return MORE
  }

  /** Offset of the start line in `fields.text`: 2 after a skipped empty line. */
  get lineStart(): number {
    return this.#fields.text.charCodeAt(0) === CR ? 2 : 0
  }
}
