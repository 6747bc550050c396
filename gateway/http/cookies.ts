// The cookies of a request, as its client sends them (RFC 6265 §5.4): `name=value; name=value`. Of a name sent twice the first
// counts, as with most services. Nothing is decoded or unquoted.

import type { Fields } from "./fields.ts"

/** Pairs looked at; browsers keep at most 180 cookies of a site. */
const MAX_PAIRS = 256

/** All Cookie fields of a request as one: in HTTP/2 there may be several (RFC 9113 §8.2.3). Undefined = none. */
export function cookieHeader(fields: Fields): string | undefined {
  return fields.getCombined("cookie", "; ")
}

/** The value of cookie `name` in a header; undefined when it isn't there. */
export function cookieValue(header: string, name: string): string | undefined {
  let pairs = 0
  for (let start = 0; start < header.length && pairs < MAX_PAIRS; pairs++) {
    let end = header.indexOf(";", start)
    if (end === -1) end = header.length
    const value = start + name.length
    if (value < end && header.charCodeAt(value) === 0x3d && header.startsWith(name, start)) return header.slice(value + 1, end)
    // A semicolon and one space, or none as some clients write it.
    start = header.charCodeAt(end + 1) === 0x20 ? end + 2 : end + 1
  }
  return undefined
}
