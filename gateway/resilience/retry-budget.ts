// How many requests of one service are sent again at a time, so that retries never multiply the load of a service that is
// failing under it: a share of what is under way there. Pure: it is told what is.

/** Retries that may always be under way: with few requests a share says little. */
const ALWAYS = 3
/** Of the requests under way. */
const SHARE = 0.2

export class RetryBudget {
  #underWay = 0

  /** Whether one retry more may begin while `active` requests are under way; {@link release} follows when it has been answered, or has failed. */
  take(active: number): boolean {
    if (this.#underWay >= Math.max(ALWAYS, active * SHARE)) return false
    this.#underWay++
    return true
  }

  release(): void {
    this.#underWay--
  }
}
