// Frame types, flags, settings and error codes of HTTP/2 (RFC 9113 §§6–7), and how a frame's head is written.

export const DATA = 0
export const HEADERS = 1
export const PRIORITY = 2
export const RST_STREAM = 3
export const SETTINGS = 4
export const PUSH_PROMISE = 5
export const PING = 6
export const GOAWAY = 7
export const WINDOW_UPDATE = 8
export const CONTINUATION = 9

export const END_STREAM = 0x1
export const ACK = 0x1
export const END_HEADERS = 0x4
export const PADDED = 0x8
export const PRIORITY_FLAG = 0x20

export const SETTINGS_HEADER_TABLE_SIZE = 1
export const SETTINGS_ENABLE_PUSH = 2
export const SETTINGS_MAX_CONCURRENT_STREAMS = 3
export const SETTINGS_INITIAL_WINDOW_SIZE = 4
export const SETTINGS_MAX_FRAME_SIZE = 5
export const SETTINGS_MAX_HEADER_LIST_SIZE = 6
/** RFC 8441 §3. */
export const SETTINGS_ENABLE_CONNECT_PROTOCOL = 8

export const NO_ERROR = 0
export const PROTOCOL_ERROR = 1
export const INTERNAL_ERROR = 2
export const FLOW_CONTROL_ERROR = 3
export const STREAM_CLOSED = 5
export const FRAME_SIZE_ERROR = 6
export const REFUSED_STREAM = 7
export const CANCEL = 8
export const COMPRESSION_ERROR = 9
export const ENHANCE_YOUR_CALM = 11
export const HTTP_1_1_REQUIRED = 13

/** Octets of a frame's head. */
export const FRAME_HEAD = 9
/** Octets of a payload: the least a peer may set as its limit, all we accept, and all we send in one frame. */
export const MAX_PAYLOAD = 16_384
/** Octets of a window before anyone has changed it. */
export const DEFAULT_WINDOW = 65_535
/** The most a window may grow to. */
export const MAX_WINDOW = 0x7fffffff
export const MAX_STREAM_ID = 0x7fffffff

/** What a client sends first (RFC 9113 §3.4). */
export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1")

const ERROR_NAMES: Readonly<Record<number, string>> = {
  [NO_ERROR]: "NO_ERROR",
  [PROTOCOL_ERROR]: "PROTOCOL_ERROR",
  [INTERNAL_ERROR]: "INTERNAL_ERROR",
  [FLOW_CONTROL_ERROR]: "FLOW_CONTROL_ERROR",
  4: "SETTINGS_TIMEOUT",
  [STREAM_CLOSED]: "STREAM_CLOSED",
  [FRAME_SIZE_ERROR]: "FRAME_SIZE_ERROR",
  [REFUSED_STREAM]: "REFUSED_STREAM",
  [CANCEL]: "CANCEL",
  [COMPRESSION_ERROR]: "COMPRESSION_ERROR",
  10: "CONNECT_ERROR",
  [ENHANCE_YOUR_CALM]: "ENHANCE_YOUR_CALM",
  12: "INADEQUATE_SECURITY",
  [HTTP_1_1_REQUIRED]: "HTTP_1_1_REQUIRED",
}

/** Name of an error code, for logs. */
export function errorName(code: number): string {
  return ERROR_NAMES[code] ?? `error ${code}`
}

/** Writes a frame's head at `at`, in {@link FRAME_HEAD} octets. */
export function writeFrameHead(out: Buffer, at: number, length: number, type: number, flags: number, stream: number): void {
  out[at] = length >>> 16
  out[at + 1] = length >>> 8
  out[at + 2] = length
  out[at + 3] = type
  out[at + 4] = flags
  writeUint32(out, at + 5, stream)
}

export function writeUint32(out: Buffer, at: number, value: number): void {
  out[at] = value >>> 24
  out[at + 1] = value >>> 16
  out[at + 2] = value >>> 8
  out[at + 3] = value
}

/** 31 bits at `at`: the first is reserved and ignored (RFC 9113 §4.1). */
export function readUint31(bytes: Buffer, at: number): number {
  return ((bytes[at] & 0x7f) << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]
}

export function readUint32(bytes: Buffer, at: number): number {
  return ((bytes[at] << 24) | (bytes[at + 1] << 16) | (bytes[at + 2] << 8) | bytes[at + 3]) >>> 0
}
