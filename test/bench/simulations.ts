// What the policies of traffic do, simulated: tables in Markdown, on standard output. The same numbers every time, since clock and
// chance are its own.
//
//   bun test/bench/simulations.ts      (node, deno run -A)

import type { LoadBalancingConfig } from "../../gateway/config/balancing-model.ts"
import { AdaptiveConcurrency } from "../../gateway/resilience/adaptive-concurrency.ts"
import { AdmissionControl } from "../../gateway/resilience/admission-control.ts"
import { Canary, type CanaryCounts, type CanarySample } from "../../gateway/resilience/canary.ts"
import { Gcra } from "../../gateway/resilience/gcra.ts"
import { HedgePolicy } from "../../gateway/resilience/hedge.ts"
import { OK } from "../../gateway/resilience/outcome.ts"
import { createRateMemory, RateTable } from "../../gateway/resilience/rate-table.ts"
import { EARNED_WORDS, privateBudgetMemory, RetryBudget, SPENT_WORDS } from "../../gateway/resilience/retry-budget.ts"
import { EvenDraws } from "../../gateway/router/even-draws.ts"
import { WeightedSplit } from "../../gateway/router/split.ts"
import { Buckets } from "../../gateway/telemetry/buckets.ts"
import { quantile as ofBuckets } from "../../gateway/telemetry/quantile.ts"
import { Balanced, endpointsOf, seeded } from "../support/balanced.ts"
import { type Failing, failFor } from "./simulated-ejection.ts"
import { share } from "./simulated-lease.ts"

const percent = (share: number, digits = 1): string => `${(100 * share).toFixed(digits)} %`
const whole = (n: number): string => String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, " ")

function table(title: string, columns: string, rows: readonly (readonly (string | number)[])[]): void {
  const width = columns.split("|").length - 2
  console.log(`\n${title}\n\n${columns}\n|${"---|".repeat(width)}`)
  for (const row of rows) console.log(`| ${row.join(" | ")} |`)
}

/** ms below which `share` of the latencies lie. */
function quantile(sorted: Float64Array, share: number): number {
  return sorted[Math.min(sorted.length - 1, Math.ceil(sorted.length * share) - 1)]
}

// ------------------------------------------------------------------------------------------------------- load balancing

function latencies(policy: LoadBalancingConfig["policy"]): string[] {
  const requests = 200_000
  const balanced = new Balanced(endpointsOf(1, 1, 1, 1), { policy })
  const random = seeded(11)
  const took = new Float64Array(requests)
  let i = 0
  balanced.run(requests, 1, (endpoint) => {
    const mean = endpoint === balanced.endpoints[0] ? 200 : 10
    took[i] = -Math.log(1 - random()) * mean
    return took[i++]
  })
  took.sort()
  const mean = took.reduce((sum, each) => sum + each, 0) / requests
  return [policy, percent(balanced.endpoints[0].given / requests), mean.toFixed(1), ...[0.5, 0.99].map((q) => quantile(took, q).toFixed(0))]
}

function warmUp(policy: LoadBalancingConfig["policy"]): string[] {
  const balanced = new Balanced(endpointsOf(1, 1, 1, 1), { policy, slowStart: 30_000 })
  const [fresh] = balanced.endpoints
  fresh.warmSince = 0
  const perSecond = 20_000
  const given = new Float64Array(32)
  balanced.run(31 * perSecond, 1000 / perSecond, (endpoint) => {
    if (endpoint === fresh) given[Math.floor(balanced.clock.now / 1000)]++
    return 5
  })
  return [policy, ...[0, 5, 10, 20, 30].map((second) => percent(given[second] / perSecond))]
}

// ----------------------------------------------------------------------------------------------------------- retries

const SETTINGS = { share: 0.2, perSecond: 10 }
const START = 1_764_000_000_000

/** All of `rate` requests a second fail for a minute and want `wanted` retries; two workers take turns. Load for each request. */
function storm(rate: number, wanted: number): (string | number)[] {
  const threads = 2
  const words = new Int32Array(SPENT_WORDS + threads * EARNED_WORDS)
  const memory = { words, spent: 0, earned: SPENT_WORDS, stride: EARNED_WORDS, threads }
  const budgets = Array.from({ length: threads }, (_, thread) => new RetryBudget(memory, thread, SETTINGS))
  let granted = 0
  for (let i = 0; i < rate * 60; i++) {
    const now = START + (i * 1000) / rate
    const budget = budgets[i % threads]
    budget.request(now)
    for (let retry = 0; retry < wanted && budget.take(now); retry++) granted++
  }
  return [
    whole(rate),
    wanted,
    `${(1 + wanted).toFixed(2)}×`,
    `${(1 + granted / (rate * 60)).toFixed(2)}×`,
    (granted / 60 / rate).toFixed(2),
  ]
}

/** One answer of fifty takes half a second, the others 10 ms on average; hedged at a percentile of that. */
function hedged(percentile: number): string[] {
  const requests = 200_000
  const random = seeded(5)
  const latency = (): number => (random() < 0.02 ? 500 : -Math.log(1 - random()) * 10)
  const hedge = new HedgePolicy({ after: 1, percentile: percentile || 95 })
  const budget = new RetryBudget(privateBudgetMemory(), 0, SETTINGS)
  const took = new Float64Array(requests)
  let rivals = 0
  for (let i = 0; i < requests; i++) {
    const now = START + i
    budget.request(now)
    const first = latency()
    const delay = percentile === 0 ? Number.POSITIVE_INFINITY : hedge.delay(now)
    took[i] = first
    let own = first
    if (first > delay && budget.take(now + delay)) {
      rivals++
      const second = latency()
      took[i] = Math.min(first, delay + second)
      if (took[i] < first) own = second
    }
    hedge.observe(own, now + took[i])
  }
  took.sort()
  const quantiles = [0.5, 0.95, 0.99, 0.999].map((q) => quantile(took, q).toFixed(0))
  return [percentile === 0 ? "none" : `\`{ percentile: ${percentile} }\``, ...quantiles, percent(rivals / requests)]
}

// ------------------------------------------------------------------------------------------------------------- limits

/** A service that works on 50 requests at a time in 10 ms each, and shares itself out among more; the last five of 10 s. */
function concurrency(load: number, limited: boolean): { served: number; latency: number; limit: number } {
  const limiter = new AdaptiveConcurrency({ least: 3, most: limited ? 1000 : 1_000_000 })
  let underWay: { since: number; left: number }[] = []
  let owed = 0
  const sum = { served: 0, latency: 0, limit: 0, looks: 0 }
  for (let now = 1000; now < 11_000; now++) {
    const share = Math.min(1, 50 / underWay.length)
    const over = []
    for (const each of underWay) if ((each.left -= share) <= 0) over.push(each)
    if (over.length > 0) underWay = underWay.filter((each) => each.left > 0)
    for (const { since } of over) {
      if (limited) limiter.release(now, now - since, OK)
      if (now < 6000) continue
      sum.served++
      sum.latency += now - since
    }
    if (now >= 6000) {
      sum.limit += limiter.limit
      sum.looks++
    }
    for (owed += load * 5; owed >= 1; owed--) if (!limited || limiter.admit()) underWay.push({ since: now, left: 10 })
  }
  return { served: sum.served / 25_000, latency: sum.latency / sum.served, limit: sum.limit / sum.looks }
}

function admission(success: number): (string | number)[] {
  const random = seeded(9)
  const control = new AdmissionControl({ window: 30_000, target: 0.95, mostRejected: 0.8 }, random)
  let refused = 0
  for (let now = 0; now < 90_000; now++) {
    if (control.admits(now)) control.record(now, random() < success)
    else if (now >= 30_000) refused++
  }
  return [percent(success, 0), percent(refused / 60_000)]
}

/** 1000 a second with a burst of 1000, taken by two workers in turn; requests come by chance at `times` the rate. */
function exactness(times: number): string[] {
  const memory = createRateMemory()
  const workers = [new RateTable(memory), new RateTable(memory)]
  const gcra = new Gcra(1000, 1000, 1000)
  const random = seeded(13)
  let now = 0
  let passed = 0
  for (let i = 0; i < 1_000_000; i++) {
    now += -Math.log(1 - random()) / times
    if (workers[i & 1].takeBucket(gcra, 0, now)) passed++
  }
  const most = Math.min(1_000_000, 1000 + now)
  return [`${times}×`, whole(passed), whole(most), percent(Math.abs(passed / most - 1), 3)]
}

function split(weights: readonly number[]): string[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const random = seeded(17)
  const farthest = (draw: () => number): string => {
    const shares = new WeightedSplit(weights)
    const counts = weights.map(() => 0)
    for (let i = 0; i < 100_000; i++) counts[shares.pick(draw())]++
    return Math.max(...counts.map((count, i) => Math.abs(count / 1000 - (100 * weights[i]) / total))).toFixed(3)
  }
  const draws = new EvenDraws(0.3, 0)
  return [weights.join(" : "), farthest(() => draws.next()), farthest(random)]
}

// ------------------------------------------------------------------------------------------------------------ canaries

const BUCKETS = new Buckets([0.01, 0.1, 0.5, 1], 1e-6)

/** A canary with the default steps and limits and a p99, of which some requests fail and some take 0.7 s; `rate` a second. */
function canary(rate: number, failing: number, slow: number): string[] {
  const random = seeded(19)
  const sides = [0, 1].map(() => ({ exchanges: 0, errors: 0, durations: [0, 0, 0, 0, 0] }))
  const serve = (side: number, requests: number): void => {
    for (let i = 0; i < requests; i++) {
      sides[side].exchanges++
      if (side === 0 && random() < failing) sides[side].errors++
      sides[side].durations[BUCKETS.find(side === 0 && random() < slow ? 0.7 : 0.005)]++
    }
  }
  const counts = (side: number): CanaryCounts => ({ ...sides[side], durations: [...sides[side].durations] })
  const sample = (at: number): CanarySample => ({ at, exchanges: sides[0].exchanges, canary: counts(0), stable: counts(1) })
  const abortOn = { errorRate: 0.05, p99: 500, minimum: 50 }
  const plan = { steps: [0.01, 0.1, 0.5, 1], interval: 60_000, abortOn }
  const machine = new Canary(plan, (durations) => ofBuckets(BUCKETS, durations, 0.99) * 1000, sample(0))
  const what = failing > 0 ? `fails ${percent(failing, 0)}` : slow > 0 ? `is slow with ${percent(slow, 0)}` : "does well"
  let owed = 0
  for (let second = 1; second <= 3600; second++) {
    const { share } = machine.position
    owed += rate * share
    const own = Math.floor(owed + 1e-9)
    owed -= own
    serve(0, own)
    serve(1, rate - own)
    const next = machine.judge(sample(second * 1000))
    if (next === null) continue
    machine.take(next, sample(second * 1000))
    if (next.state === "progressing") continue
    const spoilt = failing > 0 ? sides[0].errors : slow > 0 ? sides[0].durations[3] : 0
    return [whole(rate), what, next.state === "promoted" ? "promoted" : "rolled back", `${second} s`, percent(share, 0), whole(spoilt)]
  }
  return [whole(rate), what, "waits", "", "", ""]
}

// ------------------------------------------------------------------------------------------------------------- tables

table(
  "One of four endpoints takes 200 ms on average, the others 10; 1000 requests a second.",
  "| policy | share of the slow one | mean, ms | p50 | p99 |",
  (["roundRobin", "random", "leastRequest", "peakEwma"] as const).map(latencies),
)
table(
  "Share of an endpoint that joins three others, `slowStart: 30s`.",
  "| policy | in the first second | after 5 s | 10 s | 20 s | 30 s |",
  (["leastRequest", "roundRobin", "random"] as const).map(warmUp),
)

const failures: readonly (readonly [string, Failing])[] = [
  ["answers 500 at once", { takes: 1, share: 1, status: 500 }],
  ["answers 503 at once", { takes: 1, share: 1, status: 503 }],
  ["resets connections", { takes: 1, share: 1, status: 0, code: "upstreamReset" }],
  ["hangs, `perTry: 1s`", { takes: 1000, share: 1, status: 0, code: "perTryTimeout" }],
  ["hangs, no `perTry`", { takes: 15_000, share: 1, status: 0, code: "responseTimeout" }],
  ["fails half of its requests", { takes: 10, share: 0.5, status: 500 }],
  ["fails a tenth of its requests", { takes: 10, share: 0.1, status: 500 }],
  ["is five times as slow, `latency: {}`", { takes: 50, share: 1, status: 200, byLatency: true }],
]
table(
  "One of ten endpoints isn't well for 20 s; 2000 requests a second, `leastRequest`, two workers, nothing retried.",
  "| it | is ejected after | for | requests that failed, or were slow | without ejection | is used again after it is well |",
  failures.map(([what, failing]) => {
    const { ejectedAfter, reason, spoilt, requests, backAfter } = failFor(failing, true)
    const without = failFor(failing, false)
    const share = (n: number): string => `${whole(n)} (${percent(n / requests, 2)})`
    const after = ejectedAfter < 0 ? "never" : ejectedAfter < 1000 ? `${ejectedAfter} ms` : `${(ejectedAfter / 1000).toFixed(1)} s`
    return [
      what,
      after,
      reason === "" ? "" : `\`${reason}\``,
      share(spoilt),
      share(without.spoilt),
      backAfter < 0 ? "" : `${(backAfter / 1000).toFixed(1)} s`,
    ]
  }),
)
table(
  "A service fails as a whole for a minute, and every request wants retries: what it gets, two workers together.",
  "| requests a second | retries wanted | load without a budget | with it | retries for each request |",
  [storm(2000, 2), storm(2000, 10), storm(200, 2), storm(20, 2)],
)
table(
  "Answers take 10 ms on average, one of fifty takes 500: latencies in ms.",
  "| `hedge` | p50 | p95 | p99 | p99.9 | requests sent twice |",
  [0, 90, 95, 98].map(hedged),
)
table(
  "`adaptiveConcurrency` before a service that answers 5000 requests a second, 50 at a time, in 10 ms: from the fifth second to the tenth.",
  "| requests sent | answered, of 5000/s | latency | requests at a time | latency without it |",
  [0.8, 1.2, 2].map((load) => {
    const { served, latency, limit } = concurrency(load, true)
    const without = concurrency(load, false)
    return [percent(load, 0), percent(served), `${latency.toFixed(1)} ms`, limit.toFixed(0), `${whole(without.latency)} ms`]
  }),
)
table(
  "`admissionControl` before a service of which only some requests succeed.",
  "| succeed | refused |",
  [1, 0.96, 0.9, 0.5, 0].map(admission),
)
table(
  "`rateLimit: { requests: 1000, per: 1s }` over two workers, a million requests at random times.",
  "| come at | passed | may pass | difference |",
  [0.9, 1, 2, 5].map(exactness),
)
table(
  "The same with `scope: global`: two gateways of two workers, a store 1 ms away, for a minute.",
  "| requests a second | `lease` | passed | may pass | waited for the store | questions for 1000 requests |",
  [
    [800, 0.1],
    [2000, 0.1],
    [5000, 0.1],
    [2000, 0],
  ].map(([rate, lease]) => {
    const { requests, passed, allowed, waited, asked } = share(rate, lease, seeded(23))
    const most = Math.min(requests, allowed + 1000 * lease)
    return [whole(rate), percent(lease, 0), whole(passed), whole(most), percent(waited / requests, 1), whole((asked / requests) * 1000)]
  }),
)
table("Splits of 10⁵ requests: the farthest from its share, in points of 100.", "| weights | as they are drawn | by chance |", [
  split([90, 10]),
  split([99, 1]),
  split([50, 30, 20]),
])
table(
  "`canary: { abortOn: { p99: 500ms } }`, with the default steps of 1, 10, 50 and 100 %, a minute each, and 5 % of errors allowed.",
  "| requests a second | the canary | is | after | at a share of | requests that failed or were slow |",
  [canary(1000, 0, 0), canary(1000, 1, 0), canary(1000, 0.2, 0), canary(1000, 0.07, 0), canary(1000, 0, 0.05), canary(50, 0.2, 0)],
)
