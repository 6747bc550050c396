// Where connections go, across sections: services that don't exist, names given twice, shares that nobody gets.

import type { Checked } from "./check.ts"
import { isKnown } from "./issues.ts"
import { didYouMean, type Path } from "./problem.ts"
import type { WrittenListener } from "./schema.ts"
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
