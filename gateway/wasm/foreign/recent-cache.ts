// A bounded map that keeps what was used lately: two generations, of which the older one goes when the younger is full.

export class RecentCache<V> {
  readonly #entries: number
  readonly #octets: number
  #young = new Map<string, V>()
  #old = new Map<string, V>()
  #weight = 0

  /** Each generation holds at most so many entries, and keys of so many characters together. */
  constructor(entries: number, octets: number) {
    this.#entries = entries
    this.#octets = octets
  }

  get(key: string): V | undefined {
    const value = this.#young.get(key)
    if (value !== undefined) return value
    const old = this.#old.get(key)
    if (old !== undefined) this.set(key, old)
    return old
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#entries || this.#weight + key.length > this.#octets) {
      this.#old = this.#young
      this.#young = new Map()
      this.#weight = 0
    }
    if (key.length > this.#octets) return
    this.#young.set(key, value)
    this.#weight += key.length
  }
}
