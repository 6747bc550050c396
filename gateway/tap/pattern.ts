// Names with `*` in them, which stands for any run of characters. Matched piece by piece from the left, so that a text is looked at
// once for each piece and no pattern can be made slow.

/** A pattern, ready to be matched. */
export class Pattern {
  /** What stands before the first `*`, between them, and behind the last. One piece: no `*`, the text has to be it. */
  readonly #pieces: readonly string[]

  constructor(text: string) {
    this.#pieces = text.split("*")
  }

  matches(text: string): boolean {
    const pieces = this.#pieces
    const last = pieces.length - 1
    const first = pieces[0]
    if (last === 0) return text === first
    const end = text.length - pieces[last].length
    if (end < first.length || !text.startsWith(first) || !text.endsWith(pieces[last])) return false
    let at = first.length
    for (let i = 1; i < last; i++) {
      at = text.indexOf(pieces[i], at)
      if (at < 0) return false
      at += pieces[i].length
    }
    return at <= end
  }
}
