// Which services can be given other endpoints without a new snapshot: those whose balancers nothing else holds.

import type { Config } from "../config/model.ts"

/** Whether none of the services `names` has, or is, the failover of another, or is used in part by a route. */
export function canChangeAlone({ services, routes }: Config, names: readonly string[]): boolean {
  const entangled = new Set<string>()
  for (const [name, { failover }] of Object.entries(services)) {
    if (failover !== undefined) entangled.add(name).add(failover)
  }
  for (const { action } of routes) {
    if (action.kind !== "forward") continue
    for (const { service, subset } of action.backends) if (subset !== undefined) entangled.add(service)
  }
  return !names.some((name) => entangled.has(name))
}
