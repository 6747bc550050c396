// The cookies of a request, as its client sends them (RFC 6265 §5.4): `name=value; name=value`. A pair that is not of that
// form is no cookie; of a name sent twice the first counts, as with most services. Nothing is decoded or unquoted.

import type { Fields } from "./fields.ts"

/** Pairs looked at; browsers keep at most 180 cookies of a site. */
const MAX_PAIRS = 256
/** Octets of a cookie header that is searched as it stands; a longer one is taken apart once. */
const SHORT = 512

const SEMICOLON = 0x3b

/** All Cookie fields of a request as one: in HTTP/2 there may be several (RFC 9113 §8.2.3). Undefined = none. */
export function cookieHeader(fields: Fields): string | undefined {
  return fields.getCombined("cookie", "; ")
}

/** The value of cookie `name` in a header; undefined when it isn't there, or not as it should be. */
export function cookieValue(header: string, name: string): string | undefined {
  let pairs = 0
  for (let start = 0; start < header.length && pairs < MAX_PAIRS; pairs++) {
    let end = header.indexOf(";", start)
    if (end === -1) end = header.length
    const value = start + name.length
    if (value < end && header.charCodeAt(value) === 0x3d && header.startsWith(name, start)) {
      const found = header.slice(value + 1, end)
      return isCookieValue(found) ? found : undefined
    }
    start = nextPair(header, end)
  }
  return undefined
}

/** Cookies of one request, looked at when the first one is asked for. Reused from request to request. */
export class CookieReader {
  #fields: Fields | null = null
  #header: string | undefined = undefined
  readonly #values = new Map<string, string>()

  /** Starts over with another request's fields. */
  reset(fields: Fields): void {
    this.#fields = fields
  }

  get(name: string): string | undefined {
    if (this.#fields !== null) this.#read(this.#fields)
    const header = this.#header
    if (header === undefined) return undefined
    return header.length <= SHORT ? cookieValue(header, name) : this.#values.get(name)
  }

  #read(fields: Fields): void {
    this.#fields = null
    const header = cookieHeader(fields)
    this.#header = header
    this.#values.clear()
    if (header === undefined || header.length <= SHORT) return
    let pairs = 0
    const seen = new Set<string>()
    for (let start = 0; start < header.length && pairs < MAX_PAIRS; pairs++) {
      let end = header.indexOf(";", start)
      if (end === -1) end = header.length
      const equals = header.indexOf("=", start)
      if (equals > start && equals < end) {
        const name = header.slice(start, equals)
        const value = header.slice(equals + 1, end)
        if (!seen.has(name) && isCookieValue(value)) this.#values.set(name, value)
        seen.add(name)
      }
      start = nextPair(header, end)
    }
  }
}

// Where the pair behind the one that ends at `end` begins: a semicolon and one space, or none as some clients write it.
function nextPair(header: string, end: number): number {
  return header.charCodeAt(end) === SEMICOLON && header.charCodeAt(end + 1) === 0x20 ? end + 2 : end + 1
}

// cookie-octets, in double quotes or not (RFC 6265 §4.1.1).
const VALUE = /^(?:[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*|"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")$/

/** Whether a text can be a cookie's value as it stands. */
function isCookieValue(text: string): boolean {
  return VALUE.test(text)
}
