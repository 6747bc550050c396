// IP addresses and ranges of them (CIDR, RFC 4632), from text and in one spelling (RFC 5952). Every parser of Sluice reads
// addresses by this one, so that no two parts can take one text for different addresses.

import { quote, Wrong } from "./units.ts"

/** An address. That of an IPv4 host written as IPv6 (`::ffff:10.0.0.1`) is an IPv4 address. */
export interface IpAddress {
  readonly version: 4 | 6
  /** 32 bits each, the most significant first; an IPv4 address is one word. */
  readonly words: readonly number[]
}

/** Addresses that have their first `bits` bits in common. */
export interface IpRange {
  readonly address: IpAddress
  readonly bits: number
}

/** Longest text of an IPv6 address. */
const MAX_TEXT = 45
const OCTET = /^(?:0|[1-9]\d{0,2})$/
const GROUP = /^[0-9a-f]{1,4}$/i

/** Null: not an address. Leading zeros, zones (`%eth0`) and other forms that not everyone reads alike are none. */
export function parseIp(text: string): IpAddress | null {
  if (text.length > MAX_TEXT) return null
  if (!text.includes(":")) {
    const word = parseFour(text)
    return word === null ? null : { version: 4, words: [word] }
  }
  const words = parseSix(text)
  return words === null ? null : ipAddress(words)
}

/** The address of four words, or of one. */
export function ipAddress(words: readonly number[]): IpAddress {
  if (words.length === 1) return { version: 4, words }
  const mapped = words[0] === 0 && words[1] === 0 && words[2] === 0xffff
  return mapped ? { version: 4, words: [words[3]] } : { version: 6, words }
}

function parseFour(text: string): number | null {
  const parts = text.split(".")
  if (parts.length !== 4) return null
  let word = 0
  for (const part of parts) {
    if (!OCTET.test(part) || Number(part) > 255) return null
    word = word * 256 + Number(part)
  }
  return word
}

function parseSix(text: string): number[] | null {
  const gap = text.indexOf("::")
  if (gap !== text.lastIndexOf("::")) return null
  const head = groupsOf(gap < 0 ? text : text.slice(0, gap), gap < 0)
  const tail = gap < 0 ? [] : groupsOf(text.slice(gap + 2), true)
  if (head === null || tail === null) return null
  const missing = 8 - head.length - tail.length
  if (gap < 0 ? missing !== 0 : missing < 1) return null
  const groups = [...head, ...Array.from({ length: missing }, () => 0), ...tail]
  return [0, 2, 4, 6].map((i) => groups[i] * 0x10000 + groups[i + 1])
}

// `last`: the text ends the address, and so may end in an IPv4 address.
function groupsOf(text: string, last: boolean): number[] | null {
  if (text === "") return []
  const groups: number[] = []
  const parts = text.split(":")
  for (let i = 0; i < parts.length; i++) {
    if (GROUP.test(parts[i])) {
      groups.push(Number.parseInt(parts[i], 16))
      continue
    }
    const word = last && i === parts.length - 1 ? parseFour(parts[i]) : null
    if (word === null) return null
    groups.push(word >>> 16, word & 0xffff)
  }
  return groups
}

/** In its one spelling. */
export function formatIp({ version, words }: IpAddress): string {
  if (version === 4) return `${words[0] >>> 24}.${(words[0] >>> 16) & 255}.${(words[0] >>> 8) & 255}.${words[0] & 255}`
  const groups = words.flatMap((word) => [word >>> 16, word & 0xffff])
  // The longest run of at least two zeros is left out, the first of several.
  let at = -1
  let length = 1
  for (let i = 0; i < 8; i++) {
    let end = i
    while (end < 8 && groups[end] === 0) end++
    if (end - i > length) {
      at = i
      length = end - i
    }
  }
  const hex = groups.map((group) => group.toString(16))
  return at < 0 ? hex.join(":") : `${hex.slice(0, at).join(":")}::${hex.slice(at + length).join(":")}`
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. */
export function parseIpRange(text: string): IpRange | Wrong {
  const slash = text.indexOf("/")
  const written = slash < 0 ? text : text.slice(0, slash)
  const address = parseIp(written)
  if (address === null) return new Wrong(`${quote(text)} is not an IP address or a range of them; write one, such as 10.0.0.0/8 or ::1`)
  const all = address.version === 4 ? 32 : 128
  if (slash < 0) return { address, bits: all }
  const length = text.slice(slash + 1)
  // A range of IPv4 addresses in their IPv6 form counts 96 bits more.
  const extra = address.version === 4 && written.includes(":") ? 96 : 0
  const bits = /^(?:0|[1-9]\d{0,2})$/.test(length) ? Number(length) - extra : -1
  if (bits < 0 || bits > all)
    return new Wrong(`${quote(`/${length}`)} is not the length of such a range; write a number from ${extra} to ${all + extra}`)
  const first = { version: address.version, words: address.words.map((word, i) => masked(word, bits - 32 * i)) }
  if (first.words.some((word, i) => word !== address.words[i]))
    return new Wrong(
      `${quote(text)} is not the beginning of a range; write ${formatIp(first)}/${bits}, or ${formatIp(address)} for the one address`,
    )
  return { address, bits }
}

/** The range as it is written. */
export function formatIpRange({ address, bits }: IpRange): string {
  return bits === 32 * address.words.length ? formatIp(address) : `${formatIp(address)}/${bits}`
}

/** `word` with only its first `bits` bits. */
function masked(word: number, bits: number): number {
  if (bits >= 32) return word
  return bits <= 0 ? 0 : (word & (-1 << (32 - bits))) >>> 0
}
