import { describe, expect, test } from "vitest"
import { EndpointHealth, firstProbe, probePause } from "../../../gateway/resilience/health.ts"

describe("an endpoint", () => {
  /** What it is taken for after each of these probes (+ well, - failed); upper case where that has changed. */
  function course(probes: string): string {
    const health = new EndpointHealth({ unhealthy: 3, healthy: 2 })
    return [...probes]
      .map((probe) => {
        const changed = health.record(probe === "+")
        const letter = health.healthy ? "h" : "u"
        return changed ? letter.toUpperCase() : letter
      })
      .join("")
  }

  test.each([
    ["is well from the start", "+", "h"],
    ["is unwell after so many failures in a row", "---", "hhU"],
    ["forgets failures that are not in a row", "--+--+--", "hhhhhhhh"],
    ["stays unwell while probes fail", "-----", "hhUuu"],
    ["is well again after so many good ones in a row", "---++", "hhUuH"],
    ["forgets good ones that are not in a row", "---+-+-++", "hhUuuuuuH"],
    ["has to fail anew as often", "---++--+---", "hhUuHhhhhhU"],
  ])("%s", (_, probes, expected) => {
    expect(course(probes)).toBe(expected)
  })
})

test("the pause between two probes varies by a tenth each way", () => {
  expect([0, 0.5, 0.999_999].map((random) => probePause(5000, random))).toEqual([4500, 5000, 5500])
  expect(probePause(1, 0)).toBe(1)
})

test("first probes are spread over an interval, but a second at most", () => {
  expect([0, 0.5, 0.999_999].map((random) => firstProbe(60_000, random))).toEqual([1, 500, 1000])
  expect(firstProbe(100, 0.5)).toBe(50)
})
