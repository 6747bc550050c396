// What no single value of tracing shows: settings of routes and listeners without any tracing, a header nobody may use, variables that aren't there.

import type { Reporter } from "./check-tls.ts"
import { FAILED, isKnown, type Salvaged } from "./issues.ts"
import type { Written } from "./schema.ts"

// What could not be read might.
function trusts(hops: Salvaged<number>): boolean {
  return (hops as unknown) === FAILED || (isKnown(hops) && hops > 0)
}

export function checkTracing(written: Written, environment: NodeJS.ProcessEnv, reporter: Reporter): void {
  const { tracing, routes, listeners } = written
  if (tracing === undefined) {
    for (const [key, given] of [["listeners", listeners] as const, ["routes", routes] as const]) {
      if (!isKnown(given)) continue
      given.forEach((each, i) => {
        if (isKnown(each) && isKnown(each.tracing) && each.tracing !== undefined && each.tracing !== false)
          reporter.error(
            [key, i, "tracing"],
            "needs to know where spans go; write tracing: { otlp: http://127.0.0.1:4318 } at the top",
            "key",
          )
      })
    }
    return
  }
  if (!isKnown(tracing)) return
  if (isKnown(tracing.force) && tracing.force !== undefined && isKnown(listeners)) {
    const trusting = listeners.some((listener) => !isKnown(listener) || trusts(listener.trustedHops))
    if (!trusting)
      reporter.warn(
        ["tracing", "force"],
        "is for proxies in front, and no listener trusts one; write trustedHops: 1 in one, or leave it out",
      )
  }
  if (!isKnown(tracing.otlp)) return
  for (const [name, value] of Object.entries(tracing.otlp.headers)) {
    if (!isKnown(value) || typeof value === "string" || !isKnown(value.env)) continue
    if ((environment[value.env] ?? "") === "")
      reporter.warn(
        ["tracing", "otlp", "headers", name, "env"],
        `there is no environment variable ${value.env} here; set it where the gateway runs`,
      )
  }
}
