// The ABI's encoding of header maps and property lists: a little-endian u32 count, as many pairs of u32 lengths, then each
// name and value followed by a NUL that its length does not count.

/** Limits on what a guest may hand over: octets and pairs. */
const MAX_BYTES = 1 << 20
const MAX_PAIRS = 1024

/** Octets of the encoding of `flat` (name, value, name, value …; one octet a character); 0 for no pairs. */
export function encodedLength(flat: readonly string[]): number {
  if (flat.length === 0) return 0
  // Each string costs a length word and a NUL.
  let length = 4 + flat.length * 5
  for (let i = 0; i < flat.length; i++) length += flat[i].length
  return length
}

/** Writes the encoding at `at`; the caller has made room for {@link encodedLength} octets. */
export function encodePairs(flat: readonly string[], bytes: Uint8Array, at: number): void {
  if (flat.length === 0) return
  let word = putWord(bytes, at, flat.length >>> 1)
  let data = at + 4 + flat.length * 4
  for (let i = 0; i < flat.length; i++) {
    const text = flat[i]
    word = putWord(bytes, word, text.length)
    for (let j = 0; j < text.length; j++) bytes[data + j] = text.charCodeAt(j)
    data += text.length
    bytes[data++] = 0
  }
}

function putWord(bytes: Uint8Array, at: number, value: number): number {
  bytes[at] = value
  bytes[at + 1] = value >>> 8
  bytes[at + 2] = value >>> 16
  bytes[at + 3] = value >>> 24
  return at + 4
}

/**
 * Name, value, name, value … as latin1 text. Null when the encoding is malformed, over 1 MiB or over 1024 pairs. Nothing,
 * a single zero octet and a zero count all stand for no pairs.
 */
export function decodePairs(bytes: Uint8Array, start: number, length: number): string[] | null {
  if (length === 0 || (length === 1 && bytes[start] === 0)) return []
  if (length < 4 || length > MAX_BYTES) return null
  const end = start + length
  const count = word(bytes, start)
  if (count > MAX_PAIRS) return null
  let at = start + 4
  let data = at + count * 8
  if (data > end) return null
  const flat: string[] = []
  for (let i = 0; i < count * 2; i++) {
    const size = word(bytes, at)
    at += 4
    if (size >= end - data || bytes[data + size] !== 0) return null
    flat.push(latin1(bytes, data, size))
    data += size + 1
  }
  return data === end ? flat : null
}

function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0
}

function latin1(bytes: Uint8Array, start: number, length: number): string {
  let text = ""
  for (let i = start; i < start + length; i++) text += String.fromCharCode(bytes[i])
  return text
}
