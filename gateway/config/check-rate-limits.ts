// Rate limits that don't fit where they stand.

import type { Reporter } from "./check-tls.ts"
import { isKnown, type Salvaged } from "./issues.ts"
import type { WrittenRateLimits } from "./rate-limit-schema.ts"

/** Limits of services are asked where a request leaves, and know it as far as its head goes. */
export function checkServiceRateLimits(written: Salvaged<WrittenRateLimits>, service: string, report: Reporter): void {
  if (!isKnown(written)) return
  written.forEach(({ by = [] }, i) => {
    if (!by.some((key) => key.kind === "claim")) return
    const path = ["services", service, "rateLimit", ...(written.length === 1 ? [] : [i])]
    report.error([...path, "by"], "has a claim, which limits of services don't see; write the limit in a route or listener")
  })
}
