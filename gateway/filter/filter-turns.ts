// Whose turn it is in a chain: the filter whose callback runs, and what filters continue meanwhile, which waits until the
// chain's own work is done. So nothing a filter asks for happens inside a callback, or inside the handling of another's.

export abstract class FilterTurns<Filter> {
  /** The filter has continued what the callback that ended last was about. */
  continued = false
  /** The filter whose callback runs, and which way. */
  protected current: Filter | null = null
  #response = false
  /** Nested work of this chain. */
  #busy = 0
  #resumes: { filter: Filter; response: boolean }[] | null = null

  /** Nothing is continued any more. */
  protected abstract get over(): boolean
  /** Lets go on what `filter` has paused in this direction, if it has. */
  protected abstract resume(filter: Filter, response: boolean): void

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
