// cache-control: says by path, type and status how long browsers and caches may keep an answer. An answer that is one client's
// own (the request carried credentials, or the answer sets a cookie) is never declared fit for shared caches unless a rule says
// that it is: a page in the wrong hands can't be called back.
import { Config, HttpFilter, PatternSet, Reply, Request, Response, strings } from "sluice/sdk"

/** Heuristically cacheable (RFC 9110 §15.1), and 302, 307, which may be with an explicit lifetime. */
const STATUSES = [200, 203, 204, 300, 301, 302, 307, 308, 404, 405, 410, 414, 501]

class Rule {
  constructor(
    readonly paths: PatternSet,
    readonly types: PatternSet,
    readonly statuses: i32[],
    readonly value: string,
    /** For answers that are one client's own. */
    readonly own: string,
    readonly vary: string[],
  ) {}
}

let rules: Rule[] = []
let replace = false
let credentials: string[] = []

export function configure(config: Config): void {
  config.allowOnly(["rules", "existing", "credentials"])
  replace = config.oneOf("existing", ["keep", "replace"], "keep") == "replace"
  credentials = config.strings("credentials", ["authorization", "cookie"])
  rules = []
  const list = config.groups("rules")
  if (list.length == 0) config.fail('"rules" must hold at least one rule')
  for (let i = 0; i < list.length; i++) rules.push(readRule(list[i]))
}

function readRule(config: Config): Rule {
  config.allowOnly([
    "paths", "types", "statuses", "maxAge", "sharedMaxAge", "staleWhileRevalidate", "staleIfError", "immutable", "mustRevalidate",
    "noTransform", "scope", "store", "vary", "personal",
  ]) // prettier-ignore
  const scope = config.oneOf("scope", ["public", "private"], "public")
  const store = config.bool("store", true)
  const age = config.duration("maxAge", -1)
  if (!store && (age >= 0 || config.has("sharedMaxAge"))) config.fail('"' + config.path("store") + '" is false: then there is no "maxAge"')
  if (scope == "private" && config.has("sharedMaxAge")) config.fail('"' + config.path("sharedMaxAge") + '" needs "scope: public"')
  if (store && age < 0) config.fail('missing key "' + config.path("maxAge") + '" (duration such as 5m, or "store: false")')

  let rest = ""
  if (config.has("staleWhileRevalidate")) rest += ", stale-while-revalidate=" + seconds(config.duration("staleWhileRevalidate"))
  if (config.has("staleIfError")) rest += ", stale-if-error=" + seconds(config.duration("staleIfError"))
  if (config.bool("mustRevalidate")) rest += ", must-revalidate"
  if (config.bool("immutable")) rest += ", immutable"
  if (config.bool("noTransform")) rest += ", no-transform"
  let value = "no-store"
  let own = "no-store"
  if (store) {
    const lifetime = age == 0 ? "no-cache" : "max-age=" + seconds(age)
    own = "private, " + lifetime + rest
    value = scope + ", " + lifetime
    if (config.has("sharedMaxAge")) value += ", s-maxage=" + seconds(config.duration("sharedMaxAge"))
    value += rest
  }
  const personal = config.oneOf("personal", ["private", "share"], "private")
  if (personal == "share") own = value
  return new Rule(config.patterns("paths"), config.patterns("types", true), statuses(config), value, own, config.strings("vary", []))
}

function seconds(ms: i64): string {
  return (ms / 1000).toString()
}

function statuses(config: Config): i32[] {
  const given = config.json("statuses")
  if (given === null) return STATUSES
  const list: i32[] = []
  for (let i = 0; i < given.length; i++) {
    const status = given.at(i)!.asInt()
    if (status < 200 || status > 599) config.fail('"' + config.path("statuses[" + i.toString() + "]") + '" must be a status from 200 to 599')
    list.push(<i32>status)
  }
  if (list.length == 0) config.fail('"' + config.path("statuses") + '" must be a list of statuses')
  return list
}

export class CacheControl extends HttpFilter {
  // As the client sent them: filters after this one may change the path and take credentials out.
  private path: string = ""
  private personal: bool = false
  private safe: bool = false

  onRequest(request: Request): Reply | null {
    const method = request.method
    this.safe = method == "GET" || method == "HEAD"
    if (!this.safe) return null
    this.path = request.path
    for (let i = 0; i < credentials.length && !this.personal; i++) this.personal = request.headers.has(credentials[i])
    return null
  }

  onResponse(response: Response): Reply | null {
    if (!this.safe) return null
    const headers = response.headers
    if (!replace && headers.has("cache-control")) return null
    const status = response.status
    const type = mediaType(headers.get("content-type"))
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i]
      if (!rule.statuses.includes(status)) continue
      if (rule.paths.length > 0 && !rule.paths.matches(this.path)) continue
      if (rule.types.length > 0 && !rule.types.matches(type)) continue
      headers.set("cache-control", this.personal || headers.has("set-cookie") ? rule.own : rule.value)
      // What HTTP/1.0 knew, and would now contradict.
      headers.remove("expires")
      headers.remove("pragma")
      addVary(response, rule.vary)
      return null
    }
    return null
  }
}

/** `text/html` of `text/html; charset=utf-8`. */
function mediaType(value: string | null): string {
  if (value === null) return ""
  const end = value.indexOf(";")
  return (end < 0 ? value : value.substring(0, end)).trim()
}

function addVary(response: Response, names: string[]): void {
  if (names.length == 0) return
  const given = strings.list(strings.lower(response.headers.getAll("vary").join(",")))
  if (given.includes("*")) return
  for (let i = 0; i < names.length; i++) {
    if (!given.includes(strings.lower(names[i]))) response.headers.add("vary", names[i])
  }
}
