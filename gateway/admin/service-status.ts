// Puts together what the admin API tells of services: what is configured, what is known of each endpoint, and what was counted.

import type { Config, EndpointConfig, ServiceConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import { requestBuckets } from "../telemetry/duration-buckets.ts"
import { type RouteSlots, type ServiceSlots, statusClasses, statusIndex } from "../telemetry/instruments.ts"
import { limitNames } from "../telemetry/limit-instruments.ts"
import { quantiles, readCounts } from "../telemetry/quantile.ts"
import type { EndpointState } from "../upstream/endpoint-watch.ts"

/** Figures of a service that have a limit. */
const LIMITED = ["requests", "connections", "pending", "retries"] as const
export type LimitedFigure = (typeof LIMITED)[number]

/** One endpoint of a service, as it is now. */
export interface EndpointStatus {
  /** `host:port`. */
  readonly address: string
  /** Of the configuration. */
  readonly weight: number
  /** "" = not known. */
  readonly zone: string
  /** Lower ones come first. */
  readonly priority: number
  /** What its health checks say; null: there are none. */
  readonly healthy: boolean | null
  /**
   * It is left out because it failed too often: why, how often of late, until when (ISO 8601; null: that is over, and its next request
   * shows whether it is well). Null: it isn't left out.
   */
  readonly ejected: { readonly reason: string; readonly times: number; readonly until: string | null } | null
  /** Failures in a row; null: it is never ejected. */
  readonly consecutive: { readonly errors5xx: number; readonly gatewayErrors: number; readonly localFailures: number } | null
  /** Since when it gets no new requests by an operator's order, ISO 8601; null: it isn't drained. */
  readonly drained: string | null
  /** Requests under way to it, each retry counting as one, and connections to it, over all workers; null: not known. */
  readonly active: { readonly requests: number; readonly connections: number } | null
  /** Requests that were sent to it since it is known, and those of them that failed; null: not known. */
  readonly requests: number | null
  readonly failures: number | null
  /** ms until it answers, an average of late; null: it has not answered. */
  readonly latency: number | null
}

export interface ServiceStatus {
  readonly name: string
  /** Of its endpoints, those that take traffic, those of them that are neither unwell nor ejected, and those that are drained. */
  readonly taking: number
  readonly usable: number
  readonly drained: number
  /** Requests under way at it, and connections to it, over all workers. */
  readonly underWay: { readonly requests: number; readonly connections: number }
  /** Clients' requests that went to it by a route, and those of them answered with a 5xx or with nothing. */
  readonly requests: number
  readonly failures: number
  /** Quantiles of how long these took, ms; null: there were none. */
  readonly latency: { readonly p50: number; readonly p99: number } | null
  /** How much of each limit is used. */
  readonly limits: Readonly<Record<LimitedFigure, { readonly used: number; readonly max: number }>>
  /** Requests at a time that adaptive concurrency has found to be right, over all workers; null: it isn't used. */
  readonly concurrency: number | null
  /** Limits that are used up at the moment: more of that is refused or has to wait. */
  readonly full: readonly LimitedFigure[]
  /** What its limits refused so far, by limit. */
  readonly refused: Readonly<Record<string, number>>
  readonly failover: string | null
  readonly endpoints: readonly EndpointStatus[]
}

export interface ServiceStatusSources {
  /** With the endpoints that were found; null: there is none yet. */
  readonly config: Config | null
  readonly slots: {
    readonly services: Readonly<Record<string, ServiceSlots>>
    readonly routes: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, RouteSlots>>>>>>
  } | null
  stateOf(service: string, address: string): EndpointState
  /** What counts against a limit of a service. */
  used(service: string, figure: LimitedFigure): number
  /** ms since the epoch; null: it isn't. */
  drainedSince(service: string, address: string): number | null
  /** Value of a metric slot. */
  read(slot: number): number
}

export function serviceStatus(sources: ServiceStatusSources): ServiceStatus[] {
  const routes = slotsByService(sources)
  return Object.entries(sources.config?.services ?? {}).map(([name, service]) => statusOf(name, service, routes.get(name) ?? [], sources))
}

// The same slots may serve several listeners.
function slotsByService({ slots }: ServiceStatusSources): ReadonlyMap<string, readonly RouteSlots[]> {
  const found = new Map<string, RouteSlots[]>()
  for (const routes of Object.values(slots?.routes ?? {})) {
    for (const services of Object.values(routes)) {
      for (const [service, own] of Object.entries(services)) {
        const known = found.get(service)
        if (known === undefined) found.set(service, [own])
        else known.push(own)
      }
    }
  }
  return found
}

function statusOf(name: string, service: ServiceConfig, routes: readonly RouteSlots[], sources: ServiceStatusSources): ServiceStatus {
  const { slots, stateOf, used, drainedSince, read } = sources
  const endpoints = service.endpoints.map((endpoint) => {
    const address = formatAddress(endpoint.address)
    return endpointStatus(endpoint, address, stateOf(name, address), drainedSince(name, address))
  })
  const taking = endpoints.filter(({ weight, drained }) => weight > 0 && drained === null)
  const { circuitBreaker: breaker, adaptiveConcurrency, failover } = service
  const limit = (figure: LimitedFigure, max: number): { used: number; max: number } => ({ used: used(name, figure), max })
  const limits = {
    requests: limit("requests", breaker.maxRequests),
    connections: limit("connections", breaker.maxConnections),
    pending: limit("pending", breaker.maxPending),
    retries: limit("retries", breaker.maxRetries),
  }
  const own = slots?.services[name]
  const refused: Record<string, number> = {}
  for (const [i, refusing] of limitNames.entries()) {
    const count = own === undefined ? 0 : read(own.limited + i)
    if (count > 0) refused[refusing] = count
  }
  return {
    name,
    taking: taking.length,
    usable: taking.filter(({ healthy, ejected }) => healthy !== false && ejected === null).length,
    drained: endpoints.filter(({ drained }) => drained !== null).length,
    underWay: { requests: limits.requests.used, connections: limits.connections.used },
    ...figures(routes, read),
    limits,
    concurrency: adaptiveConcurrency === undefined || own === undefined ? null : read(own.concurrencyLimit),
    full: LIMITED.filter((figure) => limits[figure].used >= limits[figure].max),
    refused,
    failover: failover ?? null,
    endpoints,
  }
}

function figures(routes: readonly RouteSlots[], read: (slot: number) => number): Pick<ServiceStatus, "requests" | "failures" | "latency"> {
  let requests = 0
  let failures = 0
  for (const { requests: counters } of routes) {
    for (let i = 0; i < statusClasses.length; i++) requests += read(counters + i)
    failures += read(counters + statusIndex(500)) + read(counters + statusIndex(0))
  }
  const durations = new Float64Array(requestBuckets.bounds.length + 1)
  // Listeners share histograms.
  for (const histogram of new Set(routes.map(({ duration }) => duration))) readCounts(read, histogram, requestBuckets, durations)
  const [p50, p99] = quantiles(requestBuckets, durations, [0.5, 0.99])
  const known = durations.some((count) => count > 0)
  return { requests, failures, latency: known ? { p50: p50 * 1000, p99: p99 * 1000 } : null }
}

function endpointStatus(
  { weight, zone, priority }: EndpointConfig,
  address: string,
  { healthy, ejection, load, counts }: EndpointState,
  drained: number | null,
): EndpointStatus {
  let ejected: EndpointStatus["ejected"] = null
  let consecutive: EndpointStatus["consecutive"] = null
  if (ejection !== null) {
    const { left, reason, times, consecutive5xx, consecutiveGatewayErrors, consecutiveLocalFailures } = ejection
    if (left !== null) ejected = { reason, times, until: left === 0 ? null : new Date(Date.now() + left).toISOString() }
    consecutive = { errors5xx: consecutive5xx, gatewayErrors: consecutiveGatewayErrors, localFailures: consecutiveLocalFailures }
  }
  return {
    address,
    weight,
    zone: zone ?? "",
    priority: priority ?? 0,
    healthy,
    ejected,
    consecutive,
    drained: drained === null ? null : new Date(drained).toISOString(),
    active: load === null ? null : { requests: load.active, connections: load.connections },
    requests: counts === null ? null : counts.requests + (load?.active ?? 0),
    failures: counts?.failures ?? null,
    latency: load?.latency ?? null,
  }
}
