// One request's part in the limits of its service: from its admission to the one moment when nothing is under way for it there
// any more, with what the service's policies want to know of it then.

import { type ErrorCode, errors } from "../errors.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { DROPPED, FAILED, type Outcome, outcomeOf } from "../resilience/outcome.ts"
import type { ServiceLimits } from "./service-limits.ts"

export class Admission {
  readonly #limits: ServiceLimits
  readonly #wheel: TimerWheel
  #admitted = false
  /** A retry under way is counted, that was taken here. */
  #retrying = false
  #admittedAt = 0
  /** ms until it was answered or had failed, and how. */
  #latency = 0
  #outcome: Outcome = DROPPED

  constructor(limits: ServiceLimits, wheel: TimerWheel) {
    this.#limits = limits
    this.#wheel = wheel
  }

  /** Whether the request may be under way. If not, {@link refusal} names the limit. */
  begin(): boolean {
    this.#admitted = this.#limits.admit()
    this.#admittedAt = this.#wheel.now
    return this.#admitted
  }

  get refusal(): string {
    return this.#limits.refusal
  }

  /** It was answered. `grpcStatus`: −1 = none, or none yet. */
  answered(status: number, grpcStatus: number): void {
    this.#settle(outcomeOf(status, grpcStatus))
  }

  /** It has failed for good. */
  failed(code: ErrorCode): void {
    this.#settle(errors[code].source === "upstream" ? FAILED : DROPPED)
  }

  /** Its answer has come to its end, with `grpcStatus`, −1 = none; and nothing is under way for it any more. */
  ended(grpcStatus: number): void {
    if (grpcStatus > 0 && outcomeOf(200, grpcStatus) === FAILED) this.cutShort()
    this.end()
  }

  /** Its answer was cut short. */
  cutShort(): void {
    this.#outcome = FAILED
  }

  #settle(outcome: Outcome): void {
    this.#outcome = outcome
    this.#latency = this.#wheel.now - this.#admittedAt
  }

  /** Whether it may be sent again, as a retry of its service. */
  takeRetry(): boolean {
    this.endRetry()
    this.#retrying = this.#limits.admitRetry()
    return this.#retrying
  }

  /** The retry, if one is under way, was answered or has failed. */
  endRetry(): void {
    if (!this.#retrying) return
    this.#retrying = false
    this.#limits.releaseRetry()
  }

  /** Nothing is under way for it any more; harmless when repeated. */
  end(): void {
    this.endRetry()
    if (!this.#admitted) return
    this.#admitted = false
    this.#limits.release(this.#latency, this.#outcome)
  }
}
