// basic-auth: asks for a name and a password (RFC 7617), and tells the service who it is. Passwords are kept as salted SHA-256
// digests. Somebody who guesses is stopped after a few wrong answers, counted per address in all workers together.
import { base64, Config, constantTimeEquals, hex, Reply, Request, seconds, sha256, SlidingWindow, strings } from "sluice/sdk"

/** Longest `authorization` that is looked at. */
const MAX_CREDENTIALS = 1024
/** Counters of addresses; those beyond share them. */
const SLOTS = 16384

class User {
  constructor(
    readonly salt: string,
    readonly digest: Uint8Array,
  ) {}
}

/** Takes the place of unknown users, so that their answer takes as long. No password has this digest. */
const nobody = new User("00000000", new Uint8Array(32))

let users = new Map<string, User>()
let challenge = ""
let userHeader = "x-user"
let keepCredentials = false
/** Null: guessing isn't limited. */
let failures: SlidingWindow | null = null

export function configure(config: Config): void {
  config.allowOnly(["users", "realm", "userHeader", "keepCredentials", "failures", "per"])
  const realm = config.string("realm", "restricted")
  if (realm.includes('"') || realm.includes("\\")) config.fail('"realm" must not contain quotes or backslashes')
  challenge = 'Basic realm="' + realm + '", charset="UTF-8"'
  userHeader = config.string("userHeader", "x-user")
  keepCredentials = config.bool("keepCredentials")
  const most = config.int("failures", 10, 0)
  const window = config.duration("per", 60_000)
  failures = most == 0 ? null : new SlidingWindow("basic-auth", most, window, SLOTS)

  users = new Map<string, User>()
  const list = config.map("users")
  const names = list.keys()
  if (names.length == 0) config.fail('"users" must name at least one user')
  for (let i = 0; i < names.length; i++) {
    const user = readUser(list.get(names[i]))
    if (names[i].length == 0 || names[i].includes(":")) config.fail('"users": a name must not be empty, nor contain a colon')
    if (user === null) config.fail('"users.' + names[i] + '" must be SALT:DIGEST, a salt of 8 characters or more and 64 hex digits')
    else users.set(names[i], user)
  }
}

/** Reads `SALT:DIGEST`; null if it isn't that. */
function readUser(text: string): User | null {
  const split = text.lastIndexOf(":")
  if (split < 8) return null
  const digest = hex.decode(text.substring(split + 1))
  return digest === null || digest.length != 32 ? null : new User(text.substring(0, split), digest)
}

export function onRequest(request: Request): Reply | null {
  const credentials = credentialsOf(request.headers.get("authorization"))
  if (credentials === null) return refuse("log in\n", "credentials_missing")

  const limit = failures
  const address = limit === null ? "" : request.peer.network
  if (limit !== null) {
    // Asked before the password is looked at: otherwise the right one would still be told from the wrong ones.
    const left = limit.peek(address)
    if (!left.allowed) return new Reply(429, "too many wrong passwords\n").header("retry-after", seconds(left.reset))
  }
  const colon = credentials.indexOf(":")
  const name = credentials.substring(0, colon)
  const known = users.has(name)
  const user = known ? users.get(name) : nobody
  const same = constantTimeEquals(sha256(user.salt + credentials.substring(colon + 1)), user.digest)
  if (!same || !known) {
    if (limit !== null) limit.take(address)
    return refuse("wrong name or password\n", "credentials_wrong")
  }
  if (!keepCredentials) request.headers.remove("authorization")
  // In place of whatever the caller sent under this name.
  if (userHeader.length > 0) request.headers.set(userHeader, name)
  return null
}

/** `name:password`, or null if it isn't that. */
function credentialsOf(header: string | null): string | null {
  if (header === null || header.length > MAX_CREDENTIALS || !strings.equalsIgnoreCase(header.substring(0, 6), "Basic ")) return null
  const text = base64.decodeText(header.substring(6).trim())
  return text === null || !text.includes(":") ? null : text
}

function refuse(message: string, details: string): Reply {
  const reply = new Reply(401, message).header("www-authenticate", challenge)
  reply.details = details
  return reply
}
