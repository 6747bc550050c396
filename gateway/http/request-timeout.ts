// How long whoever sent a request waits for its answer, as `x-request-timeout` tells it from one proxy to the next. Who may
// say so is for others to know.

export const REQUEST_TIMEOUT = "x-request-timeout"

/** ms: an hour. What asks for more gets this. */
const MOST = 3_600_000
const FORM = /^([0-9]{1,9})(ms|s|m|h)?$/
const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** Milliseconds of `1500`, `1500ms`, `15s`, `1m` or `1h`; an hour at most. −1 when it is malformed. */
export function parseRequestTimeout(text: string): number {
  const found = FORM.exec(text)
  return found === null ? -1 : Math.min(Number(found[1]) * UNITS[found[2] ?? "ms"], MOST)
}

/** What is left, as the header says it: whole milliseconds, at least one. */
export function formatRequestTimeout(ms: number): string {
  return String(Math.max(1, Math.ceil(ms)))
}
