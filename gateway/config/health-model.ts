// What the configuration says of endpoints that fail, after validation: how they are asked whether they are well, and when
// what they answer has them ejected. Durations in milliseconds, shares from 0 to 1.

/** How endpoints of a service are asked whether they are well. */
export interface HealthCheckConfig {
  /**
   * `http`: a GET, well when its status is in one of `statuses` (both ends included) and its body, at most 1 MiB, holds the text
   * `body`. `grpc`: grpc.health.v1.Health/Check of that service, "" = the whole server. `tcp`: well when a connection can be made,
   * TLS included.
   */
  readonly probe:
    | {
        readonly kind: "http"
        readonly path: string
        readonly statuses: readonly (readonly [first: number, last: number])[]
        readonly body: string
      }
    | { readonly kind: "grpc"; readonly service: string }
    | { readonly kind: "tcp" }
  /** ms between two probes of an endpoint; default 5 s. */
  readonly interval: number
  /** ms between two probes of one that is unwell; default the interval. */
  readonly unhealthyInterval: number
  /** ms one probe may take; default 1 s. */
  readonly timeout: number
  /** Probes in a row that must fail for an endpoint to be avoided, and succeed for it to be used again; default 3 and 2. */
  readonly unhealthy: number
  readonly healthy: number
}

/** Endpoints that are compared: `minEndpoints` of them must have had `minRequests` in an interval. */
export interface OutlierRateConfig {
  readonly minEndpoints: number
  readonly minRequests: number
}

/** When endpoints of a service are left out for a while, by what they answer. */
export interface OutlierDetectionConfig {
  /** Failures in a row that eject an endpoint; 0 = never. 5 each by default. */
  readonly consecutive5xx: number
  readonly consecutiveGatewayErrors: number
  readonly consecutiveLocalFailures: number
  /** ms between two comparisons of the endpoints; default 10 s. */
  readonly interval: number
  /** ms of a first ejection, and of the longest; default 30 s and 300 s. */
  readonly baseEjectionTime: number
  readonly maxEjectionTime: number
  /** Share of the endpoints that may be ejected at a time; default 0.1, and always one. */
  readonly maxEjected: number
  /** `factor`: standard deviations below the mean. Null: off. */
  readonly successRate: (OutlierRateConfig & { readonly factor: number }) | null
  /** `threshold`: share of failed requests. Null: off, as by default. */
  readonly failurePercentage: (OutlierRateConfig & { readonly threshold: number }) | null
  /** `factor`: how many times the median of the others. Null: off, as by default. */
  readonly latency: (OutlierRateConfig & { readonly factor: number }) | null
  /** 429 is a failure. */
  readonly count429: boolean
}
