// The keys that tokens are checked with: read from settings and from JSON Web Key Sets (RFC 7517), each with the algorithms it
// may be used with. A token says which algorithm it uses; a key says which ones it accepts, and that decides.
import { base64url, constantTimeEquals, hmacSha256, hmacSha384, hmacSha512, Json, verifySignature } from "sluice/sdk"

/** Most keys of one set. */
const MAX_KEYS = 64
const RSA = ["RS256", "PS256", "RS384", "PS384", "RS512", "PS512"]
const HMAC = ["HS256", "HS384", "HS512"]

export class Key {
  constructor(
    /** "" = it has no name, and is tried for every token. */
    readonly kid: string,
    readonly algorithms: string[],
    /** A JWK or PEM; "" for a shared secret. */
    private readonly text: string,
    private readonly secret: Uint8Array,
  ) {}

  /** @param algorithm one of `algorithms`. */
  verifies(algorithm: string, signature: Uint8Array, data: string): bool {
    if (this.text.length > 0) return verifySignature(algorithm, this.text, signature, data)
    const bits = algorithm.substring(2)
    if (bits == "256") return constantTimeEquals(hmacSha256(this.secret, data), signature)
    if (bits == "384") return constantTimeEquals(hmacSha384(this.secret, data), signature)
    return constantTimeEquals(hmacSha512(this.secret, data), signature)
  }
}

/** A shared secret; with "" as algorithm all three are accepted. */
export function secretKey(kid: string, algorithm: string, secret: Uint8Array): Key | null {
  const algorithms = narrowed(HMAC, algorithm)
  return algorithms.length == 0 ? null : new Key(kid, algorithms, "", secret)
}

/** A public key in PEM. What kind of key it is only the host can see, so it needs its algorithm. */
export function pemKey(kid: string, algorithm: string, pem: string): Key | null {
  const known = RSA.includes(algorithm) || ["ES256", "ES384", "ES512", "EdDSA"].includes(algorithm)
  return known && pem.includes("-----BEGIN PUBLIC KEY-----") ? new Key(kid, [algorithm], pem, new Uint8Array(0)) : null
}

/** A JSON Web Key; null if it is of no use here. Shared secrets are taken from the gateway's own settings only. */
export function jwkKey(jwk: Json, own: bool): Key | null {
  if (jwk.string("use", "sig") != "sig") return null
  const operations = jwk.find("key_ops")
  if (operations.isArray && !operations.values().some((operation) => operation.asString() == "verify")) return null
  const type = jwk.string("kty")
  const curve = jwk.string("crv")
  const kid = jwk.string("kid")
  const algorithm = jwk.string("alg")
  if (type == "oct") {
    const secret = own ? base64url.decode(jwk.string("k")) : null
    return secret === null || secret.length == 0 ? null : secretKey(kid, algorithm, secret)
  }
  let accepted: string[] = []
  if (type == "RSA") accepted = RSA
  else if (type == "EC" && curve == "P-256") accepted = ["ES256"]
  else if (type == "EC" && curve == "P-384") accepted = ["ES384"]
  else if (type == "EC" && curve == "P-521") accepted = ["ES512"]
  else if (type == "OKP" && curve == "Ed25519") accepted = ["EdDSA"]
  const algorithms = narrowed(accepted, algorithm == "Ed25519" ? "EdDSA" : algorithm)
  if (algorithms.length == 0) return null

  // Only what makes the key: certificates and the like would be handed to the host with every token.
  const bare = Json.object().set("kty", type)
  const parts = ["crv", "n", "e", "x", "y"]
  for (let i = 0; i < parts.length; i++) {
    const value = jwk.string(parts[i])
    if (value.length > 0) bare.set(parts[i], value)
  }
  return new Key(kid, algorithms, bare.stringify(), new Uint8Array(0))
}

function narrowed(accepted: string[], algorithm: string): string[] {
  if (algorithm.length == 0) return accepted
  return accepted.includes(algorithm) ? [algorithm] : []
}

/** The usable keys of a key set; null if the text is none, or holds none. */
export function readKeySet(text: string): Key[] | null {
  const list = Json.parse(text).find("keys")
  const keys: Key[] = []
  for (let i = 0; i < list.length && keys.length < MAX_KEYS; i++) {
    const key = jwkKey(list.at(i)!, false)
    if (key !== null) keys.push(key)
  }
  return keys.length > 0 ? keys : null
}
