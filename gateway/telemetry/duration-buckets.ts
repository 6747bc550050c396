// Bounds of the histograms of durations: fine enough inside for an honest p99.9, and those of them that scrapers get by default.

import { Buckets, COARSE, decimalBounds, FINE } from "./buckets.ts"

/** Seconds of a request, or of a part of it: 0.1 ms to 60 s, no bound more than 12 % above the one before. */
export const requestBuckets: Buckets = new Buckets(decimalBounds(0.0001, 60, FINE), 1e-6, decimalBounds(0.0005, 60, COARSE))

/** Seconds of one phase of a filter: 0.5 µs to 1 s, as fine. */
export const filterBuckets: Buckets = new Buckets(decimalBounds(5e-7, 1, FINE), 1e-9, decimalBounds(5e-7, 1, [1, 2, 5]))
