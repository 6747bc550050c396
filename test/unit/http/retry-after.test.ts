import { expect, test } from "vitest"
import { parseRetryAfter } from "../../../gateway/http/retry-after.ts"

const now = Date.parse("Sun, 29 Nov 2026 10:00:00 GMT")

test.each<[string | undefined, number]>([
  [undefined, 0],
  ["0", 0],
  ["1", 1000],
  ["120", 120_000],
  ["99999999", 300_000],
  ["Sun, 29 Nov 2026 10:00:30 GMT", 30_000],
  ["Sun, 29 Nov 2026 09:00:00 GMT", 0],
  ["Mon, 30 Nov 2026 10:00:00 GMT", 300_000],
  ["Sun, 99 Nov 2026 10:00:30 GMT", 0],
  ["", 0],
  ["-1", 0],
  ["1.5", 0],
  ["1e3", 0],
  ["1, 2", 0],
  ["2026-11-29T10:00:30Z", 0],
  ["12345678901", 0],
])("%s asks for %d ms", (value, expected) => {
  expect(parseRetryAfter(value, now)).toBe(expected)
})
