import { expect, test } from "vitest"
import { Buckets } from "../../../gateway/telemetry/buckets.ts"
import { requestBuckets } from "../../../gateway/telemetry/duration-buckets.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import { MetricsWriter } from "../../../gateway/telemetry/metrics-writer.ts"
import { quantile, quantiles, readCounts } from "../../../gateway/telemetry/quantile.ts"

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

test("several shares are read as each alone is", () => {
  const shares = [0, 0.1, 0.5, 0.95, 0.999, 1]
  for (const counts of [
    [3, 0, 7, 1],
    [0, 0, 0, 2],
    [0, 5, 0, 0],
    [0, 0, 0, 0],
  ])
    expect(quantiles(buckets, counts, shares)).toEqual(shares.map((q) => quantile(buckets, counts, q)))
})

test("p50 to p99.9 over all workers are off by no more than 12 %, whatever the distribution", () => {
  const registry = new MetricsRegistry()
  const slot = registry.histogram({ name: "h_seconds", help: "h", buckets: requestBuckets }).slot()
  const workers = [new MetricsWriter(registry.attach(0)), new MetricsWriter(registry.attach(1))]
  // A mode at 2 ms, a tail that reaches for seconds, and one request in a thousand at 7 s.
  const values = Array.from({ length: 50_000 }, (_, i) => {
    const u = (i + 0.5) / 50_000
    return i % 1000 === 0 ? 7.3 : 0.002 * (1 + u) + 0.0004 / (1 - u) ** 0.7
  })
  for (const [i, value] of values.entries()) workers[i % 2].observe(slot, value, requestBuckets)
  const sorted = values.toSorted((a, b) => a - b)
  const shares = [0.5, 0.9, 0.95, 0.99, 0.999]
  const found = quantiles(
    requestBuckets,
    readCounts((each) => registry.read(each), slot, requestBuckets),
    shares,
  )
  for (const [i, q] of shares.entries()) {
    const truth = sorted[Math.ceil(q * sorted.length) - 1]
    expect(Math.abs(found[i] / truth - 1)).toBeLessThanOrEqual(0.12)
  }
})
