// Parts of the lines' JSON that are mostly what they were in the line before, or one of a few: their text is made once, and lines have
// fewer pieces, each of which costs. What is kept is bounded.

import { MAX_TEXT, plainText, thousandths } from "./access-text.ts"

/** Texts that are kept of a {@link NamedMember}. */
const NAMES = 1024
/** Whole milliseconds that have a text in store. */
const MOMENTS = 64

/** Makes a member out of its name and its value. */
const member = (name: string, value: string): string => `,"${name}":"${plainText(value, MAX_TEXT)}"`

/** A member whose value often is the last one's: a client sends its next request. */
export class RepeatedMember {
  readonly #name: string
  #value = ""
  #text = ""

  constructor(name: string) {
    this.#name = name
  }

  /** With a comma before it. */
  of(value: string): string {
    if (value !== this.#value || this.#text === "") {
      this.#value = value
      this.#text = member(this.#name, value)
    }
    return this.#text
  }
}

/** A member whose value is a number of octets. */
export class OctetsMember {
  readonly #key: string
  #value = -1
  #text = ""

  constructor(name: string) {
    this.#key = `,"${name}":`
  }

  of(value: number): string {
    if (value !== this.#value) {
      this.#value = value
      this.#text = this.#key + value
    }
    return this.#text
  }
}

/** A member whose values are those of the configuration, or as few. It is left out when it is "". */
export class NamedMember {
  readonly #name: string
  readonly #texts = new Map<string, string>([["", ""]])

  constructor(name: string) {
    this.#name = name
  }

  of(value: string): string {
    const text = this.#texts.get(value)
    return text === undefined ? this.#make(value) : text
  }

  #make(value: string): string {
    // Endpoints come and go.
    if (this.#texts.size > NAMES) this.#texts.clear()
    const text = value === "" ? "" : member(this.#name, value)
    this.#texts.set(value, text)
    return text
  }
}

/** A member of milliseconds with microseconds. */
export class MillisecondsMember {
  readonly #key: string
  readonly #whole: readonly string[]

  constructor(name: string) {
    this.#key = `,"${name}":`
    this.#whole = Array.from({ length: MOMENTS }, (_, i) => this.#key + i)
  }

  of(value: number): string {
    const rounded = thousandths(value)
    const whole = Math.floor(rounded / 1000)
    return (whole < MOMENTS ? this.#whole[whole] : this.#key + whole) + FRACTIONS[rounded - whole * 1000]
  }
}

/** Of thousandths, as JavaScript would write them: ".1" of 100, "" of 0. */
const FRACTIONS = Array.from({ length: 1000 }, (_, i) => String(i / 1000).slice(1))
