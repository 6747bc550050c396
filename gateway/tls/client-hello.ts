// Reads which server name and protocols a TLS client asks for, out of its first message (ClientHello, RFC 8446 §4.1.2), however
// that is cut into records and segments. It decrypts nothing, answers nothing, and leaves the octets as they are.

/** Octets a ClientHello may take up, with the heads of its records. */
export const CLIENT_HELLO_LIMIT = 16384
/** Protocols a client may offer (ALPN), and signatures. */
const PROTOCOLS_LIMIT = 64
const SIGNATURES_LIMIT = 128

/** What has come so far can become a ClientHello. */
export const UNFINISHED = 0

export interface ClientHello {
  /** Name of the server it wants (SNI, RFC 6066 §3), lower case; "" = it didn't say. */
  readonly serverName: string
  /** Protocols it offers, the best first (ALPN, RFC 7301). */
  readonly protocols: readonly string[]
  /** Signatures it can check (RFC 8446 §4.2.3), the best first; empty = it didn't say. */
  readonly signatures: readonly number[]
  /** It speaks TLS 1.3. */
  readonly tls13: boolean
  /** Of its suites for TLS 1.2, some are for ECDSA certificates, and some for RSA ones. */
  readonly ecdsaSuites: boolean
  readonly rsaSuites: boolean
}

const HANDSHAKE = 22
const CLIENT_HELLO = 1
const RECORD_HEAD = 5
const MESSAGE_HEAD = 4

/** One connection's first message. It remembers how far it has looked, so that octets that drip in are each looked at once. */
export class ClientHelloReader {
  /** Of the record looked at. */
  #record = 0
  /** Octets of the message in the records before it. */
  #before = 0
  /** Of the whole message, with its head; 0 = not known yet. */
  #length = 0
  /** Where its first octets stand: they may be in four records. */
  #head = 0

  /** Looks at octets `[0, length)` of `bytes`: all that has come so far, from the connection's first. A text: why it is refused. */
  read(bytes: Buffer, length: number): ClientHello | typeof UNFINISHED | string {
    for (;;) {
      const at = this.#record
      if (length > at && bytes[at] !== HANDSHAKE) return "no ClientHello"
      if (length > at + 1 && bytes[at + 1] !== 3) return "no ClientHello"
      const body = at + RECORD_HEAD
      if (body > CLIENT_HELLO_LIMIT) return "ClientHello too long"
      if (length < body) return UNFINISHED
      const size = bytes.readUInt16BE(at + 3)
      if (size === 0) return "empty record"
      if (body + size > CLIENT_HELLO_LIMIT) return "ClientHello too long"
      // The message's head: type and length, wherever they are cut.
      for (let i = Math.max(0, this.#head - this.#before); this.#head < MESSAGE_HEAD && i < size && body + i < length; i++) {
        const octet = bytes[body + i]
        if (this.#head === 0) {
          if (octet !== CLIENT_HELLO) return "no ClientHello"
        } else this.#length = this.#length * 256 + octet
        this.#head++
        if (this.#head < MESSAGE_HEAD) continue
        this.#length += MESSAGE_HEAD
        if (this.#length > CLIENT_HELLO_LIMIT) return "ClientHello too long"
      }
      if (this.#head === MESSAGE_HEAD) {
        const rest = this.#length - this.#before
        if (size > rest) return "octets behind the ClientHello"
        if (size === rest) {
          if (length < body + size) return UNFINISHED
          return this.#before === 0 ? parseHello(bytes, body, body + size) : this.#assemble(bytes, body + size)
        }
      }
      if (length < body + size) return UNFINISHED
      this.#before += size
      this.#record = body + size
    }
  }

  // Of several records: put together without their heads, once, when the last has come.
  #assemble(bytes: Buffer, end: number): ClientHello | string {
    const message = Buffer.allocUnsafe(this.#length)
    let written = 0
    for (let at = 0; at < end; ) {
      const body = at + RECORD_HEAD
      at = body + bytes.readUInt16BE(at + 3)
      written += bytes.copy(message, written, body, at)
    }
    return parseHello(message, 0, written)
  }
}

const SERVER_NAME = 0
const SIGNATURE_ALGORITHMS = 13
const ALPN = 16
const SUPPORTED_VERSIONS = 43
const TLS13 = 0x0304

// Bits of the extensions seen.
const BITS: Readonly<Record<number, number>> = { [SERVER_NAME]: 1, [ALPN]: 2, [SIGNATURE_ALGORITHMS]: 4, [SUPPORTED_VERSIONS]: 8 }

/** ECDHE_ECDSA suites for TLS 1.2 that some runtime has: AES-GCM, ChaCha20, AES-CBC, AES-CCM. */
const ECDSA_SUITES: ReadonlySet<number> = new Set([0xc02b, 0xc02c, 0xcca9, 0xc009, 0xc00a, 0xc023, 0xc024, 0xc0ac, 0xc0ad, 0xc0ae, 0xc0af])
/** The same of ECDHE_RSA, DHE_RSA and RSA. */
const RSA_SUITES: ReadonlySet<number> = new Set([
  0xc02f, 0xc030, 0xcca8, 0xc013, 0xc014, 0xc027, 0xc028, 0x009c, 0x009d, 0x002f, 0x0035, 0x003c, 0x003d, 0x009e, 0x009f, 0xccaa, 0x0033,
  0x0039, 0x0067, 0x006b,
])

/** The message in octets `[from, to)`. */
function parseHello(bytes: Buffer, from: number, to: number): ClientHello | string {
  // legacy_version, random
  let at = from + MESSAGE_HEAD + 34
  if (at + 1 > to || bytes[from + MESSAGE_HEAD] !== 3) return MALFORMED
  const session = bytes[at]
  at += 1 + session
  if (session > 32 || at + 2 > to) return MALFORMED
  const suites = bytes.readUInt16BE(at)
  const firstSuite = at + 2
  at = firstSuite + suites
  if (suites < 2 || suites % 2 !== 0 || at + 1 > to) return MALFORMED
  let ecdsaSuites = false
  let rsaSuites = false
  for (let i = firstSuite; i < at; i += 2) {
    const suite = bytes.readUInt16BE(i)
    ecdsaSuites ||= ECDSA_SUITES.has(suite)
    rsaSuites ||= RSA_SUITES.has(suite)
  }
  const methods = bytes[at]
  at += 1 + methods
  if (methods < 1 || at > to) return MALFORMED
  let serverName = ""
  let protocols: readonly string[] = []
  let signatures: readonly number[] = []
  let tls13 = false
  // TLS 1.2 and before may have no extensions at all.
  if (at < to) {
    if (at + 2 > to || at + 2 + bytes.readUInt16BE(at) !== to) return MALFORMED
    at += 2
  }
  let seen = 0
  while (at < to) {
    if (at + 4 > to) return MALFORMED
    const type = bytes.readUInt16BE(at)
    const body = at + 4
    at = body + bytes.readUInt16BE(at + 2)
    if (at > to) return MALFORMED
    const bit = BITS[type]
    if (bit === undefined) continue
    if ((seen & bit) !== 0) return "extension given twice"
    seen |= bit
    if (type === SERVER_NAME) {
      serverName = parseServerName(bytes, body, at)
      if (serverName === "") return "server name that is none"
    } else if (type === ALPN) {
      const found = parseProtocols(bytes, body, at)
      if (found === null) return MALFORMED
      protocols = found
    } else if (type === SIGNATURE_ALGORITHMS) {
      const found = parseNumbers(bytes, body, at, 2)
      if (found === null || found.length > SIGNATURES_LIMIT) return MALFORMED
      signatures = found
    } else {
      const versions = parseNumbers(bytes, body, at, 1)
      if (versions === null) return MALFORMED
      tls13 = versions.includes(TLS13)
    }
  }
  return { serverName, protocols, signatures, tls13, ecdsaSuites, rsaSuites }
}

/** Numbers of two octets, behind a length of `head` octets. */
function parseNumbers(bytes: Buffer, from: number, to: number, head: 1 | 2): number[] | null {
  if (to - from < head + 2) return null
  const length = head === 1 ? bytes[from] : bytes.readUInt16BE(from)
  if (length % 2 !== 0 || from + head + length !== to) return null
  const numbers: number[] = []
  for (let i = from + head; i < to; i += 2) numbers.push(bytes.readUInt16BE(i))
  return numbers
}

const MALFORMED = "malformed ClientHello"

/** "" = not exactly one host name. */
function parseServerName(bytes: Buffer, from: number, to: number): string {
  if (to - from < 5 || bytes.readUInt16BE(from) !== to - from - 2) return ""
  if (bytes[from + 2] !== 0 || bytes.readUInt16BE(from + 3) !== to - from - 5) return ""
  const name = bytes.toString("latin1", from + 5, to)
  return name.length <= 253 && /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i.test(name) ? name.toLowerCase() : ""
}

function parseProtocols(bytes: Buffer, from: number, to: number): string[] | null {
  if (to - from < 4 || bytes.readUInt16BE(from) !== to - from - 2) return null
  const protocols: string[] = []
  for (let at = from + 2; at < to; ) {
    const next = at + 1 + bytes[at]
    if (next === at + 1 || next > to || protocols.length === PROTOCOLS_LIMIT) return null
    protocols.push(bytes.toString("latin1", at + 1, next))
    at = next
  }
  return protocols
}
