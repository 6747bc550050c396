// How requests are spread over the endpoints of a service, after validation.

/** What of a request decides which endpoint it goes to. */
export type HashConfig =
  | { readonly kind: "header"; readonly name: string }
  | { readonly kind: "query"; readonly name: string }
  | { readonly kind: "source" }
  | { readonly kind: "cookie"; readonly name: string; readonly generate: AffinityCookieConfig | null }

/** The cookie that clients without one are given. */
export interface AffinityCookieConfig {
  /** ms; 0 = until the client ends its session. */
  readonly ttl: number
  readonly path: string
}

export interface LoadBalancingConfig {
  /** Default leastRequest. */
  readonly policy: "roundRobin" | "random" | "leastRequest" | "peakEwma" | "ringHash" | "maglev"
  /** Of ringHash and maglev; null for the others. */
  readonly by: HashConfig | null
  /** ms a new endpoint takes to get its whole share; 0 = it gets it at once (default). */
  readonly slowStart: number
  /** Endpoints in the gateway's zone are preferred; default true, but for ringHash and maglev. */
  readonly zoneAware: boolean
  /** Share (0–1) of the endpoints; when fewer are available, all are used. Default 0.5; 0 = never. */
  readonly panicThreshold: number
}

export const LEAST_REQUEST: LoadBalancingConfig = { policy: "leastRequest", by: null, slowStart: 0, zoneAware: true, panicThreshold: 0.5 }
