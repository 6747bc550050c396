import { expect, test } from "vitest"
import type { EndpointStatus, ServiceStatus } from "../../../gateway/admin/service-status.ts"
import { endpointTable, serviceTable } from "../../../gateway/cli/services.ts"
import { wantedOf, weightsTable } from "../../../gateway/cli/weights.ts"

const endpoint: EndpointStatus = {
  address: "10.0.0.1:80",
  weight: 1,
  zone: "",
  priority: 0,
  healthy: true,
  ejected: null,
  consecutive: null,
  drained: null,
  active: { requests: 2, connections: 3 },
  requests: 40,
  failures: 1,
  latency: 1.234,
}
const limit = { used: 0, max: 10 }
const service: ServiceStatus = {
  name: "api",
  taking: 3,
  usable: 2,
  drained: 1,
  underWay: { requests: 5, connections: 6 },
  requests: 100,
  failures: 2,
  latency: { p50: 3.12, p99: 120.4 },
  limits: { requests: limit, connections: limit, pending: limit, retries: limit },
  concurrency: null,
  full: ["pending"],
  refused: { pending: 7 },
  failover: null,
  endpoints: [
    endpoint,
    { ...endpoint, address: "10.0.0.2:80", drained: "2026-01-02T03:04:05.678Z" },
    { ...endpoint, address: "10.0.0.3:80", ejected: { reason: "5xx", times: 1, until: "2026-01-02T03:05:05.678Z" } },
    { ...endpoint, address: "10.0.0.4:80", healthy: null, active: null, requests: null, failures: null, latency: null },
  ],
}

test("services are listed a line each, with what needs attention below", () => {
  expect(serviceTable([service]).split("\n")).toEqual([
    "SERVICE  USABLE  ACTIVE  CONNECTIONS  REQUESTS  FAILURES  P50    P99    LIMITS",
    "api      2/4     5       6            100       2         3.1ms  120ms  full: pending",
    "",
    "api: 10.0.0.2:80 is drained since 2026-01-02T03:04:05Z; sluice drain api 10.0.0.2:80 --undrain gives it requests again",
    "api: 10.0.0.3:80 is ejected (5xx) until 2026-01-02T03:05:05Z",
    "api: limits have refused: pending 7",
    "",
  ])
  expect(serviceTable([])).toBe("no services\n")
  expect(serviceTable([{ ...service, usable: 0, failover: "spare", latency: null }])).toContain(
    "no endpoint is usable; its requests go to spare",
  )
})

test("the endpoints of one are listed with state and load", () => {
  const [head, ...rows] = endpointTable(service).split("\n")
  expect(head.split(/ +/)).toEqual(["ENDPOINT", "WEIGHT", "STATE", "ACTIVE", "CONNECTIONS", "REQUESTS", "FAILURES", "LATENCY"])
  expect(rows.slice(0, 4).map((row) => row.split(/ {2,}/))).toEqual([
    ["10.0.0.1:80", "1", "healthy", "2", "3", "40", "1", "1.2ms"],
    ["10.0.0.2:80", "1", "drained", "2", "3", "40", "1", "1.2ms"],
    ["10.0.0.3:80", "1", "ejected", "2", "3", "40", "1", "1.2ms"],
    ["10.0.0.4:80", "1", "used", "-", "-", "-", "-", "-"],
  ])
})

test("weights are written as SERVICE=N", () => {
  expect(wantedOf([])).toBeNull()
  expect(wantedOf(["a=90", "#2=0", "a=b=7"])).toEqual({ a: 90, "#2": 0, "a=b": 7 })
  for (const wrong of ["a", "=1", "a=", "a=-1", "a=1.5", "a=12345678"]) expect(() => wantedOf([wrong])).toThrow("is no weight")
  expect(() => wantedOf(["a=1", "a=2"])).toThrow("twice")
})

test("weights are shown with whose they are", () => {
  const backend = { service: "a", subset: { v: "1" }, weight: 1, configured: 9, share: 0.125 }
  expect(weightsTable({ route: "shop", setBy: "order", since: "2026-01-02T03:04:05.678Z", backends: [backend] }).split("\n")).toEqual([
    "#   BACKEND  SUBSET  WEIGHT  CONFIGURED  SHARE",
    "#1  a        v=1     1       9           12.5%",
    "",
    "set by order 2026-01-02T03:04:05Z; sluice weights shop --reset takes that back",
    "",
  ])
  expect(weightsTable({ route: "shop", setBy: "canary", since: null, backends: [backend] })).toContain("sluice canary ls")
})
