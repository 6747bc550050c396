// Rate limits after validation: part of the model, see model.ts.

/** What requests are told apart by. `text`: as it is written. */
export type RateLimitKeyConfig = { readonly text: string } & (
  | { readonly kind: "source" | "identity" | "host" | "method" | "path" }
  /** Segment of the path, from 1. */
  | { readonly kind: "segment"; readonly index: number }
  /** Header names are lower case. A claim is a name, or a path with dots. */
  | { readonly kind: "header" | "cookie" | "query" | "claim"; readonly name: string }
)

export interface RateLimitFigures {
  readonly requests: number
  /** ms. */
  readonly per: number
  /** Requests that may come at once; default: those of one second, at least 1. */
  readonly burst: number
}

export interface RateLimitOverrideConfig extends RateLimitFigures {
  /** One for each of the limit's `by`. */
  readonly values: readonly string[]
}

export interface RateLimitConfig extends RateLimitFigures {
  /** Unique: `route:NAME`, `listener:NAME` or `service:NAME`, and `#` with its own name or position where that isn't enough. */
  readonly name: string
  /** What clients are told it is called. */
  readonly policy: string
  /** Who decides: this process; all gateways together, through `rateLimitStore`; `rateLimitService`, and then the figures mean nothing. */
  readonly scope: "local" | "global" | "service"
  /** For the service, in front of `by`: keys and values of its descriptor. */
  readonly descriptor: readonly { readonly key: string; readonly value: string }[]
  /** Empty: all requests share. */
  readonly by: readonly RateLimitKeyConfig[]
  /** No values twice. */
  readonly overrides: readonly RateLimitOverrideConfig[]
  /** A request without one of `by`: is counted with others that lack the same (default), not counted, or refused. */
  readonly missing: "share" | "skip" | "deny"
  /** Counts, and lets everything pass. */
  readonly shadow: boolean
  /** Of the reply; default 429. */
  readonly status: number
  /** Clients are told of it in every response (default), or only when they are refused. */
  readonly headers: boolean
}
