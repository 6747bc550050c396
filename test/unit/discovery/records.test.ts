import { describe, expect, test } from "vitest"
import type { DnsRecord } from "../../../gateway/discovery/dns-message.ts"
import { addressesOf, endpointsOf } from "../../../gateway/discovery/records.ts"

const a = (name: string, address: string, ttl = 60): DnsRecord => ({ type: "A", name, address, ttl })
const alias = (name: string, target: string, ttl = 60): DnsRecord => ({ type: "CNAME", name, target, ttl })

describe("addresses of a name", () => {
  test("are good for the shortest time of all that led to them", () => {
    const records = [
      alias("api", "web", 30),
      alias("web", "host", 90),
      a("host", "10.0.0.1", 300),
      a("host", "10.0.0.2", 20),
      a("other", "10.0.0.3", 1),
    ]
    expect(addressesOf(records, "api", "A")).toEqual({ name: "host", addresses: ["10.0.0.1", "10.0.0.2"], ttl: 20 })
  })

  test("are those of their kind, each once", () => {
    const records = [a("api", "10.0.0.1"), a("api", "10.0.0.1"), { type: "AAAA", name: "api", address: "fd00::1", ttl: 5 } as const]
    expect(addressesOf(records, "api", "A").addresses).toEqual(["10.0.0.1"])
    expect(addressesOf(records, "api", "AAAA").addresses).toEqual(["fd00::1"])
  })

  test("are none where aliases run in a circle", () => {
    expect(addressesOf([alias("api", "web"), alias("web", "api")], "api", "A").addresses).toEqual([])
  })
})

describe("endpoints of a service's hosts", () => {
  const shares = (hosts: readonly (readonly [weight: number, ...addresses: string[]])[]): Record<string, number> => {
    const endpoints = endpointsOf(hosts.map(([weight, ...addresses]) => ({ port: 80, priority: 7, weight, addresses })))
    const total = endpoints.reduce((sum, { weight }) => sum + weight, 0)
    return Object.fromEntries(endpoints.map(({ address, weight }) => [address.host, Math.round((1000 * weight) / total)]))
  }

  test("have the weights of their records", () => {
    expect(endpointsOf([{ port: 80, priority: 0, weight: 3, addresses: ["a"] }])).toEqual([{ address: { host: "a", port: 80 }, weight: 3 }])
    expect(
      shares([
        [3, "a"],
        [1, "b"],
      ]),
    ).toEqual({ a: 750, b: 250 })
  })

  test("share a host's weight among its addresses", () => {
    expect(
      shares([
        [1, "a", "b"],
        [1, "c"],
      ]),
    ).toEqual({ a: 250, b: 250, c: 500 })
  })

  test("have a very small share with weight 0 beside others, and an equal one among themselves", () => {
    expect(
      shares([
        [0, "a"],
        [100, "b"],
      ]),
    ).toEqual({ a: 1, b: 999 })
    expect(
      shares([
        [0, "a"],
        [0, "b"],
      ]),
    ).toEqual({ a: 500, b: 500 })
  })

  test("have priorities from 0 on, in their order", () => {
    const endpoints = endpointsOf([20, 10, 65_535, 10].map((priority, i) => ({ port: i, priority, weight: 1, addresses: ["a"] })))
    expect(Object.fromEntries(endpoints.map(({ address, priority = 0 }) => [address.port, priority]))).toEqual({ 0: 1, 1: 0, 2: 2, 3: 0 })
  })
})
