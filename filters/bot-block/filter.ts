// bot-block: refuses clients that say they are scrapers or scanners, that don't say what they are, or that pretend to be a known
// crawler from an address which isn't its own; and requests for paths that only scanners ask for. A client can claim to be a
// browser, so this keeps out the careless, not the determined.
import { CidrSet, Config, PatternSet, Reply, Request, strings } from "sluice/sdk"

/** What tells the service, with `mode: mark`, why a request looks like a bot's. */
const MARK = "x-bot"
/** Longest `user-agent` that is looked at; the rest is cut off. */
const MAX_AGENT = 1024

const COMMON = [
  "*nikto*", "*sqlmap*", "*nmap*", "*masscan*", "*zgrab*", "*nuclei*", "*dirbuster*", "*gobuster*", "*wpscan*", "*acunetix*",
  "*nessus*", "*scrapy*", "*python-requests*", "*python-urllib*", "*aiohttp*", "*libwww-perl*", "*httrack*", "*headlesschrome*",
  "*phantomjs*", "*mj12bot*", "*ahrefsbot*", "*semrushbot*", "*dotbot*", "*petalbot*", "*bytespider*",
] // prettier-ignore

/** A crawler that is welcome. */
class Crawler {
  constructor(
    readonly agent: PatternSet,
    readonly addresses: CidrSet,
    /** Whether it must come from these addresses. */
    readonly checked: bool,
  ) {}
}

let crawlers: Crawler[] = []
let block = new PatternSet()
let paths = new PatternSet()
let except = new PatternSet()
let allowMissing = false
let mark = false
let status = 403
let message = ""

export function configure(config: Config): void {
  config.allowOnly(["block", "common", "known", "paths", "except", "allowMissing", "mode", "status", "message"])
  const agents = config.strings("block", [])
  block = new PatternSet(lowered(config.bool("common", true) ? agents.concat(COMMON) : agents))
  paths = config.patterns("paths", true)
  except = new PatternSet(config.strings("except", ["/robots.txt"]))
  allowMissing = config.bool("allowMissing")
  mark = config.oneOf("mode", ["block", "mark"], "block") == "mark"
  status = config.int("status", 403, 400, 499)
  message = config.string("message", "automated clients are not welcome here\n")

  crawlers = []
  const known = config.groups("known")
  for (let i = 0; i < known.length; i++) {
    const crawler = known[i]
    crawler.allowOnly(["agent", "from"])
    const addresses = crawler.cidrs("from")
    if (crawler.has("from") && addresses.length == 0) config.fail('"' + crawler.path("from") + '" is empty')
    crawlers.push(new Crawler(new PatternSet(lowered([crawler.string("agent")])), addresses, crawler.has("from")))
  }
}

/** Letters count in either case: both sides are compared in lower case, made once. */
function lowered(texts: string[]): string[] {
  return texts.map<string>((text) => strings.lower(text))
}

export function onRequest(request: Request): Reply | null {
  if (mark) request.headers.remove(MARK)
  const reason = judge(request)
  if (reason.length == 0) return null
  if (mark) {
    request.headers.set(MARK, reason)
    return null
  }
  const reply = new Reply(status, message)
  reply.details = "bot_" + reason
  return reply
}

/** Why the request looks like a bot's, in a word; "" if it doesn't. */
function judge(request: Request): string {
  const path = request.path
  if (except.matches(path)) return ""
  if (paths.matches(path)) return "path"
  const value = request.headers.get("user-agent")
  if (value === null || value.trim().length == 0) return allowMissing ? "" : "nameless"
  const agent = strings.lower(value.substring(0, MAX_AGENT))
  for (let i = 0; i < crawlers.length; i++) {
    const crawler = crawlers[i]
    if (!crawler.agent.matches(agent)) continue
    return !crawler.checked || crawler.addresses.contains(request.peer.address) ? "" : "impostor"
  }
  return block.matches(agent) ? "agent" : ""
}
