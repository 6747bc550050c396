// What the filters of one exchange or connection store, by path: bounded, since guests fill it.

/** Octets and entries that may be stored. */
const MAX_STORED = 1 << 18
const MAX_ENTRIES = 64

export class StoredProperties {
  readonly #values = new Map<string, Uint8Array>()
  #octets = 0

  get(path: string): Uint8Array | undefined {
    return this.#values.get(path)
  }

  /** False when there would be too much. */
  set(path: string, value: Uint8Array): boolean {
    const before = this.#values.get(path)
    const octets = this.#octets + value.length + (before === undefined ? path.length : -before.length)
    if (octets > MAX_STORED || (before === undefined && this.#values.size >= MAX_ENTRIES)) return false
    this.#octets = octets
    this.#values.set(path, value)
    return true
  }
}
