// Reads JSON: strict about the grammar, bounded in size and depth, and it never traps.

import { Json, JsonKind } from "./json"
import { hexDigit } from "./percent"
import { decimal } from "./text"

/** Longest text, in characters, and deepest nesting that are read. */
const MAX_LENGTH: i32 = 1 << 20
const MAX_DEPTH: i32 = 64
/** Digits that a double holds without loss. */
const EXACT_DIGITS: i32 = 15

/** Reads one JSON text. `value` is null and `error` says why and where when it isn't one. */
@final
export class JsonReader {
  error: string = ""
  private at: i32 = 0

  constructor(private readonly text: string) {}

  /** Whether there is nothing but white space. */
  get empty(): boolean {
    this.space()
    return this.at >= this.text.length
  }

  read(): Json | null {
    if (this.text.length > MAX_LENGTH) return this.fail("longer than " + decimal(MAX_LENGTH) + " characters")
    const value = this.value(0)
    if (value === null) return null
    this.space()
    if (this.at < this.text.length) return this.fail("something follows the end")
    return value
  }

  private fail(what: string): Json | null {
    if (this.error.length == 0) {
      let line = 1
      let column = 1
      for (let i = 0; i < this.at && i < this.text.length; i++) {
        if (this.text.charCodeAt(i) == 0x0a) {
          line++
          column = 1
        } else {
          column++
        }
      }
      this.error = what + " at line " + decimal(line) + ", column " + decimal(column)
    }
    return null
  }

  private peek(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : -1
  }

  private space(): void {
    while (true) {
      const code = this.peek()
      if (code != 0x20 && code != 0x0a && code != 0x0d && code != 0x09) return
      this.at++
    }
  }

  private value(depth: i32): Json | null {
    if (depth > MAX_DEPTH) return this.fail("nested too deeply")
    this.space()
    const code = this.peek()
    if (code == 0x7b) return this.object(depth)
    if (code == 0x5b) return this.array(depth)
    if (code == 0x22) {
      if (!this.string()) return null
      const value = new Json(JsonKind.STRING)
      value.text = this.last
      return value
    }
    if (code == 0x2d || (code >= 0x30 && code <= 0x39)) return this.number()
    if (this.word("true")) {
      const value = new Json(JsonKind.BOOL)
      value.truth = true
      return value
    }
    if (this.word("false")) return new Json(JsonKind.BOOL)
    if (this.word("null")) return new Json(JsonKind.NULL)
    return this.fail(code < 0 ? "unexpected end" : "unexpected character")
  }

  private word(word: string): boolean {
    for (let i = 0; i < word.length; i++) {
      if (this.at + i >= this.text.length || this.text.charCodeAt(this.at + i) != word.charCodeAt(i)) return false
    }
    this.at += word.length
    return true
  }

  private object(depth: i32): Json | null {
    const value = new Json(JsonKind.OBJECT)
    const fields = new Map<string, Json>()
    value.fields = fields
    this.at++
    this.space()
    if (this.peek() == 0x7d) {
      this.at++
      return value
    }
    while (true) {
      this.space()
      if (this.peek() != 0x22) return this.fail("a field name in quotes is expected")
      if (!this.string()) return null
      const key = this.last
      this.space()
      if (this.peek() != 0x3a) return this.fail("a colon is expected")
      this.at++
      const field = this.value(depth + 1)
      if (field === null) return null
      fields.set(key, field)
      this.space()
      const code = this.peek()
      if (code == 0x7d) break
      if (code != 0x2c) return this.fail("a comma or closing brace is expected")
      this.at++
    }
    this.at++
    return value
  }

  private array(depth: i32): Json | null {
    const value = new Json(JsonKind.ARRAY)
    const items: Json[] = []
    value.items = items
    this.at++
    this.space()
    if (this.peek() == 0x5d) {
      this.at++
      return value
    }
    while (true) {
      const item = this.value(depth + 1)
      if (item === null) return null
      items.push(item)
      this.space()
      const code = this.peek()
      if (code == 0x5d) break
      if (code != 0x2c) return this.fail("a comma or closing bracket is expected")
      this.at++
    }
    this.at++
    return value
  }

  private digit(): boolean {
    return this.peek() >= 0x30 && this.peek() <= 0x39
  }

  /** Exact for up to 15 digits and exponents to ±22, beyond that within a rounding: settings, not science. */
  private number(): Json | null {
    const first = this.at
    const negative = this.peek() == 0x2d
    if (negative) this.at++
    let mantissa: f64 = 0
    let exponent = 0
    const start = this.at
    while (this.digit()) {
      mantissa = mantissa * 10 + <f64>(this.peek() - 0x30)
      this.at++
    }
    if (this.at == start) return this.fail("a digit is expected")
    if (this.at > start + 1 && this.text.charCodeAt(start) == 0x30) return this.fail("a number can't begin with 0")
    const whole = this.at
    if (this.peek() == 0x2e) {
      this.at++
      const point = this.at
      while (this.digit()) {
        mantissa = mantissa * 10 + <f64>(this.peek() - 0x30)
        this.at++
      }
      if (this.at == point) return this.fail("a digit is expected")
      exponent = point - this.at
    }
    if ((this.peek() | 0x20) == 0x65) {
      this.at++
      const less = this.peek() == 0x2d
      if (less || this.peek() == 0x2b) this.at++
      if (!this.digit()) return this.fail("a digit is expected")
      let power = 0
      while (this.digit()) {
        power = min(power * 10 + (this.peek() - 0x30), 9999)
        this.at++
      }
      exponent += less ? -power : power
    }
    const value = new Json(JsonKind.NUMBER)
    value.num = scale(negative ? -mantissa : mantissa, exponent)
    // What a double can't hold exactly, or would be written otherwise, is passed on as it was written.
    if (whole != this.at || this.at - start > EXACT_DIGITS || (negative && mantissa == 0)) value.text = this.text.substring(first, this.at)
    return value
  }

  /** What the last {@link string} read. */
  private last: string = ""

  private string(): boolean {
    this.at++
    let result = ""
    let start = this.at
    while (true) {
      const code = this.peek()
      if (code < 0x20) {
        this.fail(code < 0 ? "unexpected end in a string" : "control character in a string")
        return false
      }
      if (code == 0x22) break
      if (code != 0x5c) {
        this.at++
        continue
      }
      result += this.text.substring(start, this.at)
      this.at++
      const escape = this.peek()
      this.at++
      if (escape == 0x75) {
        let unit = 0
        for (let i = 0; i < 4; i++) {
          const digit = hexDigit(this.peek())
          if (digit < 0) {
            this.fail("four hex digits are expected")
            return false
          }
          unit = (unit << 4) | digit
          this.at++
        }
        result += String.fromCharCode(unit)
      } else {
        const plain = unescape(escape)
        if (plain < 0) {
          this.at--
          this.fail("unknown escape")
          return false
        }
        result += String.fromCharCode(plain)
      }
      start = this.at
    }
    const tail = this.text.substring(start, this.at)
    this.last = result.length == 0 ? tail : result + tail
    this.at++
    return true
  }
}

function unescape(code: i32): i32 {
  switch (code) {
    case 0x22:
    case 0x5c:
    case 0x2f:
      return code
    case 0x62:
      return 8
    case 0x66:
      return 12
    case 0x6e:
      return 10
    case 0x72:
      return 13
    case 0x74:
      return 9
    default:
      return -1
  }
}

function scale(value: f64, exponent: i32): f64 {
  if (value == 0) return value
  let power: f64 = 1
  for (let i = min(abs(exponent), 400); i > 0; i--) power *= 10
  return exponent < 0 ? value / power : value * power
}
