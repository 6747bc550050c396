// geo-route: chooses a service by the country that a proxy or CDN in front has found out, or refuses. The country is believed only
// from those named in `trust`; from anyone else the header is dropped, so nobody moves by writing one.
import { CidrSet, Config, HttpFilter, log, Reply, Request, Response, strings } from "sluice/sdk"

class Rule {
  constructor(
    readonly service: string,
    readonly deny: bool,
  ) {}
}

/** By country. */
let rules = new Map<string, Rule>()
let otherwise: Rule | null = null
let unknown: Rule | null = null
let header = ""
let trustAll = false
let trusted = new CidrSet()
let status = 451
let message = ""

export function configure(config: Config): void {
  config.allowOnly(["header", "trust", "groups", "rules", "default", "unknown", "status", "message"])
  header = config.string("header", "x-country")
  if (header.length == 0) config.fail('"header" must not be empty')
  status = config.int("status", 451, 400, 599)
  message = config.string("message", "not available in your country\n")
  const from = config.strings("trust")
  trustAll = from.length == 1 && from[0] == "*"
  if (!trustAll) trusted = config.cidrs("trust")
  if (config.has("trust") && from.length == 0) config.fail('"trust" is empty; name the proxies that set "' + header + '", or write ["*"]')

  rules = new Map<string, Rule>()
  let denies: bool = false
  const groups = config.group("groups")
  const list = config.groups("rules")
  if (list.length == 0) config.fail('"rules" must hold at least one rule')
  for (let i = 0; i < list.length; i++) {
    const rule = readRule(list[i], ["countries", "service", "deny"])
    denies = denies || rule.deny
    const countries = list[i].strings("countries")
    for (let k = 0; k < countries.length; k++) {
      const name = list[i].path("countries") + "[" + k.toString() + "]"
      if (!groups.has(countries[k])) {
        addCountry(config, name, countries[k], rule)
      } else {
        const members = groups.strings(countries[k])
        for (let m = 0; m < members.length; m++) addCountry(config, name + " (" + countries[k] + ")", members[m], rule)
      }
    }
  }
  otherwise = config.has("default") ? readRule(config.group("default"), ["service", "deny"]) : null
  const other = otherwise
  if (other !== null && other.deny) denies = true
  // Who hides where they are doesn't get past a refusal.
  const unsure = config.oneOf("unknown", ["default", "deny"], denies ? "deny" : "default")
  unknown = unsure == "deny" ? new Rule("", true) : otherwise
}

function readRule(config: Config, keys: string[]): Rule {
  config.allowOnly(keys)
  const service = config.string("service", "")
  const deny = config.bool("deny")
  if (deny == service.length > 0) config.fail('"' + config.path("service") + '": write either a service or "deny: true"')
  return new Rule(service, deny)
}

/** The first rule that names a country is its rule. */
function addCountry(config: Config, name: string, text: string, rule: Rule): void {
  const country = normal(text)
  if (country.length == 0) config.fail('"' + name + '" must be a country of two letters such as DE, or one of "groups", not "' + text + '"')
  else if (!rules.has(country)) rules.set(country, rule)
}

/** `DE` of `de`; "" for what is no country. The second place may be a digit: CDNs say T1 of Tor, A1 of anonymous proxies. */
function normal(text: string): string {
  if (text.length != 2) return ""
  const first = (text.charCodeAt(0) | 0x20) - 0x61
  const second = text.charCodeAt(1)
  if (<u32>first >= 26 || (<u32>((second | 0x20) - 0x61) >= 26 && <u32>(second - 0x30) >= 10)) return ""
  const country = strings.upper(text)
  return country == "XX" || country == "ZZ" ? "" : country // both: not known
}

export class GeoRoute extends HttpFilter {
  onRequest(request: Request): Reply | null {
    const country = countryOf(request)
    // The service sees a country that is believed, in one form, or none.
    if (country.length > 0) request.headers.set(header, country)
    else request.headers.remove(header)
    const rule = country.length == 0 ? unknown : rules.has(country) ? rules.get(country) : otherwise
    if (rule === null) return null
    if (rule.deny) {
      const reply = new Reply(status, message).header("cache-control", "no-store")
      reply.details = country.length > 0 ? "country_denied" : "country_unknown"
      reply.grpcStatus = 7 // PERMISSION_DENIED
      return reply
    }
    if (!request.route.choose(rule.service)) log.warn('there is no service "' + rule.service + "\": the request goes where its route says")
    return null
  }

  onResponse(response: Response): Reply | null {
    const given = strings.lower(response.headers.getAll("vary").join(","))
    if (!given.includes("*") && !given.includes(strings.lower(header))) response.headers.add("vary", header)
    return null
  }
}

function countryOf(request: Request): string {
  if (!trustAll && !trusted.contains(request.peer.address)) return ""
  // Of several fields none can be told to be the proxy's.
  const values = request.headers.getAll(header)
  return values.length == 1 ? normal(values[0].trim()) : ""
}
