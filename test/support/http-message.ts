// Reads HTTP/1.1 messages for tests, independently of the gateway's own parser, so that a mistake there is not repeated here.
// Strict: what it does not understand throws. Octets are latin1.

export interface Head {
  /** The start line, without its line end. */
  readonly startLine: string
  /** In order, names as received. */
  readonly fields: readonly (readonly [name: string, value: string])[]
  /** Length of the head in octets, with the empty line. */
  readonly length: number
}

/** The first value of a field, or null. */
export function field(head: { readonly fields: Head["fields"] }, name: string): string | null {
  for (const [key, value] of head.fields) if (key.toLowerCase() === name.toLowerCase()) return value
  return null
}

/** Every value of a field, in order. */
export function fieldValues(head: { readonly fields: Head["fields"] }, name: string): string[] {
  return head.fields.filter(([key]) => key.toLowerCase() === name.toLowerCase()).map(([, value]) => value)
}

/** The head at the start of `bytes`, or null when its empty line has not arrived. */
export function parseHead(bytes: Buffer): Head | null {
  const end = bytes.indexOf("\r\n\r\n", 0, "latin1")
  if (end < 0) return null
  const [startLine, ...lines] = bytes.toString("latin1", 0, end).split("\r\n")
  const fields = lines.map((line): [string, string] => {
    const colon = line.indexOf(":")
    if (colon <= 0) throw new Error(`not a field: ${JSON.stringify(line)}`)
    return [line.slice(0, colon), line.slice(colon + 1).trim()]
  })
  return { startLine, fields, length: end + 4 }
}

export interface Body {
  readonly bytes: Buffer
  readonly trailers: Head["fields"]
  /** Octets it took on the wire. */
  readonly length: number
}

/** How a message's body ends. `close`: with the connection. */
export type Framing =
  | { readonly kind: "none" }
  | { readonly kind: "length"; readonly length: number }
  | { readonly kind: "chunked" }
  | { readonly kind: "close" }

/** RFC 9112 §6.3 for a response to `method`. */
export function responseFraming(head: Head, method: string): Framing {
  const status = statusOf(head)
  if (method === "HEAD" || (status >= 100 && status < 200) || status === 204 || status === 304) return { kind: "none" }
  return declared(head) ?? { kind: "close" }
}

/** RFC 9112 §6.3 for a request. */
export function requestFraming(head: Head): Framing {
  return declared(head) ?? { kind: "none" }
}

function declared(head: Head): Framing | null {
  const codings = fieldValues(head, "transfer-encoding")
  const lengths = fieldValues(head, "content-length")
  if (codings.length > 0 && lengths.length > 0) throw new Error("both content-length and transfer-encoding")
  if (codings.length > 0) {
    if (codings.length !== 1 || codings[0].toLowerCase() !== "chunked") throw new Error(`transfer-encoding: ${codings.join(", ")}`)
    return { kind: "chunked" }
  }
  if (lengths.length === 0) return null
  if (lengths.length !== 1 || !/^\d+$/.test(lengths[0])) throw new Error(`content-length: ${lengths.join(", ")}`)
  return { kind: "length", length: Number(lengths[0]) }
}

export function statusOf(head: Head): number {
  const match = /^HTTP\/1\.[01] (\d{3}) ?/.exec(head.startLine)
  if (match === null) throw new Error(`not a status line: ${JSON.stringify(head.startLine)}`)
  return Number(match[1])
}

/** The body at the start of `bytes`, or null when more is needed. `ended`: no more will come. */
export function parseBody(bytes: Buffer, framing: Framing, ended: boolean): Body | null {
  switch (framing.kind) {
    case "none":
      return { bytes: Buffer.alloc(0), trailers: [], length: 0 }
    case "length":
      return bytes.length < framing.length ? null : { bytes: bytes.subarray(0, framing.length), trailers: [], length: framing.length }
    case "close":
      return ended ? { bytes, trailers: [], length: bytes.length } : null
    case "chunked":
      return parseChunked(bytes)
  }
}

function parseChunked(bytes: Buffer): Body | null {
  const parts: Buffer[] = []
  let at = 0
  for (;;) {
    const lineEnd = bytes.indexOf("\r\n", at, "latin1")
    if (lineEnd < 0) return null
    const line = bytes.toString("latin1", at, lineEnd)
    const match = /^([0-9A-Fa-f]{1,13})(?:[ \t]*;.*)?$/.exec(line)
    if (match === null) throw new Error(`not a chunk size: ${JSON.stringify(line)}`)
    const size = Number.parseInt(match[1], 16)
    at = lineEnd + 2
    if (size === 0) break
    if (bytes.length < at + size + 2) return null
    parts.push(bytes.subarray(at, at + size))
    at += size
    if (bytes[at] !== 13 || bytes[at + 1] !== 10) throw new Error("no CRLF after a chunk")
    at += 2
  }
  // The trailer section has the shape of a head's fields.
  if (bytes.length < at + 2) return null
  if (bytes[at] === 13 && bytes[at + 1] === 10) return { bytes: Buffer.concat(parts), trailers: [], length: at + 2 }
  const end = bytes.indexOf("\r\n\r\n", at, "latin1")
  if (end < 0) return null
  const trailers = parseHead(Buffer.concat([Buffer.from("x\r\n"), bytes.subarray(at, end + 4)]))
  return { bytes: Buffer.concat(parts), trailers: trailers?.fields ?? [], length: end + 4 }
}
