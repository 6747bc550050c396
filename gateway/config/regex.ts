// Which regular expressions configuration may hold: the part of JavaScript's syntax that any linear-time engine has too, and
// of that what JavaScript's backtracking engine matches without blowing up on a hostile value.

import { quote, Wrong } from "./units.ts"

const MAX_LENGTH = 1024
const MAX_DEPTH = 32
const MAX_REPEAT = 1000
/** A repetition with this much room backtracks like an endless one. */
const WIDE = 16
/** Repetitions that can compete for the same text: cost grows with the value's length to this power. */
const MAX_COMPETING = 2
/** Optional parts, and alternatives with a common beginning, that can compete: cost doubles with each. */
const MAX_CHOICES = 8

/** 0–127: the character; 128: any other. */
type Chars = Uint8Array

interface Atom {
  /** Characters it can consume anywhere in it. */
  chars: Chars
  /** It consumes exactly one character, always. */
  single: boolean
  /** Its text can have many lengths. */
  wide: boolean
  /** It can match nothing, or more than one way. */
  choices: number
  nullable: boolean
  /** Alternatives of a group, for a repetition over it. */
  group: Atom[][] | null
}

class Refused extends Error {}

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

function overlap(a: Chars, b: Chars): boolean {
  for (let code = 0; code < 129; code++) if (a[code] === 1 && b[code] === 1) return true
  return false
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
    this.#alternatives()
    if (this.#at < this.#text.length) throw new Refused('has a ")" without its "("; write \\) for the character itself')
  }

  #alternatives(): Atom[][] {
    if (++this.#depth > MAX_DEPTH) throw new Refused(`nests groups deeper than ${MAX_DEPTH}; write a simpler one`)
    const all: Atom[][] = [this.#sequence()]
    while (this.#text[this.#at] === "|") {
      this.#at++
      all.push(this.#sequence())
    }
    this.#depth--
    return all
  }

  #sequence(): Atom[] {
    const atoms: Atom[] = []
    while (this.#at < this.#text.length) {
      const char = this.#text[this.#at]
      if (char === "|" || char === ")") break
      const atom = this.#atom()
      if (atom === null) continue
      atoms.push(this.#quantified(atom))
    }
    checkCompetition(atoms)
    return atoms
  }

  /** Null: an assertion, which consumes nothing. */
  #atom(): Atom | null {
    const text = this.#text
    const char = text[this.#at++]
    if (char === "^" || char === "$") return null
    if (char === ".") return one(ANY)
    if (char === "[") return one(this.#class())
    if (char === "(") return this.#group()
    if (char === "\\") {
      if (text[this.#at] === "b" || text[this.#at] === "B") {
        this.#at++
        return null
      }
      return one(this.#escape())
    }
    if (char === "*" || char === "+" || char === "?")
      throw new Refused(`has a "${char}" with nothing to repeat; write \\${char} for the character itself`)
    if (char === "{" || char === "}")
      throw new Refused(`has a bare "${char}"; write [^/]+ for a placeholder, or \\${char} for the character itself`)
    if (char === "]") throw new Refused('has a "]" without its "["; write \\] for the character itself')
    return one(literal(char))
  }

  #group(): Atom {
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
    const atom: Atom = { chars: new Uint8Array(129), single: false, wide: false, choices: 0, nullable: false, group }
    for (const sequence of group) {
      let nullable = true
      for (const part of sequence) {
        merge(atom.chars, part.chars)
        if (part.wide) atom.wide = true
        atom.choices += part.choices
        if (!part.nullable) nullable = false
      }
      if (nullable) atom.nullable = true
    }
    if (ambiguous(group)) atom.choices++
    atom.single = group.every((sequence) => sequence.length === 1 && sequence[0].single)
    return atom
  }

  #quantified(atom: Atom): Atom {
    const text = this.#text
    const match = /^(?:[*+?]|\{(\d{1,6})(?:(,)(\d{0,6}))?\})\??/.exec(text.slice(this.#at, this.#at + 18))
    if (match === null) return atom
    this.#at += match[0].length
    if (/^(?:[*+?]|\{\d)/.test(text.slice(this.#at, this.#at + 2)))
      throw new Refused("repeats a repetition; put a group around the inner one or leave one of them out")
    const sign = match[0][0]
    const min = sign === "{" ? Number(match[1]) : sign === "+" ? 1 : 0
    const max = sign === "?" ? 1 : sign !== "{" ? Infinity : match[2] === undefined ? min : match[3] === "" ? Infinity : Number(match[3])
    if (max < min) throw new Refused(`has a repetition with its bounds the wrong way round; write {${max},${min}}`)
    if (min > MAX_REPEAT || (max !== Infinity && max > MAX_REPEAT)) throw new Refused(`repeats more than ${MAX_REPEAT} times; use * or +`)
    const wide = max === Infinity || (max !== min && max >= WIDE)
    if (max > 1) checkRepetition(atom, wide, max)
    return {
      chars: atom.chars,
      single: atom.single && min === 1 && max === 1,
      wide: wide || (max > 0 && atom.wide),
      choices: wide ? 0 : atom.choices * Math.min(max, MAX_CHOICES + 1) + (max === min ? 0 : max - min),
      nullable: min === 0 || atom.nullable,
      group: null,
    }
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

function one(set: Chars): Atom {
  return { chars: set, single: true, wide: false, choices: 0, nullable: false, group: null }
}

/** Two alternatives can begin with the same text: nothing in their fixed beginnings tells them apart. */
function ambiguous(group: readonly Atom[][]): boolean {
  for (let i = 0; i < group.length; i++) {
    for (let j = 0; j < i; j++) if (!distinct(group[i], group[j])) return true
  }
  return false
}

function distinct(a: readonly Atom[], b: readonly Atom[]): boolean {
  for (let i = 0; i < a.length && i < b.length; i++) {
    if (!a[i].nullable && !b[i].nullable && !overlap(a[i].chars, b[i].chars)) return true
    if (!a[i].single || !b[i].single) return false
  }
  return false
}

/** A repetition over a group is safe when every round begins or ends with a character found nowhere else in the group. */
function checkRepetition(atom: Atom, wide: boolean, max: number): void {
  if (atom.group === null) return
  const several = wide || max > MAX_CHOICES
  if (several && atom.nullable) throw new Refused("repeats something that can be empty; make the inner part match at least one character")
  if (several && ambiguous(atom.group))
    throw new Refused("repeats alternatives that begin alike, which can take exponential time; make them differ in their first characters")
  if (!several || (!atom.wide && atom.choices === 0)) {
    if (atom.wide && max > MAX_COMPETING) checkDelimited(atom.group)
    return
  }
  checkDelimited(atom.group)
}

function checkDelimited(group: readonly Atom[][]): void {
  for (const sequence of group) {
    if (delimited(sequence, sequence[0], group) || delimited(sequence, sequence[sequence.length - 1], group)) continue
    throw new Refused(
      "nests repetitions, as in (a+)+, which can take exponential time; repeat once, or put a separator inside, as in (/[^/]+)*",
    )
  }
}

function delimited(sequence: readonly Atom[], mark: Atom | undefined, group: readonly Atom[][]): boolean {
  if (mark === undefined || !mark.single) return false
  for (const other of group) for (const atom of other) if (atom !== mark && overlap(atom.chars, mark.chars)) return false
  return sequence.length > 0
}

/** Neighbouring repetitions that can take each other's text, with nothing between that holds them apart. */
function checkCompetition(atoms: readonly Atom[]): void {
  let competing: Atom[] = []
  let choices = 0
  for (const atom of atoms) {
    if (atom.wide || atom.choices > 0) {
      if (atom.wide) competing.push(atom)
      choices += atom.choices
      if (choices > MAX_CHOICES)
        throw new Refused("has too many optional parts and alternatives that begin alike; write several routes or a simpler expression")
      let count = 0
      for (const other of competing) if (overlap(other.chars, atom.chars)) count++
      if (atom.wide && count > MAX_COMPETING) {
        throw new Refused("has more than two wide repetitions that compete for the same text; narrow them, as in [^/]+ between slashes")
      }
    } else if (!atom.nullable) {
      // A fixed part that a repetition can't take ends the competition with it.
      competing = competing.filter((other) => overlap(other.chars, atom.chars))
      if (competing.length === 0) choices = 0
    }
  }
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
