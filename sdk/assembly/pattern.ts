// Texts with wildcards.

import { ascii } from "./text"

/**
 * A text in which `*` stands for anything, also nothing; it must match from beginning to end. What a client sends can't
 * make it slow: at worst the lengths of both are multiplied.
 *
 * ```ts
 * const admin = new Pattern("/admin/*")
 * if (admin.matches(request.path)) …
 * const bots = new Pattern("*bot*", true)
 * ```
 */
@final
export class Pattern {
  private readonly parts: string[]

  /** @param ignoreCase of ASCII letters. */
  constructor(
    text: string,
    private readonly ignoreCase: boolean = false,
  ) {
    this.parts = (ignoreCase ? ascii.lower(text) : text).split("*")
  }

  matches(text: string): boolean {
    if (this.ignoreCase) text = ascii.lower(text)
    const parts = this.parts
    const last = parts.length - 1
    if (last == 0) return text == parts[0]
    if (!text.startsWith(parts[0])) return false
    let at = parts[0].length
    for (let i = 1; i < last; i++) {
      const found = text.indexOf(parts[i], at)
      if (found < 0) return false
      at = found + parts[i].length
    }
    const end = parts[last]
    return text.length - end.length >= at && text.endsWith(end) == true
  }
}

/**
 * Several patterns.
 *
 * ```ts
 * const open = new PatternSet(["/health", "/public/*"])
 * if (open.matches(request.path)) return null
 * ```
 */
@final
export class PatternSet {
  private readonly patterns: Pattern[] = []

  constructor(texts: string[] = [], ignoreCase: boolean = false) {
    for (let i = 0; i < texts.length; i++) this.patterns.push(new Pattern(texts[i], ignoreCase))
  }

  /** Number of patterns. */
  get length(): i32 {
    return this.patterns.length
  }

  /** Whether one of them matches. */
  matches(text: string): boolean {
    for (let i = 0; i < this.patterns.length; i++) {
      if (this.patterns[i].matches(text)) return true
    }
    return false
  }
}
