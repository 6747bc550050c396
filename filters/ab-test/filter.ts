// ab-test: gives each visitor one of several variants, tells the service by a header (or chooses a service), and remembers the
// choice in a cookie, so that a visitor who comes back finds what they saw before. With a key in place of the cookie (a user's
// id, say) the same user gets the same variant on every device.
import { Config, Cookie, HttpFilter, log, Reply, Request, Response, strings } from "sluice/sdk"

class Variant {
  constructor(
    readonly name: string,
    readonly weight: u32,
    /** "" = the route's. */
    readonly service: string,
  ) {}
}

let variants: Variant[] = []
let total: u32 = 0
let experiment = ""
let header = ""
let cookieName = ""
let maxAge: i64 = 0
let by: string[] = []
let seed: u32 = 0

export function configure(config: Config): void {
  config.allowOnly(["name", "variants", "header", "cookie", "maxAge", "by"])
  experiment = config.string("name")
  if (config.has("name") && !isWord(experiment)) config.fail('"name" must be made of letters, digits, "-" and "_"')
  header = config.string("header", "x-variant")
  cookieName = config.string("cookie", "ab-" + experiment)
  if (header.length == 0) config.fail('"header" must not be empty')
  if (!isWord(cookieName)) config.fail('"cookie" must be made of letters, digits, "-" and "_"')
  maxAge = config.duration("maxAge", 30 * 86_400_000)
  by = config.strings("by", [])
  for (let i = 0; i < by.length; i++) {
    const named = (by[i].startsWith("header:") || by[i].startsWith("cookie:")) && by[i].length > 7
    if (!named && by[i] != "identity") config.fail('"by[' + i.toString() + ']" must be identity, header:NAME or cookie:NAME')
  }
  // Experiments are independent of each other: each stirs its keys with its name.
  seed = hash(experiment, 0)

  variants = []
  total = 0
  const list = config.groups("variants")
  if (list.length < 2) config.fail('"variants" must hold at least two')
  for (let i = 0; i < list.length; i++) {
    const variant = list[i]
    variant.allowOnly(["name", "weight", "service"])
    const name = variant.string("name")
    if (variant.has("name") && !isWord(name)) config.fail('"' + variant.path("name") + '" must be made of letters, digits, "-" and "_"')
    if (find(name) !== null) config.fail('"' + variant.path("name") + '": there are two variants "' + name + '"')
    const weight = variant.int("weight", 1, 0, 1_000_000)
    variants.push(new Variant(name, weight, variant.string("service", "")))
    total += weight
  }
  if (list.length >= 2 && total == 0) config.fail('"variants": all weights are 0')
}

/** What can stand in a cookie and a header as it is. */
function isWord(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (<u32>((code | 0x20) - 0x61) >= 26 && <u32>(code - 0x30) >= 10 && code != 0x2d && code != 0x5f) return false
  }
  return text.length > 0
}

function find(name: string): Variant | null {
  for (let i = 0; i < variants.length; i++) {
    if (variants[i].name == name) return variants[i]
  }
  return null
}

export class AbTest extends HttpFilter {
  /** The choice to be remembered; "" = it is already. */
  private fresh: string = ""

  onRequest(request: Request): Reply | null {
    const variant = this.choose(request)
    request.headers.set(header, variant.name)
    if (variant.service.length > 0 && !request.route.choose(variant.service)) {
      log.warn('there is no service "' + variant.service + "\": the request goes where its route says")
    }
    return null
  }

  private choose(request: Request): Variant {
    for (let i = 0; i < by.length; i++) {
      const kind = by[i]
      const name = kind.substring(7)
      const key = kind == "identity" ? request.peer.identity : kind.startsWith("header:") ? request.headers.get(name) : request.cookie(name)
      if (key !== null && key.length > 0) return pick(hash(key, seed) % total)
    }
    // A variant that was ended (weight 0) is still shown to those who have it; one that is gone, or was never there, isn't.
    const kept = request.cookie(cookieName)
    const known = find(kept === null ? "" : kept)
    if (known !== null) return known
    const variant = pick(<u32>(Math.random() * <f64>total))
    this.fresh = variant.name
    return variant
  }

  onResponse(response: Response): Reply | null {
    const headers = response.headers
    if (this.fresh.length > 0) {
      const cookie = new Cookie(cookieName, this.fresh)
      cookie.maxAge = maxAge / 1000
      cookie.secure = this.request.scheme == "https"
      headers.add("set-cookie", cookie.toString())
      // A shared cache would hand this visitor's cookie, and variant, to everyone.
      if (!headers.has("cache-control")) headers.set("cache-control", "private")
    }
    for (let i = 0; i < by.length; i++) addVary(response, by[i].startsWith("header:") ? by[i].substring(7) : "cookie")
    addVary(response, "cookie")
    return null
  }
}

/** The variant at a place below {@link total}. */
function pick(place: u32): Variant {
  for (let i = 0; i < variants.length; i++) {
    if (place < variants[i].weight) return variants[i]
    place -= variants[i].weight
  }
  return variants[0]
}

/** FNV-1a, stirred once more as in MurmurHash3 so that all bits count: spreads evenly, keeps no secret. */
function hash(text: string, start: u32): u32 {
  let value: u32 = 0x811c9dc5 ^ start
  for (let i = 0; i < text.length; i++) value = (value ^ text.charCodeAt(i)) * 0x01000193
  value = (value ^ (value >> 16)) * 0x85ebca6b
  value = (value ^ (value >> 13)) * 0xc2b2ae35
  return value ^ (value >> 16)
}

function addVary(response: Response, name: string): void {
  const given = strings.list(strings.lower(response.headers.getAll("vary").join(",")))
  if (!given.includes("*") && !given.includes(strings.lower(name))) response.headers.add("vary", name)
}
