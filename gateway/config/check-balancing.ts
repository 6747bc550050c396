// Where requests go when a service can't take them, and which part of it they ask for, across sections.

import type { Reporter } from "./check-tls.ts"
import { isKnown, type Salvaged } from "./issues.ts"
import { didYouMean, type Path } from "./problem.ts"
import type { Written, WrittenService } from "./schema.ts"
import { quote } from "./units.ts"

type Services = Written["services"]

function find(services: Services, name: string): WrittenService | undefined {
  const service: Salvaged<WrittenService> = Object.hasOwn(services, name) ? services[name] : undefined
  return isKnown(service) ? service : undefined
}

/** What `failover` of a service leads to. */
export function checkFailover(name: string, service: WrittenService, services: Services, found: Reporter): void {
  if (!isKnown(service.failover)) return
  const path: Path = ["services", name, "failover"]
  const { failover } = service
  if (!Object.hasOwn(services, failover)) {
    const names = new Set(Object.keys(services))
    found.error(path, () => `there is no service ${quote(failover)}${didYouMean(failover, names) || "; add it to services"}`)
    return
  }
  const seen = new Set<string>()
  for (let next: string | undefined = failover; next !== undefined && !seen.has(next); ) {
    if (next === name) {
      found.error(
        path,
        `leads back to ${quote(name)}${failover === name ? "" : ` by way of ${quote(failover)}`}; let one of them have none`,
      )
      return
    }
    seen.add(next)
    const other: WrittenService | undefined = find(services, next)
    next = other !== undefined && isKnown(other.failover) ? other.failover : undefined
  }
  const other = find(services, failover)
  if (other !== undefined && other.proxyProtocol !== service.proxyProtocol)
    found.error(path, `${quote(failover)} has another proxyProtocol, so that connections would begin differently; use the same in both`)
}

/** Parts of services without an endpoint. */
export function checkSubsets(
  backends: readonly { readonly service: string; readonly subset?: Readonly<Record<string, string>> | undefined }[],
  path: Path,
  services: Salvaged<Services>,
  found: Reporter,
): void {
  if (!isKnown(services)) return
  backends.forEach(({ service: name, subset }, j) => {
    const endpoints = find(services, name)?.endpoints
    if (subset === undefined || !isKnown(endpoints) || endpoints.length === 0) return
    const wanted = Object.entries(subset)
    const some = endpoints.some((endpoint) => {
      if (!isKnown(endpoint)) return true
      const { labels, weight } = endpoint
      return weight !== 0 && wanted.every(([label, value]) => isKnown(labels) && Object.hasOwn(labels, label) && labels[label] === value)
    })
    if (some) return
    const text = wanted.map(([label, value]) => `${label}: ${value}`).join(", ")
    found.warn(
      [...path, j, "subset"],
      `no endpoint of ${quote(name)} with a weight above 0 has { ${text} }, so its share of requests is answered with 503; write the labels of some`,
    )
  })
}
