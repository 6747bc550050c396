// Reads the plain part of YAML that configurations are mostly written in, some twenty times as fast as a full parser: a file
// of ten thousand routes must not stop the main thread for seconds. Of anything else it says so, and the full parser reads it.

/** A text that needs the full parser. */
export const NOT_PLAIN: unique symbol = Symbol("not plain")

const MAX_DEPTH = 100
const OTHER = Symbol("other")
// Never the beginning of a value that YAML reads in another way; never the end of one.
const KEY = /^(?:([A-Za-z_$][\w$./-]*)|"([^"\\\u0000-\u001f]*)"|'([^'\u0000-\u001f]*)'):(?: |$)/
const BLOCK_TEXT = /^[A-Za-z0-9_/$.(](?:[\w/$.()^+=~;<>-]|[:,](?=[\w/])| (?=[\w/]))*$/
const FLOW_TEXT = /[A-Za-z0-9_/$.(](?:[\w/$.()^+=~;<>-]|:(?=[\w/])| (?=[\w/]))*/y
const FLOW_KEY = /(?:([A-Za-z_$][\w$./-]*)|"([^"\\\u0000-\u001f]*)"|'([^'\u0000-\u001f]*)'): /y
const QUOTED = /"([^"\\\u0000-\u001f]*)"|'([^'\u0000-\u001f]*)'/y

/** The value of a text in plain block and one-line flow style; {@link NOT_PLAIN} for any other, a wrong one too. */
export function plainYaml(text: string): unknown {
  // Tabs, carriage returns, directives, several documents: left to the full parser.
  if (/[\t\r\u0000-\u0008\u000b-\u001f\u007f-\u009f\ufeff\ufffe\uffff\u2028\u2029]|^(?:%|---|\.\.\.)/m.test(text)) return NOT_PLAIN
  const reader = new PlainReader(text)
  try {
    return reader.read()
  } catch (error) {
    if (error === OTHER) return NOT_PLAIN
    throw error
  }
}

class PlainReader {
  readonly #indents: number[] = []
  /** What stands on each line that holds anything, without indentation and spaces at its end. */
  readonly #lines: string[] = []
  #line = 0
  #depth = 0
  /** Place in the line, while one in flow style is read. */
  #at = 0

  constructor(text: string) {
    for (const line of text.split("\n")) {
      const content = line.trim()
      if (content === "" || content.startsWith("#")) continue
      this.#indents.push(line.search(/[^ ]/))
      this.#lines.push(content)
    }
  }

  read(): unknown {
    if (this.#lines.length === 0 || this.#indents[0] !== 0) throw OTHER
    const value = this.#block(0)
    if (this.#line < this.#lines.length) throw OTHER
    return value
  }

  /** A map or a list whose lines begin at `indent`. */
  #block(indent: number): unknown {
    if (++this.#depth > MAX_DEPTH) throw OTHER
    const first = this.#lines[this.#line]
    const value = first.startsWith("- ") || first === "-" ? this.#list(indent) : this.#map(indent)
    this.#depth--
    return value
  }

  #list(indent: number): unknown[] {
    const out: unknown[] = []
    while (this.#line < this.#lines.length && this.#indents[this.#line] === indent) {
      const line = this.#lines[this.#line]
      if (!line.startsWith("- ")) break
      const rest = line.slice(2).trimStart()
      if (KEY.test(rest) || rest.startsWith("- ")) {
        // What follows the dash is the first line of a block of its own.
        this.#lines[this.#line] = rest
        this.#indents[this.#line] = indent + line.length - rest.length
        out.push(this.#block(this.#indents[this.#line]))
      } else {
        this.#line++
        out.push(this.#inline(rest))
        this.#expectNoDeeper(indent)
      }
    }
    if (this.#line < this.#lines.length && this.#indents[this.#line] > indent) throw OTHER
    return out
  }

  #map(indent: number): Record<string, unknown> {
    const out: Record<string, unknown> = {}
    while (this.#line < this.#lines.length && this.#indents[this.#line] === indent) {
      const line = this.#lines[this.#line]
      const match = KEY.exec(line)
      if (match === null) throw OTHER
      const key = keyOf(match)
      if (Object.hasOwn(out, key)) throw OTHER
      const rest = line.slice(match[0].length).trimStart()
      this.#line++
      if (rest !== "" && !rest.startsWith("#")) {
        out[key] = this.#inline(rest)
        this.#expectNoDeeper(indent)
        continue
      }
      const next = this.#line < this.#lines.length ? this.#indents[this.#line] : -1
      const listBelow = next === indent && this.#lines[this.#line].startsWith("- ")
      if (next > indent || listBelow) out[key] = this.#block(next)
      else out[key] = null
      this.#expectNoDeeper(indent)
    }
    return out
  }

  /** A value may go on in lines indented deeper: not in plain ones. */
  #expectNoDeeper(indent: number): void {
    if (this.#line < this.#lines.length && this.#indents[this.#line] > indent) throw OTHER
  }

  /** A value on the rest of a line. */
  #inline(rest: string): unknown {
    const char = rest[0]
    if (char === "{" || char === "[" || char === '"' || char === "'") {
      this.#at = 0
      const value = this.#flow(rest)
      const after = rest.slice(this.#at)
      if (after !== "" && !/^ +#/.test(after)) throw OTHER
      return value
    }
    const comment = rest.indexOf(" #")
    const text = comment === -1 ? rest : rest.slice(0, comment).trimEnd()
    if (!BLOCK_TEXT.test(text)) throw OTHER
    return resolve(text)
  }

  #flow(line: string): unknown {
    if (++this.#depth > MAX_DEPTH) throw OTHER
    const char = line[this.#at]
    let value: unknown
    if (char === "{") value = this.#flowMap(line)
    else if (char === "[") value = this.#flowList(line)
    else if (char === '"' || char === "'") {
      const match = this.#take(QUOTED, line)
      value = match[1] ?? match[2]
    } else value = resolve(this.#take(FLOW_TEXT, line)[0])
    this.#depth--
    return value
  }

  #flowMap(line: string): Record<string, unknown> {
    const out: Record<string, unknown> = {}
    if (this.#opens(line, "}")) return out
    for (;;) {
      const key = keyOf(this.#take(FLOW_KEY, line))
      if (Object.hasOwn(out, key)) throw OTHER
      this.#skip(line)
      out[key] = this.#flow(line)
      if (this.#closes(line, "}")) return out
    }
  }

  #flowList(line: string): unknown[] {
    const out: unknown[] = []
    if (this.#opens(line, "]")) return out
    for (;;) {
      out.push(this.#flow(line))
      if (this.#closes(line, "]")) return out
    }
  }

  #opens(line: string, end: string): boolean {
    this.#at++
    this.#skip(line)
    if (line[this.#at] !== end) return false
    this.#at++
    return true
  }

  #closes(line: string, end: string): boolean {
    this.#skip(line)
    const char = line[this.#at++]
    if (char === end) return true
    if (char !== ",") throw OTHER
    this.#skip(line)
    return false
  }

  #skip(line: string): void {
    while (line[this.#at] === " ") this.#at++
  }

  #take(pattern: RegExp, line: string): RegExpExecArray {
    pattern.lastIndex = this.#at
    const match = pattern.exec(line)
    if (match === null) throw OTHER
    this.#at = pattern.lastIndex
    return match
  }
}

function keyOf(match: RegExpExecArray): string {
  const key = match[1] ?? match[2] ?? match[3]
  // Nothing but the full parser reads these as YAML does, or reports them.
  if (key === "__proto__" || key.length > 500 || (match[1] !== undefined && /^null$/i.test(key))) throw OTHER
  return key
}

/** A plain text in the core schema of YAML 1.2. */
function resolve(text: string): unknown {
  const first = text.charCodeAt(0)
  // Digits and the dot.
  if ((first >= 48 && first <= 57) || first === 46) {
    if (/^(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?$/.test(text)) return Number(text)
    // Exponents, hexadecimal, octal, infinity and the like.
    if (/^\d*\.?\d*(?:$|e)|^0[xo]|^\.(?:inf|nan)/i.test(text)) throw OTHER
    return text
  }
  if (text === "true" || text === "True" || text === "TRUE") return true
  if (text === "false" || text === "False" || text === "FALSE") return false
  if (text === "null" || text === "Null" || text === "NULL") return null
  return text
}
