// The retries of one exchange: how many are left, whether its request can be sent again as it was, and when. An exchange whose
// route has no retries has none of this; it ends when a response head is taken.

import { type ErrorCode, errors } from "../errors.ts"
import { parseGrpcStatus } from "../http/grpc-status.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import { ONLY_REFUSED, type RetryPolicy, retryPause } from "../resilience/retry.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import type { Service } from "../upstream/services.ts"
import { ReplayBuffer } from "./replay-buffer.ts"

const NEVER = Number.POSITIVE_INFINITY
/** Methods that may be sent twice (RFC 9110 §9.2.2). */
const IDEMPOTENT = /^(?:GET|HEAD|PUT|DELETE|OPTIONS|TRACE)$/

/** Whether requests with this method may be sent twice. */
export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.test(method)
}

export class RetryRun {
  readonly body = new ReplayBuffer()
  /** ms before the retry that was taken. */
  pause = 0
  /** The retry that was taken wants no connection that was used before. */
  fresh = false
  /** When the retry that was taken is due, on the wheel's clock; infinite = none waits. */
  at = NEVER
  /** Whose answer has no body: it is read to its end before the retry, since its connection is good for others. */
  answeredBy: Endpoint | null = null
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
   * What a request to `service` has of retries: those of its route, or of what HTTP/2 refuses. Null when it has none. `grpc`:
   * it is a call. `random`: [0, 1).
   */
  static of(policy: RetryPolicy | null, service: Service, head: RequestHead, grpc: boolean, random: () => number): RetryRun | null {
    const refusable = head.body !== "none" && (grpc ? service.callsMayBeHttp2 : service.mayBeHttp2)
    const chosen = policy ?? (refusable ? ONLY_REFUSED : null)
    return chosen === null ? null : new RetryRun(chosen, service, isIdempotent(head.method), grpc, random)
  }

  /** An attempt failed without a response head. True takes one of the retries. */
  takeAfterFailure(code: ErrorCode, unanswered: boolean): boolean {
    this.settle()
    if (!this.#policy.onFailure(code, this.#repeatable, unanswered, this.#grpc) || !this.#take(code !== "upstreamRefused")) return false
    // Where nothing was reached there is nothing to spare, and another endpoint may do.
    this.pause = errors[code].retryable === "yes" ? 0 : retryPause(this.#taken, this.#random())
    this.fresh = code === "upstreamClosed"
    return true
  }

  /** An attempt was answered. True takes one of the retries. */
  takeAfterResponse(head: ResponseHead): boolean {
    this.settle()
    // Only of an answer that is nothing but its head.
    const status = this.#grpc && head.body === "none" ? head.fields.get("grpc-status") : undefined
    const listed =
      this.#policy.onStatus(head.status, this.#repeatable) || (status !== undefined && this.#policy.onGrpcStatus(parseGrpcStatus(status)))
    if (!listed || !this.#take(true)) return false
    this.pause = retryPause(this.#taken, this.#random())
    this.fresh = false
    return true
  }

  // `costly`: it may add to the load of its service, which what HTTP/2 refused unseen has not.
  #take(costly: boolean): boolean {
    if (this.#taken === this.#policy.attempts || !this.body.whole) return false
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
