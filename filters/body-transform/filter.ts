// body-transform: removes, renames and sets fields of JSON bodies, in requests and responses. What can't be read (not JSON,
// compressed, a part of something) is refused and not passed on as it is: a field that must not leave the house doesn't.
import { Body, Config, Headers, Json, PatternSet, Reply, Request, Response, strings } from "sluice/sdk"

/** Most edits of one direction, and the longest path in characters. */
const MAX_EDITS = 100
const MAX_PATH = 512
/** What a digest or a tag was made of is no longer there. */
const STALE = ["etag", "content-md5", "digest", "content-digest", "repr-digest", "accept-ranges"]

/** Edits in the order they are made. */
class Edits {
  remove: string[] = []
  /** Paths, and the names the fields they lead to will have. */
  rename: string[] = []
  names: string[] = []
  puts: string[] = []
  values: Json[] = []
  /** Set where there is nothing. */
  missing: string[] = []
  defaults: Json[] = []

  get length(): i32 {
    return this.remove.length + this.rename.length + this.puts.length + this.missing.length
  }
}

let requestEdits = new Edits()
let responseEdits = new Edits()
let types = new PatternSet()
/** What isn't JSON passes as it is. */
let lenient = false

export function configure(config: Config): void {
  config.allowOnly(["request", "response", "types", "invalid"])
  types = new PatternSet(config.strings("types", ["application/json", "application/*+json"]), true)
  lenient = config.oneOf("invalid", ["refuse", "pass"], "refuse") == "pass"
  requestEdits = readEdits(config.group("request"))
  responseEdits = readEdits(config.group("response"))
  if (requestEdits.length + responseEdits.length == 0) config.fail('there is nothing to do; write edits under "request" or "response"')
}

function readEdits(config: Config): Edits {
  config.allowOnly(["remove", "rename", "set", "default"])
  const edits = new Edits()
  edits.remove = config.strings("remove", [])
  const renames = config.map("rename")
  edits.rename = renames.keys()
  edits.names = renames.values()
  readValues(config, "set", edits.puts, edits.values)
  readValues(config, "default", edits.missing, edits.defaults)
  checkPaths(config, "remove", edits.remove)
  checkPaths(config, "rename", edits.rename)
  checkPaths(config, "set", edits.puts)
  checkPaths(config, "default", edits.missing)
  if (edits.length > MAX_EDITS) config.fail('"' + config.path("") + '" holds more than 100 edits')
  return edits
}

function readValues(config: Config, key: string, paths: string[], values: Json[]): void {
  const given = config.json(key)
  if (given === null) return
  if (!given.isObject) config.fail('"' + config.path(key) + '" must be an object of paths and their values')
  const keys = given.keys()
  for (let i = 0; i < keys.length; i++) {
    paths.push(keys[i])
    values.push(given.get(keys[i])!)
  }
}

function checkPaths(config: Config, key: string, paths: string[]): void {
  for (let i = 0; i < paths.length; i++) {
    if (paths[i].length == 0 || paths[i].length > MAX_PATH) config.fail('"' + config.path(key) + '": a path must have 1 to 512 characters')
    // There is no telling where a field is missing among all of them.
    if (key == "default" && paths[i].split(".").concat(paths[i].split("/")).includes("*")) {
      config.fail('"' + config.path(key) + "." + paths[i] + '": a default can\'t be given to all of them (*)')
    }
  }
}

export function onRequest(request: Request): Reply | null {
  if (responseEdits.length > 0) {
    // Only a whole body in plain text can be read.
    request.headers.set("accept-encoding", "identity")
    request.headers.remove("range")
    request.headers.remove("if-range")
  }
  if (requestEdits.length == 0 || !request.hasBody) return null
  if (!matches(request.headers)) {
    request.skipBody()
    return null
  }
  if (!encoded(request.headers)) {
    forget(request.headers)
    return null
  }
  request.skipBody()
  return lenient ? null : refuse(415, "send JSON without a content-encoding\n", "body_encoded").header("accept-encoding", "identity")
}

export function onRequestBody(request: Request, body: Body): Reply | null {
  const error = edit(requestEdits, body)
  return error.length == 0 || lenient ? null : refuse(400, "the body is not JSON: " + error + "\n", "body_not_json")
}

export function onResponse(response: Response): Reply | null {
  if (responseEdits.length == 0) return null
  if (!matches(response.headers)) {
    response.skipBody()
    return null
  }
  if (!response.hasBody) {
    // To HEAD, or 304: they speak of the body as it isn't sent.
    forget(response.headers)
    response.headers.remove("content-length")
    return null
  }
  if (!encoded(response.headers) && response.status != 206) {
    forget(response.headers)
    return null
  }
  response.skipBody()
  return lenient ? null : refuse(502, "the service's answer can't be read\n", "body_unreadable")
}

export function onResponseBody(response: Response, body: Body): Reply | null {
  const error = edit(responseEdits, body)
  return error.length == 0 || lenient ? null : refuse(502, "the service's answer can't be read\n", "body_not_json")
}

/** Why the body can't be edited; "" if it was. */
function edit(edits: Edits, body: Body): string {
  if (body.length == 0) return ""
  const json = body.json()
  if (!json.valid) return json.error
  let changes = 0
  for (let i = 0; i < edits.remove.length; i++) changes += json.remove(edits.remove[i])
  for (let i = 0; i < edits.rename.length; i++) changes += json.rename(edits.rename[i], edits.names[i])
  for (let i = 0; i < edits.puts.length; i++) changes += json.put(edits.puts[i], edits.values[i])
  for (let i = 0; i < edits.missing.length; i++) {
    if (!json.find(edits.missing[i]).exists) changes += json.put(edits.missing[i], edits.defaults[i])
  }
  if (changes > 0) body.setJson(json)
  return ""
}

function matches(headers: Headers): bool {
  const value = headers.get("content-type")
  if (value === null) return false
  const end = value.indexOf(";")
  return types.matches((end < 0 ? value : value.substring(0, end)).trim())
}

function encoded(headers: Headers): bool {
  const value = headers.get("content-encoding")
  return value !== null && value.trim().length > 0 && strings.lower(value.trim()) != "identity"
}

function forget(headers: Headers): void {
  for (let i = 0; i < STALE.length; i++) headers.remove(STALE[i])
}

function refuse(status: i32, message: string, details: string): Reply {
  const reply = new Reply(status, message)
  reply.details = details
  return reply
}
