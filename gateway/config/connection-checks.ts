// Where connections go, across sections: services that don't exist, names given twice, shares that nobody gets.

import type { Checked } from "./checked.ts"
import { isKnown, type Salvaged } from "./issues.ts"
import { didYouMean, type Path } from "./problem.ts"
import type { Written, WrittenListener, WrittenService } from "./schema.ts"
import { quote } from "./units.ts"

type Backends = NonNullable<WrittenListener["backends"]>
type ServerNames = NonNullable<WrittenListener["serverNames"]>

/** `services`: names of those that exist; undefined = not known. */
export function checkConnectionBackends(backends: Backends, path: Path, services: ReadonlySet<string> | undefined, found: Checked): void {
  const warn = (at: Path, message: string | (() => string)): void => {
    found.warnings.push({ path: at, at: "value", message })
  }
  if (backends.length === 0) warn(path, "is empty, so every connection is closed; write the name of a service")
  else if (backends.every(({ weight }) => weight === 0))
    warn(path, "every weight is 0, so every connection is closed; give one a weight above 0")
  backends.forEach(({ service }, j) => {
    if (services === undefined || services.has(service)) return
    warn(
      [...path, j],
      () =>
        `there is no service ${quote(service)}, so its share of connections is closed${didYouMean(service, services) || "; add it to services"}`,
    )
  })
}

export function checkServerNames(names: ServerNames, path: Path, services: ReadonlySet<string> | undefined, found: Checked): void {
  const seen = new Map<string, number>()
  names.forEach((entry, i) => {
    if (!isKnown(entry)) return
    if (isKnown(entry.backends)) checkConnectionBackends(entry.backends, [...path, i, "backends"], services, found)
    if (!isKnown(entry.hosts)) return
    entry.hosts.forEach((host, j) => {
      const first = seen.get(host)
      if (first === undefined) seen.set(host, i)
      else
        found.errors.push({
          path: [...path, i, "hosts", j],
          at: "value",
          message: `${quote(host)} is in serverNames[${first}] too; leave one out`,
        })
    })
  })
}

/** What a service can't have together with a PROXY header. */
export function checkServiceProxy(service: WrittenService, path: Path, found: Checked): void {
  if (service.proxyProtocol === undefined) return
  const at = { path: [...path, "proxyProtocol"], at: "key" } as const
  if (service.tls !== undefined)
    found.errors.push({ ...at, message: "goes before TLS, and can't be had together with tls; leave out one of the two" })
  if (service.healthCheck !== undefined && !(isKnown(service.healthCheck) && service.healthCheck.probe.kind === "tcp"))
    found.errors.push({
      ...at,
      message:
        "can't be had together with healthCheck, whose requests begin without it; leave out one of the two, or write healthCheck: { tcp: true }",
    })
}

/** Requests can't go where connections begin with a PROXY header. */
export function checkRouteProxy(
  backends: readonly { readonly service: string }[],
  path: Path,
  services: Salvaged<Written["services"]>,
  found: Checked,
): void {
  if (!isKnown(services)) return
  backends.forEach(({ service: name }, j) => {
    const service: Salvaged<WrittenService> = Object.hasOwn(services, name) ? services[name] : undefined
    if (!isKnown(service) || !isKnown(service.proxyProtocol)) return
    const message = `${quote(name)} has proxyProtocol, which is for services of tcp, tls and auto listeners: connections that carry requests are shared by clients; use a service without it`
    found.errors.push({ path: [...path, j], at: "value", message })
  })
}
