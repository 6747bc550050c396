// Tables of hashed policies, kept from one snapshot to the next: they cost milliseconds to make, and depend on nothing but their
// endpoints and weights. They are made when a request first asks for one.

export class TableCache {
  #now = new Map<string, unknown>()
  #before = new Map<string, unknown>()

  /** The table of that key, which says everything that `make` depends on. */
  table<T>(key: string, make: () => T): T {
    const known = this.#now.get(key) ?? this.#before.get(key)
    const table = known === undefined ? make() : (known as T)
    this.#now.set(key, table)
    return table
  }

  /** Another snapshot is in force: tables that it doesn't ask for are forgotten with the next. */
  turn(): void {
    this.#before = this.#now
    this.#now = new Map()
  }
}
