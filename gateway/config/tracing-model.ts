// Distributed tracing, after validation.

import type { OtlpConfig } from "./otlp-model.ts"

/** `w3c`: traceparent and tracestate. `b3`: one field. `b3multi`: the fields x-b3-…. */
export type PropagationFormat = "w3c" | "b3" | "b3multi"

export interface TracingConfig {
  readonly otlp: OtlpConfig
  /** Share (0–1) of the exchanges that begin a trace here, and failed before they had a route; default 0.01. */
  readonly sampling: number
  /** The first that says something is believed; all are written. Default w3c. */
  readonly propagation: readonly PropagationFormat[]
  /** The traces of clients are joined, also where no proxy in front is trusted. Default false. */
  readonly trustParents: boolean
  /** Lower-case name of the field by which trusted proxies in front have a request recorded; "" = none (default). */
  readonly force: string
  /** Default sluice. */
  readonly serviceName: string
}

/** Of one route, or of the connections of a listener that carries them as they are; undefined = nothing is traced at all. */
export interface RouteTracingConfig {
  /** Null: nothing of it is recorded; traces go through a route as they came. */
  readonly sampling: number | null
  /** Every phase of a filter gets a span. */
  readonly filters: boolean
}
