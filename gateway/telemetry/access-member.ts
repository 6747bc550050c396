// Members of the lines' JSON that are mostly what they were in the line before: their text is made when their value changes, and not
// for each line. What is kept is bounded.

import { jsonText, MAX_TEXT } from "./access-text.ts"

/** Texts that are kept of {@link NamedMember}. */
const NAMES = 1024

/** A member whose value often is the last one's: a client sends its next request. */
export class RepeatedMember {
  readonly #before: string
  readonly #after: string
  #value: string | null = null
  #text = ""

  /** `before`: what its value follows, `after`: what follows it. */
  constructor(before: string, after = "") {
    this.#before = before
    this.#after = after
  }

  of(value: string): string {
    if (value !== this.#value) {
      this.#value = value
      this.#text = this.#before + jsonText(value, MAX_TEXT) + this.#after
    }
    return this.#text
  }
}

/** A member whose values are those of the configuration, or as few. It is left out when it is "". */
export class NamedMember {
  readonly #key: string
  readonly #texts = new Map<string, string>([["", ""]])

  /** `key`: of the object. */
  constructor(key: string) {
    this.#key = key
  }

  of(value: string): string {
    const text = this.#texts.get(value)
    return text === undefined ? this.#make(value) : text
  }

  #make(value: string): string {
    // Endpoints come and go.
    if (this.#texts.size > NAMES) this.#texts.clear()
    const text = value === "" ? "" : `,"${this.#key}":${jsonText(value, MAX_TEXT)}`
    this.#texts.set(value, text)
    return text
  }
}

/** Who sent it: `"ip:port"` of the client. */
export class SourceMember {
  #address: string | null = null
  /** All but the port. */
  #text = ""

  of(address: string, port: number): string {
    if (address !== this.#address) {
      this.#address = address
      this.#text = `,"source":${jsonText(address.includes(":") ? `[${address}]:` : `${address}:`, MAX_TEXT).slice(0, -1)}`
    }
    return `${this.#text}${port}"`
  }
}
