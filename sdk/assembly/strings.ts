// Small readings of text that header fields ask for.

import { ascii } from "./text"

/**
 * Text helpers that know ASCII only, as header fields, hosts and methods do.
 *
 * ```ts
 * if (strings.equalsIgnoreCase(request.host, "Example.com")) …
 * const methods = strings.list("GET, POST")        // ["GET", "POST"]
 * ```
 */
export namespace strings {
  /** In lower case. */
  export function lower(value: string): string {
    return ascii.lower(value)
  }

  /** In upper case. */
  export function upper(value: string): string {
    return ascii.upper(value)
  }

  /** Whether both are the same, but for the case of ASCII letters. */
  export function equalsIgnoreCase(a: string, b: string): boolean {
    return a.length == b.length && ascii.lower(a) == ascii.lower(b)
  }

  /** The items of a list separated by commas, without the white space around them and without empty ones. */
  export function list(value: string): string[] {
    const items: string[] = []
    let start = 0
    while (start <= value.length) {
      let end = value.indexOf(",", start)
      if (end < 0) end = value.length
      const item = value.substring(start, end).trim()
      if (item.length > 0) items.push(item)
      start = end + 1
    }
    return items
  }

  /** A whole decimal number such as `-12`; `fallback` if the text is anything else, or beyond 18 digits. */
  export function int(value: string | null, fallback: i64 = 0): i64 {
    return value === null ? fallback : ascii.int(value, fallback)
  }
}
