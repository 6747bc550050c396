// api-key: asks each caller for a key, and tells the service who it is. Keys are kept as SHA-256 digests, so neither the
// configuration nor a dump of the filter's memory holds one that works. What is looked up is the digest of what was sent,
// which nobody can steer, so the time it takes tells nothing about the keys.
import { Config, hex, now, parseIsoDate, Reply, Request, sha256, strings } from "sluice/sdk"

/** Longest key that is looked at. */
const MAX_KEY = 512
/** Shortest key in plain text; a digest says nothing about the length of its key. */
const MIN_KEY = 16

class Client {
  constructor(
    readonly name: string,
    /** ms since 1970; 0 = never. */
    readonly expires: i64,
  ) {}
}

/** By the digest of their keys. */
let clients = new Map<string, Client>()
let header = "x-api-key"
/** What precedes the key in the header, with its space: "Bearer ". */
let scheme = ""
let query = ""
let clientHeader = "x-client"
let keepKey = false
let challenge = ""

export function configure(config: Config): void {
  config.allowOnly(["clients", "header", "scheme", "query", "clientHeader", "keepKey", "realm"])
  header = config.string("header", "x-api-key")
  scheme = config.string("scheme", "")
  query = config.string("query", "")
  clientHeader = config.string("clientHeader", "x-client")
  keepKey = config.bool("keepKey")
  const realm = config.string("realm", "api")
  if (realm.includes('"') || realm.includes("\\")) config.fail('"realm" must not contain quotes or backslashes')
  challenge = (scheme.length > 0 ? scheme : "ApiKey") + ' realm="' + realm + '"'
  if (scheme.length > 0) scheme += " "
  if (header.length == 0) config.fail('"header" must not be empty')
  if (strings.equalsIgnoreCase(header, clientHeader)) config.fail('"header" and "clientHeader" must not be the same')

  clients = new Map<string, Client>()
  const list = config.groups("clients")
  if (list.length == 0) config.fail('"clients" must name at least one client')
  for (let i = 0; i < list.length; i++) addClient(list[i])
}

function addClient(config: Config): void {
  config.allowOnly(["name", "key", "sha256", "expires"])
  const name = config.string("name")
  let expires: i64 = 0
  if (config.has("expires")) {
    expires = parseIsoDate(config.string("expires"))
    if (expires < 0) config.fail('"' + config.path("expires") + '" must be a time such as 2027-01-31T00:00:00Z')
  }
  let digest: string
  if (config.has("sha256")) {
    digest = strings.lower(config.string("sha256"))
    const bytes = hex.decode(digest)
    if (bytes === null || bytes.length != 32) config.fail('"' + config.path("sha256") + '" must be the SHA-256 of the key, 64 hex digits')
  } else {
    const key = config.string("key")
    if (key.length < MIN_KEY || key.length > MAX_KEY) config.fail('"' + config.path("key") + '" must have 16 to 512 characters')
    digest = hex.encode(sha256(key))
  }
  if (clients.has(digest)) config.fail('"' + config.path("") + '": the client "' + clients.get(digest).name + '" has the same key')
  clients.set(digest, new Client(name, expires))
}

export function onRequest(request: Request): Reply | null {
  const key = keyOf(request)
  if (key === null) return refuse("send your API key in " + header + "\n", "api_key_missing")
  const digest = key.length <= MAX_KEY ? hex.encode(sha256(key)) : ""
  if (!clients.has(digest)) return refuse("unknown API key\n", "api_key_unknown")
  const client = clients.get(digest)
  if (client.expires > 0 && now() >= client.expires) return refuse("this API key has expired\n", "api_key_expired")

  if (!keepKey) {
    request.headers.remove(header)
    if (query.length > 0) request.removeQuery(query)
  }
  // In place of whatever the caller sent under this name.
  if (clientHeader.length > 0) request.headers.set(clientHeader, client.name)
  return null
}

/** The key that was sent; the header is asked first. */
function keyOf(request: Request): string | null {
  const value = request.headers.get(header)
  if (value !== null) {
    if (scheme.length == 0) return value
    if (value.length > scheme.length && strings.equalsIgnoreCase(value.substring(0, scheme.length), scheme)) {
      return value.substring(scheme.length)
    }
  }
  return query.length > 0 ? request.query.get(query) : null
}

function refuse(message: string, details: string): Reply {
  const reply = new Reply(401, message).header("www-authenticate", challenge)
  reply.details = details
  return reply
}
