// hmac-auth: asks for requests signed with a secret that caller and gateway share. Signed are method, host, path with query, time
// and the body's digest, so nobody on the way can change one of them; each signature is good once, and for a short time.
//
//   authorization: HMAC-SHA256 key=alice, time=1767225600, nonce=c2Fs, signature=BASE64
//   content-digest: sha-256=:BASE64:                     (RFC 9530; only with a body)
import { base64, Body, Config, constantTimeEquals, hex, hmacSha256, HttpFilter, now, Reply, Request, sha256, shared, strings, utf8 } from "sluice/sdk"

const SCHEME = "HMAC-SHA256 "
/** Longest `authorization` that is looked at. */
const MAX_AUTHORIZATION = 1024
/** Seconds since 1970; milliseconds of it still fit. */
const MAX_TIME: i64 = 100_000_000_000
/** Shortest secret. */
const MIN_SECRET = 16

/** Secrets by the id of the key. */
let secrets = new Map<string, Uint8Array>()
/** ms a signature's time may be off. */
let window: i64 = 0
let once = true
let clientHeader = ""
let challenge = ""

export function configure(config: Config): void {
  config.allowOnly(["keys", "window", "replay", "clientHeader", "realm"])
  window = config.duration("window", 60_000)
  if (window < 1000 || window > 3_600_000) config.fail('"window" must be between 1s and 1h')
  once = config.oneOf("replay", ["refuse", "allow"], "refuse") == "refuse"
  clientHeader = config.string("clientHeader", "x-client")
  const realm = config.string("realm", "api")
  if (realm.includes('"') || realm.includes("\\")) config.fail('"realm" must not contain quotes or backslashes')
  challenge = SCHEME + 'realm="' + realm + '"'

  secrets = new Map<string, Uint8Array>()
  const list = config.groups("keys")
  if (list.length == 0) config.fail('"keys" must hold at least one key')
  for (let i = 0; i < list.length; i++) {
    const key = list[i]
    key.allowOnly(["id", "secret"])
    const id = key.string("id")
    const secret = key.string("secret")
    if (!isWord(id)) config.fail('"' + key.path("id") + '" must be 1 to 64 letters, digits and the characters - _ . @')
    if (secret.length < MIN_SECRET) config.fail('"' + key.path("secret") + '" must have 16 characters or more')
    if (secrets.has(id)) config.fail('"' + key.path("id") + '": there is a key "' + id + '" already')
    secrets.set(id, utf8.encode(secret))
  }
}

export class Verifier extends HttpFilter {
  /** What the body's digest must be. */
  private digest: Uint8Array | null = null
  /** Name under which the signature is remembered. */
  private seen: string = ""

  onRequest(request: Request): Reply | null {
    const header = request.headers.get("authorization")
    if (header === null || header.length > MAX_AUTHORIZATION || !strings.equalsIgnoreCase(header.substring(0, SCHEME.length), SCHEME)) {
      return refuse("sign the request\n", "signature_missing")
    }
    const fields = strings.list(header.substring(SCHEME.length))
    const id = field(fields, "key")
    const time = field(fields, "time")
    const nonce = field(fields, "nonce")
    const signature = base64.decode(field(fields, "signature"))
    if (signature === null || signature.length != 32 || nonce.length == 0 || nonce.length > 64) return malformed()

    const contentDigest = request.headers.get("content-digest")
    let digest: Uint8Array | null = null
    if (contentDigest !== null) digest = digestOf(contentDigest)
    if (digest === null && (request.hasBody || contentDigest !== null)) return malformed()

    const seconds = strings.int(time, -1)
    if (seconds < 0 || seconds > MAX_TIME) return malformed()
    // The clock is asked before the signature: what is too old needs no work.
    const age = now() - seconds * 1000
    if (age > window || age < -window) return refuse("the signature's time is too far from now\n", "signature_expired")

    const body = digest === null ? "" : base64.encode(digest)
    const text = [request.method, strings.lower(request.host), request.target, time, nonce, body].join("\n")
    const known = secrets.has(id)
    const expected = hmacSha256(known ? secrets.get(id) : new Uint8Array(32), utf8.encode(text))
    if (!constantTimeEquals(expected, signature) || !known) return refuse("wrong key or signature\n", "signature_wrong")

    this.seen = "hmac-auth/" + hex.encode(signature)
    // In place of whatever the caller sent under this name.
    if (clientHeader.length > 0) request.headers.set(clientHeader, id)
    request.headers.remove("authorization")
    this.digest = digest
    if (request.hasBody) return null
    return digest === null || constantTimeEquals(digest, sha256("")) ? this.use() : otherBody()
  }

  onRequestBody(request: Request, body: Body): Reply | null {
    const digest = this.digest
    return digest !== null && constantTimeEquals(digest, sha256(body.bytes())) ? this.use() : otherBody()
  }

  /** A good signature is used up. What made it all the way here was made by the key's owner, so strangers can't fill the memory. */
  private use(): Reply | null {
    if (!once || shared.compareAndSet(this.seen, "1", null)) return null
    return refuse("this request was made before\n", "signature_replayed")
  }
}

/** Value of `name=value` in a list; "" if it isn't there. */
function field(items: string[], name: string): string {
  for (let i = 0; i < items.length; i++) {
    if (!items[i].startsWith(name + "=")) continue
    const value = items[i].substring(name.length + 1)
    return value.length > 1 && value.startsWith('"') && value.endsWith('"') ? value.substring(1, value.length - 1) : value
  }
  return ""
}

/** The SHA-256 in a `content-digest`; null if there is none. */
function digestOf(header: string): Uint8Array | null {
  const value = field(strings.list(header), "sha-256")
  if (value.length < 2 || !value.startsWith(":") || !value.endsWith(":")) return null
  const digest = base64.decode(value.substring(1, value.length - 1))
  return digest !== null && digest.length == 32 ? digest : null
}

function isWord(text: string): bool {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    const letter = (code | 0x20) >= 0x61 && (code | 0x20) <= 0x7a
    if (!letter && !(code >= 0x30 && code <= 0x39) && code != 0x2d && code != 0x5f && code != 0x2e && code != 0x40) return false
  }
  return text.length > 0 && text.length <= 64
}

function malformed(): Reply {
  return refuse("the signature can't be read, or the body has no content-digest\n", "signature_malformed")
}

function otherBody(): Reply {
  return refuse("the body isn't the one that was signed\n", "digest_wrong")
}

function refuse(message: string, details: string): Reply {
  const reply = new Reply(401, message).header("www-authenticate", challenge)
  reply.details = details
  return reply
}
