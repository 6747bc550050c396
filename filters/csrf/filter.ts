// csrf: refuses requests that another site has a browser make with the user's cookies. What browsers themselves say about where
// a request comes from (`sec-fetch-site`, `origin`, `referer`) decides: no script can forge it. With `token` a secret that is in
// a cookie must be repeated in a header as well, which only the site's own scripts can do.
import { base64url, Config, constantTimeEquals, Cookie, hmacSha256, HttpFilter, log, PatternSet, randomBytes, Reply, Request, Response } from "sluice/sdk"

const TOKEN_HEADER = "x-csrf-token"

let trusted = new PatternSet()
let except = new PatternSet()
let sameSite = false
let allowMissing = false

/** Signs tokens; "" = none are used. */
let secret = ""
let tokenCookie = ""

export function configure(config: Config): void {
  config.allowOnly(["trusted", "except", "sameSite", "missing", "token"])
  const list = config.strings("trusted", [])
  for (let i = 0; i < list.length; i++) {
    if (!isOrigin(list[i])) {
      config.fail('"trusted[' + i.toString() + ']" must be an origin such as https://example.com or https://*.example.com, without a path')
    }
  }
  trusted = new PatternSet(list, true)
  except = config.patterns("except")
  sameSite = config.bool("sameSite")
  allowMissing = config.oneOf("missing", ["refuse", "allow"], "refuse") == "allow"

  const token = config.group("token")
  token.allowOnly(["secret", "cookie"])
  secret = config.has("token") ? token.string("secret") : ""
  if (config.has("token") && secret.length < 32) config.fail('"token.secret" must have 32 characters or more')
  // Browsers accept a cookie of this name from the host itself only, and over TLS only.
  tokenCookie = token.string("cookie", "__Host-csrf")
}

/** `scheme://host`, with a port if need be; the host may begin with `*.`, which stands for any number of labels. */
function isOrigin(text: string): bool {
  const host = text.indexOf("://") + 3
  if (host < 4 || host >= text.length || text.indexOf("/", host) >= 0 || text.includes("?") || text.includes("#")) return false
  const star = text.indexOf("*")
  return star < 0 || (star == host && text.indexOf("*", star + 1) < 0 && text.charAt(star + 1) == "." && text.indexOf(".", star + 2) > 0)
}

export class Guard extends HttpFilter {
  /** The client may be given a token: it has none, and asks for a page. */
  private needsToken: bool = false

  onRequest(request: Request): Reply | null {
    const method = request.method
    const safe = method == "GET" || method == "HEAD" || method == "OPTIONS" || method == "TRACE"
    const token = secret.length > 0 ? request.cookie(tokenCookie) : null
    if (safe) {
      this.needsToken = secret.length > 0 && method == "GET" && (token === null || !isOurs(token))
      return null
    }
    if (except.matches(request.path)) return null
    if (!fromHere(request)) return refuse("this request comes from another site\n", "csrf_origin")
    if (secret.length == 0) return null

    const repeated = request.headers.get(TOKEN_HEADER)
    if (token === null || repeated === null || !constantTimeEquals(token, repeated) || !isOurs(token)) {
      return refuse("send the value of the cookie " + tokenCookie + " in " + TOKEN_HEADER + "\n", "csrf_token")
    }
    return null
  }

  onResponse(response: Response): Reply | null {
    if (!this.needsToken) return null
    const type = response.headers.get("content-type")
    if (type === null || !type.startsWith("text/html")) return null
    const random = randomBytes(16)
    if (random === null) {
      log.error("the gateway has no random numbers, so no token can be made")
      return null
    }
    const text = base64url.encode(random)
    const cookie = new Cookie(tokenCookie, text + "." + base64url.encode(hmacSha256(secret, text)))
    cookie.httpOnly = false // the site's scripts have to read it
    cookie.secure = true
    cookie.sameSite = "Strict"
    response.headers.add("set-cookie", cookie.toString())
    // A token is one client's: no cache may give it to another.
    response.headers.set("cache-control", "no-store")
    return null
  }
}

/** Whether the token was made here. */
function isOurs(token: string): bool {
  const split = token.indexOf(".")
  return split > 0 && token.length < 128 && constantTimeEquals(token.substring(split + 1), base64url.encode(hmacSha256(secret, token.substring(0, split))))
}

/** Whether the browser says that the request comes from this site, or from one that is trusted. */
function fromHere(request: Request): bool {
  const site = request.headers.get("sec-fetch-site")
  let origin = request.headers.get("origin")
  if (site !== null) {
    if (site == "same-origin" || site == "none" || (site == "same-site" && sameSite)) return true
    return origin !== null && trusted.matches(origin)
  }
  if (origin === null) {
    const referer = request.headers.get("referer")
    if (referer === null) return allowMissing
    origin = originOf(referer)
  }
  // TLS may end in front of the gateway, which then takes `https` for `http`; never the other way round.
  const host = request.host
  return host.length > 0 && (origin == request.scheme + "://" + host || origin == "https://" + host || trusted.matches(origin))
}

/** The origin of a URL: all before its path. */
function originOf(url: string): string {
  const host = url.indexOf("://") + 3
  if (host < 4) return ""
  let end = host
  while (end < url.length && url.charAt(end) != "/" && url.charAt(end) != "?" && url.charAt(end) != "#") end++
  return url.substring(0, end)
}

function refuse(message: string, details: string): Reply {
  const reply = new Reply(403, message)
  reply.details = details
  return reply
}
