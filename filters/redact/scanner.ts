// Finds what is to be covered, octet by octet, and writes the text anew with the finds replaced. Time grows with the length of
// the text and nothing else: every look ahead is bounded, and what was looked at as part of a find isn't looked at again.
import { utf8 } from "sluice/sdk"
import { cardEnd, emailEnd, emailStart, ibanEnd, isWord, phoneEnd, secretEnd, ssnEnd } from "./patterns"

export const KINDS = ["card", "iban", "email", "phone", "ssn"]

/** How a text says what it says. */
export const PLAIN: i32 = 0
/** Strings may hold \u0041; a number that is covered must become a string. */
export const JSON_TEXT: i32 = 1
/** %41 and + for a space. */
export const FORM: i32 = 2

// What an octet may begin.
const DIGIT: u8 = 1
const LETTER: u8 = 2
const AT: u8 = 4
const PLUS: u8 = 8
const PREFIX: u8 = 16
const QUOTE: u8 = 32
const ESCAPE: u8 = 64

export class Scanner {
  private starts: StaticArray<u8> = new StaticArray<u8>(256)
  private labels: Map<string, Uint8Array> = new Map<string, Uint8Array>()
  private secrets: Uint8Array[] = []
  private card: bool = false
  private iban: bool = false
  private email: bool = false
  private phone: bool = false
  private ssn: bool = false

  constructor(patterns: string[], prefixes: string[], replacement: string) {
    this.card = patterns.includes("card")
    this.iban = patterns.includes("iban")
    this.email = patterns.includes("email")
    this.phone = patterns.includes("phone")
    this.ssn = patterns.includes("ssn")
    const all = patterns.concat(["secret"])
    for (let i = 0; i < all.length; i++) this.labels.set(all[i], utf8.encode(replacement.replaceAll("{kind}", all[i])))
    for (let code = 0; code < 256; code++) {
      if ((this.card || this.ssn) && <u32>(code - 0x30) < 10) this.starts[code] |= DIGIT
      if (this.iban && <u32>((code | 0x20) - 0x61) < 26) this.starts[code] |= LETTER
    }
    if (this.email) this.starts[0x40] |= AT
    if (this.phone) this.starts[0x2b] |= PLUS
    this.starts[0x22] |= QUOTE
    this.starts[0x5c] |= ESCAPE
    this.starts[0x25] |= ESCAPE
    for (let i = 0; i < prefixes.length; i++) {
      this.secrets.push(utf8.encode(prefixes[i]))
      this.starts[prefixes[i].charCodeAt(0)] |= PREFIX
    }
  }

  /** The text with everything covered; null if there was nothing. */
  run(source: Uint8Array, form: i32): Uint8Array | null {
    const text = form == PLAIN ? source : unescape(source, form)
    const length = text.length
    const output = new Output(text)
    // Without the checks of bounds, which would cost more than the rest: every octet of a body comes by here.
    const starts = changetype<usize>(this.starts)
    const data = text.dataStart
    let quoted = false
    /** What stands before is an escape: no part of what follows. */
    let fence = 0
    let at = 0
    while (at < length) {
      const flags = load<u8>(starts + <usize>load<u8>(data + <usize>at))
      if (flags == 0 || (flags == LETTER && at > fence && isWord(load<u8>(data + <usize>at - 1)))) {
        at++
        continue
      }
      if ((flags & ESCAPE) != 0 && form == (text[at] == 0x25 ? FORM : JSON_TEXT)) {
        const phone = form == FORM && this.phone && hexPair(text, at + 1) == 0x2b ? phoneEnd(text, at + 2, at + 2, true) : 0
        if (phone > 0) output.cover(at, phone, this.labels.get("phone"), false)
        at = phone > 0 ? phone : at + (form == FORM ? 3 : at + 1 < length && text[at + 1] == 0x75 ? 6 : 2)
        fence = at
        continue
      }
      if ((flags & QUOTE) != 0) quoted = !quoted
      const free = at == fence || !isWord(text[at - 1])
      let end = 0
      let start = at
      let kind = ""
      if ((flags & DIGIT) != 0) {
        const loose = form != JSON_TEXT || quoted
        if (this.card) {
          end = cardEnd(text, at, fence, loose)
          kind = "card"
        }
        if (end <= 0 && this.ssn && loose && free) {
          const found = ssnEnd(text, at, fence)
          if (found > 0) {
            end = found
            kind = "ssn"
          }
        }
        if (end > 0 && !loose && !isNumber(text, at, end)) end = 0
      }
      if (end <= 0 && (flags & PREFIX) != 0 && free) {
        end = secretEnd(text, at, this.secrets)
        kind = "secret"
      }
      if (end <= 0 && (flags & LETTER) != 0 && free) {
        end = ibanEnd(text, at)
        kind = "iban"
      }
      if (end <= 0 && (flags & PLUS) != 0) {
        end = phoneEnd(text, at, fence, false)
        kind = "phone"
      }
      if (end <= 0 && (flags & AT) != 0) {
        end = emailEnd(text, at)
        if (end > 0) {
          start = emailStart(text, at, max(output.copied, fence))
          if (start == at) end = 0
        }
        kind = "email"
      }
      if (end > 0) {
        const label = this.labels.get(kind)
        output.cover(start, end, label, form == JSON_TEXT && !quoted)
        at = end
      } else {
        // Digits that are no number of these go by as one, whatever they hold.
        at++
        if (kind == "card") while (at < length && <u32>(text[at] - 0x30) < 10) at++
      }
    }
    return output.finish()
  }
}

/** Whether these digits are all of a JSON number. */
function isNumber(text: Uint8Array, start: i32, end: i32): bool {
  const before = start > 0 ? text[start - 1] : 0x20
  const after = end < text.length ? text[end] : 0x20
  return before != 0x2d && before != 0x2e && (before | 0x20) != 0x65 && before != 0x2b && after != 0x2e && (after | 0x20) != 0x65
}

/** The text as it is written anew; copied only once something is covered. */
class Output {
  /** How much of the text is dealt with. */
  copied: i32 = 0
  private block: Uint8Array | null = null
  private length: i32 = 0

  constructor(private readonly text: Uint8Array) {}

  cover(start: i32, end: i32, label: Uint8Array, quote: bool): void {
    this.append(this.text, this.copied, start)
    if (quote) this.octet(0x22)
    this.append(label, 0, label.length)
    if (quote) this.octet(0x22)
    this.copied = end
  }

  finish(): Uint8Array | null {
    if (this.block === null) return null
    this.append(this.text, this.copied, this.text.length)
    return this.block!.subarray(0, this.length)
  }

  private octet(code: u8): void {
    this.room(1)[this.length++] = code
  }

  private append(from: Uint8Array, start: i32, end: i32): void {
    const block = this.room(end - start)
    memory.copy(block.dataStart + <usize>this.length, from.dataStart + <usize>start, <usize>(end - start))
    this.length += end - start
  }

  private room(more: i32): Uint8Array {
    const needed = this.length + more
    let block = this.block
    if (block !== null && needed <= block.length) return block
    const grown = new Uint8Array(max(needed, this.length == 0 ? this.text.length + 256 : this.length * 2))
    if (block !== null) memory.copy(grown.dataStart, block.dataStart, <usize>this.length)
    this.block = grown
    return grown
  }
}

/**
 * The text with escapes of printable ASCII taken back, in which anything could hide: \u0040 in JSON, %40 in forms. Those that
 * mean something where they stand (quotes and backslashes; what separates fields) stay.
 */
function unescape(text: Uint8Array, form: i32): Uint8Array {
  const mark: u8 = form == FORM ? 0x25 : 0x5c
  let first = text.indexOf(mark)
  if (first < 0) return text
  const result = new Uint8Array(text.length)
  memory.copy(result.dataStart, text.dataStart, <usize>first)
  let to = first
  let at = first
  while (at < text.length) {
    if (text[at] != mark) {
      const next = text.indexOf(mark, at)
      const run = (next < 0 ? text.length : next) - at
      memory.copy(result.dataStart + <usize>to, text.dataStart + <usize>at, <usize>run)
      to += run
      at += run
      continue
    }
    let plain = -1
    let used = 0
    if (form == FORM) {
      plain = hexPair(text, at + 1)
      used = 3
      if (plain == 0x20) plain = 0x2b
      else if (!isWord(<u8>plain) && plain != 0x40 && plain != 0x2d && plain != 0x2e) plain = -1
    } else if (at + 5 < text.length && text[at + 1] == 0x75 && hexPair(text, at + 2) == 0) {
      plain = hexPair(text, at + 4)
      used = 6
      if (plain < 0x20 || plain > 0x7e || plain == 0x22 || plain == 0x5c) plain = -1
    }
    if (plain >= 0) {
      result[to++] = <u8>plain
      at += used
      continue
    }
    result[to++] = mark
    at++
    // The octet after a backslash belongs to it.
    if (form != FORM && at < text.length) result[to++] = text[at++]
  }
  return result.subarray(0, to)
}

function hexPair(text: Uint8Array, at: i32): i32 {
  if (at + 1 >= text.length) return -1
  const high = hexDigit(text[at])
  const low = hexDigit(text[at + 1])
  return high < 0 || low < 0 ? -1 : (high << 4) | low
}

function hexDigit(code: u8): i32 {
  if (<u32>(code - 0x30) < 10) return code - 0x30
  const letter = (code | 0x20) - 0x61
  return <u32>letter < 6 ? letter + 10 : -1
}
