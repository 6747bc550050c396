// Keys that tests sign tokens with. They are made when first asked for and live as long as the test: no private key is ever
// written to a file.

import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto"

export const keyAlgorithms = [
  "HS256",
  "HS384",
  "HS512",
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
] as const
export type KeyAlgorithm = (typeof keyAlgorithms)[number]

/** A key as a test describes it. */
export interface KeyDescription {
  readonly alg: KeyAlgorithm
  /** Default: its name. */
  readonly kid?: string
  /** Of HS… keys: the shared secret. */
  readonly secret?: string
}

const CURVES: Readonly<Record<string, string>> = { ES256: "P-256", ES384: "P-384", ES512: "P-521" }
const RSA_PSS_PADDING = 6
const RSA_PKCS1_PADDING = 1
/** Salt as long as the digest. */
const PSS_SALT_DIGEST = -1

class TestKey {
  readonly alg: KeyAlgorithm
  readonly kid: string
  readonly #secret: string
  #pair: { readonly publicKey: KeyObject; readonly privateKey: KeyObject } | null = null

  constructor(name: string, { alg, kid, secret }: KeyDescription) {
    this.alg = alg
    this.kid = kid ?? name
    this.#secret = secret ?? ""
  }

  #keys(): { readonly publicKey: KeyObject; readonly privateKey: KeyObject } {
    if (this.alg.startsWith("HS")) throw new Error(`key ${this.kid} is a shared secret: it has no public half`)
    if (this.#pair === null) {
      const curve = CURVES[this.alg]
      if (this.alg === "EdDSA") this.#pair = generateKeyPairSync("ed25519")
      else if (curve !== undefined) this.#pair = generateKeyPairSync("ec", { namedCurve: curve })
      else this.#pair = generateKeyPairSync("rsa", { modulusLength: 2048 })
    }
    return this.#pair
  }

  /** The public half as a JSON Web Key; of a shared secret, the secret. */
  jwk(): Record<string, unknown> {
    const common = { kid: this.kid, alg: this.alg, use: "sig" }
    if (this.alg.startsWith("HS")) return { kty: "oct", k: Buffer.from(this.#secret, "utf8").toString("base64url"), ...common }
    return { ...this.#keys().publicKey.export({ format: "jwk" }), ...common }
  }

  /** The public half, as SubjectPublicKeyInfo. */
  pem(): string {
    return this.#keys().publicKey.export({ format: "pem", type: "spki" }).toString()
  }

  sign(data: string): Buffer {
    const octets = Buffer.from(data, "utf8")
    const hash = `sha${this.alg.slice(2)}`
    if (this.alg.startsWith("HS")) return createHmac(hash, this.#secret).update(octets).digest()
    const key = this.#keys().privateKey
    if (this.alg === "EdDSA") return sign(null, octets, key)
    if (this.alg.startsWith("ES")) return sign(hash, octets, { key, dsaEncoding: "ieee-p1363" })
    if (this.alg.startsWith("PS")) return sign(hash, octets, { key, padding: RSA_PSS_PADDING, saltLength: PSS_SALT_DIGEST })
    return sign(hash, octets, { key, padding: RSA_PKCS1_PADDING })
  }
}

/** The keys of one tests.json, by name. */
export class TestKeys {
  readonly #keys = new Map<string, TestKey>()

  constructor(descriptions: Readonly<Record<string, KeyDescription>> = {}) {
    for (const [name, description] of Object.entries(descriptions)) this.#keys.set(name, new TestKey(name, description))
  }

  /** @throws when there is no such key. */
  get(name: string): TestKey {
    const key = this.#keys.get(name)
    if (key !== undefined) return key
    const known = [...this.#keys.keys()].join(", ")
    throw new Error(`there is no key ${JSON.stringify(name)} in "keys"${known === "" ? "" : `; there are ${known}`}`)
  }
}

/** A JSON Web Token (RFC 7519) in compact form. `key` null: unsigned. `header` is laid over alg, typ and kid. */
export function signToken(key: TestKey | null, header: Record<string, unknown>, claims: Record<string, unknown>): string {
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value), "utf8").toString("base64url")
  const base = key === null ? { alg: "none", typ: "JWT" } : { alg: key.alg, typ: "JWT", kid: key.kid }
  const head = `${encode({ ...base, ...header })}.${encode(claims)}`
  return `${head}.${key === null ? "" : key.sign(head).toString("base64url")}`
}
