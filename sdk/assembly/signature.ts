// Signatures, by the host's own cryptography.

import { Status } from "./abi"
import { base64 } from "./encoding"
import { callForeign, foreignStatus } from "./foreign"
import { OUT_DATA, OUT_SIZE, release } from "./memory"
import { toBytes, utf8Bytes } from "./payload"
import { decode } from "./text"

/**
 * Whether `signature` is that of `data`.
 *
 * ```ts
 * const parts = token.split(".")
 * const signature = parts.length == 3 ? base64url.decode(parts[2]) : null
 * if (signature === null || !verifySignature("RS256", key, signature, parts[0] + "." + parts[1])) return new Reply(401)
 * ```
 *
 * @param algorithm as in JOSE: `RS256`, `PS256`, `ES256`, `HS256` …, `EdDSA`. Take it from the key or the settings, never
 *   from the message alone.
 * @param key a JWK as JSON text, or a public key in PEM; for `HS…` a JWK, or the secret itself.
 * @param signature as in JOSE: for `ES…` both numbers one after the other.
 * @param data text or bytes.
 * @returns false also for a key that can't be read or doesn't fit the algorithm. Envoy knows `RS256`, `RS384` and `RS512`
 *   with a key in PEM; anything else is false there.
 */
export function verifySignature<T>(algorithm: string, key: string, signature: Uint8Array, data: T): boolean {
  return verify(algorithm, utf8Bytes(key), signature, toBytes<T>(data))
}

function verify(algorithm: string, key: Uint8Array, signature: Uint8Array, data: Uint8Array): boolean {
  const message = new Message(32 + algorithm.length * 3 + key.length + signature.length + data.length)
  message.bytes(utf8Bytes(algorithm))
  message.byte(0)
  message.word(key.length)
  message.word(signature.length)
  message.word(data.length)
  message.bytes(key)
  message.bytes(signature)
  message.bytes(data)
  const good = message.send("sluice_verify")
  if (good) release(<usize>load<u32>(OUT_DATA))
  else if (foreignStatus == Status.NOT_FOUND) return verifyInEnvoy(algorithm, key, signature, data)
  return good
}

/** VerifySignatureArguments (hash 1, key 2 as DER, signature 3, text 4) → VerifySignatureResult (result 1), in protobuf. */
function verifyInEnvoy(algorithm: string, key: Uint8Array, signature: Uint8Array, data: Uint8Array): boolean {
  const hash = algorithm == "RS256" ? "sha256" : algorithm == "RS384" ? "sha384" : algorithm == "RS512" ? "sha512" : ""
  const der = hash.length > 0 ? fromPem(decode(key.dataStart, key.byteLength)) : null
  if (der === null) return false
  const message = new Message(48 + der.length + signature.length + data.length)
  message.field(1, utf8Bytes(hash))
  message.field(2, der)
  message.field(3, signature)
  message.field(4, data)
  if (!message.send("verify_signature")) return false
  const answer = <usize>load<u32>(OUT_DATA)
  const good = load<i32>(OUT_SIZE) >= 2 && load<u16>(answer) == 0x0108
  release(answer)
  return good
}

/** The octets between the two marks of a public key in PEM. */
function fromPem(text: string): Uint8Array | null {
  const begin = "-----BEGIN PUBLIC KEY-----"
  const start = text.indexOf(begin)
  const end = text.indexOf("-----END PUBLIC KEY-----")
  if (start < 0 || end < start) return null
  return base64.decode(text.substring(start + begin.length, end).replaceAll("\r", "").replaceAll("\n", "").trim())
}

/** Octets for a function of the host, of which the sender knows how many there can be. */
@final
class Message {
  private readonly block: usize
  private at: usize

  constructor(capacity: i32) {
    this.block = heap.alloc(<usize>capacity)
    this.at = this.block
  }

  byte(value: u32): void {
    store<u8>(this.at++, value)
  }

  word(value: i32): void {
    store<u32>(this.at, value)
    this.at += 4
  }

  bytes(value: Uint8Array): void {
    memory.copy(this.at, value.dataStart, <usize>value.length)
    this.at += <usize>value.length
  }

  /** A protobuf field of octets. */
  field(number: u32, value: Uint8Array): void {
    this.byte((number << 3) | 2)
    let length = <u32>value.length
    while (length >= 0x80) {
      this.byte((length & 0x7f) | 0x80)
      length >>= 7
    }
    this.byte(length)
    this.bytes(value)
  }

  send(name: string): boolean {
    const done = callForeign(name, this.block, <i32>(this.at - this.block))
    heap.free(this.block)
    return done
  }
}
