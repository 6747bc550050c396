// A service of ten endpoints of which one fails for a while, as two workers with the default balancer and the default ejection
// see it: on a clock of its own, without sockets.

import { EJECTION_WORDS, Ejection, type EjectionLimits } from "../../gateway/resilience/ejection.ts"
import { findOutliers, type OutlierLimits } from "../../gateway/resilience/outlier.ts"
import { ANSWERS, LATENCY, REQUESTS, SUCCESSES } from "../../gateway/upstream/endpoint-table.ts"
import { OutlierObserver } from "../../gateway/upstream/outlier-observer.ts"
import { Balanced, FakeEndpoint, seeded } from "../support/balanced.ts"

const ENDPOINTS = 10
const WORKERS = 2
/** Requests a ms. */
const RATE = 2
/** ms a request takes where all is well. */
const WELL = 10
const START = 1_000_000
const INTERVAL = 10_000
/** ms of {@link START} at which the endpoint begins to fail, is well again, and nothing is sent any more. */
const FAILS_AT = 5000
const WELL_AT = 25_000
const ENDS_AT = 65_000
/** Counts of one endpoint in a worker's column. */
const COUNTS = 4

const limits: EjectionLimits = {
  consecutive5xx: 5,
  consecutiveGatewayErrors: 5,
  consecutiveLocalFailures: 5,
  baseEjectionTime: 30_000,
  maxEjectionTime: 300_000,
  endpoints: ENDPOINTS,
  allowed: 1,
}
const rates: OutlierLimits = { successRate: { factor: 1.9, minEndpoints: 5, minRequests: 100 }, failurePercentage: null, latency: null }
const slow: OutlierLimits["latency"] = { factor: 3, minEndpoints: 3, minRequests: 100 }

/** What the endpoint does while it isn't well. */
export interface Failing {
  /** ms until it shows. */
  readonly takes: number
  /** Share of its requests. */
  readonly share: number
  /** Of an answer; 0: there is none, for this reason. */
  readonly status: number
  readonly code?: "upstreamReset" | "perTryTimeout" | "responseTimeout"
  /** Latencies are compared, too. */
  readonly byLatency?: boolean
}

export interface Outcome {
  /** ms from its first failure to its ejection; −1: it was never ejected. */
  readonly ejectedAfter: number
  readonly reason: string
  /** Requests of clients that failed, or were slow, and of how many that began while it wasn't well. */
  readonly spoilt: number
  readonly requests: number
  /** ms from its being well until it was used again. */
  readonly backAfter: number
}

class EjectableEndpoint extends FakeEndpoint {
  observer: OutlierObserver | null = null

  get ejected(): boolean {
    return this.observer?.ejected === true
  }
}

interface End {
  readonly endpoint: EjectableEndpoint
  readonly began: number
  readonly spoilt: boolean
}

export function failFor(failing: Failing, ejects: boolean): Outcome {
  let now = START
  const random = seeded(3)
  const words = new Int32Array(ENDPOINTS * EJECTION_WORDS)
  const service = new Int32Array(1)
  const columns = Array.from({ length: WORKERS }, () => new Float64Array(ENDPOINTS * COUNTS))
  const before = new Float64Array(ENDPOINTS * COUNTS)
  const ejections = Array.from(
    { length: ENDPOINTS },
    (_, i) => new Ejection(words, i * EJECTION_WORDS, service, 0, limits, () => now, random),
  )
  let ejectedAt = -1
  let backAt = -1
  let reason = ""
  const listener = {
    onEjected(_service: string, _endpoint: string, why: string): void {
      if (ejectedAt >= 0) return
      ejectedAt = now
      reason = why
    },
    onReadmitted: () => void (backAt = now),
  }
  const workers = columns.map((column) => {
    const endpoints = Array.from({ length: ENDPOINTS }, (_, i) => new EjectableEndpoint(`10.0.0.${i + 1}:9000`))
    if (ejects) {
      for (const [i, endpoint] of endpoints.entries()) {
        const settings = { service: "api", endpoint: endpoint.address, count429: false, listener }
        endpoint.observer = new OutlierObserver(settings, ejections[i], column, i * COUNTS, () => now)
      }
    }
    return new Balanced(endpoints, {}, { random })
  })
  const ends = new Map<number, End[]>()
  let spoilt = 0
  let requests = 0

  const end = ({ endpoint, began, spoilt: bad }: End): void => {
    endpoint.active--
    const took = now - began
    if (bad && failing.code !== undefined) endpoint.observer?.failed(failing.code, took)
    else if (endpoint.observer?.answered(bad ? failing.status : 200, -1, took)) endpoint.observer.ended(-1)
  }
  const begin = (worker: Balanced): void => {
    const endpoint = worker.next() as EjectableEndpoint
    const failsNow = now >= START + FAILS_AT && now < START + WELL_AT
    const bad = failsNow && endpoint === worker.endpoints[0] && random() < failing.share
    endpoint.observer?.begins(endpoint)
    endpoint.active++
    if (failsNow) requests++
    if (bad) spoilt++
    const at = now + (bad ? failing.takes : WELL)
    const same = ends.get(at)
    if (same === undefined) ends.set(at, [{ endpoint, began: now, spoilt: bad }])
    else same.push({ endpoint, began: now, spoilt: bad })
  }
  const compare = (): void => {
    const sum = (at: number): number => columns.reduce((all, column) => all + column[at], 0)
    const samples = ejections.map((_, i) => {
      const since = (count: number): number => sum(i * COUNTS + count) - before[i * COUNTS + count]
      return { requests: since(REQUESTS), successes: since(SUCCESSES), latency: since(LATENCY), answers: since(ANSWERS) }
    })
    for (let at = 0; at < before.length; at++) before[at] = sum(at)
    for (const ejection of ejections) ejection.decay()
    const found = findOutliers(samples, failing.byLatency === true ? { ...rates, latency: slow } : rates)
    for (const outlier of found) {
      if (ejections[outlier.index].eject(outlier.reason) > 0) listener.onEjected("api", "", outlier.reason)
    }
  }

  for (let ms = 0; ms < ENDS_AT; ms++) {
    now = START + ms
    for (const each of ends.get(now) ?? []) end(each)
    ends.delete(now)
    for (let i = 0; i < RATE; i++) {
      const worker = workers[(ms * RATE + i) % WORKERS]
      worker.clock.now = now
      begin(worker)
    }
    if (ejects && ms > 0 && ms % INTERVAL === 0) compare()
  }
  return {
    ejectedAfter: ejectedAt < 0 ? -1 : ejectedAt - START - FAILS_AT,
    reason,
    spoilt,
    requests,
    backAfter: backAt < 0 ? -1 : backAt - START - WELL_AT,
  }
}
