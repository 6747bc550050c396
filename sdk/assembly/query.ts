// The parameters behind the `?` of a path.

import { decode } from "./text"

/** One parameter, decoded. */
@final
export class QueryParameter {
  constructor(
    public readonly name: string,
    public readonly value: string,
  ) {}
}

/**
 * The query of a request, decoded as a browser's `URLSearchParams` does: `%41` is `A`, `+` is a space. Names are
 * case-sensitive. A copy of the moment it was asked for; it doesn't change the request.
 *
 * ```ts
 * const page = request.query.get("page")
 * ```
 */
@final
export class Query {
  private readonly list: QueryParameter[] = []

  /** @param text the query without its `?`. */
  constructor(text: string) {
    let start = 0
    while (start < text.length) {
      let end = text.indexOf("&", start)
      if (end < 0) end = text.length
      if (end > start) {
        let split = text.indexOf("=", start)
        if (split < 0 || split > end) split = end
        this.list.push(new QueryParameter(decodeComponent(text, start, split), decodeComponent(text, split + 1, end)))
      }
      start = end + 1
    }
  }

  /** The first value of a parameter; null if it is absent, "" if it has no value. */
  get(name: string): string | null {
    for (let i = 0; i < this.list.length; i++) {
      if (this.list[i].name == name) return this.list[i].value
    }
    return null
  }

  /** Every value of a parameter, in order. */
  getAll(name: string): string[] {
    const values: string[] = []
    for (let i = 0; i < this.list.length; i++) {
      if (this.list[i].name == name) values.push(this.list[i].value)
    }
    return values
  }

  /** Whether the parameter occurs at all. */
  has(name: string): bool {
    return this.get(name) !== null
  }

  /** All parameters in order. */
  entries(): QueryParameter[] {
    return this.list
  }
}

function hexDigit(code: i32): i32 {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}

/** A `%` that no two hex digits follow stays as it is. */
function decodeComponent(text: string, start: i32, end: i32): string {
  let plain = true
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code == 0x25 || code == 0x2b) {
      plain = false
      break
    }
  }
  if (plain) return start < end ? text.substring(start, end) : ""
  const source = String.UTF8.encode(text.substring(start, end))
  const from = changetype<usize>(source)
  const size = source.byteLength
  const target = new ArrayBuffer(size)
  const to = changetype<usize>(target)
  let length = 0
  for (let i = 0; i < size; i++) {
    let byte = <i32>load<u8>(from + i)
    if (byte == 0x2b) {
      byte = 0x20
    } else if (byte == 0x25 && i + 2 < size) {
      const high = hexDigit(load<u8>(from + i + 1))
      const low = hexDigit(load<u8>(from + i + 2))
      if (high >= 0 && low >= 0) {
        byte = (high << 4) | low
        i += 2
      }
    }
    store<u8>(to + length, byte)
    length++
  }
  return decode(to, length)
}
