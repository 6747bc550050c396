// What is done to traffic on purpose, after validation: faults, copies, clients that stay with a backend. Part of model.ts.

/** How long a delay is. */
export type DelayConfig =
  | { readonly kind: "fixed" /** ms */; readonly fixed: number }
  | { readonly kind: "normal" /** ms */; readonly mean: number /** ms */; readonly deviation: number }
  /** Shares of requests (0–1] and the ms they don't exceed; both grow. */
  | { readonly kind: "percentiles"; readonly points: readonly (readonly [share: number, ms: number])[] }

/** Faults of a route; at least one kind. */
export interface FaultConfig {
  /** Of the route's requests, 0–1; default 1. A kind's own share is of those. */
  readonly share: number
  readonly delay: (DelayConfig & { readonly share: number }) | null
  /** One of the two at least. `status` 0 = the one that stands for `grpcStatus`, the status of gRPC calls; −1 = the other way round. */
  readonly abort: { readonly status: number; readonly grpcStatus: number; readonly share: number } | null
  readonly reset: { readonly share: number } | null
  /** `rate`: octets a second of a response's body. */
  readonly bandwidth: { readonly rate: number; readonly share: number } | null
  /** Only requests that have this header have faults, lower case; "" = all. */
  readonly header: string
}

/** A service that gets copies of a route's requests. */
export interface MirrorConfig {
  readonly service: string
  /** Of the requests, 0–1; default 1. */
  readonly share: number
}

/** What keeps a client with a backend of the route. */
export type StickyConfig =
  /** A cookie of that name, for `ttl` ms; 0 = as long as the browser runs. */
  | { readonly kind: "cookie"; readonly cookie: string; readonly ttl: number }
  /** A header (lower case) or query parameter. */
  | { readonly kind: "header" | "query"; readonly name: string }
  /** The client's address. */
  | { readonly kind: "source"; readonly name: "" }
