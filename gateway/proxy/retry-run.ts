// The retries of one exchange: how many are left, and whether its request can be sent again as it was. An exchange whose
// route has no retries has none of this; it ends when a response head is taken.

import type { ErrorCode } from "../errors.ts"
import { parseGrpcStatus } from "../http/grpc-status.ts"
import type { ResponseHead } from "../http/message.ts"
import type { RetryPolicy } from "../resilience/retry.ts"
import { ReplayBuffer } from "./replay-buffer.ts"

export class RetryRun {
  readonly body = new ReplayBuffer()
  readonly #policy: RetryPolicy
  readonly #repeatable: boolean
  #left: number

  /** `repeatable`: the request's method may be repeated. */
  constructor(policy: RetryPolicy, repeatable: boolean) {
    this.#policy = policy
    this.#repeatable = repeatable
    this.#left = policy.attempts
  }

  /** An attempt failed without a response head. True takes one of the retries. */
  takeAfterFailure(code: ErrorCode, unanswered: boolean): boolean {
    return this.#take(this.#policy.onFailure(code, this.#repeatable, unanswered))
  }

  /** An attempt was answered. `grpc`: it is a call. True takes one of the retries. */
  takeAfterResponse(head: ResponseHead, grpc: boolean): boolean {
    const status = grpc ? head.fields.get("grpc-status") : undefined
    const listed =
      this.#policy.onStatus(head.status, this.#repeatable) || (status !== undefined && this.#policy.onGrpcStatus(parseGrpcStatus(status)))
    return this.#take(listed)
  }

  #take(listed: boolean): boolean {
    if (!listed || this.#left === 0 || !this.body.whole) return false
    this.#left--
    return true
  }
}
