// Which regular expressions configuration may hold: the part of JavaScript's syntax that any linear-time engine has too, and of
// that what JavaScript's backtracking engine matches without blowing up on a hostile value (regex-cost.ts). Reads the syntax.

import { type Chars, character, checkCost, grouped, type Part, Refused, repeated, type Sequence } from "./regex-cost.ts"
import { quote, Wrong } from "./units.ts"

const MAX_LENGTH = 1024
const MAX_DEPTH = 32
const MAX_REPEAT = 1000

function chars(test: (code: number) => boolean): Chars {
  const set = new Uint8Array(129)
  for (let code = 0; code < 129; code++) if (test(code)) set[code] = 1
  return set
}

const ANY = chars((c) => c !== 10 && c !== 13)
const DIGIT = chars((c) => c >= 48 && c <= 57)
const WORD = chars((c) => (c >= 48 && c <= 57) || (c >= 65 && c <= 90) || c === 95 || (c >= 97 && c <= 122))
const SPACE = chars((c) => (c >= 9 && c <= 13) || c === 32 || c === 128)
const CLASSES: Readonly<Record<string, Chars>> = { d: DIGIT, D: invert(DIGIT), w: WORD, W: invert(WORD), s: SPACE, S: invert(SPACE) }
const CONTROLS: Readonly<Record<string, number>> = { t: 9, n: 10, v: 11, f: 12, r: 13 }

function invert(set: Chars): Chars {
  const out = new Uint8Array(129)
  for (let code = 0; code < 128; code++) out[code] = set[code] === 1 ? 0 : 1
  out[128] = 1
  return out
}

function merge(into: Chars, from: Chars): void {
  for (let code = 0; code < 129; code++) if (from[code] === 1) into[code] = 1
}

class Reader {
  readonly #text: string
  #at = 0
  #depth = 0

  constructor(text: string) {
    this.#text = text
  }

  read(): void {
    const all = this.#alternatives()
    if (this.#at < this.#text.length) throw new Refused('has a ")" without its "("; write \\) for the character itself')
    checkCost(grouped(all))
  }

  #alternatives(): Sequence[] {
    if (++this.#depth > MAX_DEPTH) throw new Refused(`nests groups deeper than ${MAX_DEPTH}; write a simpler one`)
    const all: Sequence[] = [this.#sequence()]
    while (this.#text[this.#at] === "|") {
      this.#at++
      all.push(this.#sequence())
    }
    this.#depth--
    return all
  }

  #sequence(): Sequence {
    const parts: Part[] = []
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at]
      if (char === "|" || char === ")") break
      const part = this.#part()
      if (part !== null) parts.push(this.#quantified(part))
    }
    return parts
  }

  /** Null: an assertion, which consumes nothing. */
  #part(): Part | null {
    const text = this.#text
    const char = text[this.#at++]
    if (char === "^" || char === "$") return null
    if (char === ".") return character(ANY)
    if (char === "[") return character(this.#class())
    if (char === "(") return this.#group()
    if (char === "\\") {
      if (text[this.#at] === "b" || text[this.#at] === "B") {
        this.#at++
        return null
      }
      return character(this.#escape())
    }
    if (char === "*" || char === "+" || char === "?")
      throw new Refused(`has a "${char}" with nothing to repeat; write \\${char} for the character itself`)
    if (char === "{" || char === "}")
      throw new Refused(`has a bare "${char}"; write [^/]+ for a placeholder, or \\${char} for the character itself`)
    if (char === "]") throw new Refused('has a "]" without its "["; write \\] for the character itself')
    return character(literal(char))
  }

  #group(): Part {
    const text = this.#text
    if (text[this.#at] === "?") {
      const rest = text.slice(this.#at, this.#at + 3)
      if (rest.startsWith("?<=") || rest.startsWith("?<!"))
        throw new Refused("uses lookbehind, which is not supported; match that text as part of the expression")
      if (rest.startsWith("?=") || rest.startsWith("?!"))
        throw new Refused("uses lookahead, which is not supported; use several matches or routes instead")
      const open = /^\?(?::|<[A-Za-z_]\w{0,63}>)/.exec(text.slice(this.#at, this.#at + 68))
      if (open === null) throw new Refused('has a group that begins with "(?" and is none of (?:...) and (?<name>...); write (?:...)')
      this.#at += open[0].length
    }
    const group = this.#alternatives()
    if (text[this.#at] !== ")") throw new Refused('has a "(" without its ")"; write \\( for the character itself')
    this.#at++
    return grouped(group)
  }

  #quantified(part: Part): Part {
    const text = this.#text
    const match = /^(?:[*+?]|\{(\d{1,6})(?:(,)(\d{0,6}))?\})\??/.exec(text.slice(this.#at, this.#at + 18))
    if (match === null) return part
    this.#at += match[0].length
    if (/^(?:[*+?]|\{\d)/.test(text.slice(this.#at, this.#at + 2)))
      throw new Refused("repeats a repetition; put a group around the inner one or leave one of them out")
    const sign = match[0][0]
    const min = sign === "{" ? Number(match[1]) : sign === "+" ? 1 : 0
    const max = sign === "?" ? 1 : sign !== "{" ? Infinity : match[2] === undefined ? min : match[3] === "" ? Infinity : Number(match[3])
    if (max < min) throw new Refused(`has a repetition with its bounds the wrong way round; write {${max},${min}}`)
    if (min > MAX_REPEAT || (max !== Infinity && max > MAX_REPEAT)) throw new Refused(`repeats more than ${MAX_REPEAT} times; use * or +`)
    return repeated(part, min, max)
  }

  #class(): Chars {
    const text = this.#text
    const negated = text[this.#at] === "^"
    if (negated) this.#at++
    const set = new Uint8Array(129)
    while (text[this.#at] !== "]") {
      if (this.#at >= text.length) throw new Refused('has a "[" without its "]"; write \\[ for the character itself')
      const from = this.#classPart()
      if (text[this.#at] === "-" && this.#at + 1 < text.length && text[this.#at + 1] !== "]") {
        this.#at++
        const to = this.#classPart()
        if (typeof from !== "number" || typeof to !== "number")
          throw new Refused("has a range with a class at an end; write the - first or last in the brackets")
        if (from > to) throw new Refused("has a range with its ends the wrong way round; write the lower character first")
        for (let code = Math.min(from, 128); code <= Math.min(to, 128); code++) set[code] = 1
      } else if (typeof from === "number") set[Math.min(from, 128)] = 1
      else merge(set, from)
    }
    this.#at++
    return negated ? invert(set) : set
  }

  #classPart(): number | Chars {
    const char = this.#text[this.#at++]
    if (char !== "\\") return char.charCodeAt(0)
    const set = this.#escape()
    // One character again, for a range; above ASCII the set no longer says which.
    if (set.length === 129 && set[128] === 0) {
      const first = set.indexOf(1)
      if (set.lastIndexOf(1) === first) return first
    }
    return set
  }

  #escape(): Chars {
    const text = this.#text
    if (this.#at >= text.length) throw new Refused("ends with a backslash; write \\\\ for the character itself")
    const char = text[this.#at++]
    if (Object.hasOwn(CLASSES, char)) return CLASSES[char]
    if (Object.hasOwn(CONTROLS, char)) return code(CONTROLS[char])
    if (char === "x" || char === "u") {
      const hex = /^[0-9a-fA-F]+/.exec(text.slice(this.#at, this.#at + (char === "x" ? 2 : 4)))?.[0] ?? ""
      if (hex.length !== (char === "x" ? 2 : 4))
        throw new Refused(`has a \\${char} that is not \\${char === "x" ? "xHH" : "uHHHH"}; write the hexadecimal digits in full`)
      this.#at += hex.length
      return code(Number.parseInt(hex, 16))
    }
    if ((char >= "0" && char <= "9") || char === "k")
      throw new Refused(`uses a backreference (\\${char}), which is not supported; write the text out`)
    if (/[A-Za-z]/.test(char)) throw new Refused(`uses \\${char}, which is not supported; use a class such as [a-z], \\d, \\w or \\s`)
    return literal(char)
  }
}

function code(value: number): Chars {
  const set = new Uint8Array(129)
  set[Math.min(value, 128)] = 1
  return set
}

function literal(char: string): Chars {
  return code(char.charCodeAt(0))
}

/** What is wrong with a regular expression's source, or undefined. It is matched against whole values. */
export function wrongRegex(source: string): Wrong | undefined {
  if (source === "") return new Wrong("is an empty regular expression; write one, such as [0-9]+")
  if (source.length > MAX_LENGTH) return new Wrong(`is longer than ${MAX_LENGTH} characters; write several routes or a simpler expression`)
  try {
    new Reader(source).read()
  } catch (error) {
    if (error instanceof Refused) return new Wrong(`${quote(source)} ${error.message}`)
    throw error
  }
  try {
    new RegExp(`^(?:${source})$`)
  } catch {
    return new Wrong(`${quote(source)} is not a regular expression; write one, such as [0-9]+`)
  }
  return undefined
}
