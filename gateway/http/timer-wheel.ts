// Deadlines of connections and exchanges. Setting or clearing one stores a number; a coarse timer looks at what is due.
// Thousands of them cost one interval.

const SLOTS = 512

interface Slot {
  first: Deadline | null
}

/**
 * Fires deadlines late by at most two ticks, never early by more than one. It runs only while a deadline is pending.
 * `now` must be monotonic, in milliseconds.
 */
export class TimerWheel {
  /** Milliseconds between two looks. */
  readonly tick: number
  /** The clock at the last look or {@link refresh}, ms: good enough for idle limits. */
  now: number
  readonly #clock: () => number
  readonly #slots: Slot[] = Array.from({ length: SLOTS }, () => ({ first: null }))
  #position: number
  #pending = 0
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(clock: () => number = () => performance.now(), tick = 20) {
    this.#clock = clock
    this.tick = tick
    this.now = clock()
    this.#position = Math.floor(this.now / tick)
  }

  /** Reads the clock. */
  refresh(): number {
    this.now = this.#clock()
    return this.now
  }

  /** @internal Puts a deadline where it will be looked at. */
  insert(deadline: Deadline): void {
    this.#pending++
    if (this.#timer === null) {
      this.#position = Math.floor(this.refresh() / this.tick)
      this.#timer = setInterval(() => this.advance(), this.tick)
    }
    // Deadlines beyond one turn are looked at once a turn.
    const due = Math.max(this.#position + 1, Math.ceil(deadline.at / this.tick))
    const position = Math.min(due, this.#position + SLOTS - 1)
    deadline.slot = position
    const slot = this.#slots[position % SLOTS]
    deadline.previous = null
    deadline.next = slot.first
    if (slot.first !== null) slot.first.previous = deadline
    slot.first = deadline
  }

  /** @internal */
  unlink(deadline: Deadline): void {
    if (deadline.previous !== null) deadline.previous.next = deadline.next
    else this.#slots[deadline.slot % SLOTS].first = deadline.next
    if (deadline.next !== null) deadline.next.previous = deadline.previous
    deadline.next = null
    deadline.previous = null
    deadline.slot = -1
    this.#pending--
  }

  /** Looks at everything due by now. Called by the wheel's own timer; by tests with a clock of their own. */
  advance(): void {
    const now = this.refresh()
    const until = Math.floor(now / this.tick)
    let steps = Math.min(until - this.#position, SLOTS)
    if (until - this.#position > SLOTS) this.#position = until - SLOTS
    while (steps-- > 0) {
      this.#position++
      let whole = false
      try {
        this.#look(now)
        whole = true
      } finally {
        // An owner threw: the others of this slot have their turn at the next look.
        if (!whole) this.#position--
      }
    }
    if (this.#pending === 0 && this.#timer !== null) {
      clearInterval(this.#timer)
      this.#timer = null
    }
  }

  // Fires what is due of the slot at the position, and puts the rest where it belongs.
  #look(now: number): void {
    let deadline = this.#slots[this.#position % SLOTS].first
    while (deadline !== null) {
      const next: Deadline | null = deadline.next
      this.unlink(deadline)
      if (deadline.at <= now) {
        deadline.at = Number.POSITIVE_INFINITY
        deadline.fire()
      } else if (deadline.at !== Number.POSITIVE_INFINITY) {
        this.insert(deadline)
      }
      // A callback may have unlinked what would have been next.
      deadline = next !== null && next.slot !== this.#position ? this.#slots[this.#position % SLOTS].first : next
    }
  }
}

/** Whose deadline it is. */
export interface DeadlineOwner {
  onDeadline(): void
}

/** One deadline that can be moved at will. Its owner is told at most once for each {@link set}. */
export class Deadline {
  /** When it is due, ms of the wheel's clock; infinite = not set. */
  at: number = Number.POSITIVE_INFINITY
  /** @internal */ slot = -1
  /** @internal */ next: Deadline | null = null
  /** @internal */ previous: Deadline | null = null
  readonly #wheel: TimerWheel
  readonly #owner: DeadlineOwner

  constructor(wheel: TimerWheel, owner: DeadlineOwner) {
    this.#wheel = wheel
    this.#owner = owner
  }

  /** Due at `at` (ms of the wheel's clock), instead of when it was. */
  set(at: number): void {
    this.at = at
    // Being looked at too early is harmless; only an earlier date needs another place.
    if (this.slot === -1) this.#wheel.insert(this)
    else if (Math.ceil(at / this.#wheel.tick) < this.slot) {
      this.#wheel.unlink(this)
      this.#wheel.insert(this)
    }
  }

  /** Not due any more. Its place in the wheel is given up when the wheel comes by. */
  clear(): void {
    this.at = Number.POSITIVE_INFINITY
  }

  /** Leaves the wheel at once: call when the owner ends. */
  release(): void {
    this.at = Number.POSITIVE_INFINITY
    if (this.slot !== -1) this.#wheel.unlink(this)
  }

  /** @internal */
  fire(): void {
    this.#owner.onDeadline()
  }
}
