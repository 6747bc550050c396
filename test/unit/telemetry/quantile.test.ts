import { expect, test } from "vitest"
import { Buckets } from "../../../gateway/telemetry/buckets.ts"
import { quantile } from "../../../gateway/telemetry/quantile.ts"

const buckets = new Buckets([1, 2, 4], 0.001)

test.each([
  ["nothing", [0, 0, 0, 0], 0.5, 0],
  ["half of the first bucket", [10, 0, 0, 0], 0.5, 0.5],
  ["the end of a bucket", [5, 5, 0, 0], 0.5, 1],
  ["the middle of a wider one", [0, 0, 10, 0], 0.5, 3],
  ["past empty buckets", [1, 0, 9, 0], 0.55, 3],
  ["above the last bound", [0, 0, 1, 99], 0.5, 4],
])("%s", (_what, counts, q, expected) => {
  expect(quantile(buckets, counts, q)).toBeCloseTo(expected, 6)
})
