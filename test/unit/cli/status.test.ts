import { describe, expect, test } from "vitest"
import { readSamples, TRAFFIC_METRICS, trafficBetween } from "../../../gateway/cli/exposition.ts"
import { type GatewayStatus, statusText } from "../../../gateway/cli/status-text.ts"

const plain = (text: string): string => text

const status: GatewayStatus = {
  admin: "127.0.0.1:9901",
  version: "0.1.0",
  started: "2026-01-02T00:00:00.000Z",
  ready: {
    ready: true,
    draining: false,
    reasons: ["filter auth is in quarantine: it failed too often, and is not started any more"],
    generation: 4,
    lastReload: { ok: true, error: null, at: "2026-01-02T02:59:20.000Z" },
    workers: { running: 2, wanted: 2 },
    filtersInTrouble: ["auth"],
  },
  listeners: [
    { name: "edge", address: { host: "0.0.0.0", port: 8443 } },
    { name: "six", address: { host: "::1", port: 80 } },
  ],
  traffic: { seconds: 2, rate: 1234.4, success: 0.99987, p99: 12.4 },
  services: [
    { name: "api", taking: 2, usable: 1, drained: 0 },
    { name: "orders", taking: 1, usable: 1, drained: 1 },
    { name: "web", taking: 1, usable: 1, drained: 0 },
  ],
  filters: [
    { name: "auth", state: "quarantined", refused: null },
    { name: "log\u001b[31m", state: "running", refused: { message: "", at: null } },
  ],
  canaries: [{ route: "shop", service: "v2", state: "progressing", share: 0.1 }],
}

describe("the state of a gateway", () => {
  test("is one screen", () => {
    expect(statusText(status, plain, Date.parse("2026-01-02T03:00:00.000Z"))).toBe(
      `Sluice 0.1.0 at 127.0.0.1:9901: ready, up for 3h 0m
configuration  generation 4, read 40s ago
workers        2
listeners      edge 0.0.0.0:8443, six [::1]:80
traffic        1234 requests/s, 99.98% without a failure, p99 12ms over the last 2s
services       3: api 1 of 2 endpoints usable, orders 1 of 2 endpoints usable, 1 drained
filters        2: auth quarantined, log\ufffd[31m newest version refused
canaries       shop → v2 progressing (10%)
attention      filter auth is in quarantine: it failed too often, and is not started any more
`,
    )
  })

  test("says what is wrong with one that isn't ready", () => {
    const ready = {
      ...status.ready,
      ready: false,
      draining: true,
      workers: { running: 0, wanted: 2 },
      lastReload: { ok: false, error: "routes[0]: no", at: "2026-01-02T02:58:00.000Z" },
    }
    const text = statusText(
      { ...status, ready, started: null, traffic: { seconds: 2, rate: 0, success: null, p99: null }, services: [], filters: [] },
      plain,
      Date.parse("2026-01-02T03:00:00.000Z"),
    )
    expect(text).toContain("127.0.0.1:9901: draining\n")
    expect(text).toContain("generation 4; refused 2m ago: routes[0]: no\n")
    expect(text).toContain("workers        0 of 2\n")
    expect(text).toContain("no requests over the last 2s\n")
  })
})

describe("figures out of metrics", () => {
  const look = (ok: number, failed: number, none: number, buckets: readonly number[], calls = 0) =>
    readSamples(
      `# TYPE sluice_requests_total counter
sluice_requests_total{listener="a",route="r \\"x\\"",service="s",code="2xx"} ${ok}
sluice_requests_total{listener="a",route="r",service="s",code="5xx"} ${failed}
sluice_requests_total{listener="a",route="r",service="s",code="none"} ${none}
${["0.01", "0.1", "+Inf"].map((le, i) => `sluice_request_duration_seconds_bucket{le="${le}",route="r"} ${buckets[i]} # {trace_id="x"} 0.1`).join("\n")}
sluice_grpc_requests_total{listener="a",route="r",service="s",code="UNAVAILABLE"} ${calls}
sluice_grpc_requests_total{listener="a",route="r",service="s",code="NOT_FOUND"} ${calls}
other_total{code="5xx"} 7
`,
      TRAFFIC_METRICS,
    )

  test("are those of the time between two looks", () => {
    const before = look(100, 5, 0, [50, 100, 105])
    const figures = trafficBetween(before, look(190, 10, 5, [150, 200, 205]), 2)
    expect(figures).toMatchObject({ seconds: 2, rate: 50, success: 0.9 })
    expect(figures.p99).toBeCloseTo(9.9)
    expect(trafficBetween(before, look(190, 10, 5, [150, 200, 205], 10), 2).success).toBeCloseTo(0.8)
    expect(before.get("sluice_requests_total")?.[0].labels.route).toBe('r "x"')
  })

  test("are none without traffic, or of a gateway that began anew between them", () => {
    const before = look(100, 5, 0, [50, 100, 105])
    for (const after of [before, look(1, 0, 0, [1, 1, 1])])
      expect(trafficBetween(before, after, 2)).toMatchObject({ rate: 0, success: null, p99: null })
  })
})
