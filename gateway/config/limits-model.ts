// The part of the configuration that says how much may be under way, after validation: of a service, and of the gateway.

/** How much may be under way at a service, over all workers. */
export interface CircuitBreakerConfig {
  /** Open connections, idle ones included; default 1024. Over it requests wait, TCP connections are closed. */
  readonly maxConnections: number
  /** Requests that wait for a connection; default 1024. Over it: 503. */
  readonly maxPending: number
  /** Requests under way, those that wait included; default 1024. Over it: 503. */
  readonly maxRequests: number
  /** Requests that are being sent again; default 1024. Over it they keep the answer or failure they have. */
  readonly maxRetries: number
  /** Retries in 10 s: a share (0–1) of the requests in them, and so many a second beside; default 0.2 and 10. */
  readonly retryBudget: { readonly share: number; readonly perSecond: number }
  /** ms a request waits for a connection while none is being made for it; default the service's connectTimeout. Over it: 503. */
  readonly queueTimeout: number
  /** Of each endpoint; 0 = no cap (default). */
  readonly endpoint: { readonly maxConnections: number; readonly maxRequests: number }
}

/** Bounds between which the number of requests at a time is found out, over all workers. */
export interface AdaptiveConcurrencyConfig {
  /** Default 3. */
  readonly minConcurrency: number
  /** Default 1000. */
  readonly maxConcurrency: number
}

/** When requests are kept from a service that fails. */
export interface AdmissionControlConfig {
  /** ms; default 30 s. */
  readonly window: number
  /** Share (0–1) of requests that should succeed; default 0.95. */
  readonly successTarget: number
  /** Largest share (0–1) that is refused; default 0.8. */
  readonly maxReject: number
}

/** When the gateway itself has too much to do, and refuses exchanges by their priority. */
export interface OverloadConfig {
  /** ms a worker's event loop may be late, for longer than a moment; 0 = it isn't looked at; default 250. */
  readonly eventLoopLag: number
  /** Memory of the process: a share (0–1) of what it may have, or octets; null = it isn't looked at; default 0.9. */
  readonly memory: { readonly share: number } | { readonly octets: number } | null
}

/** Which exchanges are refused last when the gateway has too much to do. */
export type RoutePriority = "high" | "normal" | "low"
