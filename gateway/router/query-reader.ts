// The query parameters of a request, for matches and keys: decoded, the first of a name.

/** Longest query that is searched as it stands; a longer one is taken apart once. */
const SHORT_QUERY = 256

const UNREAD = 0
/** Short and without escapes. */
const PLAIN = 1
const PARSED = 2

/** Parameters of one query, looked at when the first one is asked for. Reused from request to request. */
export class QueryReader {
  #query: string | undefined = undefined
  #state: typeof UNREAD | typeof PLAIN | typeof PARSED = UNREAD
  readonly #values = new Map<string, string>()

  /** Starts over with another request's query. */
  reset(query: string | undefined): void {
    this.#query = query
    this.#state = UNREAD
  }

  /** Decoded value of the first parameter called `name`, as octets; "" when it has no `=`. */
  get(name: string): string | undefined {
    const query = this.#query
    if (query === undefined) return undefined
    if (this.#state === UNREAD) {
      if (query.length <= SHORT_QUERY && !query.includes("%") && !query.includes("+")) this.#state = PLAIN
      else this.#parse(query)
    }
    return this.#state === PLAIN ? plainParameter(query, name) : this.#values.get(name)
  }

  #parse(query: string): void {
    this.#state = PARSED
    this.#values.clear()
    let start = 0
    while (start <= query.length) {
      let end = query.indexOf("&", start)
      if (end === -1) end = query.length
      if (end > start) {
        const equals = query.indexOf("=", start)
        const nameEnd = equals === -1 || equals > end ? end : equals
        const name = decodeParameter(query.slice(start, nameEnd))
        if (!this.#values.has(name)) this.#values.set(name, nameEnd === end ? "" : decodeParameter(query.slice(nameEnd + 1, end)))
      }
      start = end + 1
    }
  }
}

function plainParameter(query: string, name: string): string | undefined {
  for (let start = 0; start < query.length; ) {
    let end = query.indexOf("&", start)
    if (end === -1) end = query.length
    const after = start + name.length
    // An empty piece between two `&` is no parameter.
    if (end > start && after <= end && query.startsWith(name, start)) {
      if (after === end) return ""
      if (query.charCodeAt(after) === 0x3d) return query.slice(after + 1, end)
    }
    start = end + 1
  }
  return undefined
}

/** `+` and escapes decoded into octets; a malformed escape stays as it is, as in application/x-www-form-urlencoded. */
function decodeParameter(text: string): string {
  if (!text.includes("%") && !text.includes("+")) return text
  return text.replaceAll("+", " ").replace(/%[0-9a-f]{2}/gi, (octet) => String.fromCharCode(Number.parseInt(octet.slice(1), 16)))
}
