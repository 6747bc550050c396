// Tells what a client speaks by its first octets: TLS, HTTP/2 without TLS, HTTP/1, or something else. It decides as soon as no
// other answer is possible, and reads no further than it must.

/** More octets are needed. */
export const UNDECIDED = 0
export const TLS = 1
export const HTTP1 = 2
export const HTTP2 = 3
export const OTHER = 4
export type Detected = typeof UNDECIDED | typeof TLS | typeof HTTP1 | typeof HTTP2 | typeof OTHER

/** Octets of a line that begins like a request's, after which it is taken for one: the HTTP codec has limits of its own. */
export const LINE_LIMIT = 8192
/** Octets of a method: longer words begin no request. */
const METHOD_LIMIT = 32

/** RFC 9113 §3.4. */
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1")
const VERSION = Buffer.from("HTTP/", "latin1")

const METHOD = 0
const TARGET = 1
const PROTOCOL = 2

/** One connection's first octets. It remembers how far it has looked. */
export class ProtocolDetector {
  #at = 0
  #part: number = METHOD
  /** Where {@link #part} begins. */
  #start = 0

  /** Looks at octets `[0, length)` of `bytes`: all that has come so far, from the connection's first. */
  read(bytes: Buffer, length: number): Detected {
    if (length === 0) return UNDECIDED
    if (bytes[0] === 0x16) return tls(bytes, length)
    const http1 = this.#requestLine(bytes, length)
    // The preface's first line is a request's too, of a method and version that HTTP/1 has not.
    const known = Math.min(length, PREFACE.length)
    for (let i = 0; i < known; i++) if (bytes[i] !== PREFACE[i]) return http1
    return length >= PREFACE.length ? HTTP2 : UNDECIDED
  }

  // RFC 9112 §3: method SP target SP HTTP/…, behind at most one empty line.
  #requestLine(bytes: Buffer, length: number): Detected {
    while (this.#at < length) {
      const i = this.#at
      const octet = bytes[i]
      const within = i - this.#start
      if (this.#part === METHOD) {
        if (i === 0 && octet === 0x0d) {
          // CRLF before the request.
        } else if (i === 1 && bytes[0] === 0x0d) {
          if (octet !== 0x0a) return OTHER
          this.#start = 2
        } else if (octet === 0x20) {
          if (within === 0) return OTHER
          this.#part = TARGET
          this.#start = i + 1
        } else if (!isToken(octet) || within >= METHOD_LIMIT) return OTHER
      } else if (this.#part === TARGET) {
        if (octet === 0x20) {
          if (within === 0) return OTHER
          this.#part = PROTOCOL
          this.#start = i + 1
        } else if (octet <= 0x20 || octet >= 0x7f) return OTHER
      } else {
        if (octet !== VERSION[within]) return OTHER
        if (within === VERSION.length - 1) return HTTP1
      }
      if (i >= LINE_LIMIT) return HTTP1
      this.#at++
    }
    return UNDECIDED
  }
}

// A handshake record of TLS 1.x that begins with a ClientHello.
function tls(bytes: Buffer, length: number): Detected {
  if (length > 1 && bytes[1] !== 3) return OTHER
  if (length > 2 && bytes[2] > 4) return OTHER
  if (length > 3 && bytes[3] > 0x40) return OTHER
  if (length > 5) return bytes[5] === 1 ? TLS : OTHER
  return UNDECIDED
}

/** RFC 9110 §5.6.2. */
function isToken(octet: number): boolean {
  if ((octet >= 0x41 && octet <= 0x5a) || (octet >= 0x61 && octet <= 0x7a) || (octet >= 0x30 && octet <= 0x39)) return true
  return octet < 0x7f && octet > 0x20 && "!#$%&'*+-.^_`|~".includes(String.fromCharCode(octet))
}
