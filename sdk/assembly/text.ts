// Strings to bytes and back. Header bytes are nearly always ASCII, which is copied four characters at a time; the rest is
// UTF-8, and what is not valid UTF-8 is read as latin1, so no byte a client sends can trap a filter.

import { OUT_DATA, OUT_SIZE, release } from "./memory"

const KEY_CAPACITY: i32 = 768
const VALUE_CAPACITY: i32 = 3072
const keyArea: usize = memory.data(768, 16)
const valueArea: usize = memory.data(3072, 16)

/** Number of bytes of the last key and the last value that were encoded. */
export let keySize: i32 = 0
export let valueSize: i32 = 0

/** Encodes a name; valid until the next one. Give it back with {@link releaseKey}. */
export function encodeKey(text: string): usize {
  const target = text.length * 3 <= KEY_CAPACITY ? keyArea : heap.alloc(<usize>text.length * 3)
  keySize = encodeTo(target, text)
  return target
}

/** Like {@link encodeKey}, in lower case: header names. */
export function encodeName(text: string): usize {
  const target = encodeKey(text)
  let at = target
  const end = target + keySize
  while (at < end) {
    const code = load<u8>(at)
    if (<u32>code - 0x41 < 26) store<u8>(at, code | 0x20)
    at++
  }
  return target
}

/** Encodes a value; valid until the next one. Give it back with {@link releaseValue}. */
export function encodeValue(text: string): usize {
  const target = text.length * 3 <= VALUE_CAPACITY ? valueArea : heap.alloc(<usize>text.length * 3)
  valueSize = encodeTo(target, text)
  return target
}

export function releaseKey(block: usize): void {
  if (block != keyArea) heap.free(block)
}

export function releaseValue(block: usize): void {
  if (block != valueArea) heap.free(block)
}

/** Writes `text` as UTF-8 (at most three bytes a UTF-16 unit) and returns how many bytes that were. */
export function encodeTo(target: usize, text: string): i32 {
  const source = changetype<usize>(text)
  const length = text.length
  let i = 0
  while (i + 4 <= length) {
    let four = load<u64>(source + ((<usize>i) << 1))
    if (four & 0xff80ff80ff80ff80) break
    four = (four | (four >> 8)) & 0x0000ffff0000ffff
    store<u32>(target + i, <u32>(four | (four >> 16)))
    i += 4
  }
  while (i < length) {
    const unit = load<u16>(source + ((<usize>i) << 1))
    if (unit >= 0x80) return i + encodeWide(target + i, source + ((<usize>i) << 1), length - i)
    store<u8>(target + i, <u8>unit)
    i++
  }
  return length
}

/** The general case: surrogate pairs become four bytes, lone surrogates the replacement character. */
function encodeWide(target: usize, source: usize, length: i32): i32 {
  const end = source + ((<usize>length) << 1)
  let at = target
  while (source < end) {
    let code = <u32>load<u16>(source)
    source += 2
    if (code < 0x80) {
      store<u8>(at, code)
      at += 1
    } else if (code < 0x800) {
      store<u8>(at, 0xc0 | (code >> 6))
      store<u8>(at, 0x80 | (code & 0x3f), 1)
      at += 2
    } else {
      if ((code & 0xf800) == 0xd800) {
        const low = source < end ? <u32>load<u16>(source) : 0
        if (code < 0xdc00 && (low & 0xfc00) == 0xdc00) {
          source += 2
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00)
          store<u8>(at, 0xf0 | (code >> 18))
          store<u8>(at, 0x80 | ((code >> 12) & 0x3f), 1)
          store<u8>(at, 0x80 | ((code >> 6) & 0x3f), 2)
          store<u8>(at, 0x80 | (code & 0x3f), 3)
          at += 4
          continue
        }
        code = 0xfffd
      }
      store<u8>(at, 0xe0 | (code >> 12))
      store<u8>(at, 0x80 | ((code >> 6) & 0x3f), 1)
      store<u8>(at, 0x80 | (code & 0x3f), 2)
      at += 3
    }
  }
  return <i32>(at - target)
}

/** The host's result as text; the block is given back. */
export function takeText(): string {
  const data = <usize>load<u32>(OUT_DATA)
  const text = decode(data, load<i32>(OUT_SIZE))
  release(data)
  return text
}

/** UTF-8, or latin1 where it is not valid UTF-8. */
export function decode(source: usize, size: i32): string {
  if (size <= 0) return ""
  const text = __new((<usize>size) << 1, idof<string>())
  let i = 0
  while (i + 4 <= size) {
    const word = load<u32>(source + i)
    if (word & 0x80808080) break
    let four = <u64>word
    four = (four | (four << 16)) & 0x0000ffff0000ffff
    store<u64>(text + ((<usize>i) << 1), (four | (four << 8)) & 0x00ff00ff00ff00ff)
    i += 4
  }
  while (i < size) {
    const byte = load<u8>(source + i)
    if (byte >= 0x80) return decodeWide(source, size, text, i)
    store<u16>(text + ((<usize>i) << 1), byte)
    i++
  }
  return changetype<string>(text)
}

/** The code point that {@link codePoint} read last. */
let point: u32 = 0

/** Length of the UTF-8 sequence at `source` of which `left` bytes are there; 0 if it is not valid. */
function codePoint(source: usize, left: i32): i32 {
  const first = <u32>load<u8>(source)
  point = first
  if (first < 0x80) return 1
  let more = 0
  let least: u32 = 0
  if (first >= 0xc2 && first < 0xe0) {
    more = 1
    point = first & 0x1f
    least = 0x80
  } else if (first >= 0xe0 && first < 0xf0) {
    more = 2
    point = first & 0x0f
    least = 0x800
  } else if (first >= 0xf0 && first < 0xf5) {
    more = 3
    point = first & 0x07
    least = 0x10000
  } else {
    return 0
  }
  if (more >= left) return 0
  for (let k = 1; k <= more; k++) {
    const next = <u32>load<u8>(source + k)
    if ((next & 0xc0) != 0x80) return 0
    point = (point << 6) | (next & 0x3f)
  }
  return point < least || point > 0x10ffff || (point & 0xfffff800) == 0xd800 ? 0 : more + 1
}

/** Whether all of it is UTF-8. */
export function validUtf8(source: usize, size: i32): boolean {
  for (let i = 0; i < size; ) {
    const length = codePoint(source + i, size - i)
    if (length == 0) return false
    i += length
  }
  return true
}

/** Continues {@link decode} at the first byte that is not ASCII; `text` has room for every outcome. */
function decodeWide(source: usize, size: i32, text: usize, start: i32): string {
  let i = start
  let units = start
  while (i < size) {
    const length = codePoint(source + i, size - i)
    if (length == 0) return decodeLatin1(source, size, text)
    i += length
    const to = text + ((<usize>units) << 1)
    if (point < 0x10000) {
      store<u16>(to, <u16>point)
      units += 1
    } else {
      store<u16>(to, <u16>(0xd7c0 + (point >> 10)))
      store<u16>(to, <u16>(0xdc00 | (point & 0x3ff)), 2)
      units += 2
    }
  }
  return changetype<string>(__renew(text, (<usize>units) << 1))
}

function decodeLatin1(source: usize, size: i32, text: usize): string {
  for (let i = 0; i < size; i++) store<u16>(text + ((<usize>i) << 1), load<u8>(source + i))
  return changetype<string>(text)
}

/** A whole number in decimal. The standard library's `toString` knows every radix and weighs a kilobyte. */
export function decimal(value: i64): string {
  const start = keyArea
  let at = start + 24
  let rest: u64 = value < 0 ? 0 - <u64>value : <u64>value
  do {
    store<u8>(--at, 0x30 + <u8>(rest % 10))
    rest /= 10
  } while (rest != 0)
  if (value < 0) store<u8>(--at, 0x2d)
  return decode(at, <i32>(start + 24 - at))
}

/** What the standard library does with tables of all of Unicode, for ASCII. */
export namespace ascii {
  export function lower(text: string): string {
    return swap(text, 0x41)
  }

  export function upper(text: string): string {
    return swap(text, 0x61)
  }

  /** A whole decimal number of at most 18 digits. */
  export function int(text: string, fallback: i64): i64 {
    const length = text.length
    let i = 0
    const negative = length > 0 && text.charCodeAt(0) == 0x2d
    if (negative) i++
    if (i == length || length - i > 18) return fallback
    let value: i64 = 0
    for (; i < length; i++) {
      const digit = <u32>text.charCodeAt(i) - 0x30
      if (digit > 9) return fallback
      value = value * 10 + <i64>digit
    }
    return negative ? -value : value
  }
}

/** The 26 letters from `first` on in their other case. */
function swap(text: string, first: u32): string {
  const length = text.length
  const source = changetype<usize>(text)
  for (let i = 0; i < length; i++) {
    if (<u32>load<u16>(source + ((<usize>i) << 1)) - first >= 26) continue
    const copy = __new((<usize>length) << 1, idof<string>())
    for (let k = 0; k < length; k++) {
      const unit = <u32>load<u16>(source + ((<usize>k) << 1))
      store<u16>(copy + ((<usize>k) << 1), unit - first < 26 ? unit ^ 0x20 : unit)
    }
    return changetype<string>(copy)
  }
  return text
}
