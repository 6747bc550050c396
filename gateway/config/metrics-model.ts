// What is shown to who scrapes metrics.

export interface MetricsConfig {
  /** Which buckets of histograms are shown; default coarse. They are counted in the fine ones either way. */
  readonly histograms: "coarse" | "fine"
  /** Traces stand for buckets in OpenMetrics; default true. */
  readonly exemplars: boolean
}
