// Hashes what clients choose, such as header values, into 64 bits: HalfSipHash-1-3 (Aumasson, Bernstein), keyed by octets
// drawn for the process, so that nobody outside can make keys that collide. 32-bit arithmetic, nothing allocated.

export class KeyHash {
  readonly #k0: number
  readonly #k1: number
  #v0 = 0
  #v1 = 0
  #v2 = 0
  #v3 = 0
  #words = 0
  /** The hash, after {@link end}. */
  low = 0
  high = 0

  constructor(seed: readonly [number, number]) {
    this.#k0 = seed[0] | 0
    this.#k1 = seed[1] | 0
  }

  /** Begins another one. */
  begin(): void {
    this.#v0 = this.#k0
    this.#v1 = this.#k1 ^ 0xee
    this.#v2 = this.#k0 ^ 0x6c796765
    this.#v3 = this.#k1 ^ 0x74656462
    this.#words = 0
  }

  /** A text, told from every other sequence of texts. Characters count with 16 bits. */
  add(text: string): void {
    const { length } = text
    let i = 0
    for (; i + 1 < length; i += 2) this.#word(text.charCodeAt(i) | (text.charCodeAt(i + 1) << 16))
    if (i < length) this.#word(text.charCodeAt(i))
    this.#word(length)
  }

  /** A number of 32 bits. */
  addWord(word: number): void {
    this.#word(word | 0)
  }

  #word(word: number): void {
    this.#words++
    this.#v3 ^= word
    this.#round()
    this.#v0 ^= word
  }

  #round(): void {
    let v0 = this.#v0
    let v1 = this.#v1
    let v2 = this.#v2
    let v3 = this.#v3
    v0 = (v0 + v1) | 0
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
    v0 = (v0 << 16) | (v0 >>> 16)
    v2 = (v2 + v3) | 0
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
    v0 = (v0 + v3) | 0
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
    v2 = (v2 + v1) | 0
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
    v2 = (v2 << 16) | (v2 >>> 16)
    this.#v0 = v0
    this.#v1 = v1
    this.#v2 = v2
    this.#v3 = v3
  }

  end(): void {
    this.#word((this.#words & 0xff) << 24)
    this.#v2 ^= 0xee
    this.#round()
    this.#round()
    this.#round()
    this.low = this.#v1 ^ this.#v3
    this.#v1 ^= 0xdd
    this.#round()
    this.#round()
    this.#round()
    this.high = this.#v1 ^ this.#v3
  }
}
