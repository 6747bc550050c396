// A set of IP ranges that answers whether an address is in it, in a time that grows with the logarithm of their number.

import { type IpRange, parseIp, parseIpRange } from "../config/ip-address.ts"
import { Wrong } from "../config/units.ts"

/** Ranges of one version of IP: disjoint, in order. Each is the words of its first address, then those of its last. */
class Intervals {
  readonly #size: number
  readonly #words: Uint32Array
  readonly #count: number

  constructor(ranges: readonly IpRange[], size: number) {
    this.#size = size
    const intervals = ranges.map(({ address, bits }) => [
      ...address.words,
      ...address.words.map((word, i) => {
        const free = Math.min(32, Math.max(0, 32 * (i + 1) - bits))
        return free === 32 ? 0xffffffff : (word | (2 ** free - 1)) >>> 0
      }),
    ])
    intervals.sort((a, b) => compare(a, 0, b, 0, size) || compare(b, size, a, size, size))
    // Two ranges are apart, or one holds the other, which begins no earlier.
    const disjoint: number[][] = []
    for (const interval of intervals) {
      const last = disjoint.at(-1)
      if (last === undefined || compare(interval, 0, last, size, size) > 0) disjoint.push(interval)
    }
    this.#count = disjoint.length
    this.#words = Uint32Array.from(disjoint.flat())
  }

  has(words: readonly number[]): boolean {
    const size = this.#size
    let low = 0
    let high = this.#count
    while (low < high) {
      const middle = (low + high) >>> 1
      const at = middle * 2 * size
      if (compare(words, 0, this.#words, at, size) < 0) high = middle
      else if (compare(words, 0, this.#words, at + size, size) > 0) low = middle + 1
      else return true
    }
    return false
  }
}

function compare(a: ArrayLike<number>, atA: number, b: ArrayLike<number>, atB: number, size: number): number {
  for (let i = 0; i < size; i++) {
    const difference = a[atA + i] - b[atB + i]
    if (difference !== 0) return difference
  }
  return 0
}

export class IpRanges {
  readonly #four: Intervals
  readonly #six: Intervals

  /** `ranges`: as {@link parseIpRange} reads them; what it doesn't is a programming error. */
  constructor(ranges: readonly string[]) {
    const parsed = ranges.map((text) => {
      const range = parseIpRange(text)
      if (range instanceof Wrong) throw new Error(range.message)
      return range
    })
    this.#four = new Intervals(
      parsed.filter(({ address }) => address.version === 4),
      1,
    )
    this.#six = new Intervals(
      parsed.filter(({ address }) => address.version === 6),
      4,
    )
  }

  /** Whether it holds `address`, an IPv4 one in its IPv6 form too. What is no address isn't in any range. */
  has(address: string): boolean {
    const ip = parseIp(address)
    if (ip === null) return false
    return (ip.version === 4 ? this.#four : this.#six).has(ip.words)
  }
}
