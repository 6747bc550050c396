// Reads the authority of a request (the Host field, or that of an absolute target): refuses what is not plainly one host
// with an optional port, and gives the host in the one spelling routes are looked up by.

import { isIPv6 } from "node:net"

const INVALID = 0
const PLAIN = 1
const UPPER = 2
const DOT = 3
const COLON = 4

/** Longest name DNS can carry (RFC 1035 §2.3.4), with its final dot. */
const MAX_HOST = 255

const KINDS: Uint8Array = (() => {
  const kinds = new Uint8Array(256)
  for (const c of "abcdefghijklmnopqrstuvwxyz0123456789-_") kinds[c.charCodeAt(0)] = PLAIN
  for (const c of "ABCDEFGHIJKLMNOPQRSTUVWXYZ") kinds[c.charCodeAt(0)] = UPPER
  kinds[0x2e] = DOT
  kinds[0x3a] = COLON
  return kinds
})()

/**
 * Host of `authority` in lower case, without port and final dot; an IPv6 address in brackets, in its shortest form. Null
 * when it is not one host (letters, digits, `-`, `_` and dots between labels; or an address) with an optional port of 1 to
 * 5 digits up to 65535: user information, escapes, empty names, labels and ports are refused.
 */
export function hostOf(authority: string): string | null {
  const length = authority.length
  let lower = true
  let end = 0
  let previous = DOT
  for (; end < length; end++) {
    const c = authority.charCodeAt(end)
    const kind = c < 256 ? KINDS[c] : INVALID
    if (kind === PLAIN) previous = PLAIN
    else if (kind === DOT && previous !== DOT) previous = DOT
    else if (kind === UPPER) {
      lower = false
      previous = PLAIN
    } else if (kind === COLON) break
    else return c === 0x5b && end === 0 ? ipv6Of(authority) : null
  }
  if (end < length && !isPort(authority, end + 1)) return null
  if (previous === DOT) end--
  if (end <= 0 || end > MAX_HOST) return null
  const host = end === length ? authority : authority.slice(0, end)
  return lower ? host : host.toLowerCase()
}

function ipv6Of(authority: string): string | null {
  const close = authority.indexOf("]")
  if (close === -1) return null
  const address = authority.slice(1, close)
  // A zone means nothing beyond the link it names (RFC 6874), and `node:net` would let it pass.
  if (address.includes("%") || !isIPv6(address)) return null
  if (close + 1 < authority.length && (authority.charCodeAt(close + 1) !== 0x3a || !isPort(authority, close + 2))) return null
  return new URL(`http://[${address}]`).hostname
}

function isPort(authority: string, start: number): boolean {
  const digits = authority.length - start
  if (digits < 1 || digits > 5) return false
  let port = 0
  for (let i = start; i < authority.length; i++) {
    const digit = authority.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return false
    port = port * 10 + digit
  }
  return port <= 65535
}
