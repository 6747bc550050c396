// Frames of HTTP/2 (RFC 9113 §4, §6) for tests: any frame can be made, valid or not, and read back. Never imports the gateway's codec.

import { encodeFields, type Field } from "./h2-hpack.ts"

export const frameTypes = {
  DATA: 0,
  HEADERS: 1,
  PRIORITY: 2,
  RST_STREAM: 3,
  SETTINGS: 4,
  PUSH_PROMISE: 5,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
  PRIORITY_UPDATE: 0x10,
} as const

export const END_STREAM = 1
export const ACK = 1
export const END_HEADERS = 4
export const PADDED = 8
export const PRIORITY = 0x20

/** Parameters of SETTINGS (§6.5.2, RFC 8441 §3). */
export const settingIds = {
  HEADER_TABLE_SIZE: 1,
  ENABLE_PUSH: 2,
  MAX_CONCURRENT_STREAMS: 3,
  INITIAL_WINDOW_SIZE: 4,
  MAX_FRAME_SIZE: 5,
  MAX_HEADER_LIST_SIZE: 6,
  ENABLE_CONNECT_PROTOCOL: 8,
} as const

/** Error codes by number (§7). */
export const errorNames = [
  "NO_ERROR",
  "PROTOCOL_ERROR",
  "INTERNAL_ERROR",
  "FLOW_CONTROL_ERROR",
  "SETTINGS_TIMEOUT",
  "STREAM_CLOSED",
  "FRAME_SIZE_ERROR",
  "REFUSED_STREAM",
  "CANCEL",
  "COMPRESSION_ERROR",
  "CONNECT_ERROR",
  "ENHANCE_YOUR_CALM",
  "INADEQUATE_SECURITY",
  "HTTP_1_1_REQUIRED",
] as const
export type ErrorName = (typeof errorNames)[number]

export function errorName(code: number): string {
  return errorNames[code] ?? `0x${code.toString(16)}`
}

export const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1")

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** Any frame at all. `length`: what its head says, when that is not the payload's. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0), length = payload.length): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(stream >>> 0, 5)
  return Buffer.concat([head, payload])
}

/** Four octets for each number. */
export function words(...values: readonly number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4)
  values.forEach((value, i) => {
    bytes.writeUInt32BE(value >>> 0, i * 4)
  })
  return bytes
}

function octets(value: string | Uint8Array): Buffer {
  return typeof value === "string" ? Buffer.from(value, "latin1") : Buffer.from(value)
}

export interface DataOptions {
  readonly end?: boolean
  /** Octets of padding; makes the frame PADDED, also when 0. */
  readonly pad?: number
}

export function data(stream: number, bytes: string | Uint8Array, options: DataOptions = {}): Buffer {
  const { end = false, pad } = options
  const body = octets(bytes)
  const payload = pad === undefined ? body : Buffer.concat([Buffer.from([pad]), body, Buffer.alloc(pad)])
  return frame(frameTypes.DATA, (end ? END_STREAM : 0) | (pad === undefined ? 0 : PADDED), stream, payload)
}

export interface HeadersOptions extends DataOptions {
  /** Default true: no CONTINUATION follows. */
  readonly endHeaders?: boolean
  /** Dependency, weight − 1, exclusive. */
  readonly priority?: readonly [number, number, boolean]
}

/** HEADERS; of a list of fields, each is a literal that no table keeps. `end` is true unless said. */
export function headers(stream: number, block: Uint8Array | readonly Field[], options: HeadersOptions = {}): Buffer {
  const { end = true, endHeaders = true, pad, priority: dependency } = options
  const parts: Uint8Array[] = []
  if (pad !== undefined) parts.push(Buffer.from([pad]))
  if (dependency !== undefined) parts.push(priorityPayload(...dependency))
  parts.push(block instanceof Uint8Array ? block : encodeFields(block))
  if (pad !== undefined) parts.push(Buffer.alloc(pad))
  const flags =
    (end ? END_STREAM : 0) | (endHeaders ? END_HEADERS : 0) | (pad === undefined ? 0 : PADDED) | (dependency === undefined ? 0 : PRIORITY)
  return frame(frameTypes.HEADERS, flags, stream, Buffer.concat(parts))
}

export function continuation(stream: number, block: Uint8Array, endHeaders = true): Buffer {
  return frame(frameTypes.CONTINUATION, endHeaders ? END_HEADERS : 0, stream, block)
}

function priorityPayload(dependency: number, weight: number, exclusive: boolean): Buffer {
  return Buffer.concat([words((exclusive ? 0x80000000 : 0) + dependency), Buffer.from([weight])])
}

export function priority(stream: number, dependency: number, weight = 15, exclusive = false): Buffer {
  return frame(frameTypes.PRIORITY, 0, stream, priorityPayload(dependency, weight, exclusive))
}

export function rstStream(stream: number, code: ErrorName): Buffer {
  return frame(frameTypes.RST_STREAM, 0, stream, words(errorNames.indexOf(code)))
}

export function settings(...pairs: readonly (readonly [number, number])[]): Buffer {
  const payload = Buffer.alloc(pairs.length * 6)
  pairs.forEach(([id, value], i) => {
    payload.writeUInt16BE(id, i * 6)
    payload.writeUInt32BE(value >>> 0, i * 6 + 2)
  })
  return frame(frameTypes.SETTINGS, 0, 0, payload)
}

export const settingsAck = frame(frameTypes.SETTINGS, ACK, 0)

export function ping(payload: string | Uint8Array, ack = false): Buffer {
  return frame(frameTypes.PING, ack ? ACK : 0, 0, octets(payload))
}

export function goaway(lastStream: number, code: ErrorName, debug = ""): Buffer {
  return frame(frameTypes.GOAWAY, 0, 0, Buffer.concat([words(lastStream, errorNames.indexOf(code)), octets(debug)]))
}

export function windowUpdate(stream: number, increment: number): Buffer {
  return frame(frameTypes.WINDOW_UPDATE, 0, stream, words(increment))
}

/** Takes whole frames off the front of what arrives. */
export class FrameReader {
  #unread: Buffer = Buffer.alloc(0)
  /** Octets at the start that must be the client's preface. */
  #preface: boolean

  constructor(expectPreface = false) {
    this.#preface = expectPreface
  }

  /** Octets of a frame that has not arrived whole. */
  get unread(): Buffer {
    return this.#unread
  }

  *feed(bytes: Buffer): Generator<Frame> {
    this.#unread = this.#unread.length === 0 ? bytes : Buffer.concat([this.#unread, bytes])
    if (this.#preface) {
      if (this.#unread.length < preface.length) return
      if (!this.#unread.subarray(0, preface.length).equals(preface)) throw new Error("no HTTP/2 preface")
      this.#unread = this.#unread.subarray(preface.length)
      this.#preface = false
    }
    while (this.#unread.length >= 9) {
      const length = this.#unread.readUIntBE(0, 3)
      if (this.#unread.length < 9 + length) return
      const payload = Buffer.from(this.#unread.subarray(9, 9 + length))
      const found: Frame = {
        type: this.#unread[3],
        flags: this.#unread[4],
        stream: this.#unread.readUInt32BE(5) & 0x7fffffff,
        payload,
      }
      this.#unread = this.#unread.subarray(9 + length)
      yield found
    }
  }
}

/** The payload of a DATA, HEADERS or PUSH_PROMISE frame without padding and priority. Throws when it is malformed. */
export function content({ type, flags, payload }: Frame): Buffer {
  let from = 0
  let to = payload.length
  if ((flags & PADDED) !== 0) {
    from = 1
    to -= payload[0]
  }
  if (type === frameTypes.HEADERS && (flags & PRIORITY) !== 0) from += 5
  if (from > to) throw new Error("padding longer than its frame")
  return payload.subarray(from, to)
}

/** A frame in words, for messages of failed tests. */
export function describeFrame({ type, flags, stream, payload }: Frame): string {
  const name = Object.entries(frameTypes).find(([, number]) => number === type)?.[0] ?? `type ${type}`
  const code =
    type === frameTypes.RST_STREAM && payload.length === 4
      ? ` ${errorName(payload.readUInt32BE(0))}`
      : type === frameTypes.GOAWAY && payload.length >= 8
        ? ` ${errorName(payload.readUInt32BE(4))} last=${payload.readUInt32BE(0)} ${payload.toString("latin1", 8, 80)}`
        : ""
  return `${name}${code} stream=${stream} flags=${flags} length=${payload.length}`
}
