// Rate limits that don't fit where they stand, or with the place where they are to be decided.

import { checkServiceTls, type Reporter } from "./check-tls.ts"
import { FAILED, isKnown, type Salvaged } from "./issues.ts"
import { didYouMean, type Path } from "./problem.ts"
import type { WrittenRateLimits } from "./rate-limit-schema.ts"
import type { Written, WrittenService } from "./schema.ts"
import { quote } from "./units.ts"

/** Limits of services are asked where a request leaves, and know it as far as its head goes. */
export function checkServiceRateLimits(written: Salvaged<WrittenRateLimits>, service: string, report: Reporter): void {
  if (!isKnown(written)) return
  written.forEach(({ by = [], scope }, i) => {
    const path = ["services", service, "rateLimit", ...(written.length === 1 ? [] : [i])]
    if (scope !== "local")
      report.error([...path, "scope"], "is local for limits of services, which nothing waits for; write the limit in a route or listener")
    if (!by.some((key) => key.kind === "claim")) return
    report.error([...path, "by"], "has a claim, which limits of services don't see; write the limit in a route or listener")
  })
}

/** Where limits with another scope than local are decided: that it is there, that it can be asked, and that something asks it. */
export function checkSharedRateLimits(written: Written, baseDir: string, environment: NodeJS.ProcessEnv, report: Reporter): void {
  const { rateLimitStore: store, rateLimitService: service } = written
  const used = { global: false, service: false }
  let all = true
  const look = (limits: Salvaged<WrittenRateLimits> | undefined, path: Path): void => {
    if ((limits as unknown) === FAILED) all = false
    if (limits === undefined || !isKnown(limits)) return
    limits.forEach(({ scope }, i) => {
      if (scope !== "global" && scope !== "service") return
      used[scope] = true
      const at = [...path, ...(limits.length === 1 ? [] : [i]), "scope"]
      if (scope === "global" && store === undefined)
        report.error(at, "needs to know where limits are counted; write rateLimitStore: { redis: redis://HOST:6379 } at the top")
      if (scope === "service" && service === undefined)
        report.error(at, "needs to know whom to ask; write rateLimitService: { service: NAME } at the top")
    })
  }
  for (const section of ["listeners", "routes"] as const) {
    const parts: Salvaged<readonly Salvaged<{ rateLimit?: WrittenRateLimits | undefined }>[]> = written[section]
    if (!isKnown(parts)) all = false
    else for (const [i, part] of parts.entries()) if (isKnown(part)) look(part.rateLimit, [section, i, "rateLimit"])
  }
  if (isKnown(store) && store !== undefined) checkStore(store, baseDir, environment, report)
  if (all && isKnown(store) && store !== undefined && !used.global)
    report.warn(["rateLimitStore"], "is used by no limit; write scope: global in one, or leave it out", "key")
  if (!isKnown(service) || service === undefined) return
  if (all && !used.service) report.warn(["rateLimitService"], "is asked by no limit; write scope: service in one, or leave it out", "key")
  const { services } = written
  if (!isKnown(service.service) || !isKnown(services)) return
  const names = new Set(Object.keys(services))
  const asked = services[service.service] as WrittenService | undefined
  if (!names.has(service.service)) {
    const hint = didYouMean(service.service, names)
    report.error(["rateLimitService", "service"], () => `there is no service ${quote(service.service)}${hint || "; add it to services"}`)
  } else if (isKnown(asked) && asked?.protocol === "http1")
    report.error(
      ["rateLimitService", "service"],
      `is a service of HTTP/1.1, but is asked by gRPC; write protocol: h2 in services.${service.service}`,
    )
}

type WrittenStore = NonNullable<Written["rateLimitStore"]>

function checkStore({ redis }: WrittenStore, baseDir: string, environment: NodeJS.ProcessEnv, report: Reporter): void {
  if (!isKnown(redis) || !("url" in redis)) return
  const path: Path = ["rateLimitStore", "redis"]
  const { url, tls } = redis
  if (isKnown(url)) {
    if (tls !== undefined && !url.secure)
      report.error([...path, "tls"], "belongs to an address with TLS; write url: rediss://…, or leave it out", "key")
    for (const key of ["username", "password"] as const)
      if (url[key] !== null && redis[key] !== undefined) report.error([...path, key], "is in the url too; write it in one place", "key")
  }
  if (isKnown(tls) && tls !== undefined && tls !== true) checkServiceTls([...path, "tls"], tls, baseDir, report)
  for (const key of ["username", "password"] as const) {
    const given = redis[key]
    if (!isKnown(given) || given === undefined || typeof given === "string" || !isKnown(given.env)) continue
    if ((environment[given.env] ?? "") === "")
      report.warn([...path, key, "env"], `there is no environment variable ${given.env} here; set it where the gateway runs`)
  }
}
