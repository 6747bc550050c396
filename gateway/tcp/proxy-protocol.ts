// Reads the PROXY protocol's header, versions 1 and 2 (haproxy.org, proxy-protocol.txt), from the first octets of a
// connection. It looks at what has come so far and keeps nothing; whether the sender is to be believed is its caller's matter.

import { formatIp, ipAddress, parseIp } from "../config/ip-address.ts"
import { crc32c } from "./crc32c.ts"

/** Octets of a version 1 header with its CRLF. */
export const V1_LIMIT = 107
/** Octets of a version 2 header with its TLVs: the specification's own allows 65551. */
export const V2_LIMIT = 16 + 4096
/** Octets of a unique ID. */
const UNIQUE_ID_LIMIT = 128

/** What a header tells. */
export interface ProxyHeader {
  /** Octets it takes up. */
  readonly length: number
  /** Null: the sender speaks for itself (LOCAL), or doesn't know (UNKNOWN, UNSPEC, UNIX): the connection's own addresses are good. */
  readonly addresses: ProxiedAddresses | null
  /** The name the client asked for (PP2_TYPE_AUTHORITY), lower case; "" = none, or none that could be a host name. */
  readonly authority: string
  /** The sender's name for the connection (PP2_TYPE_UNIQUE_ID): itself if it is printable ASCII, else in hexadecimal. */
  readonly uniqueId: string
}

export interface ProxiedAddresses {
  readonly sourceAddress: string
  readonly sourcePort: number
  readonly destinationAddress: string
  readonly destinationPort: number
}

/** What has come so far can become a header. */
export const UNFINISHED = 0
/** It can't be one: why. */
export type Refusal = string

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1")
const V1_PREFIX = Buffer.from("PROXY ", "latin1")
const V2_HEAD = 16

/** Reads the header that octets `[from, to)` begin with. */
export function readProxyHeader(bytes: Buffer, from: number, to: number): ProxyHeader | typeof UNFINISHED | Refusal {
  if (from >= to) return UNFINISHED
  if (bytes[from] === SIGNATURE[0]) return readV2(bytes, from, to)
  for (let i = 0; i < V1_PREFIX.length && from + i < to; i++) if (bytes[from + i] !== V1_PREFIX[i]) return "no header"
  return readV1(bytes, from, to)
}

// ------------------------------------------------------------------------------------------------------------ version 1

function readV1(bytes: Buffer, from: number, to: number): ProxyHeader | typeof UNFINISHED | Refusal {
  const end = Math.min(to, from + V1_LIMIT)
  for (let i = from; i < end; i++) {
    const octet = bytes[i]
    if (octet === 0x0d) {
      // The CR is the last octet there may be room for, or it is followed by LF.
      if (i + 1 >= from + V1_LIMIT) return "header too long"
      if (i + 1 >= to) return UNFINISHED
      return bytes[i + 1] === 0x0a ? parseV1(bytes.toString("latin1", from, i), i + 2 - from) : "bare CR"
    }
    if (octet < 0x20 || octet > 0x7e) return "control octet"
  }
  return to - from >= V1_LIMIT ? "header too long" : UNFINISHED
}

const PORT = /^(?:0|[1-9]\d{0,4})$/

function parseV1(line: string, length: number): ProxyHeader | Refusal {
  const parts = line.split(" ")
  // Whatever follows UNKNOWN is to be ignored.
  if (parts[1] === "UNKNOWN") return { length, addresses: null, authority: "", uniqueId: "" }
  if (parts[1] !== "TCP4" && parts[1] !== "TCP6") return "unknown family"
  if (parts.length !== 6) return "wrong number of fields"
  const colon = parts[1] === "TCP6"
  const source = parseIp(parts[2])
  const destination = parseIp(parts[3])
  if (source === null || destination === null || parts[2].includes(":") !== colon || parts[3].includes(":") !== colon)
    return "no such address"
  const [sourcePort, destinationPort] = [Number(parts[4]), Number(parts[5])]
  if (!PORT.test(parts[4]) || !PORT.test(parts[5]) || sourcePort > 65535 || destinationPort > 65535) return "no such port"
  const addresses = { sourceAddress: formatIp(source), sourcePort, destinationAddress: formatIp(destination), destinationPort }
  return { length, addresses, authority: "", uniqueId: "" }
}

// ------------------------------------------------------------------------------------------------------------ version 2

/** Octets of the addresses, by family and transport; those of UNSPEC and UNIX are passed over. */
function addressLength(family: number): number {
  switch (family) {
    case 0x00:
      return 0
    case 0x11:
      return 12
    case 0x21:
      return 36
    case 0x31:
      return 216
    default:
      // Datagrams don't come this way, and other values must be rejected.
      return -1
  }
}

function readV2(bytes: Buffer, from: number, to: number): ProxyHeader | typeof UNFINISHED | Refusal {
  const known = Math.min(to - from, SIGNATURE.length)
  for (let i = 0; i < known; i++) if (bytes[from + i] !== SIGNATURE[i]) return "no header"
  if (to - from > 12 && bytes[from + 12] !== 0x20 && bytes[from + 12] !== 0x21) return "unknown version or command"
  if (to - from < V2_HEAD) return UNFINISHED
  const length = V2_HEAD + bytes.readUInt16BE(from + 14)
  if (length > V2_LIMIT) return "header too long"
  const local = bytes[from + 12] === 0x20
  const family = bytes[from + 13]
  const needed = addressLength(family)
  // Of a LOCAL connection nothing but the length is looked at.
  if (!local && needed < 0) return "unknown family"
  if (!local && length < V2_HEAD + needed) return "header too short for its addresses"
  if (to - from < length) return UNFINISHED
  if (local) return { length, addresses: null, authority: "", uniqueId: "" }
  return parseV2(bytes, from, length, family, needed)
}

/** Addresses and TLVs of a PROXY command. */
function parseV2(bytes: Buffer, from: number, length: number, family: number, needed: number): ProxyHeader | Refusal {
  const at = from + V2_HEAD
  let addresses: ProxiedAddresses | null = null
  if (family === 0x11 || family === 0x21) {
    const size = family === 0x11 ? 4 : 16
    addresses = {
      sourceAddress: addressAt(bytes, at, size),
      sourcePort: bytes.readUInt16BE(at + 2 * size),
      destinationAddress: addressAt(bytes, at + size, size),
      destinationPort: bytes.readUInt16BE(at + 2 * size + 2),
    }
  }
  const end = from + length
  let authority = ""
  let uniqueId = ""
  let seen = 0
  for (let i = at + needed; i < end; ) {
    if (end - i < 3) return "TLV cut short"
    const type = bytes[i]
    const value = i + 3
    const next = value + bytes.readUInt16BE(i + 1)
    if (next > end) return "TLV cut short"
    i = next
    const bit = type === AUTHORITY ? 1 : type === UNIQUE_ID ? 2 : type === CRC32C ? 4 : 0
    if ((seen & bit) !== 0) return "TLV given twice"
    seen |= bit
    if (type === AUTHORITY) authority = hostName(bytes.toString("latin1", value, next))
    else if (type === UNIQUE_ID) {
      if (next - value > UNIQUE_ID_LIMIT) return "unique ID too long"
      const text = bytes.toString("latin1", value, next)
      uniqueId = /^[!-~]*$/.test(text) ? text : bytes.toString("hex", value, next)
    } else if (type === CRC32C) {
      if (next - value !== 4 || bytes.readUInt32BE(value) !== crc32c(bytes, from, end, value)) return "wrong checksum"
    }
  }
  return { length, addresses, authority, uniqueId }
}

const AUTHORITY = 0x02
const CRC32C = 0x03
const UNIQUE_ID = 0x05

function addressAt(bytes: Buffer, at: number, size: number): string {
  const words: number[] = []
  for (let i = 0; i < size; i += 4) words.push(bytes.readUInt32BE(at + i))
  return formatIp(ipAddress(words))
}

function hostName(text: string): string {
  return text.length <= 253 && /^[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i.test(text) ? text.toLowerCase() : ""
}
