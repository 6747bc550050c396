// cors: says which other sites' scripts may use a service (Cross-Origin Resource Sharing). Preflight requests are answered here;
// in all other answers the `access-control-…` headers are this filter's alone. CORS tells browsers what to allow: it keeps
// nobody else out, and no request from being made unless `refuse` is on.
import { Config, HttpFilter, PatternSet, Reply, Request, Response, seconds, strings } from "sluice/sdk"

/** What only this filter says. */
const OWN = [
  "access-control-allow-origin",
  "access-control-allow-credentials",
  "access-control-allow-headers",
  "access-control-allow-methods",
  "access-control-allow-private-network",
  "access-control-expose-headers",
  "access-control-max-age",
]

/** Whether every origin is allowed. */
let everybody: bool = false
let origins = new PatternSet()
let methods = ""
let methodList: string[] = []
let headers = ""
let expose = ""
let credentials = false
let maxAge = ""
let refuse = false

export function configure(config: Config): void {
  config.allowOnly(["origins", "methods", "headers", "expose", "credentials", "maxAge", "refuse"])
  credentials = config.bool("credentials")
  refuse = config.bool("refuse")
  methodList = config.strings("methods", ["GET", "HEAD", "POST"])
  methods = methodList.join(", ")
  headers = config.strings("headers", []).join(", ")
  expose = config.strings("expose", []).join(", ")
  maxAge = seconds(config.duration("maxAge", 600_000))

  const list = config.strings("origins")
  everybody = list.includes("*")
  if (config.has("origins") && list.length == 0) config.fail('"origins" is empty; name the sites that may use this')
  if (everybody && list.length > 1) config.fail('"origins": "*" allows everybody, so it stands alone')
  if (everybody && credentials) config.fail('"origins" can\'t be "*" together with "credentials": name the sites')
  for (let i = 0; i < list.length; i++) {
    if (list[i] != "*" && list[i] != "null" && !isOrigin(list[i])) {
      config.fail('"origins[' + i.toString() + ']" must be an origin such as https://example.com or https://*.example.com, without a path')
    }
  }
  if (credentials && (headers == "*" || expose == "*" || methods == "*")) config.fail('with "credentials" no list can be "*"')
  origins = new PatternSet(list, true)
}

/** `scheme://host`, with a port if need be; the host may begin with `*.`, which stands for any number of labels. */
function isOrigin(text: string): bool {
  const host = text.indexOf("://") + 3
  if (host < 4 || host >= text.length || text.indexOf("/", host) >= 0 || text.includes("?") || text.includes("#")) return false
  const star = text.indexOf("*")
  return star < 0 || (star == host && text.indexOf("*", star + 1) < 0 && text.charAt(star + 1) == "." && text.indexOf(".", star + 2) > 0)
}

export class Cors extends HttpFilter {
  /** Where the request comes from, if that is allowed; "" otherwise. */
  private origin: string = ""
  private preflight: bool = false

  onRequest(request: Request): Reply | null {
    const origin = request.headers.get("origin")
    if (origin === null) return null
    if (everybody || origins.matches(origin)) this.origin = origin

    const asked = request.method == "OPTIONS" ? request.headers.get("access-control-request-method") : null
    if (asked !== null) {
      this.preflight = true
      return this.answer(asked)
    }
    if (this.origin.length == 0 && refuse) return new Reply(403, "this site may not use the service\n").header("vary", "origin")
    return null
  }

  /** What a browser asks before it makes the request proper. */
  private answer(method: string): Reply {
    const known = this.origin.length > 0
    const allowed = known && (methods == "*" || methodList.includes(method))
    const reply = new Reply(allowed ? 204 : 403)
    reply.header("vary", "origin, access-control-request-method, access-control-request-headers")
    if (!known) return reply
    reply.header("access-control-allow-origin", everybody ? "*" : this.origin)
    reply.header("access-control-allow-methods", methods)
    if (headers.length > 0) reply.header("access-control-allow-headers", headers)
    if (credentials) reply.header("access-control-allow-credentials", "true")
    return reply.header("access-control-max-age", maxAge)
  }

  onResponse(response: Response): Reply | null {
    if (this.preflight) return null
    const to = response.headers
    for (let i = 0; i < OWN.length; i++) to.remove(OWN[i])
    // Whether there is an origin makes the difference, so caches must know even where there was none.
    if (!everybody) vary(response)
    if (this.origin.length == 0) return null
    to.set("access-control-allow-origin", everybody ? "*" : this.origin)
    if (credentials) to.set("access-control-allow-credentials", "true")
    if (expose.length > 0) to.set("access-control-expose-headers", expose)
    return null
  }
}

/** Adds `origin` to `vary`, unless it is there. */
function vary(response: Response): void {
  const value = response.headers.get("vary")
  const names: string[] = value === null ? [] : strings.list(strings.lower(value))
  if (!names.includes("*") && !names.includes("origin")) response.headers.add("vary", "origin")
}
