// When a worker that died is replaced: soon, and ever later while they die young, so that one that can't live costs little.

/** ms before a worker that died young is replaced; doubled by each further one, up to a limit. */
const RESTART_DELAY = 100
const MAX_RESTART_DELAY = 5000
/** A worker that lived this long, ms, did not die young. */
const YOUNG = 10_000

export class WorkerRestarts {
  #delay = 0
  readonly #timers = new Set<ReturnType<typeof setTimeout>>()

  /** ms until one that lived for `age` ms may be replaced. */
  delayAfter(age: number): number {
    this.#delay = age > YOUNG ? 0 : Math.min(MAX_RESTART_DELAY, Math.max(RESTART_DELAY, this.#delay * 2))
    return this.#delay
  }

  /** Starts one in `delay` ms, if they haven't ended by then. */
  schedule(delay: number, start: () => void): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer)
      start()
    }, delay)
    this.#timers.add(timer)
  }

  close(): void {
    for (const timer of this.#timers) clearTimeout(timer)
    this.#timers.clear()
  }
}
