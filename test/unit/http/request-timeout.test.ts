import { expect, test } from "vitest"
import { formatRequestTimeout, parseRequestTimeout } from "../../../gateway/http/request-timeout.ts"

test.each<[string, number]>([
  ["0", 0],
  ["1500", 1500],
  ["250ms", 250],
  ["15s", 15_000],
  ["1m", 60_000],
  ["1h", 3_600_000],
  ["999999999", 3_600_000],
  ["999999999h", 3_600_000],
  ["", -1],
  ["-1", -1],
  ["1.5s", -1],
  ["1 s", -1],
  ["1S", -1],
  ["0x10", -1],
  ["1000000000", -1],
  ["1s,2s", -1],
])("%s is %d ms", (text, expected) => {
  expect(parseRequestTimeout(text)).toBe(expected)
})

test("what is left is said in whole milliseconds, and never as none", () => {
  expect([0.2, 1, 1.01, 1500].map(formatRequestTimeout)).toEqual(["1", "1", "2", "1500"])
})
