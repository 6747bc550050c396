// Random HTTP/2: streams of frames that are mostly right, with what is wrong about them drawn as well.

import * as h2 from "../../gateway/http2/frames.ts"
import { FIELD_ROOM, HpackEncoder } from "../../gateway/http2/hpack-encoder.ts"
import type { Random } from "../conformance/http1/cuts.ts"

export function frame(type: number, flags: number, stream: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(9 + payload.length)
  h2.writeFrameHead(bytes, 0, payload.length, type, flags, stream)
  bytes.set(payload, 9)
  return bytes
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  h2.writeUint32(bytes, 0, value)
  return bytes
}

const PATHS = ["/", "/a", "/a?b=c", "*", "", "x", "/\x7f"]
const NAMES = ["x-a", "content-length", "cookie", "te", "host", "connection", "X-A", "expect", "trailer", ":path", "x-request-id", ""]
const VALUES = ["1", "0", "trailers", "a", "", "100-continue", " a", "b\r\nc", "\xe9"]

/** One peer's random frames; its header sections share one table. */
export class FrameMaker {
  readonly #random: Random
  readonly #encoder = new HpackEncoder()
  readonly #requests: boolean
  #next = 1

  /** `requests`: as a client; else as a server that answers streams 1, 3, 5 … */
  constructor(random: Random, requests: boolean) {
    this.#random = random
    this.#requests = requests
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random.below(list.length)]
  }

  #stream(): number {
    const random = this.#random
    switch (random.below(300)) {
      case 0:
        return 0
      case 1:
        return random.below(8)
      case 2:
        return this.#next + 2 * random.below(3)
      default:
        // Of the streams there are, mostly one of the newest.
        return Math.max(1, this.#next - 2 - 2 * random.below(random.below(4) === 0 ? this.#next : 8))
    }
  }

  #section(head: boolean): Buffer {
    const bytes = Buffer.alloc(64 * 1024)
    const random = this.#random
    let at = this.#encoder.begin(bytes, 0)
    const add = (name: string, value: string): void => {
      if (at + name.length + value.length + FIELD_ROOM < bytes.length) at = this.#encoder.field(bytes, at, name, value)
    }
    if (head && this.#requests && random.below(60) !== 0) {
      add(":method", this.#pick(["GET", "GET", "POST", "POST", "HEAD", "CONNECT", "B D"]))
      if (random.below(30) !== 0) add(":scheme", "http")
      add(":path", random.below(10) === 0 ? this.#pick(PATHS) : "/x")
      if (random.below(10) !== 0) add(":authority", this.#pick(["a", "a", "a:80", "b b"]))
      if (random.below(30) === 0) add(":protocol", "websocket")
    } else if (head) add(":status", random.below(8) === 0 ? this.#pick(["100", "103", "101", "204", "304", "20", "600"]) : "200")
    for (let n = random.below(5); n > 0; n--) {
      if (random.below(20) === 0) add(this.#pick(NAMES), this.#pick(VALUES))
      else add(`x-${random.below(6)}`, "v".repeat(random.below(40)))
    }
    if (random.below(200) === 0) for (let n = 0; n < 300; n++) add("x-large", "y".repeat(400))
    return bytes.subarray(0, at)
  }

  #headers(): Buffer {
    const random = this.#random
    let id = this.#stream()
    const head = random.below(6) !== 0
    if (head && (this.#requests || random.below(3) === 0)) {
      id = this.#next
      this.#next += 2
    }
    const section = this.#section(head)
    const end = random.below(2) === 0 ? h2.END_STREAM : 0
    if (section.length < 2 || random.below(6) !== 0) {
      const parts: Buffer[] = []
      for (let at = 0; at < section.length || parts.length === 0; at += h2.MAX_PAYLOAD) {
        const part = section.subarray(at, at + h2.MAX_PAYLOAD)
        const last = at + h2.MAX_PAYLOAD >= section.length ? h2.END_HEADERS : 0
        parts.push(frame(at === 0 ? h2.HEADERS : h2.CONTINUATION, (at === 0 ? end : 0) | last, id, part))
      }
      return Buffer.concat(parts)
    }
    const cut = 1 + random.below(section.length - 1)
    return Buffer.concat([
      frame(h2.HEADERS, end, id, section.subarray(0, cut)),
      frame(h2.CONTINUATION, h2.END_HEADERS, random.below(60) === 0 ? id + 2 : id, section.subarray(cut)),
    ])
  }

  /** The next frame, or frames that belong together. */
  next(): Buffer {
    const random = this.#random
    switch (random.below(16)) {
      case 0:
        return frame(h2.WINDOW_UPDATE, 0, this.#stream(), uint32(random.below(300) === 0 ? 0x7fffffff : 1 + random.below(70_000)))
      case 1:
        return frame(h2.RST_STREAM, 0, this.#stream(), uint32(random.below(15)))
      case 2: {
        const settings = Buffer.alloc(6)
        settings[1] = random.below(9)
        const value = random.below(40) === 0 ? 0xffffffff : this.#pick([0, 1, 100, 16_384, 65_535, 1 << 20])
        h2.writeUint32(settings, 2, value)
        return frame(h2.SETTINGS, random.below(5) === 0 ? h2.ACK : 0, 0, random.below(60) === 0 ? Buffer.alloc(random.below(8)) : settings)
      }
      case 3:
        return frame(h2.PING, random.below(2), 0, Buffer.alloc(random.below(99) === 0 ? 7 : 8))
      case 4:
        if (random.below(60) !== 0) return this.#headers()
        return frame(h2.GOAWAY, 0, 0, Buffer.concat([uint32(random.below(this.#next + 2)), uint32(random.below(14))]))
      case 5:
        if (random.below(40) !== 0) return this.#headers()
        return frame(random.below(14), random.below(256), this.#stream(), Buffer.alloc(random.below(30)))
      case 6:
      case 7:
      case 8:
      case 9: {
        const padded = random.below(8) === 0
        const data = Buffer.alloc(random.below(10) === 0 ? random.below(16_385) : random.below(100), 97)
        if (padded && data.length > 0) data[0] = random.below(Math.min(256, data.length + (random.below(30) === 0 ? 3 : 0)))
        return frame(h2.DATA, (padded ? h2.PADDED : 0) | (random.below(3) === 0 ? h2.END_STREAM : 0), this.#stream(), data)
      }
      default:
        return this.#headers()
    }
  }
}
