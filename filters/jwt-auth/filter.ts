// jwt-auth: lets requests through that carry a JSON Web Token (RFC 7519) signed by somebody who is trusted, for this service, and
// not yet expired; and tells the service what the token says. Keys stand in the settings or are published by a service.
//
// keys.ts reads keys, remote-keys.ts fetches them, claims.ts reads what a token says; what is here is a request's way through.
import { Answer, base64url, Config, now, properties, Reply, Request, strings, utf8 } from "sluice/sdk"
import { breaks, decoded, headerOf, holds, meets, Requirement, seconds, Verified } from "./claims"
import { Key, jwkKey, pemKey, secretKey } from "./keys"
import { RemoteKeys } from "./remote-keys"

/** Longest token that is looked at, and most keys it is tried with. */
const MAX_TOKEN = 8192
const MAX_TRIES = 8
const ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"]

/** Good tokens that are remembered at most, in each of two generations, and the longest of them. */
const MAX_REMEMBERED = 256
const MAX_REMEMBERED_LENGTH = 4096

let keys: Key[] = []
let remote: RemoteKeys | null = null
let algorithms: string[] = []
let issuers: string[] = []
let audiences: string[] = []
let leeway: f64 = 0
let maxAge: f64 = 0
let needsExpiry = true
let optional = false
let keepToken = false
let header = ""
let scheme = ""
let cookie = ""
let headerNames: string[] = []
let headerClaims: string[] = []
let requirements: Requirement[] = []
let realm = ""
/** Good tokens seen lately, and those before them. */
let recent = new Map<string, Verified>()
let older = new Map<string, Verified>()

export function configure(config: Config): void {
  config.allowOnly([
    "issuers", "audiences", "keys", "jwks", "algorithms", "leeway", "maxAge", "withoutExpiry", "optional", "keepToken",
    "header", "scheme", "cookie", "headers", "require", "realm",
  ]) // prettier-ignore
  issuers = config.strings("issuers")
  audiences = config.strings("audiences")
  if (config.has("issuers") && issuers.length == 0) config.fail('"issuers" is empty; name who may sign tokens, or write ["*"]')
  if (config.has("audiences") && audiences.length == 0) config.fail('"audiences" is empty; name this service, or write ["*"]')
  algorithms = config.strings("algorithms", ALGORITHMS)
  for (let i = 0; i < algorithms.length; i++) {
    if (!ALGORITHMS.includes(algorithms[i])) config.fail('"algorithms": "' + algorithms[i] + '" is none of ' + ALGORITHMS.join(", "))
  }
  leeway = <f64>config.duration("leeway", 30_000) / 1000
  maxAge = <f64>config.duration("maxAge", 0) / 1000
  needsExpiry = !config.bool("withoutExpiry")
  optional = config.bool("optional")
  keepToken = config.bool("keepToken")
  header = config.string("header", "authorization")
  scheme = config.string("scheme", header == "authorization" ? "Bearer" : "")
  if (scheme.length > 0) scheme += " "
  cookie = config.string("cookie", "")
  realm = config.string("realm", "api")
  if (realm.includes('"') || realm.includes("\\")) config.fail('"realm" must not contain quotes or backslashes')

  const claims = config.map("headers")
  headerNames = claims.keys()
  headerClaims = claims.values()
  if (headerNames.includes(header)) config.fail('"headers" can\'t write to "' + header + '", where the token is')
  requirements = []
  const required = config.groups("require")
  for (let i = 0; i < required.length; i++) {
    required[i].allowOnly(["claim", "anyOf"])
    requirements.push(new Requirement(required[i].string("claim"), required[i].strings("anyOf")))
  }

  forget()
  keys = []
  const list = config.groups("keys")
  for (let i = 0; i < list.length; i++) {
    const key = readKey(list[i])
    if (key !== null) keys.push(key)
    else config.fail('"keys[' + i.toString() + ']" can\'t be used: a "jwk", a "pem" with its "alg", or a "secret" of 32 characters or more')
  }
  remote = null
  if (config.has("jwks")) {
    const keySet = new RemoteKeys(config.group("jwks"))
    remote = keySet
    keySet.call().fire(loaded)
  } else if (list.length == 0) {
    config.fail('there are no keys: name some in "keys", or a service in "jwks"')
  }
}

function readKey(config: Config): Key | null {
  config.allowOnly(["kid", "alg", "secret", "pem", "jwk"])
  const kid = config.string("kid", "")
  const algorithm = config.string("alg", "")
  const jwk = config.json("jwk")
  if (jwk !== null) return jwkKey(jwk, true)
  if (config.has("pem")) return pemKey(kid, algorithm, config.string("pem"))
  const secret = config.string("secret")
  return secret.length < 32 ? null : secretKey(kid, algorithm, utf8.encode(secret))
}

export function onTick(): void {
  const keySet = remote
  if (keySet !== null) keySet.call().fire(loaded)
}

function loaded(answer: Answer): void {
  const keySet = remote
  if (keySet === null) return
  keySet.load(answer)
  forget() // a key may have been withdrawn
}

function forget(): void {
  recent = new Map<string, Verified>()
  older = new Map<string, Verified>()
}

export function onRequest(request: Request): Reply | null {
  // Nobody but this filter says what is in a token.
  for (let i = 0; i < headerNames.length; i++) request.headers.remove(headerNames[i])
  return check(request, true)
}

/** The keys were asked for once more; whatever came of it, this is the last try. */
function asked(request: Request, answer: Answer): Reply | null {
  loaded(answer)
  return check(request, false)
}

function check(request: Request, mayAsk: bool): Reply | null {
  const token = tokenOf(request)
  if (token === null) return optional ? null : refuse(401, "", "send a token")
  if (token.length > MAX_TOKEN) return invalid("it is too long")
  const known = remembered(token)
  if (known !== null) return handOn(request, known)

  const first = token.indexOf(".")
  const second = token.indexOf(".", first + 1)
  const head = decoded(token.substring(0, max(first, 0)))
  const signature = base64url.decode(token.substring(second + 1))
  if (second < 0 || !head.isObject || signature === null) return invalid("it is no signed token")
  // What is critical must be understood (RFC 7515 §4.1.11), and nothing is.
  if (head.get("crit") !== null) return invalid("it has critical extensions")
  const algorithm = head.string("alg")
  if (!algorithms.includes(algorithm)) return invalid("its algorithm is not accepted")

  const kid = head.string("kid")
  const data = token.substring(0, second)
  const keySet = remote
  let outcome = verify(keys, kid, algorithm, signature, data)
  if (outcome == UNKNOWN && keySet !== null) {
    if (keySet.ready) outcome = verify(keySet.keys, kid, algorithm, signature, data)
    const call = outcome == UNKNOWN && mayAsk ? keySet.callNow() : null
    if (call !== null) {
      call.send(asked)
      return null
    }
    if (outcome == UNKNOWN && !keySet.ready) return new Reply(503, "the keys of tokens can't be had at the moment\n").header("retry-after", "5")
  }
  if (outcome == UNKNOWN) return invalid("its key is not known")
  if (outcome == BAD) return invalid("its signature is wrong")

  const claims = decoded(token.substring(first + 1, second))
  if (!claims.isObject) return invalid("its claims can't be read")
  if (!issuers.includes("*") && !issuers.includes(claims.string("iss"))) return invalid("its issuer is not accepted")
  if (!audiences.includes("*") && !holds(claims.get("aud"), audiences)) return invalid("it is for somebody else")
  for (let i = 0; i < requirements.length; i++) {
    if (!meets(claims, requirements[i])) return refuse(403, "insufficient_scope", "the token doesn't allow this")
  }
  const verified = new Verified(seconds(claims, "exp"), seconds(claims, "nbf"), seconds(claims, "iat"))
  verified.claims = claims.stringify()
  for (let i = 0; i < headerClaims.length; i++) {
    const value = headerOf(claims, headerClaims[i])
    if (value !== null && breaks(value)) return invalid("a claim can't be a header")
    verified.values.push(value)
  }
  const reply = handOn(request, verified)
  if (reply === null && token.length <= MAX_REMEMBERED_LENGTH) remember(token, verified)
  return reply
}

/** A token that was found good before; null if it wasn't. */
function remembered(token: string): Verified | null {
  // Keys that are too old vouch for nothing; those of the settings don't age.
  const keySet = remote
  if (keySet !== null && !keySet.ready) return null
  if (recent.has(token)) return recent.get(token)
  if (!older.has(token)) return null
  const verified = older.get(token)
  remember(token, verified)
  return verified
}

function remember(token: string, verified: Verified): void {
  if (recent.size >= MAX_REMEMBERED) {
    older = recent
    recent = new Map<string, Verified>()
  }
  recent.set(token, verified)
}

const GOOD = 0
const BAD = 1
/** No key of the token's name. */
const UNKNOWN = 2

function verify(candidates: Key[], kid: string, algorithm: string, signature: Uint8Array, data: string): i32 {
  let tries = 0
  for (let i = 0; i < candidates.length && tries < MAX_TRIES; i++) {
    const key = candidates[i]
    if ((key.kid.length > 0 && kid.length > 0 && key.kid != kid) || !key.algorithms.includes(algorithm)) continue
    if (key.verifies(algorithm, signature, data)) return GOOD
    tries++
  }
  return tries > 0 ? BAD : UNKNOWN
}

/** The token that was sent: in the header, or else in the cookie. */
function tokenOf(request: Request): string | null {
  const value = request.headers.get(header)
  if (value !== null && value.length > scheme.length && strings.equalsIgnoreCase(value.substring(0, scheme.length), scheme)) {
    return value.substring(scheme.length)
  }
  return cookie.length > 0 ? request.cookie(cookie) : null
}

/** What is wrong with the token at this time; "" = nothing. */
function problemOf(token: Verified): string {
  const time = <f64>now() / 1000
  if (isNaN(token.expires) && needsExpiry) return "it doesn't say when it expires"
  if (time >= token.expires + leeway) return "it has expired"
  if (time + leeway < token.notBefore) return "it isn't valid yet"
  if (maxAge > 0 && !(time <= token.issued + maxAge + leeway)) return "it is too old"
  return ""
}

/** Tells the service, and the filters and rate limits behind this one, what they are to know, if the token is good now. */
function handOn(request: Request, token: Verified): Reply | null {
  const problem = problemOf(token)
  if (problem.length > 0) return invalid(problem)
  for (let i = 0; i < headerNames.length; i++) {
    const value = token.values[i]
    if (value !== null) request.headers.set(headerNames[i], value)
  }
  properties.set("jwt_claims", token.claims)
  if (!keepToken) request.headers.remove(header)
  return null
}

function invalid(why: string): Reply {
  return refuse(401, "invalid_token", "the token was refused: " + why)
}

/** RFC 6750 §3. */
function refuse(status: i32, error: string, why: string): Reply {
  let challenge = 'Bearer realm="' + realm + '"'
  if (error.length > 0) challenge += ', error="' + error + '", error_description="' + why + '"'
  const reply = new Reply(status, why + "\n").header("www-authenticate", challenge)
  reply.details = error.length > 0 ? "jwt_" + error : "jwt_missing"
  return reply
}
