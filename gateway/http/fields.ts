// The header fields of one message, as a codec parsed them: offsets into one latin1 text, so that untouched fields leave
// again as slices of what came in. Edits are kept beside the text. Values are latin1 strings, one character an octet.

const REMOVED = -1
const NO_NAMES: ReadonlySet<string> = new Set()
const NO_OFFSETS = new Int32Array(0)
/** Int32 slots a field takes in {@link Fields.at}: name start, name end, value start, value end. */
export const SLOTS = 4

/**
 * An ordered multimap of fields. Names are lower case everywhere: the codec lower-cases what it parses, callers pass
 * lower-case names. It does not validate: bytes from outside go through the codec, edits of filters through
 * {@link isToken} and {@link isFieldValue} first.
 */
export class Fields {
  /** Text the offsets refer to. */
  text = ""
  /** Offsets, {@link SLOTS} a field; a removed field has name start −1. A codec that reads text gives it room. */
  at: Int32Array = NO_OFFSETS
  /** Fields in {@link at}, removed ones included. */
  count = 0
  /** False when some field is not spelled exactly `name: value CRLF`, so that runs can't be sent as they came. */
  canonical = true
  /** Names of fields that came as never to be indexed, and leave so (RFC 7541 §6.2.3); null = none. */
  secrets: string[] | null = null
  #replaced: (string | undefined)[] | null = null
  #added: string[] | null = null
  /** Appended fields as they will be sent; taken apart when one of them is asked for. */
  #lines = ""
  #lineNames: ReadonlySet<string> = NO_NAMES

  /** Forgets everything; the offsets' storage is kept. */
  reset(): void {
    this.text = ""
    this.count = 0
    this.canonical = true
    this.secrets = null
    this.#replaced = null
    this.#added = null
    this.#lines = ""
  }

  // Fields beside the text that may be called `name` (undefined: all of them).
  #beside(name?: string): string[] | null {
    const lines = this.#lines
    if (lines === "" || (name !== undefined && !this.#lineNames.has(name))) return this.#added
    this.#lines = ""
    this.#added ??= []
    for (let start = 0; start < lines.length; ) {
      const colon = lines.indexOf(": ", start)
      const end = lines.indexOf("\r\n", colon)
      this.#added.push(lines.slice(start, colon), lines.slice(colon + 2, end))
      start = end + 2
    }
    return this.#added
  }

  /** Marks field `i` (index in {@link at}) as removed. */
  drop(i: number): void {
    this.at[i * SLOTS] = REMOVED
  }

  #is(i: number, name: string): boolean {
    const o = i * SLOTS
    const start = this.at[o]
    return start !== REMOVED && this.at[o + 1] - start === name.length && this.text.startsWith(name, start)
  }

  #value(i: number): string {
    const replaced = this.#replaced === null ? undefined : this.#replaced[i]
    return replaced === undefined ? this.text.slice(this.at[i * SLOTS + 2], this.at[i * SLOTS + 3]) : replaced
  }

  /** First value of `name`, or undefined. */
  get(name: string): string | undefined {
    for (let i = 0; i < this.count; i++) if (this.#is(i, name)) return this.#value(i)
    const added = this.#beside(name)
    if (added !== null) for (let i = 0; i < added.length; i += 2) if (added[i] === name) return added[i + 1]
    return undefined
  }

  /** All values of `name` in order, joined by `separator`; undefined when absent. Costs no more than {@link get} for one. */
  getCombined(name: string, separator: string): string | undefined {
    let combined: string | undefined
    for (let i = 0; i < this.count; i++) {
      if (this.#is(i, name)) combined = combined === undefined ? this.#value(i) : combined + separator + this.#value(i)
    }
    const added = this.#beside(name)
    if (added !== null) {
      for (let i = 0; i < added.length; i += 2) {
        if (added[i] === name) combined = combined === undefined ? added[i + 1] : combined + separator + added[i + 1]
      }
    }
    return combined
  }

  /** All values of `name` in order; empty when absent. */
  getAll(name: string): string[] {
    const values: string[] = []
    for (let i = 0; i < this.count; i++) if (this.#is(i, name)) values.push(this.#value(i))
    const added = this.#beside(name)
    if (added !== null) for (let i = 0; i < added.length; i += 2) if (added[i] === name) values.push(added[i + 1])
    return values
  }

  /** Fields there are, repeats counted. */
  get size(): number {
    const added = this.#added
    let size = added === null ? 0 : added.length >> 1
    for (let i = 0; i < this.count; i++) if (this.at[i * SLOTS] !== REMOVED) size++
    const lines = this.#lines
    for (let end = lines.indexOf("\r\n"); end !== -1; end = lines.indexOf("\r\n", end + 2)) size++
    return size
  }

  has(name: string): boolean {
    return this.get(name) !== undefined
  }

  /** Appends a field, keeping those of the same name. */
  add(name: string, value: string): void {
    const added = this.#beside(name)
    if (added === null) this.#added = [name, value]
    else added.push(name, value)
  }

  /** As {@link add}, for codecs that read one field after the other: none has been added as text. */
  append(name: string, value: string): void {
    if (this.#added === null) this.#added = [name, value]
    else this.#added.push(name, value)
  }

  /**
   * Appends fields in the form they are sent in: each `name: value CRLF`, names lower case, none of them there yet, all of
   * them in `names`. Once a message.
   */
  addLines(lines: string, names: ReadonlySet<string>): void {
    this.#beside()
    this.#lines = lines
    this.#lineNames = names
  }

  /** Replaces the first field of that name in its place, removes the others, or appends. */
  set(name: string, value: string): void {
    let done = false
    for (let i = 0; i < this.count; i++) {
      if (!this.#is(i, name)) continue
      if (done) this.drop(i)
      else {
        this.#replaced ??= []
        this.#replaced[i] = value
        done = true
      }
    }
    const added = this.#beside(name)
    if (added !== null) {
      for (let i = 0; i < added.length; i += 2) {
        if (added[i] !== name) continue
        if (done) {
          added.splice(i, 2)
          i -= 2
        } else {
          added[i + 1] = value
          done = true
        }
      }
    }
    if (!done) this.add(name, value)
  }

  /** Removes every field of that name; whether there was one. */
  remove(name: string): boolean {
    let found = false
    for (let i = 0; i < this.count; i++) {
      if (!this.#is(i, name)) continue
      this.drop(i)
      found = true
    }
    const added = this.#beside(name)
    if (added !== null) {
      for (let i = added.length - 2; i >= 0; i -= 2) {
        if (added[i] !== name) continue
        added.splice(i, 2)
        found = true
      }
    }
    return found
  }

  /** Becomes a copy of `other`. */
  assign(other: Fields): void {
    this.text = other.text
    this.at = other.at.slice(0, other.count * SLOTS)
    this.count = other.count
    this.canonical = other.canonical
    this.secrets = other.secrets
    this.#replaced = other.#replaced === null ? null : [...other.#replaced]
    this.#added = other.#added === null ? null : [...other.#added]
    this.#lines = other.#lines
    this.#lineNames = other.#lineNames
  }

  /** Removes all fields. */
  clear(): void {
    for (let i = 0; i < this.count; i++) this.drop(i)
    this.#added = null
    this.#lines = ""
  }

  /** Calls `visit` for every field in order. */
  forEach(visit: (name: string, value: string) => void): void {
    for (let i = 0; i < this.count; i++) {
      const start = this.at[i * SLOTS]
      if (start !== REMOVED) visit(this.text.slice(start, this.at[i * SLOTS + 1]), this.#value(i))
    }
    const added = this.#beside()
    if (added !== null) for (let i = 0; i < added.length; i += 2) visit(added[i], added[i + 1])
  }

  /** Name, value, name, value … in order: a flat copy. */
  entries(): string[] {
    const out: string[] = []
    this.forEach((name, value) => {
      out.push(name, value)
    })
    return out
  }

  /**
   * The fields in HTTP/1.1 form, each ended by CRLF, without the empty line. Runs of untouched fields are one slice of the
   * text, and so is what stands in `[lineStart, lineEnd)` before the first of them: an untouched start line with its CRLF.
   */
  serialize(lineStart = -1, lineEnd = 0): string {
    const { at, text, count } = this
    const replaced = this.#replaced
    let out = ""
    if (this.canonical) {
      let run = lineStart
      let end = lineEnd
      for (let i = 0; i < count; i++) {
        const o = i * SLOTS
        const start = at[o]
        const value = replaced === null ? undefined : replaced[i]
        if (start !== REMOVED && value === undefined) {
          if (run === -1) run = start
          end = at[o + 3] + 2
          continue
        }
        if (run !== -1) {
          out += text.slice(run, end)
          run = -1
        }
        if (start !== REMOVED) out += `${text.slice(start, at[o + 1])}: ${value}\r\n`
      }
      if (run !== -1) out += text.slice(run, end)
    } else {
      if (lineStart !== -1) out = text.slice(lineStart, lineEnd)
      for (let i = 0; i < count; i++) {
        const o = i * SLOTS
        if (at[o] !== REMOVED) out += `${text.slice(at[o], at[o + 1])}: ${this.#value(i)}\r\n`
      }
    }
    const added = this.#added
    if (added !== null) for (let i = 0; i < added.length; i += 2) out += `${added[i]}: ${added[i + 1]}\r\n`
    return this.#lines === "" ? out : out + this.#lines
  }

  /** Fields from name, value pairs (names lower case). For tests, local replies and messages that did not come from HTTP/1.1. */
  static from(pairs: Iterable<readonly [string, string]>): Fields {
    const fields = new Fields()
    for (const [name, value] of pairs) fields.add(name, value)
    return fields
  }
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/i
// Field values: HTAB, SP–~, obs-text, no leading or trailing white space (RFC 9110 §5.5).
const VALUE = /^(?:[\x21-\x7e\x80-\xff](?:[\t\x20-\x7e\x80-\xff]*[\x21-\x7e\x80-\xff])?)?$/

/** Whether `name` is a token (RFC 9110 §5.6.2), and so a valid field name or method. */
export function isToken(name: string): boolean {
  return TOKEN.test(name)
}

/** Whether `value` can stand in a field without splitting the message (RFC 9110 §5.5). */
export function isFieldValue(value: string): boolean {
  return VALUE.test(value)
}
