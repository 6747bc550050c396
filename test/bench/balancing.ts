// What each balancing policy does with a million requests, and what a choice costs: two tables in Markdown, on standard output.
//
//   bun test/bench/balancing.ts [REQUESTS]      (node, deno run -A)

import type { LoadBalancingConfig } from "../../gateway/config/balancing-model.ts"
import { hashText } from "../../gateway/http/text-hash.ts"
import { Balanced, endpointsOf, FakeEndpoint, seeded } from "../support/balanced.ts"

type Policy = LoadBalancingConfig["policy"]

const policies: readonly Policy[] = ["roundRobin", "random", "leastRequest", "peakEwma", "ringHash", "maglev"]
const requests = Number(process.argv[2] ?? 1_000_000)
const weights = [1, 1, 1, 2, 2, 3, 4, 5, 6, 10]
const sum = weights.reduce((a, b) => a + b, 0)

const percent = (share: number): string => `${(100 * share).toFixed(2)} %`
const hashed = (policy: Policy): boolean => policy === "ringHash" || policy === "maglev"
const same = (n: number): FakeEndpoint[] => endpointsOf(...Array.from({ length: n }, () => 1))

/** Largest relative difference of an endpoint's share from its weight's. */
function farthest(policy: Policy): number {
  const balanced = new Balanced(endpointsOf(...weights), { policy })
  return Math.max(...balanced.shares(requests, hashed(policy)).map((share, i) => Math.abs((share * sum) / weights[i] - 1)))
}

/** Share of one endpoint of four that takes 200 ms, where the others take 10. */
function slow(policy: Policy): number {
  const balanced = new Balanced(same(4), { policy })
  balanced.run(requests, 1, (endpoint) => (endpoint === balanced.endpoints[0] ? 200 : 10))
  return balanced.endpoints[0].given / requests
}

/** Share of keys that go elsewhere when one of ten endpoints leaves. */
function moved(policy: Policy): number {
  const endpoints = same(10)
  const before = new Balanced(endpoints, { policy })
  const after = new Balanced(endpoints.slice(1), { policy })
  let count = 0
  for (let i = 0; i < requests; i++) {
    const key = hashText(`user-${i}`)
    if (before.next(null, key) !== after.next(null, key)) count++
  }
  return count / requests
}

/** ns a choice takes among `n` endpoints. */
function cost(policy: Policy, n: number, weighted: boolean): string {
  const endpoints = weighted ? endpointsOf(...Array.from({ length: n }, (_, i) => (i % 7) + 1)) : same(n)
  const balanced = new Balanced(endpoints, { policy }, { random: Math.random })
  const key = (i: number): number => (hashed(policy) ? Math.imul(i, 0x9e3779b1) >>> 0 : -1)
  for (let i = 0; i < requests / 10; i++) balanced.next(null, key(i))
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 5; round++) {
    const start = performance.now()
    for (let i = 0; i < requests / 5; i++) balanced.next(null, key(i))
    best = Math.min(best, (performance.now() - start) / (requests / 5))
  }
  return (best * 1e6).toFixed(0)
}

/** ms until the first request of a service that hashes has its endpoint. */
function firstRequest(policy: Policy, n: number): string {
  const balanced = new Balanced(same(n), { policy })
  const start = performance.now()
  balanced.next(null, 1)
  return (performance.now() - start).toFixed(1)
}

console.log(`${requests} requests; ten endpoints of weights ${weights.join(", ")}.\n`)
console.log(
  "| policy | farthest from its weight | one of four is 20 times as slow | keys moved when one of ten leaves |\n|---|---|---|---|",
)
for (const policy of policies)
  console.log(`| ${policy} | ${percent(farthest(policy))} | ${percent(slow(policy))} | ${hashed(policy) ? percent(moved(policy)) : ""} |`)
console.log(
  "\n| policy | ns a choice, 10 endpoints | 10 of unlike weights | 1000 | 1000 of unlike weights | ms to make the table: 10, 1000 |\n|---|---|---|---|---|---|",
)
for (const policy of policies) {
  const costs = [cost(policy, 10, false), cost(policy, 10, true), cost(policy, 1000, false), cost(policy, 1000, true)]
  const tables = hashed(policy) ? `${firstRequest(policy, 10)}, ${firstRequest(policy, 1000)}` : ""
  console.log(`| ${policy} | ${costs.join(" | ")} | ${tables} |`)
}

const random = seeded(7)
console.log("\n| share of the first priority or zone available | traffic that stays: priority | zone (two of them, alike) |\n|---|---|---|")
for (const left of [10, 8, 7, 5, 3, 1, 0]) {
  const kept = (endpoints: FakeEndpoint[], zone: string): string => {
    for (const endpoint of endpoints.slice(left, 10)) endpoint.unwell = true
    const balanced = new Balanced(endpoints, { policy: "random" }, { zone, random })
    return percent(
      balanced
        .shares(requests / 10)
        .slice(0, 10)
        .reduce((a, b) => a + b, 0),
    )
  }
  const twenty = (zoned: boolean): FakeEndpoint[] =>
    Array.from({ length: 20 }, (_, i) => new FakeEndpoint(`10.0.0.${i}:1`, 1, zoned ? (i < 10 ? "a" : "b") : "", zoned || i < 10 ? 0 : 1))
  console.log(`| ${10 * left} % | ${kept(twenty(false), "")} | ${kept(twenty(true), "a")} |`)
}
