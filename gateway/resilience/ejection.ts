// Whether an endpoint that fails is used: counts of failures in a row, its ejection, and its way back, as words in memory that
// all workers share. Pure: memory, clock and chance come in; nothing is sent.
//
// - In a row: the thread whose failure makes a count full ejects at once. What contradicts a count clears it. Answers that begin well
//   and end badly are counted apart, and only an answer that is good to its end contradicts that: their heads would every time.
// - Bound: at most `allowed` endpoints of a service are ejected at a time, whoever ejects.
// - Time: `base` times the number of ejections so far, `max` at most, and up to a tenth more by chance. The number falls by
//   one for every interval in which the endpoint is in use (`decay`, called by the main thread).
// - Half-open: when the time is over, the endpoint may be offered again, and whoever claims it first sends one request. Nobody else
//   does until that has shown something, or for PROBE_TIME. A good answer brings the endpoint back, a failure ejects it for longer.
//   A request that never got as far as the endpoint gives its claim back.
// Every step is one compare-and-exchange, so that of two threads that find the same one acts; a thread that dies in between leaves at
// most a count of ejected endpoints that is one too high, which `repair` puts right. What every request asks, whether there is
// anything to be done at all, is a plain read: it is cheaper by much, and sees what another thread wrote a moment later at worst.

/** Why an endpoint was ejected; `probe`: the request by which it was to come back failed. */
export const ejectionReasons = ["5xx", "gatewayErrors", "localFailures", "successRate", "failurePercentage", "latency", "probe"] as const
export type EjectionReason = (typeof ejectionReasons)[number]

/** Failures in a row that eject; 0 = any number is put up with. At most 1000. */
export interface EjectionLimits {
  readonly consecutive5xx: number
  readonly consecutiveGatewayErrors: number
  readonly consecutiveLocalFailures: number
  /** ms. */
  readonly baseEjectionTime: number
  readonly maxEjectionTime: number
  /** Endpoints of the service that take traffic, and how many of them may be ejected at a time. */
  readonly endpoints: number
  readonly allowed: number
}

/** Part of its time by which an ejection may be longer, so that endpoints ejected together don't return together. */
const JITTER = 0.1
/** ms after which another request may probe, when what became of the last is not known. */
export const PROBE_TIME = 5000
/** ms after which an ejection that is over is dated anew: the clock is an Int32, and comes by the same time after 49 days. */
const STALE = 3_600_000

// Words of an endpoint.
/** Until when it is ejected, ms of the clock, never 0; 0 = it is in use. It stays there until a probe succeeds. */
const UNTIL = 0
/** Failures in a row, ten bits each: 5xx, gateway errors, local failures. */
const COUNTS = 1
/** Ejections so far, less those that are forgotten. */
const TIMES = 2
/** Until when a probe is waited for, ms of the clock; 0 = none is. */
const CLAIM = 3
/** Index of {@link ejectionReasons}, of the last ejection. */
const REASON = 4
/** The same as {@link COUNTS}, of answers that had begun well. */
const LATE = 5
/** Words an endpoint takes. */
export const EJECTION_WORDS = 6
// Word of a service: how many of its endpoints are ejected.

const FULL = 1023

/** Endpoints of which one share (0–1) may be ejected: one at least, but never the only one. */
export function allowedEjections(endpoints: number, share: number): number {
  return endpoints < 2 ? 0 : Math.max(1, Math.floor(endpoints * share))
}

/** ms of the `times`th ejection. `random` in [0, 1). */
export function ejectionTime(times: number, base: number, max: number, random: number): number {
  return Math.round(Math.min(max, base * times) * (1 + JITTER * random))
}

/** What is known of an endpoint, for people. */
export interface EjectionState {
  /** ms until its time is over; 0: it is, and a probe has to succeed. Null: it is not ejected. */
  readonly left: number | null
  readonly reason: EjectionReason
  readonly times: number
  readonly consecutive5xx: number
  readonly consecutiveGatewayErrors: number
  readonly consecutiveLocalFailures: number
}

/** One endpoint, as one thread sees it. */
export class Ejection {
  readonly #words: Int32Array
  readonly #at: number
  readonly #service: Int32Array
  readonly #serviceAt: number
  readonly #limits: EjectionLimits
  readonly #clock: () => number
  readonly #random: () => number
  /** What this thread's last claim has put into its word. */
  #claimed = 0

  /**
   * `words`: {@link EJECTION_WORDS} from `at` on, all 0 at first. `service`: one word, shared by its endpoints. `clock`: ms as an
   * Int32 that may wrap, the same in all threads; it may step. `random`: [0, 1).
   */
  constructor(
    words: Int32Array,
    at: number,
    service: Int32Array,
    serviceAt: number,
    limits: EjectionLimits,
    clock: () => number,
    random: () => number,
  ) {
    this.#words = words
    this.#at = at
    this.#service = service
    this.#serviceAt = serviceAt
    this.#limits = limits
    this.#clock = clock
    this.#random = random
  }

  /** It should be avoided: its time isn't over, or another request probes it; and not all of the service's endpoints are ejected. */
  get out(): boolean {
    if (this.#words[this.#at + UNTIL] === 0) return false
    const until = Atomics.load(this.#words, this.#at + UNTIL)
    if (until === 0 || Atomics.load(this.#service, this.#serviceAt) >= this.#limits.endpoints) return false
    const now = this.#clock()
    return !this.#isOver(until, now) || isAhead(Atomics.load(this.#words, this.#at + CLAIM), now)
  }

  /** A request is about to be sent there. Other than 0: it is the probe, and its outcome is to be told with this. */
  claim(): number {
    const words = this.#words
    if (words[this.#at + UNTIL] === 0) return 0
    const until = Atomics.load(words, this.#at + UNTIL)
    if (until === 0) return 0
    const now = this.#clock()
    if (!this.#isOver(until, now)) return 0
    const claimed = Atomics.load(words, this.#at + CLAIM)
    if (isAhead(claimed, now)) return 0
    const claiming = never0(now + PROBE_TIME)
    if (Atomics.compareExchange(words, this.#at + CLAIM, claimed, claiming) !== claimed) return 0
    this.#claimed = claiming
    return until
  }

  /** The request of this thread's last {@link claim} never went there: the next may be the probe. */
  unclaim(): void {
    Atomics.compareExchange(this.#words, this.#at + CLAIM, this.#claimed, 0)
  }

  /** Goes on for what this thread had of the same endpoint under another configuration. */
  takeOver(before: Ejection): void {
    this.#claimed = before.#claimed
  }

  /** A request was answered well. */
  succeeded(): void {
    if (this.#words[this.#at + COUNTS] !== 0) Atomics.store(this.#words, this.#at + COUNTS, 0)
  }

  /** An answer that had begun well has come to a good end. */
  completed(): void {
    if (this.#words[this.#at + LATE] !== 0) Atomics.store(this.#words, this.#at + LATE, 0)
  }

  /**
   * A request failed. `gateway`: with a status that says so, or without one; `local`: without one; `late`: after its answer had
   * begun well. Answers with what is now so often in a row that it should be ejected for it, or null.
   */
  failed(gateway: boolean, local: boolean, late = false): EjectionReason | null {
    const at = this.#at + (late ? LATE : COUNTS)
    let counts = Atomics.load(this.#words, at)
    for (;;) {
      const errors = Math.min(FULL, (counts & FULL) + 1)
      const gatewayErrors = gateway ? Math.min(FULL, ((counts >>> 10) & FULL) + 1) : 0
      const localFailures = local ? Math.min(FULL, ((counts >>> 20) & FULL) + 1) : 0
      const seen = Atomics.compareExchange(this.#words, at, counts, errors | (gatewayErrors << 10) | (localFailures << 20))
      if (seen === counts) return this.#full(errors, gatewayErrors, localFailures)
      counts = seen
    }
  }

  #full(errors: number, gatewayErrors: number, localFailures: number): EjectionReason | null {
    const { consecutive5xx, consecutiveGatewayErrors, consecutiveLocalFailures } = this.#limits
    // The narrowest first, since it says most.
    if (consecutiveLocalFailures > 0 && localFailures >= consecutiveLocalFailures) return "localFailures"
    if (consecutiveGatewayErrors > 0 && gatewayErrors >= consecutiveGatewayErrors) return "gatewayErrors"
    return consecutive5xx > 0 && errors >= consecutive5xx ? "5xx" : null
  }

  /** Ejects it. Answers for how many ms; 0: it is ejected already, or as many of the service as may be are. */
  eject(reason: EjectionReason): number {
    if (Atomics.load(this.#words, this.#at + UNTIL) !== 0 || !this.#enter()) return 0
    const ms = this.#put(0, reason)
    if (ms === 0) Atomics.sub(this.#service, this.#serviceAt, 1)
    return ms
  }

  /** The probe that {@link claim} answered `claim` for failed. Answers for how many ms it is ejected now; 0: that has been settled. */
  probeFailed(claim: number): number {
    return this.#put(claim, "probe")
  }

  /** The probe was answered well. Answers whether that brought the endpoint back. */
  probeSucceeded(claim: number): boolean {
    return this.#release(claim)
  }

  /** Brings it back whatever its time; whether it was ejected. */
  readmit(): boolean {
    const until = Atomics.load(this.#words, this.#at + UNTIL)
    return until !== 0 && this.#release(until)
  }

  #release(until: number): boolean {
    const words = this.#words
    // Counts first: once it is in use, what they say is of this use.
    this.#clearCounts()
    if (Atomics.compareExchange(words, this.#at + UNTIL, until, 0) !== until) return false
    Atomics.store(words, this.#at + CLAIM, 0)
    Atomics.sub(this.#service, this.#serviceAt, 1)
    return true
  }

  /** Takes one of the service's places, or says that there is none left. */
  #enter(): boolean {
    let ejected = Atomics.load(this.#service, this.#serviceAt)
    while (ejected < this.#limits.allowed) {
      const seen = Atomics.compareExchange(this.#service, this.#serviceAt, ejected, ejected + 1)
      if (seen === ejected) return true
      ejected = seen
    }
    return false
  }

  /** From `before` in its first word to an ejection; ms, 0 when another thread was faster. */
  #put(before: number, reason: EjectionReason): number {
    const words = this.#words
    const { baseEjectionTime, maxEjectionTime } = this.#limits
    // More than what makes the longest time would take longer to be forgotten, and say nothing.
    const times = Math.min(Atomics.load(words, this.#at + TIMES) + 1, Math.ceil(maxEjectionTime / baseEjectionTime))
    const ms = ejectionTime(times, baseEjectionTime, maxEjectionTime, this.#random())
    if (Atomics.compareExchange(words, this.#at + UNTIL, before, never0(this.#clock() + ms)) !== before) return 0
    Atomics.store(words, this.#at + TIMES, times)
    Atomics.store(words, this.#at + CLAIM, 0)
    this.#clearCounts()
    Atomics.store(words, this.#at + REASON, ejectionReasons.indexOf(reason))
    return ms
  }

  #clearCounts(): void {
    Atomics.store(this.#words, this.#at + COUNTS, 0)
    Atomics.store(this.#words, this.#at + LATE, 0)
  }

  /** Main thread, once an interval: forgets an ejection while the endpoint is in use, and keeps an old one from coming back. */
  decay(): void {
    const words = this.#words
    const until = Atomics.load(words, this.#at + UNTIL)
    if (until === 0) {
      const times = Atomics.load(words, this.#at + TIMES)
      if (times > 0) Atomics.compareExchange(words, this.#at + TIMES, times, times - 1)
      return
    }
    const now = this.#clock()
    if (((now - until) | 0) > STALE) Atomics.compareExchange(words, this.#at + UNTIL, until, never0(now))
  }

  /** It is ejected, whether or not its time is over. */
  get ejected(): boolean {
    return Atomics.load(this.#words, this.#at + UNTIL) !== 0
  }

  get state(): EjectionState {
    const word = (offset: number): number => Atomics.load(this.#words, this.#at + offset)
    const until = word(UNTIL)
    const count = (shift: number): number => Math.max((word(COUNTS) >>> shift) & FULL, (word(LATE) >>> shift) & FULL)
    const now = this.#clock()
    return {
      left: until === 0 ? null : this.#isOver(until, now) ? 0 : (until - now) | 0,
      reason: ejectionReasons[word(REASON)],
      times: word(TIMES),
      consecutive5xx: count(0),
      consecutiveGatewayErrors: count(10),
      consecutiveLocalFailures: count(20),
    }
  }

  /** A time further ahead than any ejection lasts was set before the clock stepped back, or the limits were lowered. */
  #isOver(until: number, now: number): boolean {
    const left = (until - now) | 0
    return left <= 0 || left > this.#limits.maxEjectionTime * (1 + JITTER)
  }
}

/** Main thread: an endpoint whose words are about to be another's leaves its service, and takes with it what it counts there. */
export function leave(words: Int32Array, at: number, service: Int32Array, serviceAt: number): void {
  const was = Atomics.exchange(words, at + UNTIL, 0)
  if (was !== 0 && Atomics.load(service, serviceAt) > 0) Atomics.sub(service, serviceAt, 1)
}

/** Main thread: a thread that died while it ejected may have left the service's word too high. `seen`: what it said an interval ago. */
export function repair(service: Int32Array, serviceAt: number, ejected: number, seen: number): number {
  const said = Atomics.load(service, serviceAt)
  if (said !== ejected && said === seen) Atomics.compareExchange(service, serviceAt, said, ejected)
  return said
}

/** Whether a probe is waited for until `claimed`. */
function isAhead(claimed: number, now: number): boolean {
  const left = (claimed - now) | 0
  return claimed !== 0 && left > 0 && left <= PROBE_TIME
}

function never0(time: number): number {
  return time | 0 || 1
}
