// maintenance: answers 503 for everything while a service is worked on. Operators get through, by address or with a secret
// header, and so do paths that must go on working. A window of time can switch it on and off by itself.
import { CidrSet, Config, constantTimeEquals, hex, httpDate, now, parseIsoDate, PatternSet, Reply, Request, seconds, sha256, strings } from "sluice/sdk"

/** Header that lets who knows the secret through. */
const BYPASS = "x-maintenance-bypass"

let enabled = true
/** ms since 1970; 0 = open on that side. */
let from: i64 = 0
let until: i64 = 0
let retryAfter: i64 = 0
let status = 503
let body = ""
let contentType = ""
let allow = new CidrSet()
let except = new PatternSet()
/** SHA-256 of the secret that opens; empty = none does. */
let bypass = new Uint8Array(0)

export function configure(config: Config): void {
  config.allowOnly(["enabled", "from", "until", "retryAfter", "status", "body", "contentType", "allow", "except", "bypass"])
  enabled = config.bool("enabled", true)
  from = time(config, "from")
  until = time(config, "until")
  if (from > 0 && until > 0 && until <= from) config.fail('"until" must be later than "from"')
  retryAfter = config.duration("retryAfter", 300_000)
  status = config.int("status", 503, 400, 599)
  body = config.string("body", "down for maintenance, please try again later\n")
  contentType = config.string("contentType", "text/plain; charset=utf-8")
  allow = config.cidrs("allow")
  except = config.patterns("except")

  const secret = config.group("bypass")
  secret.allowOnly(["sha256"])
  bypass = new Uint8Array(0)
  if (config.has("bypass")) {
    const digest = hex.decode(strings.lower(secret.string("sha256")))
    if (digest !== null && digest.length == 32) bypass = digest
    else config.fail('"bypass.sha256" must be the SHA-256 of the secret, 64 hex digits')
  }
}

function time(config: Config, key: string): i64 {
  if (!config.has(key)) return 0
  const value = parseIsoDate(config.string(key))
  if (value <= 0) config.fail('"' + key + '" must be a time such as 2027-01-31T22:00:00Z')
  return value
}

export function onRequest(request: Request): Reply | null {
  const opens = bypassed(request)
  if (!enabled) return null
  const current = now()
  if ((from > 0 && current < from) || (until > 0 && current >= until)) return null
  if (opens || except.matches(request.path) || (allow.length > 0 && allow.contains(request.peer.address))) return null

  const reply = new Reply(status, body).header("content-type", contentType).header("cache-control", "no-store")
  if (until > 0) reply.header("retry-after", httpDate(until))
  else if (retryAfter > 0) reply.header("retry-after", seconds(retryAfter))
  reply.details = "maintenance"
  reply.grpcStatus = 14 // UNAVAILABLE
  return reply
}

/** Whether the request has the secret, which goes no further, at any time. */
function bypassed(request: Request): bool {
  if (bypass.length == 0) return false
  const secret = request.headers.get(BYPASS)
  if (secret === null) return false
  request.headers.remove(BYPASS)
  return secret.length <= 512 && constantTimeEquals(sha256(secret), bypass)
}
