import { Buffer } from "node:buffer"
import { constants, createHmac, generateKeyPairSync, type KeyObject, sign, verify } from "node:crypto"
import { beforeAll, describe, expect, test } from "vitest"
import { Foreign, message, u32 } from "./support/foreign.ts"

const BAD_ARGUMENT = 2
const SERIALIZATION_FAILURE = 3
const GOOD = Buffer.alloc(0)
const DATA = Buffer.from("eyJhbGciOiJ4In0.eyJzdWIiOiJtZSJ9")

interface Pair {
  readonly publicKey: KeyObject
  readonly privateKey: KeyObject
}

const keys: Record<string, Pair> = {}

beforeAll(() => {
  keys.rsa = generateKeyPairSync("rsa", { modulusLength: 2048 })
  keys.other = generateKeyPairSync("rsa", { modulusLength: 2048 })
  keys.p256 = generateKeyPairSync("ec", { namedCurve: "P-256" })
  keys.p384 = generateKeyPairSync("ec", { namedCurve: "P-384" })
  keys.p521 = generateKeyPairSync("ec", { namedCurve: "P-521" })
  keys.ed25519 = generateKeyPairSync("ed25519")
})

function argument(algorithm: string, key: Uint8Array | string, signature: Uint8Array, data: Uint8Array = DATA): Buffer {
  const octets = Buffer.from(key as string)
  return Buffer.concat([
    Buffer.from(`${algorithm}\0`),
    u32(octets.length),
    u32(signature.length),
    u32(data.length),
    octets,
    signature,
    data,
  ])
}

function jwk(key: KeyObject, more: object = {}): string {
  return JSON.stringify({ ...key.export({ format: "jwk" }), ...more })
}

function spki(key: KeyObject): Buffer {
  return key.export({ format: "der", type: "spki" })
}

function pem(key: KeyObject): string {
  return key.export({ format: "pem", type: "spki" }).toString()
}

const asymmetric: readonly [algorithm: string, key: string, hash: string | null, options: object][] = [
  ["RS256", "rsa", "sha256", {}],
  ["RS384", "rsa", "sha384", {}],
  ["RS512", "rsa", "sha512", {}],
  ["PS256", "rsa", "sha256", { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }],
  ["PS384", "rsa", "sha384", { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 48 }],
  ["PS512", "rsa", "sha512", { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 64 }],
  ["ES256", "p256", "sha256", { dsaEncoding: "ieee-p1363" }],
  ["ES384", "p384", "sha384", { dsaEncoding: "ieee-p1363" }],
  ["ES512", "p521", "sha512", { dsaEncoding: "ieee-p1363" }],
  ["EdDSA", "ed25519", null, {}],
]

describe("sluice_verify", () => {
  test.each(asymmetric)("%s with a JWK, PEM and DER", (algorithm, name, hash, options) => {
    const foreign = new Foreign()
    const { publicKey, privateKey } = keys[name]
    const signature = sign(hash, DATA, { key: privateKey, ...options })
    for (const key of [jwk(publicKey), jwk(publicKey, { alg: algorithm, use: "sig", kid: "1" }), pem(publicKey), spki(publicKey)]) {
      expect(foreign.foreign("sluice_verify", argument(algorithm, key, signature))).toEqual(GOOD)
      // Once more: from what it remembers.
      expect(foreign.foreign("sluice_verify", argument(algorithm, key, signature))).toEqual(GOOD)
      const bad = Buffer.from(signature)
      bad[10] ^= 1
      expect(foreign.foreign("sluice_verify", argument(algorithm, key, bad))).toBe(SERIALIZATION_FAILURE)
      expect(foreign.foreign("sluice_verify", argument(algorithm, key, signature.subarray(1)))).toBe(SERIALIZATION_FAILURE)
      expect(foreign.foreign("sluice_verify", argument(algorithm, key, Buffer.alloc(0)))).toBe(SERIALIZATION_FAILURE)
      expect(foreign.foreign("sluice_verify", argument(algorithm, key, signature, Buffer.from("other")))).toBe(SERIALIZATION_FAILURE)
    }
  })

  test.each(["HS256", "HS384", "HS512"])("%s with a secret, as it is and as JWK", (algorithm) => {
    const foreign = new Foreign()
    const secret = Buffer.from("a secret of some length {}")
    const signature = createHmac(`sha${algorithm.slice(2)}`, secret)
      .update(DATA)
      .digest()
    const key = JSON.stringify({ kty: "oct", k: secret.toString("base64url") })
    for (const each of [secret, key]) {
      expect(foreign.foreign("sluice_verify", argument(algorithm, each, signature))).toEqual(GOOD)
      expect(foreign.foreign("sluice_verify", argument(algorithm, each, signature.subarray(1)))).toBe(SERIALIZATION_FAILURE)
      expect(foreign.foreign("sluice_verify", argument(algorithm, each, Buffer.alloc(signature.length)))).toBe(SERIALIZATION_FAILURE)
    }
    expect(foreign.foreign("sluice_verify", argument(algorithm, "", signature))).toBe(BAD_ARGUMENT)
    expect(foreign.foreign("sluice_verify", argument(algorithm, '{"kty":"oct"}', signature))).toBe(BAD_ARGUMENT)
  })

  test("a public key is never taken for a secret", () => {
    const foreign = new Foreign()
    const { publicKey } = keys.rsa
    for (const key of [Buffer.from(pem(publicKey)), spki(publicKey), Buffer.from(jwk(publicKey))]) {
      const forged = createHmac("sha256", key).update(DATA).digest()
      expect(foreign.foreign("sluice_verify", argument("HS256", key, forged))).toBe(BAD_ARGUMENT)
    }
  })

  test("keys of another algorithm are refused", () => {
    const foreign = new Foreign()
    const signature = Buffer.alloc(64)
    const wrong: [string, string][] = [
      ["RS256", jwk(keys.p256.publicKey)],
      ["ES256", jwk(keys.rsa.publicKey)],
      ["ES256", jwk(keys.p384.publicKey)],
      ["ES256", pem(keys.p384.publicKey)],
      ["EdDSA", pem(keys.p256.publicKey)],
      ["ES384", pem(keys.ed25519.publicKey)],
      ["RS256", jwk(keys.rsa.publicKey, { alg: "PS256" })],
      ["RS256", jwk(keys.rsa.publicKey, { use: "enc" })],
      ["RS256", jwk(keys.rsa.publicKey, { key_ops: ["encrypt"] })],
      ["RS256", "not a key"],
      ["RS256", ""],
      ["RS256", "{"],
      ["ES256", JSON.stringify({ kty: "EC", crv: "P-256", x: "AA", y: "AA" })],
      ["EdDSA", JSON.stringify({ kty: "OKP", crv: "Ed25519", x: 5 })],
    ]
    for (const [algorithm, key] of wrong)
      expect([key, foreign.foreign("sluice_verify", argument(algorithm, key, signature))]).toEqual([key, BAD_ARGUMENT])
  })

  test("keys that are weak, or slow to verify with, are refused", () => {
    const foreign = new Foreign()
    const weak = generateKeyPairSync("rsa", { modulusLength: 1024 })
    const signature = sign("sha256", DATA, weak.privateKey)
    expect(foreign.foreign("sluice_verify", argument("RS256", pem(weak.publicKey), signature))).toBe(BAD_ARGUMENT)
    const n = Buffer.alloc(2048, 0xff).toString("base64url")
    expect(foreign.foreign("sluice_verify", argument("RS256", JSON.stringify({ kty: "RSA", n, e: "AQAB" }), signature))).toBe(BAD_ARGUMENT)
    const e = Buffer.alloc(200, 0xff).toString("base64url")
    const slow = jwk(keys.rsa.publicKey, { e })
    expect(foreign.foreign("sluice_verify", argument("RS256", slow, signature))).toBe(BAD_ARGUMENT)
  })

  test("malformed arguments are refused", () => {
    const foreign = new Foreign()
    const good = argument("HS256", "key", createHmac("sha256", "key").update(DATA).digest())
    expect(foreign.foreign("sluice_verify", good)).toEqual(GOOD)
    for (let length = 0; length < good.length; length += 3)
      expect(foreign.foreign("sluice_verify", good.subarray(0, length))).toBe(BAD_ARGUMENT)
    expect(foreign.foreign("sluice_verify", Buffer.concat([good, Buffer.alloc(1)]))).toBe(BAD_ARGUMENT)
    for (const name of ["none", "", "hs256", "HS2560", "__proto__"]) {
      expect(foreign.foreign("sluice_verify", argument(name, "key", Buffer.alloc(32)))).toBe(BAD_ARGUMENT)
    }
    expect(foreign.foreign("sluice_verify", argument("HS256", Buffer.alloc(16_385), Buffer.alloc(32)))).toBe(BAD_ARGUMENT)
    const wrapped = Buffer.concat([Buffer.from("HS256\0"), u32(0xffffffff), u32(0xffffffff), u32(2), Buffer.alloc(10)])
    expect(foreign.foreign("sluice_verify", wrapped)).toBe(BAD_ARGUMENT)
  })

  test("what is remembered is of that call alone", () => {
    const foreign = new Foreign()
    const { publicKey, privateKey } = keys.p256
    const signature = sign("sha256", DATA, { key: privateKey, dsaEncoding: "ieee-p1363" })
    expect(foreign.foreign("sluice_verify", argument("ES256", jwk(publicKey), signature))).toEqual(GOOD)
    // The border between signature and data moved: the same octets otherwise.
    const whole = Buffer.concat([signature, DATA])
    const moved = argument("ES256", jwk(publicKey), whole.subarray(0, 63), whole.subarray(63))
    expect(foreign.foreign("sluice_verify", moved)).toBe(SERIALIZATION_FAILURE)
  })

  test("memories are bounded: many keys and signatures later it verifies still", () => {
    const foreign = new Foreign({ spec: { cpuMs: 60_000 } })
    const last = (i: number): Buffer => argument("HS256", `key ${i}`, createHmac("sha256", `key ${i}`).update(DATA).digest())
    for (let i = 0; i < 500; i++) expect(foreign.foreign("sluice_verify", last(i))).toEqual(GOOD)
    expect(foreign.foreign("sluice_verify", last(0))).toEqual(GOOD)
  })
})

describe("verify_signature", () => {
  function check(foreign: Foreign, fields: Record<number, string | Uint8Array>): string | number {
    const result = foreign.foreign("verify_signature", message(fields))
    return typeof result === "number" ? result : result.toString("latin1")
  }
  const good = "\x08\x01"

  test.each(["sha1", "sha224", "sha256", "sha384", "sha512", "SHA256"])("RSA and EC with %s, DER and PEM", (hash) => {
    const foreign = new Foreign()
    for (const { publicKey, privateKey } of [keys.rsa, keys.p256]) {
      const signature = sign(hash.toLowerCase(), DATA, privateKey)
      expect(check(foreign, { 1: hash, 2: spki(publicKey), 3: signature, 4: DATA })).toBe(good)
      expect(check(foreign, { 1: hash, 2: spki(publicKey), 3: signature, 4: DATA })).toBe(good)
      expect(check(foreign, { 1: hash, 3: signature, 4: DATA, 5: pem(publicKey) })).toBe(good)
      expect(check(foreign, { 1: hash, 2: spki(publicKey), 3: signature, 4: "other" })).toBe("\x12\x18Failed to verify digest.")
      expect(check(foreign, { 1: hash, 2: spki(publicKey), 4: DATA })).toMatch(/^\x12/)
    }
  })

  test("Ed25519 keys have no hash of their choice", () => {
    const foreign = new Foreign()
    const { publicKey, privateKey } = keys.ed25519
    const signature = sign(null, DATA, privateKey)
    expect(check(foreign, { 2: spki(publicKey), 3: signature, 4: DATA })).toBe(good)
    expect(check(foreign, { 1: "sha256", 2: spki(publicKey), 3: signature, 4: DATA })).toBe("\x12\x18sha256 is not supported.")
  })

  test("unknown hashes are an error in the result, unusable keys one of the call", () => {
    const foreign = new Foreign()
    const key = spki(keys.rsa.publicKey)
    expect(check(foreign, { 1: "md5", 2: key, 3: "x", 4: DATA })).toBe("\x12\x15md5 is not supported.")
    expect(check(foreign, { 1: "sha256", 3: "x", 4: DATA })).toBe(BAD_ARGUMENT)
    expect(check(foreign, { 1: "sha256", 2: key, 3: "x", 4: DATA, 5: pem(keys.rsa.publicKey) })).toBe(BAD_ARGUMENT)
    expect(check(foreign, { 1: "sha256", 2: "garbage", 3: "x", 4: DATA })).toBe(BAD_ARGUMENT)
    expect(foreign.foreign("verify_signature", "\x0a\x7f")).toBe(BAD_ARGUMENT)
  })
})

describe("sign", () => {
  test("RSA and EC, DER and PEM", () => {
    const foreign = new Foreign()
    for (const { publicKey, privateKey } of [keys.rsa, keys.p256]) {
      const der = privateKey.export({ format: "der", type: "pkcs8" })
      const text = privateKey.export({ format: "pem", type: "pkcs8" }).toString()
      for (const fields of [
        { 1: "sha256", 2: der, 3: DATA },
        { 1: "sha256", 3: DATA, 4: text },
      ] as Record<number, string | Uint8Array>[]) {
        const result = foreign.foreign("sign", message(fields)) as Buffer
        expect(result.subarray(0, 3).toString("latin1")).toBe("\x08\x01\x12")
        const at = result[3] < 128 ? 4 : 5
        expect(verify("sha256", DATA, publicKey, result.subarray(at))).toBe(true)
      }
    }
  })

  test("unknown hashes are an error in the result, unusable keys one of the call", () => {
    const foreign = new Foreign()
    const der = keys.rsa.privateKey.export({ format: "der", type: "pkcs8" })
    expect((foreign.foreign("sign", message({ 1: "md5", 2: der, 3: DATA })) as Buffer).toString()).toBe("\x1a\x15md5 is not supported.")
    expect(foreign.foreign("sign", message({ 1: "sha256", 3: DATA }))).toBe(BAD_ARGUMENT)
    expect(foreign.foreign("sign", message({ 1: "sha256", 2: spki(keys.rsa.publicKey), 3: DATA }))).toBe(BAD_ARGUMENT)
    expect(foreign.foreign("sign", "\x0a\x7f")).toBe(BAD_ARGUMENT)
  })
})
