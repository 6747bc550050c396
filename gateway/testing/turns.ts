// What happens "on a later turn" in a test: callbacks that must not run inside the call that set them off, and answers that
// are still being made.

/** Callbacks one settling may run: filters that keep each other busy for ever are told so. */
const MAX_RUNS = 100_000

export class Turns {
  #later: (() => void)[] = []
  readonly #promises = new Set<Promise<void>>()

  later(run: () => void): void {
    this.#later.push(run)
  }

  /** Something that {@link settle} has to wait for. Must not reject. */
  track(promise: Promise<void>): void {
    this.#promises.add(promise)
    void promise.then(() => this.#promises.delete(promise))
  }

  /** Runs everything that waits, and what that sets off, until nothing is left. */
  async settle(): Promise<void> {
    for (let runs = 0; ; ) {
      const due = this.#later
      if (due.length > 0) {
        this.#later = []
        runs += due.length
        if (runs > MAX_RUNS) throw new Error(`the filter keeps itself busy: more than ${MAX_RUNS} events without time passing`)
        for (const run of due) run()
      } else if (this.#promises.size > 0) {
        await Promise.all(this.#promises)
      } else return
    }
  }
}
