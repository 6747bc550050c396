// What clients are told of rate limits: the fields RateLimit-Limit, -Remaining and -Reset, which most of them know, RateLimit-Policy
// in its present form (draft-ietf-httpapi-ratelimit-headers-10), and Retry-After (RFC 9110 §10.2.3) when they are refused.

import { Buffer } from "node:buffer"
import type { RateLimitConfig } from "../../config/rate-limit-model.ts"
import { errors } from "../../errors.ts"
import type { Fields } from "../../http/fields.ts"
import type { LocalReply } from "../filter.ts"
import type { RateLimiter } from "./rate-limiter.ts"

const NO_BODY = Buffer.alloc(0)

/** Value of RateLimit-Policy for limits that all apply; "" = clients are told of none. Windows are whole seconds there. */
export function policyOf(limits: readonly RateLimitConfig[]): string {
  return (
    limits
      // What a rate-limit service allows is not known before it says so.
      .filter(({ headers, shadow, scope }) => headers && !shadow && scope !== "service")
      .map(({ policy, requests, per }) => {
        const seconds = Math.ceil(per / 1000)
        return `"${policy}";q=${Math.max(1, Math.floor((requests * seconds * 1000) / per))};w=${seconds}`
      })
      .join(", ")
  )
}

/** Puts figures into a response, unless the service has told of a limit with fewer requests left. */
export function tell(fields: Fields, limit: number, remaining: number, reset: number, policy: string): void {
  const told = fields.get("ratelimit-remaining")
  if (told !== undefined) {
    if (/^\d{1,15}$/.test(told) && Number(told) <= remaining) return
    for (const name of ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset", "ratelimit-policy"]) fields.remove(name)
  }
  fields.add("ratelimit-limit", String(limit))
  fields.add("ratelimit-remaining", String(remaining))
  fields.add("ratelimit-reset", String(Math.ceil(reset / 1000)))
  if (policy !== "") fields.add("ratelimit-policy", policy)
}

/** The reply to a request over a limit. `limit` −1: the figures aren't known; `wait`, `reset`: ms. */
export function rateLimitReply(
  { name, status }: RateLimitConfig,
  limit: number,
  reset: number,
  wait: number,
  policy: string,
  more: readonly string[],
): LocalReply {
  const headers = ["retry-after", String(Math.max(1, Math.ceil(wait / 1000)))]
  if (limit >= 0) {
    headers.push("ratelimit-limit", String(limit), "ratelimit-remaining", "0", "ratelimit-reset", String(Math.ceil(reset / 1000)))
    if (policy !== "") headers.push("ratelimit-policy", policy)
  }
  headers.push(...more)
  return { status, body: NO_BODY, headers, details: name, grpcStatus: errors.rateLimited.grpcStatus, code: "rateLimited" }
}

/** The reply of a limit that has just refused. */
export function refusal(limiter: RateLimiter, policy: string): LocalReply {
  return rateLimitReply(limiter.config, limiter.requests, limiter.reset, limiter.wait, policy, [])
}

/** To a request without a key that it must have: no waiting helps. */
export function missingReply({ name, status }: RateLimitConfig): LocalReply {
  const { grpcStatus } = errors.rateLimited
  return { status, body: NO_BODY, headers: [], details: `${name}:missing`, grpcStatus, code: "rateLimited" }
}

/** To a request that nobody could be asked about, where the configuration has it refused then. */
export function undecidedReply({ name }: RateLimitConfig): LocalReply {
  const { status, grpcStatus } = errors.rateLimitUnavailable
  return { status, body: NO_BODY, headers: [], details: name, grpcStatus, code: "rateLimitUnavailable" }
}
