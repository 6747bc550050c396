// Ranges of IP addresses.

import { ascii } from "./text"

/** The address that {@link readAddress} read last, IPv4 as IPv4-mapped IPv6, big-endian halves. */
let high: u64 = 0
let low: u64 = 0
let wasV4: boolean = false

const V4_MAPPED: u64 = 0x0000ffff00000000

/** Four decimal numbers of 0–255; `text` from `start` to `end`. */
function readV4(text: string, start: i32, end: i32): i64 {
  let value: i64 = 0
  let at = start
  for (let parts = 1; parts <= 4; parts++) {
    let part = 0
    const first = at
    while (at < end && at - first < 3) {
      const digit = <u32>text.charCodeAt(at) - 0x30
      if (digit > 9) break
      part = part * 10 + <i32>digit
      at++
    }
    // A leading zero means octal to some: refused.
    if (at == first || part > 255 || (at - first > 1 && text.charCodeAt(first) == 0x30)) return -1
    value = (value << 8) | <i64>part
    if (parts == 4) break
    if (at >= end || text.charCodeAt(at) != 0x2e) return -1
    at++
  }
  return at == end ? value : -1
}

/** Reads `10.0.0.1`, `2001:db8::1`, `::ffff:10.0.0.1` (which is the first form); a zone such as `%eth0` is dropped. */
function readAddress(text: string, start: i32, end: i32): boolean {
  wasV4 = false
  const zone = text.indexOf("%", start)
  if (zone >= 0 && zone < end) end = zone
  const colon = text.indexOf(":", start)
  if (colon < 0 || colon >= end) {
    const v4 = readV4(text, start, end)
    if (v4 < 0) return false
    wasV4 = true
    high = 0
    low = V4_MAPPED | <u64>v4
    return true
  }
  let words = 0 // 16-bit words read
  let gap = -1 // words before `::`
  let headHigh: u64 = 0
  let headLow: u64 = 0
  let at = start
  if (text.charCodeAt(at) == 0x3a) {
    if (at + 1 >= end || text.charCodeAt(at + 1) != 0x3a) return false
    gap = 0
    at += 2
  }
  while (at < end) {
    if (words == 8) return false
    let stop = at
    while (stop < end && text.charCodeAt(stop) != 0x3a) stop++
    let word: u64 = 0
    const dot = text.indexOf(".", at)
    if (dot >= 0 && dot < stop) {
      if (stop != end || words > 6) return false
      const v4 = readV4(text, at, stop)
      if (v4 < 0) return false
      headHigh = (headHigh << 32) | (headLow >> 32)
      headLow = (headLow << 32) | <u64>v4
      words += 2
      at = end
      break
    }
    if (stop == at || stop - at > 4) return false
    for (; at < stop; at++) {
      const code = text.charCodeAt(at)
      const lower = code | 0x20
      if (<u32>(code - 0x30) < 10) word = (word << 4) | <u64>(code - 0x30)
      else if (<u32>(lower - 0x61) < 6) word = (word << 4) | <u64>(lower - 0x57)
      else return false
    }
    headHigh = (headHigh << 16) | (headLow >> 48)
    headLow = (headLow << 16) | word
    words++
    if (at >= end) break
    at++
    if (at >= end) return false
    if (text.charCodeAt(at) == 0x3a) {
      if (gap >= 0) return false
      gap = words
      at++
    }
  }
  if (gap < 0) {
    if (words != 8) return false
    high = headHigh
    low = headLow
    return true
  }
  if (words > 7) return false
  // What follows the gap is at the end; what precedes it moves to the front.
  const tail = words - gap
  const tailBits = <u64>(tail * 16)
  const tailLow = tail >= 4 ? headLow : headLow & ((<u64>1 << tailBits) - 1)
  const tailHigh = tail <= 4 ? 0 : headHigh & ((<u64>1 << (tailBits - 64)) - 1)
  // The words before the gap, as a number of gap × 16 bits.
  let frontHigh: u64 = headHigh
  let frontLow: u64 = headLow
  for (let i = 0; i < tail; i++) {
    frontLow = (frontLow >> 16) | (frontHigh << 48)
    frontHigh >>= 16
  }
  for (let i = gap; i < 8; i++) {
    frontHigh = (frontHigh << 16) | (frontLow >> 48)
    frontLow <<= 16
  }
  high = frontHigh | tailHigh
  low = frontLow | tailLow
  return true
}

/** Reads an address that may carry a port, as `request.clientAddress` does: `10.0.0.1:80`, `[2001:db8::1]:80`. */
function readEndpoint(text: string): boolean {
  if (text.startsWith("[")) {
    const end = text.indexOf("]")
    return end > 0 && readAddress(text, 1, end)
  }
  const colon = text.indexOf(":")
  if (colon >= 0 && text.indexOf(":", colon + 1) < 0) return readAddress(text, 0, colon)
  return readAddress(text, 0, text.length)
}

function mask(bits: i32): u64 {
  return bits <= 0 ? 0 : bits >= 64 ? u64.MAX_VALUE : u64.MAX_VALUE << <u64>(64 - bits)
}

/**
 * A range of addresses. IPv4 addresses written as IPv6 (`::ffff:10.0.0.1`) are IPv4 addresses here.
 *
 * ```ts
 * const office = Cidr.parse("10.0.0.0/8")
 * if (office !== null && office.contains(request.peer.address)) return null
 * ```
 */
@final
export class Cidr {
  /** @internal */
  constructor(
    private readonly high: u64,
    private readonly low: u64,
    private readonly bits: i32,
  ) {}

  /** A range `10.0.0.0/8`, `2001:db8::/32`, or a single address; null if the text is neither. Bits behind the prefix are ignored. */
  static parse(text: string): Cidr | null {
    const slash = text.indexOf("/")
    if (!readAddress(text, 0, slash < 0 ? text.length : slash)) return null
    let bits: i64 = wasV4 ? 32 : 128
    if (slash >= 0) {
      const given = ascii.int(text.substring(slash + 1), -1)
      if (given < 0 || given > bits) return null
      bits = given
    }
    if (wasV4) bits += 96
    return new Cidr(high & mask(<i32>bits), low & mask(<i32>bits - 64), <i32>bits)
  }

  /** Whether the address, with or without a port, lies in it; false for what isn't an address. */
  contains(address: string): boolean {
    return readEndpoint(address) && this.holds()
  }

  /** @internal Of the address read last. */
  holds(): boolean {
    return (high & mask(this.bits)) == this.high && (low & mask(this.bits - 64)) == this.low
  }
}

/**
 * Several ranges.
 *
 * ```ts
 * let allowed = new CidrSet()
 *
 * export function configure(config: Config): void {
 *   allowed = config.cidrs("allow")
 * }
 *
 * export function onRequest(request: Request): Reply | null {
 *   return allowed.contains(request.peer.address) ? null : new Reply(403)
 * }
 * ```
 */
@final
export class CidrSet {
  private readonly ranges: Cidr[] = []

  /** Number of ranges. */
  get length(): i32 {
    return this.ranges.length
  }

  /** Adds a range or an address; false if the text is neither. */
  add(text: string): boolean {
    const range = Cidr.parse(text)
    if (range === null) return false
    this.ranges.push(range)
    return true
  }

  /** Whether the address, with or without a port, lies in one of them. */
  contains(address: string): boolean {
    if (!readEndpoint(address)) return false
    for (let i = 0; i < this.ranges.length; i++) {
      if (this.ranges[i].holds()) return true
    }
    return false
  }
}
