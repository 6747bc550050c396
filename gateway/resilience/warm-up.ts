// How much of its share an endpoint gets that has only just begun to serve: caches and compilers of its own need time.
//
// Contract: a tenth at the beginning, then in proportion to the time that has passed, all of it at the end of the window.

/** Share an endpoint begins with. */
const WARM_UP_LEAST = 0.1

/** Share of its weight, above 0 to 1, `elapsed` ms after it began, of a `window` in ms. */
export function warmth(elapsed: number, window: number): number {
  if (elapsed >= window) return 1
  return Math.max(WARM_UP_LEAST, elapsed / window)
}
