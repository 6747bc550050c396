// Ways to cut octets into segments.

/** A small generator of random numbers with a seed (xorshift, 32 bits): the same cuts every time. */
export class Random {
  #state: number

  constructor(seed: number) {
    this.#state = seed | 0 || 1
  }

  /** An integer of [0, below). */
  below(below: number): number {
    let x = this.#state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.#state = x
    return (x >>> 0) % below
  }

  pick<T>(from: ArrayLike<T>): T {
    return from[this.below(from.length)]
  }
}

export function cutAt(octets: Buffer, at: number): Buffer[] {
  return [octets.subarray(0, at), octets.subarray(at)]
}

export function byteByByte(octets: Buffer): Buffer[] {
  return Array.from(octets, (_, i) => octets.subarray(i, i + 1))
}

/** Cut in `count` random places or fewer. */
export function cutRandomly(octets: Buffer, count: number, random: Random): Buffer[] {
  const places = Array.from({ length: count }, () => random.below(octets.length + 1))
  places.push(0, octets.length)
  const sorted = [...new Set(places)].sort((a, b) => a - b)
  return sorted.slice(1).map((end, i) => octets.subarray(sorted[i], end))
}

/** Offsets to cut at: every one, or of long messages those around their line ends, and some more. */
export function places(octets: Buffer, atMost: number, random: Random): number[] {
  if (octets.length - 1 <= atMost) return Array.from({ length: Math.max(0, octets.length - 1) }, (_, i) => i + 1)
  const chosen = new Set<number>([1, 2, octets.length - 1, octets.length - 2])
  for (let at = octets.indexOf("\r\n"), n = 0; at > 0 && n < atMost / 6; at = octets.indexOf("\r\n", at + 1), n++)
    chosen
      .add(at)
      .add(at + 1)
      .add(at + 2)
  while (chosen.size < atMost) chosen.add(1 + random.below(octets.length - 1))
  return [...chosen].filter((at) => at > 0 && at < octets.length)
}
