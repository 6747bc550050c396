// Strings out of the coded octets of literals. What all connections of a worker see again and again (paths, mostly) is recognised by
// its octets before it is decoded, which saves the decoding and the string. It never keeps what a peer marked as never to be indexed.

import { latin1 } from "../http/latin1.ts"
import { decodedRoom, decodeHuffman } from "./hpack-huffman.ts"

/** Strings remembered; a new one takes the place of another whose octets hash to the same slot. */
const SLOTS = 512
/** Coded octets of the longest string worth remembering. */
const LONGEST = 63
/** Octets of a slot: one for form and length, then those of the string. */
const STRIDE = 1 + LONGEST
/** Room for strings of up to 4 KiB; longer ones get memory of their own. */
const SCRATCH = Buffer.allocUnsafeSlow(decodedRoom(4096))

/** Hashes of what was met last, by slot: only what is met twice is remembered, so that random strings cost one hash. */
const met = new Int32Array(SLOTS)
/** What is remembered: the hash (which holds the length too), the octets, the string. */
const hashes = new Int32Array(SLOTS)
const coded = new Uint8Array(SLOTS * STRIDE)
const texts: string[] = new Array<string>(SLOTS).fill("")

/** The string coded by `buffer[start, end)`; null when that is no Huffman code. */
export function literalText(buffer: Buffer, start: number, end: number, huffman: boolean): string | null {
  if (!huffman) return start === end ? "" : latin1(buffer, start, end)
  const room = decodedRoom(end - start)
  const into = room <= SCRATCH.length ? SCRATCH : Buffer.allocUnsafeSlow(room)
  const length = decodeHuffman(buffer, start, end, into)
  return length <= 0 ? (length === 0 ? "" : null) : latin1(into, 0, length)
}

/** As {@link literalText}; the same string object for the same octets, if they came not long ago. */
export function commonLiteralText(buffer: Buffer, start: number, end: number, huffman: boolean): string | null {
  const length = end - start
  if (length > LONGEST || length === 0) return literalText(buffer, start, end, huffman)
  let hash = huffman ? length | 0x80 : length
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ buffer[i], 0x01000193)
  hash ^= hash >>> 15
  const slot = hash & (SLOTS - 1)
  const base = slot * STRIDE
  if (hashes[slot] === hash) {
    let i = 0
    // The first octet says in which of the two forms the others are, and how many they are.
    if (coded[base] === (huffman ? length | 0x80 : length)) while (i < length && coded[base + 1 + i] === buffer[start + i]) i++
    if (i === length) return texts[slot]
  }
  const text = literalText(buffer, start, end, huffman)
  if (met[slot] === hash && text !== null) {
    hashes[slot] = hash
    coded[base] = huffman ? length | 0x80 : length
    for (let i = 0; i < length; i++) coded[base + 1 + i] = buffer[start + i]
    texts[slot] = text
  }
  met[slot] = hash
  return text
}
