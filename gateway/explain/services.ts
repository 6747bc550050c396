// What a service's balancer makes of a request: which endpoints may be taken, why others aren't, in which order.

import type { Config, EndpointConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import type { RequestHead } from "../http/message.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import type { LimitsMemory } from "../upstream/limits-memory.ts"
import { isEligible } from "../upstream/load-balancing/eligible.ts"
import { type Client, NO_KEY } from "../upstream/load-balancing/hash-key.ts"
import { hasLabels } from "../upstream/load-balancing/subset.ts"
import type { Service } from "../upstream/services.ts"
import type { EndpointExplanation, ServiceExplanation } from "./explanation.ts"
import type { ExplainedPlanes } from "./planes.ts"

/** Endpoints that are listed, attempts whose order is, and draws that shares are taken from. */
const MAX_ENDPOINTS = 100
const MAX_ORDER = 5
const DRAWS = 500

/** `head`: as it would be sent. Null for `memory`: what is under way isn't known. */
export function explainService(
  planes: ExplainedPlanes,
  service: Service,
  subset: Readonly<Record<string, string>> | undefined,
  head: RequestHead,
  client: Client,
  memory: LimitsMemory | null,
): ServiceExplanation {
  const { config, limits } = planes.spec
  const { loadBalancing, failover, circuitBreaker } = config.services[service.name]
  const key = service.hashKey?.of(head, client) ?? NO_KEY
  const shares = key === NO_KEY ? sharesOf(service) : null
  const endpoints: EndpointExplanation[] = []
  let count = 0
  for (
    let name: string | undefined = service.name, part = subset;
    name !== undefined;
    name = config.services[name].failover, part = undefined
  ) {
    const whole = planes.service(name, undefined)
    if (whole === null) break
    for (const [i, endpoint] of config.services[name].endpoints.entries()) {
      if (count++ >= MAX_ENDPOINTS) continue
      endpoints.push(explainEndpoint(planes, name, endpoint, whole.endpoints[i], part, name !== service.name, shares))
    }
  }
  const cell = limits[service.name]?.service
  return {
    name: service.name,
    policy: loadBalancing.policy,
    key: loadBalancing.by === null ? null : { by: hashText(loadBalancing.by), found: key !== NO_KEY },
    order: key === NO_KEY ? [] : orderOf(service, key),
    endpoints,
    left: Math.max(0, count - MAX_ENDPOINTS),
    underWay: {
      requests: memory === null || cell === undefined ? 0 : memory.service(cell, "requests").value,
      maxRequests: circuitBreaker.maxRequests,
    },
    failover: failover ?? null,
  }
}

function hashText(by: NonNullable<Config["services"][string]["loadBalancing"]["by"]>): string {
  return by.kind === "source" ? "source" : `${by.kind}:${by.name}`
}

function explainEndpoint(
  planes: ExplainedPlanes,
  service: string,
  { address, weight, zone = "", priority = 0, labels }: EndpointConfig,
  endpoint: Endpoint,
  subset: Readonly<Record<string, string>> | undefined,
  failover: boolean,
  shares: ReadonlyMap<Endpoint, number> | null,
): EndpointExplanation {
  const { config } = planes.spec
  const part = subset === undefined || hasLabels({ address, weight, labels }, subset)
  const takes = weight > 0 && part
  const eligible = takes && isEligible(endpoint, null, false)
  const own = config.services[service]
  const reasons: string[] = []
  if (planes.isDrained(service, formatAddress(address))) reasons.push("drained: an operator has taken it out of traffic")
  else if (weight === 0) reasons.push("weight 0: it takes no traffic")
  if (!part) reasons.push(`not of subset ${subsetText(subset)}`)
  if (endpoint.unwell) reasons.push("unwell: its health checks fail")
  if (endpoint.ejected) reasons.push("ejected: it failed too often")
  if (endpoint.full) reasons.push("full: as much is under way as it may have")
  if (own.endpoints.some((other) => other.weight > 0 && (other.priority ?? 0) < priority)) {
    reasons.push(`priority ${priority}: used for what lower ones can't take`)
  }
  const parted = own.loadBalancing.zoneAware && config.zone !== "" && own.endpoints.some((other) => other.zone === config.zone)
  if (parted && zone !== config.zone) reasons.push(`zone ${zone || "not known"}: those in ${config.zone} are preferred`)
  if (failover) reasons.push("of the failover: used when none of the service's own should be")
  return {
    address: formatAddress(address),
    service,
    weight,
    zone,
    priority,
    eligible,
    reasons,
    share: shares?.get(endpoint) ?? (shares && 0),
  }
}

export function subsetText(subset: Readonly<Record<string, string>> | undefined): string {
  return Object.entries(subset ?? {})
    .map(([name, value]) => `${name}=${value}`)
    .join(",")
}

// By asking the balancer itself, as requests do.
function sharesOf({ balancer }: Service): Map<Endpoint, number> {
  const counts = new Map<Endpoint, number>()
  for (let i = 0; i < DRAWS; i++) {
    const endpoint = balancer.next(null, NO_KEY)
    if (endpoint === null) break
    counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1)
  }
  // One that is drawn at all has a share.
  return new Map([...counts].map(([endpoint, count]) => [endpoint, Math.max(0.01, Math.round((count / DRAWS) * 100) / 100)]))
}

function orderOf({ balancer }: Service, key: number): string[] {
  const tried: Endpoint[] = []
  while (tried.length < MAX_ORDER) {
    const endpoint = balancer.next(tried, key)
    if (endpoint === null || tried.includes(endpoint)) break
    tried.push(endpoint)
  }
  return tried.map(({ address }) => address)
}
