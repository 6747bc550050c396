// How long somebody asks to be spared (RFC 9110 §10.2.3). Who it concerns, and whether it is heeded, is for others to say.

/** ms that count at most. */
const MOST = 300_000
const SECONDS = /^[0-9]{1,10}$/
/** IMF-fixdate, the only form that may be sent (RFC 9110 §5.6.7). */
const DATE =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), [0-9]{2} (?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT$/

/** ms from `now` (ms since the epoch) that a `Retry-After` names, five minutes at most; 0 when there is none, or it is malformed. */
export function parseRetryAfter(value: string | undefined, now: number): number {
  if (value === undefined) return 0
  if (SECONDS.test(value)) return Math.min(Number(value) * 1000, MOST)
  if (!DATE.test(value)) return 0
  const at = Date.parse(value)
  return Number.isNaN(at) ? 0 : Math.min(Math.max(0, at - now), MOST)
}
