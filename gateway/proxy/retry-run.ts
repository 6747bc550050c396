// The retries of one exchange: how many are left, what its service's budget says, and when the next is due. It is made when
// an attempt has failed, so that an exchange that goes well has none of this.

import { type ErrorCode, errors } from "../errors.ts"
import type { RequestHead } from "../http/message.ts"
import { ONLY_REFUSED, type RetryPolicy } from "../resilience/retry.ts"
import type { Service } from "../upstream/services.ts"

export class RetryRun {
  /** ms before the retry that was taken. */
  pause = 0
  /** The retry that was taken wants no connection that was used before. */
  fresh = false
  readonly #policy: RetryPolicy
  readonly #service: Service
  readonly #repeatable: boolean
  readonly #grpc: boolean
  readonly #random: () => number
  #taken = 0
  /** Its retry is counted in the service's budget. */
  #budgeted = false

  private constructor(policy: RetryPolicy, service: Service, repeatable: boolean, grpc: boolean, random: () => number) {
    this.#policy = policy
    this.#service = service
    this.#repeatable = repeatable
    this.#grpc = grpc
    this.#random = random
  }

  /**
   * What a request to `service` has of retries: those of its route, or of what HTTP/2 refuses. Null when it has none.
   * `repeatable`: its method may be. `grpc`: it is a call. `random`: [0, 1).
   */
  static of(
    policy: RetryPolicy | null,
    service: Service,
    head: RequestHead,
    repeatable: boolean,
    grpc: boolean,
    random: () => number,
  ): RetryRun | null {
    const refusable = head.body !== "none" && (grpc ? service.callsMayBeHttp2 : service.mayBeHttp2)
    const chosen = policy ?? (refusable ? ONLY_REFUSED : null)
    return chosen === null ? null : new RetryRun(chosen, service, repeatable, grpc, random)
  }

  /**
   * An attempt failed without a response head. `whole`: all of the request can be sent again. `others`: there are endpoints
   * that were not tried. `left`: ms the exchange has: a retry that can't begin in time isn't taken. True takes one of the retries.
   */
  takeAfterFailure(code: ErrorCode, unanswered: boolean, whole: boolean, others: boolean, left: number): boolean {
    this.settle()
    const unseen = errors[code].retryable === "yes"
    if (!whole || !this.#policy.onFailure(code, this.#repeatable, unanswered, this.#grpc)) return false
    // Where nothing was reached there is nothing to spare, and another endpoint may do.
    const pause = unseen && others ? 0 : this.#backoff()
    if (pause >= left || !this.#take(!unseen)) return false
    this.pause = pause
    this.fresh = code === "upstreamClosed"
    return true
  }

  /**
   * An attempt was answered as its policy lists it. `spare`: ms that the service asks to be left alone. `left`: as above. True
   * takes one of the retries.
   */
  takeAfterAnswer(whole: boolean, spare: number, left: number): boolean {
    this.settle()
    if (!whole || this.#taken >= this.#policy.attempts) return false
    const pause = Math.max(spare, this.#backoff())
    if (pause >= left || !this.#take(true)) return false
    this.pause = pause
    this.fresh = false
    return true
  }

  /** Whether a second attempt may race the first. It is one of the retries. */
  takeForRival(): boolean {
    this.settle()
    return this.#take(true)
  }

  /** The retry that was taken can't begin: it counts as none. */
  giveBack(): void {
    this.settle()
    this.#taken--
  }

  // ms before the next retry.
  #backoff(): number {
    return this.#policy.pause(this.#taken + 1, this.#random())
  }

  // `costly`: it adds to the load of its service, which what was never looked at doesn't.
  #take(costly: boolean): boolean {
    if (this.#taken >= this.#policy.attempts) return false
    if (costly) {
      if (!this.#service.limits.admitRetry()) return false
      this.#budgeted = true
    }
    this.#taken++
    return true
  }

  /** The retry under way, if any, is over: it was answered, has failed, or is given up. */
  settle(): void {
    if (this.#budgeted) this.#service.limits.releaseRetry()
    this.#budgeted = false
  }
}
