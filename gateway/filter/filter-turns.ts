// Whose turn it is in a chain: the filter whose callback runs, what it asks for, which waits until it has returned, and what filters
// continue meanwhile, which waits until the chain's own work is done. So nothing a filter asks for happens inside a callback, or inside
// the handling of another's.

/** Of {@link FilterTurns.asked}: nothing. A chain has numbers of its own, from 1 on, for what can be asked of it. */
export const NOTHING = 0

export abstract class FilterTurns<Filter> {
  /** The filter has continued what the callback that ended last was about. */
  continued = false
  /** The filter whose callback runs, and which way. */
  protected current: Filter | null = null
  /** What is to become of the exchange or connection, as the filter wants it whose callback runs. */
  protected asked: number = NOTHING
  #response = false
  /** Nested work of this chain. */
  #busy = 0
  #resumes: { filter: Filter; response: boolean }[] | null = null

  /** Nothing is continued any more. */
  protected abstract get over(): boolean
  /** Lets go on what `filter` has paused in this direction, if it has. */
  protected abstract resume(filter: Filter, response: boolean): void
  /** Does what a filter has asked for. */
  protected abstract carryOut(asked: number): void

  /** Which way the callback went that ended last. */
  protected get backwards(): boolean {
    return this.#response
  }

  /** Before a callback of `filter` about this direction; afterwards {@link current} is null again. */
  protected begin(filter: Filter, response: boolean): void {
    this.current = filter
    this.#response = response
    this.continued = false
  }

  /** A filter asks for something: at once, or when its callback has returned. */
  protected ask(what: number): void {
    this.asked = what
    if (this.current === null) this.#takeAsked()
  }

  /** A callback has returned. True: it had asked for something, by which its phase is over. */
  protected endTurn(): boolean {
    this.current = null
    if (this.asked === NOTHING) return false
    this.#takeAsked()
    return true
  }

  #takeAsked(): void {
    const { asked } = this
    this.asked = NOTHING
    this.work()
    this.carryOut(asked)
    this.settle()
  }

  /** A filter continues a direction: at once, or when its turn comes. */
  protected goOn(filter: Filter, response: boolean): void {
    if (this.over) return
    if (this.current === filter && this.#response === response) {
      this.continued = true
      return
    }
    this.#resumes ??= []
    this.#resumes.push({ filter, response })
    if (this.#busy > 0) return
    this.work()
    this.settle()
  }

  /** Begins a piece of work. */
  protected work(): void {
    this.#busy++
  }

  /** Ends one; after the outermost, what filters have continued meanwhile goes on. */
  protected settle(): void {
    this.#busy--
    const resumes = this.#resumes
    if (resumes === null || this.#busy > 0) return
    this.#busy++
    for (let next = resumes.shift(); next !== undefined && !this.over; next = resumes.shift()) this.resume(next.filter, next.response)
    this.#busy--
  }
}
