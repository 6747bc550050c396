// Rings of octets in shared memory: items of any length in the order they came, between two positions that only grow. An
// item counts from the moment one word, the tail, is written, and is gone when the head is: a thread that dies in between
// leaves the ring whole. Who calls holds a lock; should it have lost that in its sleep, garbage is noticed and thrown away.

import { PooledCopies } from "./shared-memory.ts"

/** Words of a ring before its octets: those written and taken since it was made, modulo 2^32, and the items in it. */
const R_HEAD = 0
const R_TAIL = 1
const R_ITEMS = 2
const RING_WORDS = 3

/** In the place of a length: the rest of the ring up to its end is empty. */
const SKIP = -1

/** Words of a ring of so many octets, a power of two from 64 on. */
export function ringWords(bytes: number): number {
  return RING_WORDS + bytes / 4
}

/** One thread's view of rings of one size in a buffer; `at` is the word a ring begins at. */
export class SharedRings {
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #size: number
  readonly #maxItem: number
  readonly #copies = new PooledCopies()

  constructor(buffer: SharedArrayBuffer, size: number, maxItem: number) {
    this.#words = new Int32Array(buffer)
    this.#bytes = new Uint8Array(buffer)
    this.#size = size
    this.#maxItem = maxItem
  }

  items(at: number): number {
    return this.#words[at + R_ITEMS]
  }

  /** Octets taken, right even while others write. */
  bytes(at: number): number {
    return (this.#words[at + R_TAIL] - this.#words[at + R_HEAD]) | 0
  }

  /** Empties a ring that nobody uses yet. */
  reset(at: number): void {
    this.#words.fill(0, at, at + RING_WORDS)
  }

  /** Adds an item, unless it is too large or the ring too full. */
  push(at: number, value: Uint8Array): boolean {
    const words = this.#words
    const used = this.#used(at)
    const tail = words[at + R_TAIL]
    const size = 4 + ((value.length + 3) & ~3)
    const offset = tail & (this.#size - 1)
    // A record is never split: when it doesn't fit before the ring's end, what is left there is skipped.
    const skipped = this.#size - offset < size ? this.#size - offset : 0
    if (value.length > this.#maxItem || used + skipped + size > this.#size) return false
    const start = at + RING_WORDS
    if (skipped > 0) words[start + offset / 4] = SKIP
    const record = skipped > 0 ? start : start + offset / 4
    words[record] = value.length
    this.#bytes.set(value, record * 4 + 4)
    Atomics.store(words, at + R_TAIL, (tail + skipped + size) | 0)
    words[at + R_ITEMS]++
    return true
  }

  /** Takes the oldest item; null when there is none. */
  take(at: number): Uint8Array | null {
    const words = this.#words
    const start = at + RING_WORDS
    let used = this.#used(at)
    let head = words[at + R_HEAD]
    let offset = head & (this.#size - 1)
    if (used > 0 && words[start + offset / 4] === SKIP) {
      used -= this.#size - offset
      head = (head + this.#size - offset) | 0
      offset = 0
    }
    if (used === 0) {
      words[at + R_ITEMS] = 0
      return null
    }
    const length = words[start + offset / 4]
    const size = 4 + ((length + 3) & ~3)
    if (length < 0 || length > this.#maxItem || size > used || size > this.#size - offset) {
      this.#clear(at)
      return null
    }
    const value = this.#copies.copy(this.#bytes, (start + offset / 4) * 4 + 4, length)
    Atomics.store(words, at + R_HEAD, (head + size) | 0)
    if (words[at + R_ITEMS] > 0) words[at + R_ITEMS]--
    return value
  }

  /** Octets between head and tail; nothing is left of a ring whose ends make no sense. */
  #used(at: number): number {
    const words = this.#words
    const used = this.bytes(at)
    if (used >= 0 && used <= this.#size && ((used | words[at + R_HEAD]) & 3) === 0) return used
    this.#clear(at)
    return 0
  }

  #clear(at: number): void {
    const words = this.#words
    words[at + R_HEAD] = words[at + R_TAIL] & ~3
    words[at + R_TAIL] = words[at + R_HEAD]
    words[at + R_ITEMS] = 0
  }
}
