// Puts together what the admin API tells of services: what is configured, and what is known of each endpoint.

import type { Config, EndpointConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import type { EndpointState } from "../upstream/endpoint-watch.ts"
import type { EndpointStatus, ServiceStatus } from "./status.ts"

/** `config` null: there is none yet. `used`: what counts against a limit of a service. */
export function serviceStatus(
  config: Config | null,
  stateOf: (service: string, address: string) => EndpointState,
  used: (service: string, figure: "requests" | "connections") => number,
): ServiceStatus[] {
  return Object.entries(config?.services ?? {}).map(([name, service]): ServiceStatus => {
    const endpoints = service.endpoints.map((endpoint) => statusOf(endpoint, stateOf(name, formatAddress(endpoint.address))))
    const taking = endpoints.filter(({ weight }) => weight > 0)
    return {
      name,
      taking: taking.length,
      usable: taking.filter(({ healthy, ejected }) => healthy !== false && ejected === null).length,
      underWay: { requests: used(name, "requests"), connections: used(name, "connections") },
      endpoints,
    }
  })
}

function statusOf({ address, weight }: EndpointConfig, { healthy, ejection, requests, successes }: EndpointState): EndpointStatus {
  let ejected: EndpointStatus["ejected"] = null
  let consecutive: EndpointStatus["consecutive"] = null
  if (ejection !== null) {
    const { left, reason, times, consecutive5xx, consecutiveGatewayErrors, consecutiveLocalFailures } = ejection
    if (left !== null) ejected = { reason, times, until: left === 0 ? null : new Date(Date.now() + left).toISOString() }
    consecutive = { errors5xx: consecutive5xx, gatewayErrors: consecutiveGatewayErrors, localFailures: consecutiveLocalFailures }
  }
  return { address: formatAddress(address), weight, healthy, ejected, consecutive, requests, successes }
}
