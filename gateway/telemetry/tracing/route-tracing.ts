// How the exchanges of one route are traced, as it is asked for each of them.

import type { RouteTracingConfig } from "../../config/tracing-model.ts"
import { RatioSampler } from "./sampling.ts"

export class RouteTracing {
  /** Null: none is recorded. */
  readonly sampler: RatioSampler | null
  /** Every phase of a filter gets a span. */
  readonly filters: boolean

  constructor({ sampling, filters }: RouteTracingConfig) {
    this.sampler = sampling === null ? null : new RatioSampler(sampling)
    this.filters = filters
  }
}
