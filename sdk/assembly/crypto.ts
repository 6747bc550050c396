// Digests and randomness: by the host where it offers them, in the filter otherwise.

import { callForeign } from "./foreign"
import { OUT_LONG, takeUint8Array } from "./memory"
import { payload, payloadSize, releasePayload, toBytes } from "./payload"
import { sha1Of } from "./sha1"
import { sha256Of, sha384Of, sha512Of } from "./sha2"
import { encodeTo } from "./text"

/** A digest in AssemblyScript, and the block size of its HMAC. */
type Digest = (source: usize, size: i32) => Uint8Array

/**
 * The SHA-256 of text or bytes: 32 octets.
 *
 * ```ts
 * const digest = hex.encode(sha256(password + salt))
 * ```
 */
export function sha256<T>(content: T): Uint8Array {
  return digest<T>("sha256", content, sha256Of)
}

/**
 * The SHA-1 of text or bytes: 20 octets. For old signatures only; it is broken where collisions matter.
 *
 * ```ts
 * const etag = hex.encode(sha1(body.bytes()))
 * ```
 */
export function sha1<T>(content: T): Uint8Array {
  return digest<T>("sha1", content, sha1Of)
}

/**
 * The SHA-384 of text or bytes: 48 octets.
 *
 * ```ts
 * const digest = base64.encode(sha384(body.bytes()))
 * ```
 */
export function sha384<T>(content: T): Uint8Array {
  return digest<T>("sha384", content, sha384Of)
}

/**
 * The SHA-512 of text or bytes: 64 octets.
 *
 * ```ts
 * const digest = base64.encode(sha512(body.bytes()))
 * ```
 */
export function sha512<T>(content: T): Uint8Array {
  return digest<T>("sha512", content, sha512Of)
}

/**
 * The HMAC of `data` with SHA-256: 32 octets. Key and data are text or bytes.
 *
 * ```ts
 * const expected = hex.encode(hmacSha256(secret, body.bytes()))
 * if (!constantTimeEquals(expected, given)) return new Reply(401)
 * ```
 */
export function hmacSha256<K, T>(key: K, data: T): Uint8Array {
  return hmac("sha256", toBytes<K>(key), toBytes<T>(data), sha256Of, 64)
}

/**
 * The HMAC of `data` with SHA-1: 20 octets.
 *
 * ```ts
 * const code = base64.encode(hmacSha1(secret, request.target))
 * ```
 */
export function hmacSha1<K, T>(key: K, data: T): Uint8Array {
  return hmac("sha1", toBytes<K>(key), toBytes<T>(data), sha1Of, 64)
}

/**
 * The HMAC of `data` with SHA-384: 48 octets.
 *
 * ```ts
 * const code = base64.encode(hmacSha384(secret, request.target))
 * ```
 */
export function hmacSha384<K, T>(key: K, data: T): Uint8Array {
  return hmac("sha384", toBytes<K>(key), toBytes<T>(data), sha384Of, 128)
}

/**
 * The HMAC of `data` with SHA-512: 64 octets.
 *
 * ```ts
 * const code = base64.encode(hmacSha512(secret, request.target))
 * ```
 */
export function hmacSha512<K, T>(key: K, data: T): Uint8Array {
  return hmac("sha512", toBytes<K>(key), toBytes<T>(data), sha512Of, 128)
}

/**
 * Whether both are the same, in a time that doesn't tell where they differ (their lengths it may). For secrets and
 * signatures; text or bytes.
 *
 * ```ts
 * if (!constantTimeEquals(token, expected)) return new Reply(401)
 * ```
 */
export function constantTimeEquals<A, B>(a: A, b: B): boolean {
  const left = toBytes<A>(a)
  const right = toBytes<B>(b)
  if (left.length != right.length) return false
  let difference: u32 = 0
  for (let i = 0; i < left.length; i++) difference |= <u32>load<u8>(left.dataStart + <usize>i) ^ <u32>load<u8>(right.dataStart + <usize>i)
  return difference == 0
}

/**
 * Octets that nobody can predict, from the host; null where it has none (Envoy).
 *
 * ```ts
 * const token = randomBytes(16)
 * if (token === null) return new Reply(500)
 * reply.cookie(new Cookie("csrf", base64url.encode(token)))
 * ```
 *
 * @param count at most 65536.
 */
export function randomBytes(count: i32): Uint8Array | null {
  if (count <= 0) return new Uint8Array(0)
  store<u32>(OUT_LONG, count)
  if (!callForeign("sluice_random", OUT_LONG, 4)) return null
  const bytes = takeUint8Array()
  return bytes.length == count ? bytes : null
}

function append(at: usize, bytes: Uint8Array): usize {
  memory.copy(at, bytes.dataStart, <usize>bytes.length)
  return at + <usize>bytes.length
}

function digest<T>(name: string, content: T, own: Digest): Uint8Array {
  const data = payload<T>(content)
  const size = payloadSize
  const argument = heap.alloc(<usize>(name.length + 1 + size))
  const start = encodeTo(argument, name)
  store<u8>(argument + <usize>start, 0)
  memory.copy(argument + <usize>start + 1, data, <usize>size)
  const done = callForeign("sluice_hash", argument, start + 1 + size)
  const result = done ? takeUint8Array() : own(argument + <usize>start + 1, size)
  heap.free(argument)
  releasePayload<T>(data)
  return result
}

function hmac(name: string, key: Uint8Array, data: Uint8Array, own: Digest, block: i32): Uint8Array {
  const argument = heap.alloc(<usize>(name.length + 5 + key.length + data.length))
  let at = argument + <usize>encodeTo(argument, name)
  store<u8>(at, 0)
  store<u32>(at, key.length, 1)
  at = append(append(at + 5, key), data)
  const done = callForeign("sluice_hmac", argument, <i32>(at - argument))
  heap.free(argument)
  return done ? takeUint8Array() : ownHmac(key, data, own, block)
}

/** RFC 2104. */
function ownHmac(key: Uint8Array, data: Uint8Array, own: Digest, block: i32): Uint8Array {
  const short = key.length > block ? own(key.dataStart, key.length) : key
  const room = heap.alloc(<usize>(block + max(data.length, 64)))
  mix(room, short, block, 0x36)
  const inner = own(room, <i32>(append(room + <usize>block, data) - room))
  mix(room, short, block, 0x5c)
  const outer = own(room, <i32>(append(room + <usize>block, inner) - room))
  heap.free(room)
  return outer
}

function mix(target: usize, key: Uint8Array, block: i32, pad: i32): void {
  memory.fill(target, <u8>pad, <usize>block)
  for (let i = 0; i < key.length; i++) store<u8>(target + <usize>i, load<u8>(key.dataStart + <usize>i) ^ <u8>pad)
}
