// One figure of the whole process that has a most: a word that every worker touches, and beside it what this worker has of it,
// so that the main thread can give back what a dead one held.

export class SharedCount {
  readonly #words: Int32Array
  readonly #total: number
  readonly #own: number

  /** @param total index of the word all workers share @param own index of this worker's part of it, which nobody else writes */
  constructor(words: Int32Array, total: number, own: number) {
    this.#words = words
    this.#total = total
    this.#own = own
  }

  /** One more, unless there are `most` already: never one too many, and full only while it is. */
  take(most: number): boolean {
    const words = this.#words
    const total = this.#total
    for (;;) {
      const held = Atomics.load(words, total)
      if (held >= most) return false
      // It fails only because another thread got its way in between.
      if (Atomics.compareExchange(words, total, held, held + 1) !== held) continue
      // Nothing comes in between at which a thread could be ended, so that the two always agree.
      words[this.#own]++
      return true
    }
  }

  /** One of those this worker took is over. */
  release(): void {
    this.#words[this.#own]--
    Atomics.sub(this.#words, this.#total, 1)
  }

  /** How many there are now, over all workers. */
  get value(): number {
    return Atomics.load(this.#words, this.#total)
  }
}
