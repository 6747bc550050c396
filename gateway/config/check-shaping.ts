// What no single value of a route's traffic shaping shows: services that don't exist, and settings that could do nothing.

import type { Reporter } from "./check-tls.ts"
import { isKnown } from "./issues.ts"
import { didYouMean } from "./problem.ts"
import type { Written, WrittenRoute } from "./schema.ts"
import { quote } from "./units.ts"

/** `services`: names of them; undefined = they couldn't be read. */
export function checkShaping(
  route: WrittenRoute,
  i: number,
  services: ReadonlySet<string> | undefined,
  written: Written["services"],
  reporter: Reporter,
): void {
  if (isKnown(route.sticky) && isKnown(route.backends) && route.backends.length === 1) {
    reporter.warn(
      ["routes", i, "sticky"],
      "has nothing to choose from, for the route has one backend; write another one, or leave sticky out",
      "key",
    )
  }
  if (!isKnown(route.mirror)) return
  const seen = new Set<string>()
  route.mirror.forEach(({ service }, j) => {
    const path = ["routes", i, "mirror", j]
    if (seen.has(service)) reporter.error(path, `${quote(service)} is there already; write it once, with its whole share`)
    seen.add(service)
    if (services === undefined) return
    if (!services.has(service)) {
      reporter.error(path, () => `there is no service ${quote(service)}${didYouMean(service, services) || "; add it to services"}`)
      return
    }
    const target = isKnown(written) ? written[service] : undefined
    if (isKnown(target) && target.proxyProtocol !== undefined)
      reporter.error(path, `${quote(service)} has proxyProtocol, which is for connections; write a service without it`)
  })
}
