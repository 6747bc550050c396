// A route's canary after validation.

/** Moves a route's requests to one of its backends, step by step. */
export interface CanaryConfig {
  /** Of the backend that is to take over; no other backend of the route is of this service. */
  readonly service: string
  /** Shares (0–1] of the route's requests, ascending; never empty. Default 0.01, 0.1, 0.5, 1. */
  readonly steps: readonly number[]
  /** ms in a step, at least; default 1 min. */
  readonly interval: number
  /** When it is rolled back. */
  readonly abortOn: {
    /** Share (0–1) of its requests that may fail; default 0.05. */
    readonly errorRate: number
    /** ms a hundredth of them may exceed; 0 = any time (default). */
    readonly p99: number
    /** Requests without which nothing is judged; default 50. */
    readonly minimum: number
  }
}
