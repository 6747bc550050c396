// Bytes as text and back.

import { payload, payloadSize, releasePayload, utf8Bytes } from "./payload"
import { decodeComponent, encodeComponent, hexDigit } from "./percent"
import { decode, validUtf8 } from "./text"

function letter(value: u32, url: boolean): u32 {
  if (value < 26) return value + 0x41
  if (value < 52) return value + 0x47
  if (value < 62) return value - 4
  return value == 62 ? (url ? 0x2d : 0x2b) : url ? 0x5f : 0x2f
}

/** Value of a letter, or -1. */
function sextet(code: i32, url: boolean): i32 {
  if (code >= 0x41 && code <= 0x5a) return code - 0x41
  if (code >= 0x61 && code <= 0x7a) return code - 0x47
  if (code >= 0x30 && code <= 0x39) return code + 4
  if (code == (url ? 0x2d : 0x2b)) return 62
  return code == (url ? 0x5f : 0x2f) ? 63 : -1
}

function encode64(source: usize, size: i32, url: boolean): string {
  const full = size / 3
  const rest = size - full * 3
  const length = full * 4 + (rest == 0 ? 0 : url ? rest + 1 : 4)
  const text = __new((<usize>length) << 1, idof<string>())
  let to = text
  for (let i = 0; i < full; i++) {
    const at = source + <usize>i * 3
    const value = (<u32>load<u8>(at) << 16) | (<u32>load<u8>(at, 1) << 8) | <u32>load<u8>(at, 2)
    store<u16>(to, letter(value >> 18, url))
    store<u16>(to, letter((value >> 12) & 63, url), 2)
    store<u16>(to, letter((value >> 6) & 63, url), 4)
    store<u16>(to, letter(value & 63, url), 6)
    to += 8
  }
  if (rest > 0) {
    const at = source + <usize>full * 3
    const value = (<u32>load<u8>(at) << 16) | (rest > 1 ? <u32>load<u8>(at, 1) << 8 : 0)
    store<u16>(to, letter(value >> 18, url))
    store<u16>(to, letter((value >> 12) & 63, url), 2)
    if (rest > 1) store<u16>(to, letter((value >> 6) & 63, url), 4)
    else if (!url) store<u16>(to, 0x3d, 4)
    if (!url) store<u16>(to, 0x3d, 6)
  }
  return changetype<string>(text)
}

/** Strict (RFC 4648 §3.5): right length, right alphabet, no stray bits. The url form may be padded. */
function decode64(text: string, url: boolean): Uint8Array | null {
  let length = text.length
  if (length > 0 && length % 4 == 0 && text.charCodeAt(length - 1) == 0x3d) {
    length--
    if (text.charCodeAt(length - 1) == 0x3d) length--
  } else if (!url && length % 4 != 0) {
    return null
  }
  if (length % 4 == 1) return null
  const bytes = new Uint8Array((length * 3) >> 2)
  let to = bytes.dataStart
  let bits: u32 = 0
  let count = 0
  for (let i = 0; i < length; i++) {
    const value = sextet(text.charCodeAt(i), url)
    if (value < 0) return null
    bits = (bits << 6) | <u32>value
    count += 6
    if (count >= 8) {
      count -= 8
      store<u8>(to++, bits >> count)
    }
  }
  return (bits & ((1 << count) - 1)) == 0 ? bytes : null
}

function toText(bytes: Uint8Array | null): string | null {
  return bytes === null ? null : decode(bytes.dataStart, bytes.byteLength)
}

/**
 * Base64 with `+`, `/` and padding. Decoding answers null for what isn't exactly that.
 *
 * ```ts
 * const credentials = base64.decodeText("YWxpY2U6c2VjcmV0")     // "alice:secret"
 * ```
 */
export namespace base64 {
  /** Text or bytes. */
  export function encode<T>(content: T): string {
    const data = payload<T>(content)
    const result = encode64(data, payloadSize, false)
    releasePayload<T>(data)
    return result
  }
  export function decode(text: string): Uint8Array | null {
    return decode64(text, false)
  }
  /** Decodes to text: UTF-8, or latin1 where it isn't that. */
  export function decodeText(text: string): string | null {
    return toText(decode64(text, false))
  }
}

/**
 * Base64 with `-` and `_`, written without padding: tokens, cookies, URLs.
 *
 * ```ts
 * const claims = base64url.decodeText(token.split(".")[1])
 * ```
 */
export namespace base64url {
  /** Text or bytes. */
  export function encode<T>(content: T): string {
    const data = payload<T>(content)
    const result = encode64(data, payloadSize, true)
    releasePayload<T>(data)
    return result
  }
  export function decode(text: string): Uint8Array | null {
    return decode64(text, true)
  }
  /** Decodes to text: UTF-8, or latin1 where it isn't that. */
  export function decodeText(text: string): string | null {
    return toText(decode64(text, true))
  }
}

/**
 * Two digits an octet, written in lower case, read in either.
 *
 * ```ts
 * request.headers.set("x-digest", hex.encode(sha256(request.path)))
 * ```
 */
export namespace hex {
  /** Text or bytes. */
  export function encode<T>(content: T): string {
    const data = payload<T>(content)
    const result = encodeHex(data, payloadSize)
    releasePayload<T>(data)
    return result
  }
  export function decode(text: string): Uint8Array | null {
    return decodeHex(text)
  }
  /** Decodes to text: UTF-8, or latin1 where it isn't that. */
  export function decodeText(text: string): string | null {
    return toText(decodeHex(text))
  }
}

function encodeHex(source: usize, size: i32): string {
  const text = __new((<usize>size) << 2, idof<string>())
  for (let i = 0; i < size; i++) {
    const byte = <u32>load<u8>(source + i)
    const to = text + ((<usize>i) << 2)
    store<u16>(to, hexLetter(byte >> 4))
    store<u16>(to, hexLetter(byte & 15), 2)
  }
  return changetype<string>(text)
}

function hexLetter(value: u32): u32 {
  return value < 10 ? 0x30 + value : 0x57 + value
}

function decodeHex(text: string): Uint8Array | null {
  if ((text.length & 1) != 0) return null
  const bytes = new Uint8Array(text.length >> 1)
  for (let i = 0; i < bytes.length; i++) {
    const high = hexDigit(text.charCodeAt(i << 1))
    const low = hexDigit(text.charCodeAt((i << 1) + 1))
    if (high < 0 || low < 0) return null
    store<u8>(bytes.dataStart + i, (high << 4) | low)
  }
  return bytes
}

/**
 * Percent-encoding of parts of a URL.
 *
 * ```ts
 * return Reply.redirect("/login?to=" + percent.encode(request.target))
 * ```
 */
export namespace percent {
  /** All but letters, digits and `-._~` becomes `%XX`. */
  export function encode(text: string): string {
    return encodeComponent(text)
  }
  /** A `%` that no two hex digits follow stays as it is; so does a `+`. */
  export function decode(text: string): string {
    return decodeComponent(text, 0, text.length, false)
  }
}

/**
 * Text as UTF-8.
 *
 * ```ts
 * const size = utf8.encode(text).length
 * ```
 */
export namespace utf8 {
  export function encode(text: string): Uint8Array {
    return utf8Bytes(text)
  }
  /** What isn't valid is read as latin1. */
  export function decode(bytes: Uint8Array): string {
    return decodeUtf8(bytes)
  }
  export function isValid(bytes: Uint8Array): boolean {
    return validUtf8(bytes.dataStart, bytes.byteLength)
  }
}

function decodeUtf8(bytes: Uint8Array): string {
  return decode(bytes.dataStart, bytes.byteLength)
}
