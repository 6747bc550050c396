// Routes after validation: part of the model, see model.ts.

import type { CanaryConfig } from "./canary-model.ts"
import type { RoutePriority } from "./limits-model.ts"
import type { MatchConfig } from "./match-model.ts"
import type { RateLimitConfig } from "./rate-limit-model.ts"
import type { FaultConfig, MirrorConfig, StickyConfig } from "./shaping-model.ts"
import type { RouteTracingConfig } from "./tracing-model.ts"

export interface HeaderEdits {
  /** Applied in the order remove, set, add. Names lower case. */
  readonly remove: readonly string[]
  readonly set: readonly (readonly [name: string, value: string])[]
  readonly add: readonly (readonly [name: string, value: string])[]
}

export interface RewriteConfig {
  /** Replaces the matched prefix. At most one of `prefix` and `path`. */
  readonly prefix?: string
  /** Replaces the whole path; the query stays. */
  readonly path?: string
  /** Replaces the authority. */
  readonly host?: string
}

export interface RedirectConfig {
  readonly scheme?: "http" | "https"
  readonly host?: string
  readonly port?: number
  readonly prefix?: string
  readonly path?: string
  /** 301, 302 (default), 303, 307, 308. */
  readonly status: number
}

export interface BackendConfig {
  readonly service: string
  /** Labels that its endpoints must have; undefined: all of the service. */
  readonly subset?: Readonly<Record<string, string>> | undefined
  /** Default 1; 0 = none. */
  readonly weight: number
  readonly headers: { readonly request: HeaderEdits; readonly response: HeaderEdits }
  readonly rewrite?: RewriteConfig
}

/** What a failed attempt must have shown for its request to be sent again: kinds of failures, statuses, gRPC statuses. */
export type RetryCondition =
  | "connectFailure"
  | "refused"
  | "reset"
  | "5xx"
  | "retriable4xx"
  | "cancelled"
  | "deadlineExceeded"
  | "resourceExhausted"
  | "internal"
  | "unavailable"
  | number

export interface RetryConfig {
  /** Times a request may be sent again, at most; default 2. */
  readonly attempts: number
  readonly on: readonly RetryCondition[]
  /** ms before a retry: up to twice `base` (default 25) before the first, doubled for each further one, up to `max` (default 250). */
  readonly backoff: { readonly base: number; readonly max: number }
  /** Bodies are kept to be sent again: unless this is what a route has that says nothing of retries. */
  readonly keepsBodies: boolean
}

export interface HedgeConfig {
  /** ms without an answer after which a second attempt sets out; with a percentile the least there is. */
  readonly after: number
  /** 0–100: the delay is that percentile of the latencies of late; 0 = it is `after`. */
  readonly percentile: number
}

export interface RouteConfig {
  /** Unique; default `route-<index>`. */
  readonly name: string
  /** Listeners it serves; empty = all. */
  readonly listeners: readonly string[]
  /** Lower case, exact or `*.suffix`; empty = every host. */
  readonly hosts: readonly string[]
  /** Any one of them selects the route; never empty (default: path prefix `/`). */
  readonly matches: readonly MatchConfig[]
  readonly filters: readonly RouteFilterConfig[]
  /** Exactly one kind of action. `backends` may be empty, or name a service that does not exist (500). */
  readonly action:
    | { readonly kind: "forward"; readonly backends: readonly BackendConfig[]; readonly rewrite?: RewriteConfig }
    | { readonly kind: "redirect"; readonly redirect: RedirectConfig }
    | { readonly kind: "respond"; readonly status: number; readonly body: string; readonly headers: readonly (readonly [string, string])[] }
  /** Of a route that forwards. Undefined: the weights are as they are written. */
  readonly canary?: CanaryConfig | undefined
  readonly timeout: {
    /** ms for the whole exchange up to the end of the response; 0 = none; default 15 s. */
    readonly request: number
    /** ms for one attempt up to its response head; 0 = none (default). */
    readonly perTry: number
    /** ms without a byte in either direction while a body streams; 0 = none; default 5 min. */
    readonly idle: number
    /** Services are told in `x-request-timeout` how long an answer is wanted; default false. */
    readonly propagate: boolean
    /** `request` for gRPC, beside what a call's grpc-timeout says: none unless `request` was written, since streams are long. */
    readonly grpc: number
  }
  /** Null: only what proves to have reached no service is sent again. */
  readonly retry: RetryConfig | null
  /** Null: no request is sent to two endpoints at once. */
  readonly hedge: HedgeConfig | null
  /** Default normal. */
  readonly priority: RoutePriority
  readonly rateLimits?: readonly RateLimitConfig[] | undefined
  /** Browsers' gRPC-Web becomes gRPC. */
  readonly grpcWeb: boolean
  readonly fault?: FaultConfig | undefined
  /** Undefined: every request is given to a backend by itself. */
  readonly sticky?: StickyConfig | undefined
  /** Undefined: nothing is copied. */
  readonly mirrors?: readonly MirrorConfig[] | undefined
  /** Undefined: there is no tracing. */
  readonly tracing?: RouteTracingConfig | undefined
  readonly headers: { readonly request: HeaderEdits; readonly response: HeaderEdits }
}

export interface RouteFilterConfig {
  /** Name in `filters`. */
  readonly use: string
  /** Settings laid over the filter's `config` for this route (top-level keys replace); undefined = none. */
  readonly with: unknown
}
