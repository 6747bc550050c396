// A route's canary together with the backends it moves requests between.

import type { Checked } from "./checked.ts"
import { FAILED, isKnown } from "./issues.ts"
import { didYouMean, type Path } from "./problem.ts"
import type { WrittenRoute } from "./schema.ts"
import { quote } from "./units.ts"

export function checkCanary(route: WrittenRoute, path: Path, found: Checked): void {
  const { canary, backends } = route
  if (!isKnown(canary)) return
  const error = (message: string | (() => string), at: Path = [...path, "canary"], where: "key" | "value" = "key"): void => {
    found.errors.push({ path: at, at: where, message })
  }
  if (route.redirect !== undefined || route.respond !== undefined) {
    error("belongs to routes with backends, for this one sends nothing on; leave it out")
    return
  }
  if (backends === undefined) error("needs backends to move requests between; write the one that serves and the new one")
  if (!isKnown(backends)) return
  if (backends.length < 2) {
    error("needs two backends at least; write the one that serves and the new one, such as backends: [api-v1, api-v2]")
    return
  }
  if ((canary.service as unknown) === FAILED) return
  const service = canary.service ?? backends[backends.length - 1].service
  const own = backends.filter((backend) => backend.service === service)
  if (own.length === 0) {
    const names = new Set(backends.map((backend) => backend.service))
    error(
      () =>
        `${quote(service)} is the service of no backend of this route${didYouMean(service, names) || `; write one of ${[...names].join(", ")}`}`,
      [...path, "canary", "service"],
      "value",
    )
  } else if (own.length > 1)
    error(`can't tell ${own.length} backends of the service ${quote(service)} apart; give the new one a service of its own`)
  else if (backends.every((backend) => backend === own[0] || backend.weight === 0))
    error("leaves the requests it doesn't take to nobody: every other backend has weight 0; give one a weight above 0")
  if (route.name === undefined)
    found.warnings.push({
      path: [...path, "canary"],
      at: "key",
      message: "is of a route without a name, so that it begins again when routes change places; write a name",
    })
}
