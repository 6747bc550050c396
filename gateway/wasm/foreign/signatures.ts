// Digests, message authentication codes and signatures: Sluice's own functions, in plain binary form, and Envoy's
// `verify_signature` and `sign`, in its protobuf messages.

import type { Buffer } from "node:buffer"
import { constants, createHash, createHmac, type KeyObject, sign as signWith, timingSafeEqual, verify as verifyWith } from "node:crypto"
import { MessageWriter, readMessage } from "../../http/protobuf.ts"
import { Status } from "../proxy-wasm/enums.ts"
import { chargeTime, type ForeignCaller, type ForeignFunction, NOTHING } from "./function.ts"
import { type Algorithm, algorithms, IMPORT_COST, Keys, keyCost } from "./keys.ts"
import { RecentCache } from "./recent-cache.ts"

const { BAD_ARGUMENT, SERIALIZATION_FAILURE } = Status

const hashes: ReadonlySet<string> = new Set(["sha256", "sha384", "sha512", "sha1", "md5"])
const envoyHashes: ReadonlySet<string> = new Set(["sha1", "sha224", "sha256", "sha384", "sha512"])

/** Longest name of an algorithm. */
const MAX_NAME = 16
// µs of a digest: at all, and for a KiB.
const DIGEST = 2
const DIGEST_KIB = 3

/** Octets of a call whose outcome is remembered, and of all of them in half the cache. */
const MAX_REMEMBERED = 8192
const REMEMBERED_OCTETS = 1024 * 1024
const REMEMBERED = 1024

/** The signature functions of one VM, with the keys and the good signatures it has seen lately. */
export class Signatures {
  readonly #keys = new Keys()
  /** Calls that found their signature good: a token comes again and again, and its signature stays what it is. */
  readonly #good = new RecentCache<true>(REMEMBERED, REMEMBERED_OCTETS)
  readonly #envoyGood = new RecentCache<true>(REMEMBERED, REMEMBERED_OCTETS)

  /** `algorithm NUL data` → the digest. */
  readonly hash: ForeignFunction = ({ vm }, argument) => {
    const name = nameIn(argument)
    if (!hashes.has(name)) return BAD_ARGUMENT
    const data = argument.subarray(name.length + 1)
    chargeTime(vm, DIGEST + (data.length / 1024) * DIGEST_KIB)
    return createHash(name).update(data).digest()
  }

  /** `algorithm NUL`, u32 length of the key, key, data → the code. */
  readonly hmac: ForeignFunction = ({ vm }, argument) => {
    const name = nameIn(argument)
    const at = name.length + 1
    if (!hashes.has(name) || argument.length < at + 4) return BAD_ARGUMENT
    const length = argument.readUInt32LE(at)
    if (length > argument.length - at - 4) return BAD_ARGUMENT
    const key = this.#keys.secret(argument.subarray(at + 4, at + 4 + length))
    if (key === null) return BAD_ARGUMENT
    const data = argument.subarray(at + 4 + length)
    chargeTime(vm, 2 * DIGEST + (data.length / 1024) * DIGEST_KIB)
    return createHmac(name, key).update(data).digest()
  }

  /**
   * `algorithm NUL` (as JWS names it), u32 lengths of key, signature and data, then these. OK and no result: the signature is
   * good. SERIALIZATION_FAILURE: it isn't. BAD_ARGUMENT: no such algorithm, or no key for it.
   */
  readonly verify: ForeignFunction = ({ vm }, argument) => {
    const algorithm = algorithms.get(nameIn(argument))
    if (algorithm === undefined) return BAD_ARGUMENT
    const at = algorithm.name.length + 1
    if (argument.length < at + 12) return BAD_ARGUMENT
    const signatureAt = at + 12 + argument.readUInt32LE(at)
    const dataAt = signatureAt + argument.readUInt32LE(at + 4)
    if (dataAt + argument.readUInt32LE(at + 8) !== argument.length) return BAD_ARGUMENT
    const remembered = whole(argument)
    if (remembered !== "" && this.#good.get(remembered) !== undefined) return NOTHING
    const key = this.#keys.jws(algorithm, argument.subarray(at + 12, signatureAt))
    if (this.#keys.fresh) chargeTime(vm, IMPORT_COST)
    if (key === null) return BAD_ARGUMENT
    const data = argument.subarray(dataAt)
    chargeTime(vm, (algorithm.kty === "oct" ? DIGEST : keyCost(key, false)) + (data.length / 1024) * DIGEST_KIB)
    if (!isGood(algorithm, key, argument.subarray(signatureAt, dataAt), data)) return SERIALIZATION_FAILURE
    if (remembered !== "") this.#good.set(remembered, true)
    return NOTHING
  }

  /** VerifySignatureArguments (hash 1, DER 2, signature 3, text 4, PEM 5) → VerifySignatureResult (result 1, error 2). */
  readonly envoyVerify: ForeignFunction = (caller, argument) => {
    const message = readMessage(argument)
    if (message === null) return BAD_ARGUMENT
    const der = message.octets(2)
    const pem = message.octets(5)
    const key = this.#envoyKey(caller, der, pem, false)
    if (key === null) return BAD_ARGUMENT
    const result = new MessageWriter()
    const hash = envoyHash(message.text(1), key)
    if (hash === undefined) return result.octets(2, `${message.text(1).slice(0, 64)} is not supported.`).take()
    const remembered = whole(argument)
    if (remembered !== "" && this.#envoyGood.get(remembered) !== undefined) return result.flag(1, true).take()
    const text = message.octets(4)
    chargeTime(caller.vm, keyCost(key, false) + (text.length / 1024) * DIGEST_KIB)
    if (!matches(hash, text, key, message.octets(3))) return result.octets(2, "Failed to verify digest.").take()
    if (remembered !== "") this.#envoyGood.set(remembered, true)
    return result.flag(1, true).take()
  }

  /** SignArguments (hash 1, DER 2, text 3, PEM 4) → SignResult (result 1, signature 2, error 3). */
  readonly envoySign: ForeignFunction = (caller, argument) => {
    const message = readMessage(argument)
    if (message === null) return BAD_ARGUMENT
    const key = this.#envoyKey(caller, message.octets(2), message.octets(4), true)
    if (key === null) return BAD_ARGUMENT
    const result = new MessageWriter()
    const hash = envoyHash(message.text(1), key)
    if (hash === undefined) return result.octets(3, `${message.text(1).slice(0, 64)} is not supported.`).take()
    const text = message.octets(3)
    chargeTime(caller.vm, keyCost(key, true) + (text.length / 1024) * DIGEST_KIB)
    try {
      const signature = signWith(hash, text, key)
      return result.flag(1, true).octets(2, signature).take()
    } catch {
      return result.octets(3, "Failed to create signature.").take()
    }
  }

  /** Exactly one of the two forms. */
  #envoyKey({ vm }: ForeignCaller, der: Buffer, pem: Buffer, signing: boolean): KeyObject | null {
    const isPem = pem.length > 0
    if (isPem === der.length > 0) return null
    const octets = isPem ? pem : der
    const key = signing ? this.#keys.private(octets, isPem) : this.#keys.public(octets, isPem)
    if (this.#keys.fresh) chargeTime(vm, IMPORT_COST)
    return key
  }
}

/** A call as a text, under which it is remembered: all of it, since nothing less says that it is the same. "" = it isn't. */
function whole(argument: Buffer): string {
  return argument.length > MAX_REMEMBERED ? "" : argument.toString("latin1")
}

/** Text before the first NUL; "" when there is none near. */
function nameIn(argument: Buffer): string {
  const end = argument.subarray(0, MAX_NAME + 1).indexOf(0)
  return end === -1 ? "" : argument.toString("latin1", 0, end)
}

function isGood(algorithm: Algorithm, key: KeyObject, signature: Buffer, data: Buffer): boolean {
  const { kty, hash, size } = algorithm
  if (kty === "oct") {
    return (
      signature.length === size &&
      timingSafeEqual(
        createHmac(hash as string, key)
          .update(data)
          .digest(),
        signature,
      )
    )
  }
  try {
    if (kty === "OKP") return verifyWith(null, data, key, signature)
    if (kty === "EC") return verifyWith(hash, data, { key, dsaEncoding: "ieee-p1363" }, signature)
    if (!algorithm.pss) return verifyWith(hash, data, { key, padding: constants.RSA_PKCS1_PADDING }, signature)
    return verifyWith(hash, data, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: size }, signature)
  } catch {
    return false
  }
}

/** What node:crypto calls Envoy's hash; null for keys that have their own; undefined when it isn't one. */
function envoyHash(name: string, key: KeyObject): string | null | undefined {
  if (key.asymmetricKeyType === "ed25519") return name === "" ? null : undefined
  const hash = name.toLowerCase()
  return envoyHashes.has(hash) ? hash : undefined
}

function matches(hash: string | null, text: Buffer, key: KeyObject, signature: Buffer): boolean {
  try {
    return verifyWith(hash, text, key, signature)
  } catch {
    return false
  }
}
