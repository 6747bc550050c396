// security-headers: has browsers treat every answer with care (HTTPS only, no framing, no type guessing, a policy for scripts),
// and keeps quiet about the software behind it. What a service says of its own accord is kept unless it is told otherwise.
import { Config, properties, Response } from "sluice/sdk"

/** A header to be sent. */
class Line {
  constructor(
    readonly name: string,
    readonly value: string,
  ) {}
}

let lines: Line[] = []
let removed: string[] = []
let hsts = ""
/** Whether `strict-transport-security` goes out on plain connections too: TLS ends before the gateway. */
let tlsBefore = false
let replace = false

export function configure(config: Config): void {
  config.allowOnly([
    "contentSecurityPolicy", "contentSecurityPolicyReportOnly", "frames", "referrerPolicy", "permissionsPolicy", "openerPolicy",
    "resourcePolicy", "embedderPolicy", "hsts", "existing", "remove",
  ]) // prettier-ignore
  lines = []
  const frames = config.oneOf("frames", ["none", "same-origin", "any"], "none")
  const policy = config.string("contentSecurityPolicy", "base-uri 'self'; object-src 'none'")
  add(config, "content-security-policy", withFrames(policy, frames))
  add(config, "content-security-policy-report-only", config.string("contentSecurityPolicyReportOnly", ""))
  add(config, "x-frame-options", frames == "none" ? "DENY" : frames == "same-origin" ? "SAMEORIGIN" : "")
  add(config, "x-content-type-options", "nosniff")
  add(config, "referrer-policy", config.string("referrerPolicy", "strict-origin-when-cross-origin"))
  add(config, "permissions-policy", config.string("permissionsPolicy", "camera=(), geolocation=(), microphone=()"))
  add(config, "cross-origin-opener-policy", config.string("openerPolicy", "same-origin-allow-popups"))
  add(config, "cross-origin-resource-policy", config.string("resourcePolicy", ""))
  add(config, "cross-origin-embedder-policy", config.string("embedderPolicy", ""))

  const strict = config.group("hsts")
  strict.allowOnly(["maxAge", "includeSubDomains", "preload", "tlsBefore"])
  const maxAge = strict.duration("maxAge", 31_536_000_000) / 1000
  const subDomains = strict.bool("includeSubDomains")
  const preload = strict.bool("preload")
  tlsBefore = strict.bool("tlsBefore")
  // What the browsers' list demands (hstspreload.org).
  if (preload && (!subDomains || maxAge < 31_536_000)) {
    config.fail('"hsts.preload" needs "includeSubDomains: true" and a "maxAge" of at least a year, 8760h')
  }
  hsts = "max-age=" + maxAge.toString() + (subDomains ? "; includeSubDomains" : "") + (preload ? "; preload" : "")

  replace = config.oneOf("existing", ["keep", "replace"], "keep") == "replace"
  removed = config.strings("remove", ["server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version"])
  for (let i = 0; i < removed.length; i++) {
    if (!isName(removed[i])) config.fail('"remove[' + i.toString() + ']" must be the name of a header, not "' + removed[i] + '"')
  }
}

function add(config: Config, name: string, value: string): void {
  for (let i = 0; i < value.length; i++) {
    const code = value.charCodeAt(i)
    if (code >= 0x20 && code < 0x7f) continue
    config.fail('the value of "' + name + '" must be one line of ASCII text')
    return
  }
  if (value.length > 0) lines.push(new Line(name, value))
}

/** Old browsers know `x-frame-options` only; the others want it in the policy. */
function withFrames(policy: string, frames: string): string {
  if (frames == "any" || policy.includes("frame-ancestors")) return policy
  const directive = frames == "none" ? "frame-ancestors 'none'" : "frame-ancestors 'self'"
  return policy.length == 0 ? directive : policy.trimEnd().endsWith(";") ? policy + " " + directive : policy + "; " + directive
}

function isName(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const letter = (code | 0x20) - 0x61
    if (<u32>letter >= 26 && <u32>(code - 0x30) >= 10 && code != 0x2d && code != 0x5f && code != 0x2e) return false
  }
  return text.length > 0
}

export function onResponse(response: Response): void {
  for (let i = 0; i < removed.length; i++) response.headers.remove(removed[i])
  for (let i = 0; i < lines.length; i++) put(response, lines[i].name, lines[i].value)
  // Browsers ignore it on plain connections, and RFC 6797 §7.2 forbids it there.
  if (tlsBefore || properties.text("request.scheme") == "https") put(response, "strict-transport-security", hsts)
}

function put(response: Response, name: string, value: string): void {
  if (replace || !response.headers.has(name)) response.headers.set(name, value)
}
