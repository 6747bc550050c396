// How much of what comes is refused because the gateway itself has too much to do. Pure: it is told how late its thread is and
// how full the memory.
//
// Contract: a level from 0 to 3. Up to 1 a share of the exchanges of low priority is refused, as large as the level; from 1 to 2 all
// of those and a share of the normal ones; from 2 to 3 a share of the high ones as well.
//
// By lateness the level rises while there is a standing delay: when none of the last five looks came less than the threshold late, or of
// the last two while something is refused already. One long pause, of a garbage collector or a compiler, is late once; a thread
// that is merely busy all the time, as in a bench, is late by one turn of its loop, a few ms. It rises by a tenth a look at the threshold,
// more the larger the delay is, and not while the delay is going down already: a look is one turn of the loop, and what was
// refused in it shows in the next. It falls while the delay is less than half of the threshold, slowly at first and the faster the
// longer that lasts: by the first level in 10 s, by all three in 18. In between it holds. So it stays near where it has to be.
//
// By memory it is set, not raised: from the threshold to all of the memory it goes from 0 to 3. Memory that was taken is
// given back late, if at all, and integrating would only ever rise.

export const LOW = 0
export const NORMAL = 1
export const HIGH = 2
export type Priority = typeof LOW | typeof NORMAL | typeof HIGH

const LEVELS = 3
/** Looks of which none may have been in time; and while something is refused. */
const LOOKS = 5
const LOOKS_ON = 2
/** Levels a look for each threshold of delay, and at most. */
const RISE = 0.1
const LARGEST_RISE = 0.5
/** A delay less than this of the one before is going down. */
const DRAINING = 0.9
/** Levels a second, for each second that it has been falling; and at most. */
const FALL = 0.02
const FASTEST_FALL = 0.3

export class OverloadController {
  /** ms of delay; 0 = it is not looked at. */
  threshold: number
  /** By lateness. */
  #level = 0
  #memoryLevel = 0
  readonly #delays = new Float64Array(LOOKS)
  #looks = 0
  /** ms it has been falling. */
  #calm = 0

  constructor(threshold: number) {
    this.threshold = threshold
  }

  get level(): number {
    return this.#level > this.#memoryLevel ? this.#level : this.#memoryLevel
  }

  /**
   * One look, `elapsed` ms after the one before, which came `delay` ms later than it should have; `memoryLevel`: see
   * {@link memoryLevel}.
   */
  look(elapsed: number, delay: number, memoryLevel: number): number {
    this.#memoryLevel = memoryLevel
    const draining = delay < this.#delays[(this.#looks + LOOKS - 1) % LOOKS] * DRAINING
    this.#delays[this.#looks++ % LOOKS] = delay
    const { threshold } = this
    if (threshold === 0) {
      this.#level = 0
      return this.level
    }
    const standing = this.#standing(this.#level > 0 ? LOOKS_ON : LOOKS)
    if (standing < threshold / 2) {
      this.#calm += elapsed
      this.#level = Math.max(0, this.#level - (Math.min(FASTEST_FALL, (FALL * this.#calm) / 1000) * elapsed) / 1000)
    } else {
      this.#calm = 0
      if (standing >= threshold && !draining) {
        this.#level = Math.min(LEVELS, this.#level + Math.min(LARGEST_RISE, (RISE * standing) / threshold))
      }
    }
    return this.level
  }

  // The least delay of the last `looks`.
  #standing(looks: number): number {
    if (this.#looks < looks) return 0
    let least = Number.POSITIVE_INFINITY
    for (let i = 1; i <= looks; i++) {
      const delay = this.#delays[(this.#looks - i) % LOOKS]
      if (delay < least) least = delay
    }
    return least
  }
}

/** The level for `used` octets of `limit`, of which `threshold` (both octets) are all right. */
export function memoryLevel(used: number, threshold: number, limit: number): number {
  if (used <= threshold) return 0
  return limit <= threshold ? LEVELS : Math.min(LEVELS, (LEVELS * (used - threshold)) / (limit - threshold))
}

/** Whether an exchange of this priority is refused at `level`. `random`: [0, 1). */
export function isShed(level: number, priority: Priority, random: number): boolean {
  return random < level - priority
}
