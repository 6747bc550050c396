// How long to wait before the next attempt to reach a server that is away. Pure: chance comes in. Waits double from 50 ms to
// 5 s while attempts fail, and each is drawn from its upper half, so that gateways which lost it together don't come back
// together.

const FIRST = 50
const LONGEST = 5000

export class Reconnect {
  #failures = 0

  /** An attempt has failed, or what it led to; ms until the next. `random`: [0, 1). */
  failed(random: number): number {
    const longest = Math.min(LONGEST, FIRST * 2 ** this.#failures)
    if (longest < LONGEST) this.#failures++
    return (longest / 2) * (1 + random)
  }

  /** It has done what it is for. */
  worked(): void {
    this.#failures = 0
  }
}
