// redact: covers card numbers, IBANs, e-mail addresses, phone and social security numbers, and secrets by their prefix, in
// bodies and chosen headers, so that they reach neither logs nor clients they aren't for. Bodies are read whole: nothing slips
// through where two pieces meet. What can't be read is refused, not passed on.
import { Body, Config, Headers, PatternSet, Reply, Request, Response, strings, utf8 } from "sluice/sdk"
import { KINDS, PLAIN, JSON_TEXT, FORM, Scanner } from "./scanner"

/** What a digest or a tag was made of is no longer there. */
const STALE = ["etag", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"]
const TYPES = [
  "text/*", "application/json", "application/*+json", "application/x-ndjson", "application/xml", "application/*+xml",
  "application/javascript", "application/x-www-form-urlencoded", "application/graphql",
] // prettier-ignore

let scanner = new Scanner([], [], "")
let requests: bool = false
let responses: bool = true
let headers: string[] = []
let types = new PatternSet()
let lenient = false

export function configure(config: Config): void {
  config.allowOnly(["patterns", "prefixes", "replacement", "in", "headers", "types", "unreadable"])
  const patterns = config.strings("patterns", ["card", "iban", "ssn"])
  for (let i = 0; i < patterns.length; i++) {
    if (!KINDS.includes(patterns[i])) config.fail('"patterns[' + i.toString() + ']" must be one of ' + KINDS.join(", "))
  }
  const prefixes = config.strings("prefixes", [])
  for (let i = 0; i < prefixes.length; i++) {
    if (!isPrefix(prefixes[i])) config.fail('"prefixes[' + i.toString() + ']" must be 3 to 32 letters, digits, "-" or "_"')
  }
  if (patterns.length + prefixes.length == 0) config.fail('there is nothing to cover; write "patterns" or "prefixes"')
  const replacement = config.string("replacement", "[{kind}]")
  // It must fit into JSON, forms and headers alike.
  for (let i = 0; i < replacement.length; i++) {
    const code = replacement.charCodeAt(i)
    if (code >= 0x20 && code < 0x7f && code != 0x22 && code != 0x5c && code != 0x26 && code != 0x3c) continue
    config.fail('"replacement" must be ASCII text without ", \\, & and <')
    break
  }
  scanner = new Scanner(patterns, prefixes, replacement)

  const where = config.strings("in", ["response"])
  requests = where.includes("request")
  responses = where.includes("response")
  for (let i = 0; i < where.length; i++) {
    if (where[i] != "request" && where[i] != "response") config.fail('"in[' + i.toString() + ']" must be request or response')
  }
  if (where.length == 0) config.fail('"in" is empty; name request, response or both')
  headers = config.strings("headers", [])
  types = new PatternSet(config.strings("types", TYPES), true)
  lenient = config.oneOf("unreadable", ["refuse", "pass"], "refuse") == "pass"
}

function isPrefix(text: string): bool {
  if (text.length < 3 || text.length > 32) return false
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (<u32>((code | 0x20) - 0x61) >= 26 && <u32>(code - 0x30) >= 10 && code != 0x2d && code != 0x5f) return false
  }
  return true
}

export function onRequest(request: Request): Reply | null {
  if (responses) {
    // Only a whole body in plain text can be read.
    request.headers.set("accept-encoding", "identity")
    request.headers.remove("range")
    request.headers.remove("if-range")
  }
  if (requests) coverHeaders(request.headers)
  if (!requests || !request.hasBody || !matches(request.headers)) {
    request.skipBody()
    return null
  }
  if (readable(request.headers)) {
    forget(request.headers)
    return null
  }
  request.skipBody()
  return lenient ? null : refuse(415, "send the body as UTF-8 and without a content-encoding\n").header("accept-encoding", "identity")
}

export function onRequestBody(request: Request, body: Body): void {
  cover(body, request.headers)
}

export function onResponse(response: Response): Reply | null {
  if (responses) coverHeaders(response.headers)
  if (!responses || !response.hasBody || !matches(response.headers)) {
    response.skipBody()
    return null
  }
  if (readable(response.headers) && response.status != 206) {
    forget(response.headers)
    return null
  }
  response.skipBody()
  return lenient ? null : refuse(502, "the service's answer can't be read\n")
}

export function onResponseBody(response: Response, body: Body): void {
  cover(body, response.headers)
}

function cover(body: Body, headers: Headers): void {
  const type = mediaType(headers)
  const form = type == "application/x-www-form-urlencoded" ? FORM : PLAIN
  const covered = scanner.run(body.bytes(), type.includes("json") ? JSON_TEXT : form)
  if (covered !== null) body.replace(covered)
}

function coverHeaders(all: Headers): void {
  for (let i = 0; i < headers.length; i++) {
    const values = all.getAll(headers[i])
    let changed = false
    for (let k = 0; k < values.length; k++) {
      const covered = scanner.run(utf8.encode(values[k]), PLAIN)
      if (covered === null) continue
      values[k] = utf8.decode(covered)
      changed = true
    }
    if (!changed) continue
    all.remove(headers[i])
    for (let k = 0; k < values.length; k++) all.add(headers[i], values[k])
  }
}

function mediaType(headers: Headers): string {
  const value = headers.get("content-type")
  if (value === null) return ""
  const end = value.indexOf(";")
  return strings.lower((end < 0 ? value : value.substring(0, end)).trim())
}

/** A body of no type may be text: it is looked at. */
function matches(headers: Headers): bool {
  const type = mediaType(headers)
  return type.length == 0 || types.matches(type)
}

/** Neither compressed nor in a character set that hides ASCII. */
function readable(headers: Headers): bool {
  const encoding = headers.get("content-encoding")
  if (encoding !== null && encoding.trim().length > 0 && strings.lower(encoding.trim()) != "identity") return false
  const type = headers.get("content-type")
  return type === null || !strings.lower(type).replaceAll(" ", "").replaceAll('"', "").includes("charset=utf-16")
    && !strings.lower(type).includes("utf-32") && !strings.lower(type).includes("utf-7")
}

function forget(headers: Headers): void {
  for (let i = 0; i < STALE.length; i++) headers.remove(STALE[i])
}

function refuse(status: i32, message: string): Reply {
  const reply = new Reply(status, message)
  reply.details = "body_unreadable"
  return reply
}
