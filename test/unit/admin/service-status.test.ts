import { expect, test } from "vitest"
import { serviceStatus } from "../../../gateway/admin/service-status.ts"
import type { EjectionState } from "../../../gateway/resilience/ejection.ts"
import type { EndpointState } from "../../../gateway/upstream/endpoint-watch.ts"
import { config } from "./support/config.ts"

const counts = { times: 2, consecutive5xx: 4, consecutiveGatewayErrors: 3, consecutiveLocalFailures: 1 }
const used = (service: string, figure: string): number => (service === "token" ? (figure === "requests" ? 5 : 2) : 0)
const ejection = (left: number | null): EjectionState => ({ left, reason: "5xx", ...counts })
const states: Readonly<Record<string, EndpointState>> = {
  "127.0.0.1:1": { healthy: true, ejection: ejection(null), requests: 5, successes: 4 },
  "[::1]:2": { healthy: false, ejection: ejection(60_000), requests: 5, successes: 4 },
  "127.0.0.1:3": { healthy: null, ejection: ejection(0), requests: 5, successes: 4 },
  "127.0.0.1:4": { healthy: null, ejection: null, requests: null, successes: null },
}

test("services are told with what is known of each endpoint", () => {
  const hosts = [
    ["127.0.0.1", 1],
    ["::1", 2],
    ["127.0.0.1", 3],
    ["127.0.0.1", 4],
  ] as const
  const endpoints = hosts.map(([host, port]) => ({ address: { host, port }, weight: port === 4 ? 0 : 1 }))
  const services = { token: { ...config.services.token, endpoints } }
  const before = Date.now()
  const [status] = serviceStatus({ ...config, services }, (_, address) => states[address], used)
  expect(status).toMatchObject({ name: "token", taking: 3, usable: 1, underWay: { requests: 5, connections: 2 } })
  expect(status.endpoints[0]).toEqual({
    address: "127.0.0.1:1",
    weight: 1,
    healthy: true,
    ejected: null,
    consecutive: { errors5xx: 4, gatewayErrors: 3, localFailures: 1 },
    requests: 5,
    successes: 4,
  })
  const { ejected } = status.endpoints[1]
  expect(ejected).toMatchObject({ reason: "5xx", times: 2 })
  expect(Date.parse(ejected?.until ?? "")).toBeGreaterThanOrEqual(before + 60_000)
  expect(status.endpoints[2].ejected).toEqual({ reason: "5xx", times: 2, until: null })
  expect(status.endpoints[3]).toMatchObject({ address: "127.0.0.1:4", ejected: null, consecutive: null, requests: null })
})

test("there are none before the first configuration", () => {
  expect(serviceStatus(null, () => states["127.0.0.1:4"], used)).toEqual([])
})
