// request-validate: lets only those JSON bodies through that fit a schema, and tells the others what is wrong, and where, as
// problem details (RFC 9457). What goes on is what was checked, written anew: a field that is there twice can't be read one way
// here and another way in the service.
import { Body, Config, Json, Pattern, PatternSet, Reply, Request, strings } from "sluice/sdk"
import { Checker, readSchema, Schema } from "./schema"

class Rule {
  constructor(
    readonly path: Pattern,
    readonly methods: string[],
    readonly schema: Schema,
  ) {}
}

/** What a digest was made of is no longer there. */
const STALE = ["content-md5", "digest", "content-digest", "repr-digest"]
const METHODS = ["POST", "PUT", "PATCH"]

let rules: Rule[] = []
let types = new PatternSet()
let status = 400
let rewrite = true
/** Whether bodies that no rule is for are refused. */
let others = true
let maxErrors = 10

export function configure(config: Config): void {
  config.allowOnly(["rules", "types", "status", "rewrite", "others", "maxErrors"])
  types = new PatternSet(config.strings("types", ["application/json", "application/*+json"]), true)
  status = config.int("status", 400, 400, 499)
  rewrite = config.bool("rewrite", true)
  others = config.oneOf("others", ["deny", "allow"], "deny") == "deny"
  maxErrors = config.int("maxErrors", 10, 1, 100)
  rules = []
  const list = config.groups("rules")
  if (list.length == 0) config.fail('"rules" must hold at least one rule')
  for (let i = 0; i < list.length; i++) {
    const rule = list[i]
    rule.allowOnly(["path", "methods", "schema"])
    const given = rule.json("schema")
    if (given === null) config.fail('missing key "' + rule.path("schema") + '" (a JSON Schema)')
    const schema = readSchema(config, given === null ? Json.object() : given, rule.path("schema"), 0)
    rules.push(new Rule(new Pattern(rule.string("path", "*")), rule.strings("methods", METHODS), schema))
  }
}

/** The first rule for this request; null if there is none. */
function find(request: Request): Rule | null {
  const path = request.path
  const method = request.method
  for (let i = 0; i < rules.length; i++) {
    if (rules[i].methods.includes(method) && rules[i].path.matches(path)) return rules[i]
  }
  return null
}

export function onRequest(request: Request): Reply | null {
  const rule = find(request)
  if (rule === null) {
    if (request.hasBody && others) return problem(415, "no body is expected here", null)
    request.skipBody()
    return null
  }
  if (!request.hasBody) return problem(status, "a JSON body is expected", null)
  const type = request.headers.get("content-type")
  const end = type === null ? -1 : type.indexOf(";")
  if (type === null || !types.matches((end < 0 ? type : type.substring(0, end)).trim())) {
    request.skipBody()
    const detail = "a JSON body is expected, but its content-type " + (type === null ? "is missing" : "says something else")
    return problem(415, detail, null).header("accept", "application/json")
  }
  const encoding = request.headers.get("content-encoding")
  if (encoding !== null && strings.lower(encoding.trim()) != "identity") {
    request.skipBody()
    return problem(415, "send the body without a content-encoding", null).header("accept-encoding", "identity")
  }
  for (let i = 0; rewrite && i < STALE.length; i++) request.headers.remove(STALE[i])
  return null
}

export function onRequestBody(request: Request, body: Body): Reply | null {
  const rule = find(request)
  if (rule === null) return null
  const json = body.json()
  if (!json.valid) return problem(status, "the body is not JSON: " + json.error, null)
  const checker = new Checker(maxErrors)
  checker.check(rule.schema, json, "")
  if (checker.errors.length > 0) return problem(status, "the body does not fit what is expected", checker.errors)
  if (rewrite) body.setJson(json)
  return null
}

function problem(status: i32, detail: string, errors: Json | null): Reply {
  const json = Json.object().set("type", "about:blank").set("title", "Invalid request").set("status", status).set("detail", detail)
  if (errors !== null) json.set("errors", errors)
  const reply = new Reply(status, json.stringify() + "\n").header("content-type", "application/problem+json")
  reply.details = "request_invalid"
  return reply
}
