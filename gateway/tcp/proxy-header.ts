// Writes the PROXY protocol's header, with which a service learns whose connection it has got.

import { parseIp } from "../config/ip-address.ts"
import type { Address } from "../config/model.ts"

export type ProxyVersion = "v1" | "v2"

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n", "latin1")
const AUTHORITY = 0x02

/**
 * The octets to send before any other. `source`: the client; `destination`: where it connected to; both IP addresses,
 * unknown when one of them is none. `authority`: the name it asked for, which only version 2 can tell; "" = none.
 */
export function proxyHeader(version: ProxyVersion, source: Address, destination: Address, authority = ""): Buffer {
  const from = parseIp(source.host)
  const to = parseIp(destination.host)
  const known = from !== null && to !== null
  const four = known && from.version === 4 && to.version === 4
  if (version === "v1") {
    if (!known) return Buffer.from("PROXY UNKNOWN\r\n", "latin1")
    const [family, a, b] = four ? ["TCP4", source.host, destination.host] : ["TCP6", asSix(source.host), asSix(destination.host)]
    return Buffer.from(`PROXY ${family} ${a} ${b} ${source.port} ${destination.port}\r\n`, "latin1")
  }
  const size = known ? (four ? 4 : 16) : 0
  const name = Buffer.from(authority, "latin1")
  const header = Buffer.alloc(16 + (known ? 2 * size + 4 : 0) + (name.length > 0 ? 3 + name.length : 0))
  SIGNATURE.copy(header)
  header[12] = 0x21
  header[13] = known ? (four ? 0x11 : 0x21) : 0x00
  header.writeUInt16BE(header.length - 16, 14)
  let at = 16
  if (known) {
    at = writeAddress(header, at, from.words, size)
    at = writeAddress(header, at, to.words, size)
    at = header.writeUInt16BE(source.port, at)
    at = header.writeUInt16BE(destination.port, at)
  }
  if (name.length > 0) {
    header[at] = AUTHORITY
    header.writeUInt16BE(name.length, at + 1)
    name.copy(header, at + 3)
  }
  return header
}

/** An IPv4 address beside an IPv6 one is written in the latter's form. */
function asSix(host: string): string {
  return host.includes(":") ? host : `::ffff:${host}`
}

function writeAddress(header: Buffer, at: number, words: readonly number[], size: number): number {
  if (size === 16 && words.length === 1) header.writeUInt32BE(0xffff, at + 8)
  let i = at + size - 4 * words.length
  for (const word of words) i = header.writeUInt32BE(word, i)
  return i
}
