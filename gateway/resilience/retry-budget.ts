// How many requests of one service are sent again, so that retries never multiply the load of a service that is failing under
// it. Pure: the clock comes in; its memory may be shared, and then the budget is one for all threads.
//
// Contract: in any 10 s the retries are at most `share` (20 %) of the requests that began in them, and `perSecond` (10) a second
// beside. So a service all of whose answers fail gets at most 1.2 times what clients send, and 10/s more.
//
// The credit of a window may be spent at once, as with Linkerd's and Finagle's token bucket, and unlike Envoy's and Istio's share of
// what is under way at the moment: when one of three endpoints dies under 2000 requests a second, a third of the requests needs
// a retry until it is ejected; that is 670 in the first second, where 20 % of those under way (10, at 5 ms each) would allow 3 at a
// time. The 10 s before have left a credit of 4100. It also covers attempts that hang and come back all at once when `perTry`
// is over. What it costs: a service that fails as a whole gets that credit once, early in the outage.
//
// Time is cut into slices of a second, of which the one under way and the nine before count. Who begins a request adds to a
// slice of its own thread, in two plain stores; who wants a retry, which is rare, adds up all threads' and takes its turn by an
// exchange on the slice's count of retries.

/** ms of a slice. */
const SLICE = 1000
/** Slices that count. */
const WINDOW = 10
/** Slices kept: a power of two, more than {@link WINDOW}. */
const RING = 16

/** Words of memory: the retries of each slice, which all threads share. */
export const SPENT_WORDS: number = RING
/** Words of each thread's own: a slice's number and its requests. */
export const EARNED_WORDS: number = 2 * RING

export interface RetryBudgetSettings {
  /** Of the requests of the window, 0 to 1; default 0.2. */
  readonly share: number
  /** Retries a second beside; default 10. */
  readonly perSecond: number
}

/** Where in `words` a budget lies. */
export interface RetryBudgetMemory {
  readonly words: Int32Array
  /** First of {@link SPENT_WORDS}. */
  readonly spent: number
  /** First of the {@link EARNED_WORDS} of the first thread, and words from one thread's to the next one's. */
  readonly earned: number
  readonly stride: number
  readonly threads: number
}

export class RetryBudget {
  settings: RetryBudgetSettings
  readonly #memory: RetryBudgetMemory
  readonly #own: number

  /** @param thread which of the memory's threads this is */
  constructor(memory: RetryBudgetMemory, thread: number, settings: RetryBudgetSettings) {
    this.settings = settings
    this.#memory = memory
    this.#own = memory.earned + thread * memory.stride
  }

  /** A request began at `now`, ms of a clock that all threads have. */
  request(now: number): void {
    const slice = Math.floor(now / SLICE) | 0
    const at = this.#own + 2 * (slice & (RING - 1))
    const { words } = this.#memory
    if (words[at] === slice) words[at + 1]++
    else {
      // In this order: nobody may take the old count for the new slice's.
      Atomics.store(words, at + 1, 1)
      Atomics.store(words, at, slice)
    }
  }

  /** Whether a request may be sent again at `now`; if so, it is counted. */
  take(now: number): boolean {
    const { words } = this.#memory
    const slice = Math.floor(now / SLICE) | 0
    const at = this.#memory.spent + (slice & (RING - 1))
    const most = Math.floor(this.#earned(slice) * this.settings.share + this.settings.perSecond * WINDOW * (SLICE / 1000))
    for (;;) {
      const before = Atomics.load(words, at)
      const count = isOf(before, slice) ? before & 0xffff : 0
      // A slice has 16 bits for its retries.
      if (count === 0xffff || this.#spentBefore(slice) + count >= most) return false
      if (Atomics.compareExchange(words, at, before, ((slice & 0xffff) << 16) | (count + 1)) === before) return true
    }
  }

  // Requests of the window, of all threads. Clocks may be a little apart: what is ahead counts.
  #earned(slice: number): number {
    const { words, earned, stride, threads } = this.#memory
    let sum = 0
    for (let thread = 0; thread < threads; thread++) {
      const first = earned + thread * stride
      for (let i = 0; i < RING; i++) {
        const age = (slice - Atomics.load(words, first + 2 * i)) | 0
        if (age < WINDOW && age > WINDOW - RING) sum += Atomics.load(words, first + 2 * i + 1)
      }
    }
    return sum
  }

  // Retries of the slices before this one.
  #spentBefore(slice: number): number {
    const { words, spent } = this.#memory
    let sum = 0
    for (let age = 1; age < WINDOW; age++) {
      const before = slice - age
      const word = Atomics.load(words, spent + (before & (RING - 1)))
      if (isOf(word, before)) sum += word & 0xffff
    }
    return sum
  }
}

/** Whether the upper half of a word of retries names this slice: 18 h are told apart. */
function isOf(word: number, slice: number): boolean {
  return word >>> 16 === (slice & 0xffff)
}

/** Memory for a budget of one thread alone. */
export function privateBudgetMemory(): RetryBudgetMemory {
  return { words: new Int32Array(SPENT_WORDS + EARNED_WORDS), spent: 0, earned: SPENT_WORDS, stride: 0, threads: 1 }
}
