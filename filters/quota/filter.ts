// quota: so many requests per key in each hour, day or other window of time, counted by all workers of the gateway together.
// Every answer says what is left, in the `ratelimit-…` headers of draft-ietf-httpapi-ratelimit-headers-07.
import { Config, FixedWindow, hex, HttpFilter, properties, Quota, Reply, Request, Response, seconds, sha256 } from "sluice/sdk"

/** Longest key that is used as it is; longer ones are replaced by their digest. */
const MAX_KEY = 64

/** Of everybody. */
let limit = new FixedWindow("", 1, 1)
/** Of keys that have one of their own. */
let plans = new Map<string, FixedWindow>()
/** `address`, `constant`, or the name of a header. */
let by = "address"
let missing = "share"
/** Length of a window, seconds. */
let window = ""
let announce = true
let status = 429
let message = ""

export function configure(config: Config): void {
  config.allowOnly(["requests", "per", "by", "plans", "missing", "name", "slots", "headers", "status", "message"])
  const requests = config.int("requests", i32.MIN_VALUE, 1)
  const per = config.duration("per")
  if (config.has("per") && (per < 1000 || per % 1000 != 0)) config.fail('"per" must be whole seconds, 1s or more')
  window = seconds(per)
  const key = config.string("by", "address")
  by = key.startsWith("header:") ? key.substring(7) : key
  if (by.length == 0 || (by == key && key != "address" && key != "constant")) config.fail('"by" must be address, constant or header:NAME')
  missing = config.oneOf("missing", ["share", "allow", "refuse"], "share")
  announce = config.bool("headers", true)
  status = config.int("status", 429, 400, 599)
  message = config.string("message", "quota used up\n")

  // Windows of different lengths count apart, whatever they are called.
  const own = properties.text("plugin_name")
  const name = config.string("name", own === null ? "quota" : own) + "/" + window + "/" + key
  limit = new FixedWindow(name, requests, per, config.int("slots", 32768, 0, 1 << 20))
  plans = new Map<string, FixedWindow>()
  const given = config.group("plans")
  const names = given.keys()
  for (let i = 0; i < names.length; i++) plans.set(names[i], new FixedWindow(name + "/plan", given.int(names[i], i32.MIN_VALUE, 1), per))
}

export class Enforcer extends HttpFilter {
  /** Null: this exchange isn't counted. */
  private left: Quota | null = null

  onRequest(request: Request): Reply | null {
    const key = keyOf(request)
    if (key.length == 0) {
      if (missing == "allow") return null
      if (missing == "refuse") return new Reply(400, "this needs " + by + "\n")
    }
    const left = plans.has(key) ? plans.get(key).take(key) : limit.take(key.length <= MAX_KEY ? key : hex.encode(sha256(key)))
    if (left.allowed) {
      this.left = left
      return null
    }
    const reply = new Reply(status, message).header("retry-after", seconds(left.reset))
    if (announce) {
      reply
        .header("ratelimit-limit", left.limit.toString())
        .header("ratelimit-remaining", "0")
        .header("ratelimit-reset", seconds(left.reset))
        .header("ratelimit-policy", left.limit.toString() + ";w=" + window)
    }
    reply.details = "quota_used_up"
    reply.grpcStatus = 8 // RESOURCE_EXHAUSTED
    return reply
  }

  onResponse(response: Response): Reply | null {
    const left = this.left
    if (left === null || !announce) return null
    const headers = response.headers
    headers.set("ratelimit-limit", left.limit.toString())
    headers.set("ratelimit-remaining", left.remaining.toString())
    headers.set("ratelimit-reset", seconds(left.reset))
    headers.set("ratelimit-policy", left.limit.toString() + ";w=" + window)
    return null
  }
}

/** Whose request it is; "" if it doesn't say. */
function keyOf(request: Request): string {
  if (by == "constant") return "all"
  if (by == "address") return request.peer.network
  const value = request.headers.get(by)
  return value === null ? "" : value
}
