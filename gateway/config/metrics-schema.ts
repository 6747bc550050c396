// What users write about metrics, as a zod schema.

import type { MetricsConfig } from "./metrics-model.ts"
import { boolean, choice, object } from "./schema-kit.ts"

export const metrics = object(
  {
    histograms: choice(["coarse", "fine"])
      .default("coarse")
      .describe(
        "Buckets of histograms at /metrics. coarse: each at most twice the one before; fine: at most 12 % more, five times as many lines.",
      ),
    exemplars: boolean().default(true).describe("Traces that were sampled stand for buckets, where OpenMetrics is asked for."),
  },
  "{ histograms: fine }",
)
  .transform((given): MetricsConfig => given)
  .prefault({})
  .describe("What is shown at /metrics.")
