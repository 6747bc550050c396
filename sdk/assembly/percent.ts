// Percent-encoding of URL parts.

import { decode, encodeTo } from "./text"

const HEX = "0123456789ABCDEF"

/** Everything but RFC 3986's unreserved characters becomes `%XX`, octet by octet of its UTF-8. */
export function encodeComponent(text: string): string {
  const source = heap.alloc(<usize>text.length * 3)
  const size = encodeTo(source, text)
  const target = heap.alloc(<usize>size * 3)
  let at = target
  for (let i = 0; i < size; i++) {
    const byte = <i32>load<u8>(source + i)
    if (unreserved(byte)) {
      store<u8>(at++, byte)
    } else {
      store<u8>(at, 0x25)
      store<u8>(at, HEX.charCodeAt(byte >> 4), 1)
      store<u8>(at, HEX.charCodeAt(byte & 15), 2)
      at += 3
    }
  }
  const result = decode(target, <i32>(at - target))
  heap.free(target)
  heap.free(source)
  return result
}

function unreserved(byte: i32): boolean {
  const letter = (byte | 0x20) - 0x61
  if (<u32>letter < 26 || <u32>(byte - 0x30) < 10) return true
  return byte == 0x2d || byte == 0x2e || byte == 0x5f || byte == 0x7e
}

/** Turns `%XX` into octets, and `+` into a space where `plus` says so. A `%` that no two hex digits follow stays as it is. */
export function decodeComponent(text: string, start: i32, end: i32, plus: boolean): string {
  let plain = true
  for (let i = start; i < end; i++) {
    const code = text.charCodeAt(i)
    if (code == 0x25 || (plus && code == 0x2b)) {
      plain = false
      break
    }
  }
  if (plain) return start < end ? text.substring(start, end) : ""
  const part = text.substring(start, end)
  const area = heap.alloc(<usize>part.length * 3)
  const size = encodeTo(area, part)
  let length = 0
  for (let i = 0; i < size; i++) {
    let byte = <i32>load<u8>(area + i)
    if (byte == 0x2b && plus) {
      byte = 0x20
    } else if (byte == 0x25 && i + 2 < size) {
      const high = hexDigit(load<u8>(area + i + 1))
      const low = hexDigit(load<u8>(area + i + 2))
      if (high >= 0 && low >= 0) {
        byte = (high << 4) | low
        i += 2
      }
    }
    store<u8>(area + length, byte)
    length++
  }
  const result = decode(area, length)
  heap.free(area)
  return result
}

export function hexDigit(code: i32): i32 {
  if (code >= 0x30 && code <= 0x39) return code - 0x30
  const lower = code | 0x20
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1
}
