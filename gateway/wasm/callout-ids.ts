// Ids of one instance's callouts, by which a guest tells them apart.

/** Ids whose lowest bits say what they are of, as in Envoy: 0 of HTTP, 1 of gRPC calls, 2 of gRPC streams. */
export class CalloutIds {
  readonly #live = new Set<number>()
  #last: number

  constructor(kind: 0 | 1 | 2) {
    // Never 0, which guests take for none.
    this.#last = kind === 0 ? 0 : kind - 4
  }

  take(): number {
    let id = this.#last
    do id = (id + 4) >>> 0
    while (id === 0 || this.#live.has(id))
    this.#last = id
    this.#live.add(id)
    return id
  }

  free(id: number): void {
    this.#live.delete(id)
  }
}
