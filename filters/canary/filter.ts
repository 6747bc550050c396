// canary: sends part of the requests to a new version of a service: those that ask for it by header or cookie, and a percentage
// of the others. Who is in stays in: the same key (a cookie, a header, the address) is always answered by the same version, and
// when the percentage grows, those who had the new version keep it.
import { Config, Headers, HttpFilter, log, Reply, Request, Response, strings } from "sluice/sdk"

/** Parts of a hundred percent that shares are counted in: two decimals. */
const PARTS: u32 = 10_000

let service = ""
let header = ""
let cookie = ""
let always = ""
let never = ""
/** Of {@link PARTS}. */
let share: u32 = 0
let by: string[] = []
let seed: u32 = 0
let mark = ""

export function configure(config: Config): void {
  config.allowOnly(["service", "percent", "by", "header", "cookie", "always", "never", "seed", "mark"])
  service = config.string("service")
  header = config.string("header", "")
  cookie = config.string("cookie", "")
  always = config.string("always", "always")
  never = config.string("never", "never")
  mark = config.string("mark", "")
  if (config.has("service") && service.length == 0) config.fail('"service" must not be empty')
  if (always == never) config.fail('"always" and "never" must not be the same')
  if (mark.length > 0 && strings.lower(mark) == strings.lower(header)) config.fail('"mark" and "header" must not be the same')

  const percent = config.number("percent", 0)
  if (!(percent >= 0 && percent <= 100)) config.fail('"percent" must be between 0 and 100')
  else share = <u32>Math.round((percent * <f64>PARTS) / 100)
  // Another canary with another seed takes other clients.
  seed = hash(config.string("seed", service), 0)

  by = config.strings("by", ["address"])
  if (by.length == 0) config.fail('"by" is empty; write "request" to choose anew for each request')
  for (let i = 0; i < by.length; i++) {
    const named = by[i].startsWith("header:") ? by[i].length > 7 : by[i].startsWith("cookie:") && by[i].length > 7
    if (!named && !["address", "identity", "request"].includes(by[i])) {
      config.fail('"by[' + i.toString() + ']" must be address, identity, request, header:NAME or cookie:NAME')
    }
  }
}

export class Canary extends HttpFilter {
  private chosen: bool = false

  onRequest(request: Request): Reply | null {
    // Nobody but this filter says what was chosen.
    if (mark.length > 0) request.headers.remove(mark)
    if (!wanted(request)) return null
    this.chosen = request.route.choose(service)
    if (!this.chosen) log.warn('there is no service "' + service + "\": the request goes where its route says")
    else if (mark.length > 0) request.headers.set(mark, service)
    return null
  }

  onResponse(response: Response): Reply | null {
    if (header.length > 0) vary(response.headers, header)
    if (mark.length == 0) return null
    response.headers.remove(mark)
    if (this.chosen) response.headers.set(mark, service)
    return null
  }
}

function wanted(request: Request): bool {
  const asked = header.length > 0 ? request.headers.get(header) : null
  if (asked !== null && asked == always) return true
  if (asked !== null && asked == never) return false
  const kept = cookie.length > 0 ? request.cookie(cookie) : null
  if (kept !== null && kept == always) return true
  if (kept !== null && kept == never) return false
  if (share == 0 || share >= PARTS) return share > 0
  const key = keyOf(request)
  return key.length > 0 && hash(key, seed) % PARTS < share
}

/** The first of `by` that the request has; "" = none, and what nobody can recognise stays with the old version. */
function keyOf(request: Request): string {
  for (let i = 0; i < by.length; i++) {
    const kind = by[i]
    let value: string | null = null
    if (kind == "address") value = request.peer.address
    else if (kind == "identity") value = request.peer.identity
    else if (kind == "request") value = Math.random().toString()
    else if (kind.startsWith("header:")) value = request.headers.get(kind.substring(7))
    else value = request.cookie(kind.substring(7))
    if (value !== null && value.length > 0) return value
  }
  return ""
}

/** FNV-1a, stirred once more as in MurmurHash3 so that all bits count: spreads evenly, keeps no secret. */
function hash(text: string, start: u32): u32 {
  let value: u32 = 0x811c9dc5 ^ start
  for (let i = 0; i < text.length; i++) value = (value ^ text.charCodeAt(i)) * 0x01000193
  value = (value ^ (value >> 16)) * 0x85ebca6b
  value = (value ^ (value >> 13)) * 0xc2b2ae35
  return value ^ (value >> 16)
}

/** A cache in front must not hand one version's answer to who asked for the other. */
function vary(headers: Headers, name: string): void {
  const given = headers.get("vary")
  if (given === null || (given != "*" && !strings.lower(given).includes(strings.lower(name)))) headers.add("vary", name)
}
