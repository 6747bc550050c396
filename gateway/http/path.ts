// Brings the path of a request target into the one spelling that is matched and sent upstream, and refuses those that an
// upstream might read as another path. It never looks at the query.

/** What a listener does with the spellings of a path that parsers disagree on: a listener's `path` in the configuration. */
export interface PathPolicy {
  readonly encodedSlash: "reject" | "keep" | "decode"
  readonly encodedBackslash: "reject" | "keep" | "decode"
  readonly backslash: "reject" | "keep" | "slash"
  readonly nul: "reject" | "keep"
  readonly mergeSlashes: boolean
}

// What a path in normal form does not have; anything else is cleared by this one scan.
const ABNORMAL = /[^A-Za-z0-9\-._~!$&'()*+,;=:@/]|\/[./]/

const KEEP = 0
/** Valid, but spelled otherwise in the normal form. */
const ENCODE = 1
const PERCENT = 2
const BACKSLASH = 3
const REFUSE = 4

const KINDS: Uint8Array = (() => {
  const kinds = new Uint8Array(256).fill(REFUSE)
  for (let c = 0x80; c < 256; c++) kinds[c] = ENCODE
  for (const c of '"<>[]^`{|}') kinds[c.charCodeAt(0)] = ENCODE
  for (const c of "-._~!$&'()*+,;=:@/0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") kinds[c.charCodeAt(0)] = KEEP
  kinds[0x25] = PERCENT
  kinds[0x5c] = BACKSLASH
  return kinds
})()

/** Escapes of all octets, upper-case hex (RFC 3986 §6.2.2.1). */
const ESCAPES: readonly string[] = Array.from({ length: 256 }, (_, c) => `%${c.toString(16).toUpperCase().padStart(2, "0")}`)

// A dot segment for whoever takes a kept `%2F`, `%5C` or `\` for a separator, or cuts path parameters off at `;`.
const HIDDEN_DOTS = /(?:^|%2F|%5C|\\)\.\.?(?:$|;|%2F|%5C|\\)/
// What makes it necessary to look at a path segment by segment.
const SUSPECT = /\/[./]|(?:%2F|%5C|\\)\./

// Why paths are refused; none begins with a slash.
const ABOVE_ROOT = "its .. lead above the root"
const HIDDEN = "dots beside an encoded slash, a backslash or a semicolon may be .. to a service"
const MALFORMED = "a % without two hexadecimal digits behind it"
const FORBIDDEN = "a control, a space, or another character no path may have"
const NULS = "%00, which the listener's path.nul refuses"
const SLASHES = "%2F, which the listener's path.encodedSlash refuses"
const ENCODED_BACKSLASHES = "%5C, which the listener's path.encodedBackslash, or path.backslash, refuses"
const BACKSLASHES = "a backslash, which the listener's path.backslash refuses"

/**
 * The normal form of `path` (latin1, starting with `/`, without query), or null when it must be refused with 400: unreserved
 * characters are decoded, other escapes get upper-case hex, octets that RFC 3986 does not allow in a path are escaped, dot
 * segments removed, and `policy` applied to slashes, backslashes and NUL. A path already in normal form is returned as it is. `*` stays `*`.
 * Refused besides what `policy` says: malformed escapes, controls, climbing above the root, dot segments hidden behind a kept
 * `%2F`, `%5C`, `\` or before a `;`.
 */
export function normalizePath(path: string, policy: PathPolicy): string | null {
  if (path.charCodeAt(0) !== 0x2f) return path === "*" ? path : null
  if (!ABNORMAL.test(path)) return path
  const spelled = respell(path, policy)
  return spelled.charCodeAt(0) === 0x2f ? spelled : null
}

/** Why {@link normalizePath} refuses `path`; "" when it doesn't. */
export function pathRefusal(path: string, policy: PathPolicy): string {
  if (path.charCodeAt(0) !== 0x2f) return path === "*" ? "" : "it doesn't begin with a slash"
  const spelled = respell(path, policy)
  return spelled.charCodeAt(0) === 0x2f ? "" : spelled
}

// The normal form, which begins with a slash, or why there is none, which doesn't.
function respell(path: string, policy: PathPolicy): string {
  const decoded = decode(path, policy)
  if (decoded.charCodeAt(0) !== 0x2f || !SUSPECT.test(decoded)) return decoded
  const segments = decoded.split("/")
  const last = segments.length - 1
  const kept: string[] = []
  for (let i = 1; i <= last; i++) {
    const segment = segments[i]
    if (segment === "" || segment === "." || segment === "..") {
      if (segment === "..") {
        if (kept.length === 0) return ABOVE_ROOT
        kept.pop()
      }
      if (i === last || (segment === "" && !policy.mergeSlashes)) kept.push("")
    } else {
      if (HIDDEN_DOTS.test(segment)) return HIDDEN
      kept.push(segment)
    }
  }
  return `/${kept.join("/")}`
}

/** Everything but dot segments and repeated slashes: what is decoded here takes part in their removal. As {@link respell}. */
function decode(path: string, policy: PathPolicy): string {
  let out = ""
  let start = 0
  for (let i = 0; i < path.length; i++) {
    const c = path.charCodeAt(i)
    const kind = c < 256 ? KINDS[c] : REFUSE
    if (kind === KEEP) continue
    let piece: string | null = null
    let width = 1
    if (kind === PERCENT) {
      const high = hexDigit(path.charCodeAt(i + 1))
      const low = hexDigit(path.charCodeAt(i + 2))
      if (high < 0 || low < 0) return MALFORMED
      piece = decodeOctet(high * 16 + low, policy)
      width = 3
    } else if (kind === BACKSLASH) piece = backslash(policy)
    else if (kind === ENCODE) piece = ESCAPES[c]
    if (piece === null) return refusalOf(path.slice(i, i + width))
    out += path.slice(start, i) + piece
    i += width - 1
    start = i + 1
  }
  return out + path.slice(start)
}

function refusalOf(spelling: string): string {
  if (spelling === "\\") return BACKSLASHES
  if (spelling === "%00") return NULS
  if (spelling === "%2f" || spelling === "%2F") return SLASHES
  return spelling.length === 3 ? ENCODED_BACKSLASHES : FORBIDDEN
}

function decodeOctet(octet: number, policy: PathPolicy): string | null {
  if (octet === 0x2f) return policy.encodedSlash === "decode" ? "/" : policy.encodedSlash === "keep" ? "%2F" : null
  if (octet === 0x5c) return policy.encodedBackslash === "decode" ? backslash(policy) : policy.encodedBackslash === "keep" ? "%5C" : null
  if (octet === 0) return policy.nul === "keep" ? "%00" : null
  return isUnreserved(octet) ? String.fromCharCode(octet) : ESCAPES[octet]
}

function backslash(policy: PathPolicy): string | null {
  return policy.backslash === "slash" ? "/" : policy.backslash === "keep" ? "\\" : null
}

function hexDigit(c: number): number {
  if (c >= 0x30 && c <= 0x39) return c - 0x30
  const lower = c | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** RFC 3986 §2.3. */
function isUnreserved(c: number): boolean {
  const lower = c | 0x20
  return (lower >= 0x61 && lower <= 0x7a) || (c >= 0x30 && c <= 0x39) || c === 0x2d || c === 0x2e || c === 0x5f || c === 0x7e
}
