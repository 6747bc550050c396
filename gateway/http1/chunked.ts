// Decodes the chunked coding (RFC 9112 §7.1) out of segments cut anywhere. Towards a chunked peer, bytes leave as they
// came: only size lines that carry extensions, are oddly spelled or were cut are written anew.

import { Fields } from "../http/fields.ts"
import { isTrailerField } from "../http/trailers.ts"
import { HeadReader, MORE } from "./head-reader.ts"
import { OTHER } from "./known-fields.ts"
import { CR, HEX, LF, VALUE } from "./octets.ts"

/** Where decoded bytes go: ranges of the buffer that was fed, or of a fresh one for a rewritten size line. */
export interface ChunkSink {
  onChunkBytes(buffer: Buffer, from: number, to: number): void
}

const SIZE = 0
const SIZE_LF = 1
const EXTENSION = 2
const DATA = 3
const DATA_CR = 4
const DATA_LF = 5
const TRAILERS = 6
const END = 7

/** Octets of chunk extensions in one message; over it the message is refused. */
const EXTENSION_LIMIT = 4096
const TRAILER_LIMITS = { startLine: 0, head: 16 * 1024, fields: 64 }

/** The message is complete. */
export const DONE = 1
/** More bytes are needed. */
export const UNFINISHED = 0
/** The coding is broken. */
export const BROKEN = -1
/** The message has more data than allowed. */
export const TOO_LARGE = -2

/** One message's chunked body. Make a new one, or {@link reset}, for each message. */
export class ChunkedDecoder {
  /**
   * True: what {@link ChunkSink.onChunkBytes} gets is chunked coding again, complete up to the last chunk, which the
   * receiver writes itself. False: it gets the data alone.
   */
  reframe = false
  /** Octets of data so far. */
  total = 0
  /** Fields of the trailer section after the end; null when it has none. */
  trailers: Fields | null = null
  /** Offset after the message in the last buffer, once it is {@link DONE}. */
  end = 0
  #state = SIZE
  #digits = 0
  #size = 0
  #extension = 0
  #left = 0
  #limit = 0
  #reader: HeadReader | null = null

  /** `limit`: octets of data allowed; 0 = any number. */
  reset(reframe: boolean, limit: number): void {
    this.reframe = reframe
    this.total = 0
    this.trailers = null
    this.end = 0
    this.#state = SIZE
    this.#digits = 0
    this.#size = 0
    this.#extension = 0
    this.#left = 0
    this.#limit = limit
    this.#reader = null
  }

  /** Reads `buffer[from, to)`: {@link DONE}, {@link UNFINISHED}, {@link BROKEN} or {@link TOO_LARGE}. */
  read(buffer: Buffer, from: number, to: number, sink: ChunkSink): number {
    const reframe = this.reframe
    let i = from
    let state = this.#state
    // Bytes [run, i) wait to be sent as they are; −1: none.
    let run = reframe && (state === DATA || state === DATA_CR || state === DATA_LF) ? i : -1
    let lineStart = -1
    let result = UNFINISHED
    scan: while (i < to) {
      switch (state) {
        case SIZE: {
          if (this.#digits === 0 && lineStart === -1) {
            lineStart = i
            if (reframe && run === -1) run = i
          }
          let digits = this.#digits
          let size = this.#size
          while (i < to) {
            const value = HEX[buffer[i]]
            if (value === 255) break
            if (++digits > 13) {
              result = BROKEN
              break scan
            }
            size = size * 16 + value
            i++
          }
          this.#digits = digits
          this.#size = size
          if (i === to) break scan
          const c = buffer[i]
          if (digits === 0 || (c !== CR && c !== 59)) {
            result = BROKEN
            break scan
          }
          i++
          state = c === CR ? SIZE_LF : EXTENSION
          break
        }
        case EXTENSION:
          while (i < to && VALUE[buffer[i]] === 1) {
            i++
            this.#extension++
          }
          if (this.#extension > EXTENSION_LIMIT || (i < to && buffer[i] !== CR)) {
            result = BROKEN
            break scan
          }
          if (i === to) break scan
          i++
          this.#extension++
          state = SIZE_LF
          break
        case SIZE_LF: {
          if (buffer[i] !== LF) {
            result = BROKEN
            break scan
          }
          i++
          const size = this.#size
          const line = lineStart === -1 ? 0 : i - lineStart
          if (reframe) {
            // A size line goes out as it came when it lies here whole and says nothing but its digits.
            if (size === 0) {
              if (run !== -1 && lineStart > run) sink.onChunkBytes(buffer, run, lineStart)
              run = -1
            } else if (line !== this.#digits + 2 || this.#digits > 8) {
              if (run !== -1 && lineStart > run) sink.onChunkBytes(buffer, run, lineStart)
              const text = Buffer.from(chunkHead(size), "latin1")
              sink.onChunkBytes(text, 0, text.length)
              run = i
            }
          }
          lineStart = -1
          this.#digits = 0
          this.#size = 0
          if (size === 0) {
            state = TRAILERS
          } else {
            this.total += size
            if (this.#limit > 0 && this.total > this.#limit) {
              result = TOO_LARGE
              break scan
            }
            this.#left = size
            state = DATA
          }
          break
        }
        case DATA: {
          const length = Math.min(this.#left, to - i)
          if (!reframe) sink.onChunkBytes(buffer, i, i + length)
          i += length
          this.#left -= length
          if (this.#left === 0) state = DATA_CR
          break
        }
        case DATA_CR:
          if (buffer[i] !== CR) {
            result = BROKEN
            break scan
          }
          i++
          state = DATA_LF
          break
        case DATA_LF:
          if (buffer[i] !== LF) {
            result = BROKEN
            break scan
          }
          i++
          state = SIZE
          break
        case TRAILERS: {
          const after = this.#readTrailers(buffer, i, to)
          if (after === MORE) i = to
          else if (after < 0) result = BROKEN
          else {
            i = after
            state = END
            result = DONE
          }
          break scan
        }
        default:
          result = BROKEN
          break scan
      }
    }
    this.#state = state
    this.end = i
    if (result >= 0 && run !== -1) {
      // A size line that is not complete yet is held back: it is written anew when the rest has come.
      const until = lineStart === -1 ? i : lineStart
      if (until > run) sink.onChunkBytes(buffer, run, until)
    }
    return result
  }

  #readTrailers(buffer: Buffer, from: number, to: number): number {
    let reader = this.#reader
    if (reader === null) {
      // The usual end: an empty trailer section in the same segment.
      if (to - from >= 2 && buffer[from] === CR && buffer[from + 1] === LF) return from + 2
      this.trailers = new Fields()
      reader = this.#reader = new HeadReader("trailers", TRAILER_LIMITS, this.trailers)
    }
    const end = reader.read(buffer, from, to)
    if (end < 0) return end
    const fields = this.trailers as Fields
    for (let i = 0; i < fields.count; i++) {
      const name = fields.text.slice(fields.at[i * 4], fields.at[i * 4 + 1])
      if (reader.known[i] !== OTHER || !isTrailerField(name)) return BROKEN - 1
    }
    if (fields.count === 0) this.trailers = null
    return end
  }
}

/** Frames `length` octets of data as the beginning of a chunk; the data and CRLF follow. */
export function chunkHead(length: number): string {
  return `${length.toString(16)}\r\n`
}

/** The last chunk with a trailer section. */
export function lastChunk(trailers: Fields | null): string {
  return trailers === null ? "0\r\n\r\n" : `0\r\n${trailers.serialize()}\r\n`
}
