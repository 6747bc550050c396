// Strings out of the coded octets of literals. What all connections of a worker see again and again (paths, mostly) is recognised by
// its octets before it is decoded, which saves the decoding and the string. It never keeps what a peer marked as never to be indexed.

import { latin1 } from "../http/latin1.ts"
import { decodedRoom, decodeHuffman } from "./hpack-huffman.ts"

/** Strings remembered; a new one takes the place of another whose octets hash to the same slot. */
const SLOTS = 512
/** Coded octets of the longest string worth remembering, and the words they take. */
const LONGEST = 64
const WORDS = LONGEST / 4
/** The same for octets that aren't Huffman-coded: making a string of more takes no longer than to look for it. */
const LONGEST_RAW = 16
/** Room for strings of up to 4 KiB; longer ones get memory of their own. */
const SCRATCH = Buffer.allocUnsafeSlow(decodedRoom(4096))

/** Hashes of what was met last, by slot: only what is met twice is remembered, so that random strings cost one hash. */
const met = new Int32Array(SLOTS)
/** What is remembered: the hash, the form (length, Huffman or not; 0 = nothing yet), the octets in words, the string. */
const hashes = new Int32Array(SLOTS)
const forms = new Uint8Array(SLOTS)
const coded = new Int32Array(SLOTS * WORDS)
const texts: string[] = new Array<string>(SLOTS).fill("")
/** The octets at hand, in words. */
const words = new Int32Array(WORDS)

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
  if (length === 0 || length > (huffman ? LONGEST : LONGEST_RAW)) return literalText(buffer, start, end, huffman)
  const form = huffman ? length | 0x80 : length
  let hash = form
  let count = 0
  let i = start
  for (; i + 4 <= end; i += 4) {
    const word = buffer[i] | (buffer[i + 1] << 8) | (buffer[i + 2] << 16) | (buffer[i + 3] << 24)
    words[count++] = word
    hash = Math.imul(hash ^ word, 0x9e3779b1)
    hash ^= hash >>> 15
  }
  if (i < end) {
    let word = buffer[i]
    if (i + 1 < end) word |= buffer[i + 1] << 8
    if (i + 2 < end) word |= buffer[i + 2] << 16
    words[count++] = word
    hash = Math.imul(hash ^ word, 0x9e3779b1)
    hash ^= hash >>> 15
  }
  const slot = hash & (SLOTS - 1)
  const base = slot * WORDS
  if (hashes[slot] === hash && forms[slot] === form) {
    let word = 0
    while (word < count && coded[base + word] === words[word]) word++
    if (word === count) return texts[slot]
  }
  const text = literalText(buffer, start, end, huffman)
  if (met[slot] === hash && text !== null) {
    hashes[slot] = hash
    forms[slot] = form
    for (let word = 0; word < count; word++) coded[base + word] = words[word]
    texts[slot] = text
  }
  met[slot] = hash
  return text
}
