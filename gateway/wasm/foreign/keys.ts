// Keys of signatures: which algorithms there are, what may be a key of each, and the keys a VM has used lately. Keys come
// from guests, who have them from anywhere: what would take long to verify with is refused.

import { Buffer } from "node:buffer"
import { createPrivateKey, createPublicKey, createSecretKey, type JsonWebKeyInput, type KeyObject } from "node:crypto"
import { RecentCache } from "./recent-cache.ts"

/** Longest key, octets, in whatever form. */
export const MAX_KEY = 16_384
/** Lengths of RSA keys, bits. JWS asks for 2048 at least (RFC 7518 §3.3). */
const MIN_RSA = 1024
const MIN_JWS_RSA = 2048
const MAX_RSA = 4096
const MAX_EXPONENT = 0xffffffffn

/** What a signature of JWS is made with (RFC 7518 §3, RFC 8037 §3.1). */
export interface Algorithm {
  readonly name: string
  readonly kty: "oct" | "RSA" | "EC" | "OKP"
  /** Null: the algorithm has its own. */
  readonly hash: string | null
  /** Octets of the hash. */
  readonly size: number
  /** RSASSA-PSS. */
  readonly pss: boolean
  /** Of keys, as node:crypto and as JWK name it; "" = has none. */
  readonly curve: string
  readonly crv: string
}

function algorithm(name: string, kty: Algorithm["kty"], bits: number, pss = false, curve = "", crv = ""): [string, Algorithm] {
  return [name, { name, kty, hash: bits === 0 ? null : `sha${bits}`, size: bits / 8, pss, curve, crv }]
}

export const algorithms: ReadonlyMap<string, Algorithm> = new Map([
  algorithm("HS256", "oct", 256),
  algorithm("HS384", "oct", 384),
  algorithm("HS512", "oct", 512),
  algorithm("RS256", "RSA", 256),
  algorithm("RS384", "RSA", 384),
  algorithm("RS512", "RSA", 512),
  algorithm("PS256", "RSA", 256, true),
  algorithm("PS384", "RSA", 384, true),
  algorithm("PS512", "RSA", 512, true),
  algorithm("ES256", "EC", 256, false, "prime256v1", "P-256"),
  algorithm("ES384", "EC", 384, false, "secp384r1", "P-384"),
  algorithm("ES512", "EC", 512, false, "secp521r1", "P-521"),
  algorithm("EdDSA", "OKP", 0, false, "", "Ed25519"),
])

const curves: ReadonlySet<string> = new Set(["prime256v1", "secp384r1", "secp521r1"])

/** µs a first use of a key takes, about. */
export const IMPORT_COST = 100

/** Keys one VM has used lately, those that were no keys too. `null` is what can't be used. */
export class Keys {
  readonly #recent = new RecentCache<KeyObject | { readonly refused: true }>(64, 64 * 2048)
  /** Whether the last key had to be made. */
  fresh = false

  /** Key for JWS: a JWK as JSON, PEM, or DER (SPKI); of HMAC a JWK or the secret itself. */
  jws(algorithm: Algorithm, octets: Buffer): KeyObject | null {
    return this.#find(algorithm.name, octets, () => jwsKey(algorithm, octets))
  }

  secret(octets: Buffer): KeyObject | null {
    return this.#find("secret", octets, () => createSecretKey(Buffer.from(octets)))
  }

  /** PEM, or DER as SPKI. */
  public(octets: Buffer, pem: boolean): KeyObject | null {
    return this.#find(pem ? "public pem" : "public", octets, () => usable(publicKey(octets, pem), MIN_RSA))
  }

  /** PEM, or DER as PKCS#8. */
  private(octets: Buffer, pem: boolean): KeyObject | null {
    return this.#find(pem ? "private pem" : "private", octets, () => {
      const key = Buffer.from(octets)
      return usable(createPrivateKey(pem ? { key, format: "pem" } : { key, format: "der", type: "pkcs8" }), MIN_RSA)
    })
  }

  #find(kind: string, octets: Buffer, make: () => KeyObject | null): KeyObject | null {
    this.fresh = false
    if (octets.length > MAX_KEY) return null
    const name = `${kind}\0${octets.toString("latin1")}`
    const known = this.#recent.get(name)
    if (known !== undefined) return "refused" in known ? null : known
    this.fresh = true
    let key: KeyObject | null
    try {
      key = make()
    } catch {
      key = null
    }
    this.#recent.set(name, key ?? { refused: true })
    return key
  }
}

function jwsKey(algorithm: Algorithm, octets: Buffer): KeyObject | null {
  const jwk = octets[0] === BRACE ? parseJwk(octets) : null
  if (jwk !== null) {
    if (!fits(jwk, algorithm)) return null
    if (algorithm.kty !== "oct") return checked(createPublicKey(bareJwk(jwk)), algorithm)
    const secret = Buffer.from(typeof jwk.k === "string" ? jwk.k : "", "base64url")
    return secret.length === 0 ? null : createSecretKey(secret)
  }
  const pem = octets.subarray(0, PEM.length).equals(PEM)
  if (algorithm.kty !== "oct") return checked(publicKey(octets, pem), algorithm)
  // A public key is no secret: with one taken for it anybody could sign.
  return pem || octets.length === 0 || isSpki(octets) ? null : createSecretKey(Buffer.from(octets))
}

const BRACE = 0x7b
const PEM = Buffer.from("-----BEGIN")

function publicKey(octets: Buffer, pem: boolean): KeyObject {
  const key = Buffer.from(octets)
  return createPublicKey(pem ? { key, format: "pem" } : { key, format: "der", type: "spki" })
}

function isSpki(octets: Buffer): boolean {
  if (octets[0] !== 0x30) return false
  try {
    publicKey(octets, false)
    return true
  } catch {
    return false
  }
}

type Jwk = Readonly<Record<string, unknown>>

/** Null: it is no JSON object with a key type. */
function parseJwk(octets: Buffer): Jwk | null {
  try {
    const value: unknown = JSON.parse(octets.toString("utf8"))
    return typeof value === "object" && value !== null && typeof (value as Jwk).kty === "string" ? (value as Jwk) : null
  } catch {
    return null
  }
}

/** Whether the key is one of this algorithm, and meant for verifying (RFC 7517 §4). */
function fits(jwk: Jwk, algorithm: Algorithm): boolean {
  if (jwk.kty !== algorithm.kty) return false
  if (algorithm.crv !== "" && jwk.crv !== algorithm.crv) return false
  if (jwk.alg !== undefined && jwk.alg !== algorithm.name && !(algorithm.name === "EdDSA" && jwk.alg === "Ed25519")) return false
  if (jwk.use !== undefined && jwk.use !== "sig") return false
  return !Array.isArray(jwk.key_ops) || jwk.key_ops.includes("verify")
}

/** The public parts alone. */
function bareJwk(jwk: Jwk): JsonWebKeyInput {
  const key: Record<string, string> = {}
  for (const name of ["kty", "crv", "n", "e", "x", "y"]) {
    const value = jwk[name]
    if (typeof value === "string") key[name] = value
  }
  return { key, format: "jwk" }
}

function checked(key: KeyObject, algorithm: Algorithm): KeyObject | null {
  const type = algorithm.kty === "RSA" ? "rsa" : algorithm.kty === "EC" ? "ec" : "ed25519"
  if (key.asymmetricKeyType !== type) return null
  if (algorithm.curve !== "" && key.asymmetricKeyDetails?.namedCurve !== algorithm.curve) return null
  return usable(key, MIN_JWS_RSA)
}

/** Null for a key that is too weak, too slow, or of a kind nobody uses. */
function usable(key: KeyObject, minRsa: number): KeyObject | null {
  const { modulusLength = 0, publicExponent = 0n, namedCurve = "" } = key.asymmetricKeyDetails ?? {}
  switch (key.asymmetricKeyType) {
    case "rsa":
      return modulusLength >= minRsa && modulusLength <= MAX_RSA && publicExponent >= 3n && publicExponent <= MAX_EXPONENT ? key : null
    case "ec":
      return curves.has(namedCurve) ? key : null
    case "ed25519":
      return key
    default:
      return null
  }
}

/** µs one operation with this key takes, about. */
export function keyCost(key: KeyObject, signing: boolean): number {
  const { modulusLength = 0, namedCurve = "" } = key.asymmetricKeyDetails ?? {}
  if (modulusLength > 0) {
    const blocks = modulusLength / 2048
    return signing ? 2000 * blocks ** 3 : 100 * blocks ** 2
  }
  return namedCurve === "secp521r1" ? 2000 : namedCurve === "secp384r1" ? 1000 : 150
}
