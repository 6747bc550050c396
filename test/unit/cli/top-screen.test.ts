import { stripVTControlCharacters } from "node:util"
import { describe, expect, test } from "vitest"
import { type TopView, topKinds, topScreen } from "../../../gateway/cli/top-screen.ts"
import { type Figures, figuresOf, type TrafficFigures } from "../../../gateway/telemetry/live-summary.ts"

const nothing = figuresOf([], { seconds: 10, limit: 10, search: "", history: false }, () => false)
const traffic = (name: string, requests: number, success: number, p99: number): TrafficFigures => ({
  ...{ name, requests, success, rejected: 0, received: 0, sent: 2048, retries: 0, history: [] },
  latency: { p50: 1.5, p95: 20, p99, p999: 1500 },
})
const figures: Figures = {
  ...nothing,
  seconds: 10,
  total: { ...traffic("", 150, 0.99995, 42), cpu: 0.5 },
  routes: [traffic("shop", 100, 1, 30), traffic("orders", 50, 0.9, 400)],
  services: [traffic("catalogue", 100, 1, 30)],
  filters: [
    {
      ...{ name: "pricing", requests: 50, failures: 0, calls: 50, traps: 2, cpu: 0.06, share: 0.4, history: [] },
      cost: { mean: 1200, p50: 800, p99: 9000 },
    },
  ],
}
const view: TopView = { kinds: topKinds, sort: "rate", width: 100, height: 0, colour: false, address: "127.0.0.1:9901", trouble: "" }

describe("sluice top", () => {
  test("shows what goes on, what has most of it first", () => {
    expect(topScreen(figures, view).join("\n")).toBe(
      `sluice 127.0.0.1:9901  150 req/s  >99.99% ok  p50 1.5ms  p99 42ms  0.50 cores  last 10 s

ROUTE     REQ/S  SUCCESS  4XX/S    P50   P95    P99   P99.9  OUT/S
shop        100     100%      0  1.5ms  20ms   30ms  1500ms   2KiB
orders       50    90.0%      0  1.5ms  20ms  400ms  1500ms   2KiB

SERVICE    REQ/S  SUCCESS  4XX/S    P50   P95   P99   P99.9  OUT/S
catalogue    100     100%      0  1.5ms  20ms  30ms  1500ms   2KiB

FILTER    CALLS/S  FAILED/S   MEAN    P50    P99    CPU  TRAPS
pricing        50         0  1.2ms  800µs  9.0ms  40.0%      2`,
    )
  })

  test("sorts by what is asked for, the worst first", () => {
    const order = (sort: TopView["sort"]): string[] =>
      topScreen(figures, { ...view, kinds: ["routes"], sort })
        .slice(3)
        .map((line) => line.split(" ")[0])
    expect([order("rate"), order("success"), order("p99"), order("name")]).toEqual([
      ["shop", "orders"],
      ["orders", "shop"],
      ["orders", "shop"],
      ["orders", "shop"],
    ])
  })

  test("fits the terminal: columns go before names do, and rows are counted that have no place", () => {
    const many = { ...figures, routes: Array.from({ length: 500 }, (_, i) => traffic(`a-route-with-a-long-name-${i}`, 500 - i, 1, 5)) }
    for (const width of [200, 80, 60, 40, 24]) {
      for (const height of [50, 24, 12]) {
        const lines = topScreen(many, { ...view, width, height, colour: true }).map(stripVTControlCharacters)
        expect(lines.length).toBeLessThanOrEqual(height)
        expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(width)
        expect(lines.some((line) => line.startsWith("ROUTE") && line.includes("REQ/S"))).toBe(true)
      }
    }
    expect(topScreen(many, { ...view, kinds: ["routes"], height: 12 }).at(-1)).toBe("  492 more")
  })

  test("colours only where colour is wanted, and lets no name drive the terminal", () => {
    const hostile = { ...figures, routes: [traffic("x\u001b[2J\u202e\n", 1, 0.5, 1)] }
    expect(topScreen(hostile, { ...view, colour: false }).join("\n")).not.toMatch(/[\u001b\u202e]/)
    expect(topScreen(hostile, { ...view, colour: true, kinds: ["routes"] }).join("\n")).not.toContain("\u001b[2J")
    expect(topScreen(figures, { ...view, colour: true }).join("\n")).toContain("\u001b[31m")
  })

  test("says when nothing is known yet, and what is wrong", () => {
    const lines = topScreen(nothing, { ...view, trouble: "no gateway's admin API answers" })
    expect(lines[0]).toContain("counting begins")
    expect(lines[1]).toBe("no gateway's admin API answers")
    expect(lines.join("\n")).toContain("none had anything to do")
  })
})
