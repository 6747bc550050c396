// When a request is sent again because its route says so. It decides by what is known of the attempt that failed; whether
// the request's body can still be sent is for others to know.
//
// A request with a method that may be repeated (RFC 9110 §9.2.2) is sent again on everything listed. Any other only when
// nothing can have been done with it (`connectFailure`, `refused`), or when the list names the very status it was answered
// with, HTTP's or gRPC's: whoever writes 503 or `unavailable` knows what his services mean by it. `reset`, `5xx` and
// `retriable4xx` name none, nor does `unavailable` name HTTP's 503. Envoy asks nobody about methods; Linkerd neither, but it
// has no list.

import { type ErrorCode, errors } from "../errors.ts"

/** gRPC codes of the conditions that name one. */
const GRPC: ReadonlyMap<number | string, number> = new Map([
  ["cancelled", 1],
  ["deadlineExceeded", 4],
  ["resourceExhausted", 8],
  ["internal", 13],
  ["unavailable", 14],
])

const CONFLICT = 409
const UNAVAILABLE = 503
const PER_TRY_STATUS = 504
const PER_TRY_GRPC = 4

/** Pauses before a request is sent again, ms. */
export interface RetryBackoff {
  /** The first is up to twice this, each further one up to twice the one before. Default 25. */
  readonly base: number
  /** None is longer, unless a service asks for it. Default 250. */
  readonly max: number
}

export interface RetrySettings {
  /** Times a request may be sent again. */
  readonly attempts: number
  /** Statuses, and names of other conditions, as the configuration has them. */
  readonly on: readonly (number | string)[]
  /** Default {@link DEFAULT_BACKOFF}. */
  readonly backoff?: RetryBackoff
}

const DEFAULT_BACKOFF: RetryBackoff = { base: 25, max: 250 }

export class RetryPolicy {
  /** Times a request may be sent again. */
  readonly attempts: number
  readonly backoff: RetryBackoff
  readonly #connectFailure: boolean
  readonly #refused: boolean
  readonly #reset: boolean
  readonly #anyServerError: boolean
  readonly #conflict: boolean
  readonly #unavailable: boolean
  readonly #statuses: ReadonlySet<number>
  /** Bits, by code. */
  readonly #grpc: number

  constructor({ attempts, on, backoff = DEFAULT_BACKOFF }: RetrySettings) {
    this.attempts = attempts
    this.backoff = backoff
    this.#connectFailure = on.includes("connectFailure")
    this.#refused = on.includes("refused")
    this.#reset = on.includes("reset")
    this.#anyServerError = on.includes("5xx")
    this.#conflict = on.includes("retriable4xx")
    this.#unavailable = on.includes("unavailable")
    this.#statuses = new Set(on.filter((condition) => typeof condition === "number"))
    let grpc = 0
    for (const condition of on) {
      const code = GRPC.get(condition)
      if (code !== undefined) grpc |= 1 << code
    }
    this.#grpc = grpc
  }

  /**
   * An attempt without a response head failed with `code`. `repeatable`: the method may be repeated. `unanswered`: no octet
   * of a response has come. `grpc`: the request is a call, to which gRPC's conditions apply.
   */
  onFailure(code: ErrorCode, repeatable: boolean, unanswered: boolean, grpc: boolean): boolean {
    if (code === "perTryTimeout") return this.#onStatus(PER_TRY_STATUS, repeatable) || (grpc && this.#onGrpcStatus(PER_TRY_GRPC))
    const { source, retryable } = errors[code]
    if (source !== "upstream") return false
    if (retryable === "yes") return code === "connectFailure" || code === "connectTimeout" ? this.#connectFailure : this.#refused
    return retryable === "if-idempotent" && this.#reset && repeatable && unanswered
  }

  /** An attempt was answered with this HTTP status; a gRPC call with this code and nothing else, anything else with −1. */
  onAnswer(status: number, grpcStatus: number, repeatable: boolean): boolean {
    return this.#onStatus(status, repeatable) || this.#onGrpcStatus(grpcStatus)
  }

  #onStatus(status: number, repeatable: boolean): boolean {
    if (this.#statuses.has(status)) return true
    if (!repeatable) return false
    if (status === UNAVAILABLE && this.#unavailable) return true
    return status === CONFLICT ? this.#conflict : this.#anyServerError && status >= 500 && status <= 599
  }

  #onGrpcStatus(code: number): boolean {
    return code >= 0 && code < 31 && (this.#grpc & (1 << code)) !== 0
  }

  /**
   * ms before the `retry`th time (1, 2 …) a request is sent again, drawn from all of a range that doubles (full jitter), so
   * that many that failed together don't come back together. `random`: [0, 1).
   */
  pause(retry: number, random: number): number {
    const { base, max } = this.backoff
    return random * Math.min(max, base * 2 ** retry)
  }
}

/**
 * Of requests with a body to services of HTTP/2 whose route has none: a peer that leaves, or has too much to do, says which
 * requests it has not looked at (RFC 9113 §8.7), and its client shouldn't be the one to hear of it.
 */
export const ONLY_REFUSED: RetryPolicy = new RetryPolicy({ attempts: 1, on: ["refused"] })
