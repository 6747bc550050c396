// header-transform: removes, renames, sets and adds headers of requests and responses. Values may be put together from the
// request: `{header:x-user}`, `{address}`, `{path}`. A header that is set is always this filter's: where nothing is known for its
// value it is removed, so what a client sends under its name never gets through.
import { Config, HttpFilter, PatternSet, Reply, Request, Response, strings } from "sluice/sdk"
import { Context, isHeaderName, Template } from "./template"

/** Headers that say how a message is framed: the gateway's alone. */
const RESERVED = ["connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]

class Line {
  constructor(
    readonly name: string,
    readonly value: Template,
  ) {}
}

/** The edits of one direction, in the order they are made. */
class Edits {
  remove: PatternSet = new PatternSet()
  /** Whether a name to be removed has a `*`. */
  patterns: bool = false
  names: string[] = []
  olds: string[] = []
  news: string[] = []
  set: Line[] = []
  add: Line[] = []
  missing: Line[] = []

  get any(): bool {
    return this.names.length + this.olds.length + this.set.length + this.add.length + this.missing.length > 0
  }
}

let requestEdits = new Edits()
let responseEdits = new Edits()

export function configure(config: Config): void {
  config.allowOnly(["request", "response"])
  requestEdits = readEdits(config.group("request"), false)
  responseEdits = readEdits(config.group("response"), true)
  if (!requestEdits.any && !responseEdits.any) config.fail('there is nothing to do; write edits under "request" or "response"')
}

function readEdits(config: Config, response: bool): Edits {
  config.allowOnly(["remove", "rename", "set", "add", "default"])
  const edits = new Edits()
  edits.names = config.strings("remove", [])
  edits.remove = config.patterns("remove", true)
  for (let i = 0; i < edits.names.length; i++) {
    if (edits.names[i].includes("*")) edits.patterns = true
    checkName(config, "remove", edits.names[i].replaceAll("*", "x"))
    if (edits.names[i].replaceAll("*", "").length == 0) config.fail('"' + config.path("remove") + '": "*" would remove everything')
  }
  const renames = config.map("rename")
  edits.olds = renames.keys()
  for (let i = 0; i < edits.olds.length; i++) {
    const to = renames.get(edits.olds[i])
    checkName(config, "rename", edits.olds[i])
    checkName(config, "rename", to)
    if (strings.equalsIgnoreCase(edits.olds[i], to)) config.fail('"' + config.path("rename") + '": "' + to + '" has that name already')
    edits.news.push(strings.lower(to))
  }
  edits.set = readLines(config, "set", response)
  edits.add = readLines(config, "add", response)
  edits.missing = readLines(config, "default", response)
  return edits
}

function readLines(config: Config, key: string, response: bool): Line[] {
  const lines: Line[] = []
  const map = config.map(key)
  const names = map.keys()
  for (let i = 0; i < names.length; i++) {
    checkName(config, key, names[i])
    const template = new Template(map.get(names[i]), response)
    if (template.error.length > 0) config.fail('"' + config.path(key) + "." + names[i] + '": ' + template.error)
    lines.push(new Line(strings.lower(names[i]), template))
  }
  return lines
}

function checkName(config: Config, key: string, name: string): void {
  if (!isHeaderName(name)) config.fail('"' + config.path(key) + '": "' + name + "\" can't name a header")
  else if (RESERVED.includes(strings.lower(name))) config.fail('"' + config.path(key) + '": "' + name + '" is the gateway\'s own')
}

export class HeaderTransform extends HttpFilter {
  onRequest(request: Request): Reply | null {
    if (requestEdits.any) apply(requestEdits, new Context(request, null))
    return null
  }

  onResponse(response: Response): Reply | null {
    if (responseEdits.any) apply(responseEdits, new Context(this.request, response))
    return null
  }
}

function apply(edits: Edits, context: Context): void {
  const headers = context.headers
  // Values come from the message as it arrived, whatever is edited before them.
  const set = evaluate(edits.set, context)
  const add = evaluate(edits.add, context)
  const missing = evaluate(edits.missing, context)

  if (edits.patterns) {
    const names = headers.names()
    for (let i = 0; i < names.length; i++) {
      if (!names[i].startsWith(":") && !RESERVED.includes(names[i]) && edits.remove.matches(names[i])) headers.remove(names[i])
    }
  } else {
    for (let i = 0; i < edits.names.length; i++) headers.remove(edits.names[i])
  }
  for (let i = 0; i < edits.olds.length; i++) {
    // Without this, the new name would be the client's to choose.
    headers.remove(edits.news[i])
    if (!headers.has(edits.olds[i])) continue
    const values = headers.getAll(edits.olds[i])
    headers.remove(edits.olds[i])
    for (let k = 0; k < values.length; k++) headers.add(edits.news[i], values[k])
  }
  for (let i = 0; i < set.length; i++) {
    if (set[i].length > 0) headers.set(edits.set[i].name, set[i])
    else headers.remove(edits.set[i].name)
  }
  for (let i = 0; i < add.length; i++) {
    if (add[i].length > 0) headers.add(edits.add[i].name, add[i])
  }
  for (let i = 0; i < missing.length; i++) {
    const name = edits.missing[i].name
    if (missing[i].length > 0 && !headers.has(name)) headers.set(name, missing[i])
  }
}

function evaluate(lines: Line[], context: Context): string[] {
  const values: string[] = []
  for (let i = 0; i < lines.length; i++) values.push(lines[i].value.render(context))
  return values
}
