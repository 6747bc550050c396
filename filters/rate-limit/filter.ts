// rate-limit: a token bucket per key, counted by all workers of the gateway together. A key is made of what requests have in
// common: their address, a header, a cookie, their path, a constant, or several of these.
import { Config, hex, PatternSet, properties, RateLimit, Reply, Request, seconds, sha256, strings } from "sluice/sdk"

/** Longest part of a key that is used as it is; longer ones are replaced by their digest. */
const MAX_PART = 64

/** A part of the key: what of a request, and of what name. */
class Part {
  constructor(
    readonly kind: string,
    readonly name: string,
  ) {}
}

let parts: Part[] = []
let limit = new RateLimit("", 1, 1)
let except = new PatternSet()
let allowMissing = false
let status = 429
let message = ""

export function configure(config: Config): void {
  config.allowOnly(["requests", "per", "by", "name", "slots", "missing", "except", "status", "message"])
  const requests = config.int("requests", i32.MIN_VALUE, 1)
  const per = config.duration("per")
  if (config.has("per") && per == 0) config.fail('"per" must be longer than nothing')
  const slots = config.int("slots", 32768, 0, 1 << 20)
  const own = properties.text("plugin_name")
  const name = config.string("name", own === null ? "rate-limit" : own)
  allowMissing = config.oneOf("missing", ["share", "allow"], "share") == "allow"
  except = config.patterns("except")
  status = config.int("status", 429, 400, 599)
  message = config.string("message", "too many requests\n")

  parts = []
  const by = config.strings("by", ["address"])
  if (by.length == 0) config.fail('"by" is empty; write "constant" to count all requests together')
  for (let i = 0; i < by.length; i++) {
    const part = readPart(by[i])
    if (part !== null) parts.push(part)
    else config.fail('"by[' + i.toString() + ']" must be address, path, host, method, identity, constant, header:NAME or cookie:NAME')
  }
  // Limits that differ have buckets of their own, whatever they are called.
  limit = new RateLimit(name + "/" + requests.toString() + "/" + per.toString() + "/" + by.join("+"), requests, per, slots)
}

function readPart(text: string): Part | null {
  const colon = text.indexOf(":")
  const kind = colon < 0 ? text : text.substring(0, colon)
  const name = colon < 0 ? "" : text.substring(colon + 1)
  const named = kind == "header" || kind == "cookie"
  if (named) return name.length > 0 ? new Part(kind, name) : null
  return colon < 0 && ["address", "path", "host", "method", "identity", "constant"].includes(kind) ? new Part(kind, "") : null
}

export function onRequest(request: Request): Reply | null {
  if (except.length > 0 && except.matches(request.path)) return null
  let key = ""
  let missing = true
  for (let i = 0; i < parts.length; i++) {
    const value = valueOf(request, parts[i])
    if (value.length > 0) missing = false
    // The separator can't occur in a value, so different parts never make the same key.
    key += (i > 0 ? "\n" : "") + (value.length <= MAX_PART ? value : hex.encode(sha256(value)))
  }
  if (missing && allowMissing) return null

  const wait = limit.take(key)
  if (wait == 0) return null
  const reply = new Reply(status, message).header("retry-after", seconds(wait))
  reply.details = "rate_limited"
  reply.grpcStatus = 8 // RESOURCE_EXHAUSTED
  return reply
}

/** "" if the request has no such thing. */
function valueOf(request: Request, part: Part): string {
  if (part.kind == "address") return request.peer.network
  if (part.kind == "header") return orEmpty(request.headers.get(part.name))
  if (part.kind == "cookie") return orEmpty(request.cookie(part.name))
  if (part.kind == "path") return request.path
  if (part.kind == "host") return strings.lower(request.host)
  if (part.kind == "method") return request.method
  return part.kind == "identity" ? request.peer.identity : "all"
}

function orEmpty(value: string | null): string {
  return value === null ? "" : value
}
