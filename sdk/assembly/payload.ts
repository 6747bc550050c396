// "Text or bytes": what bodies, digests and encodings accept.

import { encodeTo, encodeValue, releaseValue, valueSize } from "./text"

/** Size of the last {@link payload}. */
export let payloadSize: i32 = 0

/** Address of a string's UTF-8 or of a Uint8Array's octets; valid until the next one. Give it back with {@link releasePayload}. */
export function payload<T>(content: T): usize {
  if (changetype<usize>(content) == 0) {
    payloadSize = 0
    return 0
  }
  if (isString<T>()) {
    const block = encodeValue(changetype<string>(content))
    payloadSize = valueSize
    return block
  } else if (content instanceof Uint8Array) {
    payloadSize = content.byteLength
    return content.dataStart
  } else {
    ERROR("a string or a Uint8Array is expected")
    return 0
  }
}

export function releasePayload<T>(block: usize): void {
  if (isString<T>() && block != 0) releaseValue(block)
}

/** Text as its UTF-8; bytes as they are. */
export function toBytes<T>(content: T): Uint8Array {
  if (changetype<usize>(content) == 0) return new Uint8Array(0)
  if (isString<T>()) {
    return utf8Bytes(changetype<string>(content))
  } else if (content instanceof Uint8Array) {
    return content
  } else {
    ERROR("a string or a Uint8Array is expected")
    return new Uint8Array(0)
  }
}

export function utf8Bytes(text: string): Uint8Array {
  const room = heap.alloc(<usize>text.length * 3)
  const size = encodeTo(room, text)
  const bytes = new Uint8Array(size)
  memory.copy(bytes.dataStart, room, <usize>size)
  heap.free(room)
  return bytes
}
