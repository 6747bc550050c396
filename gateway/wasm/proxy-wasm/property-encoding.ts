// A property's value in guest memory, in Envoy's binary form: whole numbers, times and durations 8 octets little-endian, truth
// values one octet, maps as pairs, text as it is.

import { Buffer } from "node:buffer"
import { Status } from "./enums.ts"
import type { HostVm } from "./host.ts"
import { encodedLength, encodePairs } from "./pairs.ts"
import { BOOL, BYTES, DURATION, INT, MAP, type PropertyValue, TEXT, TIME, UINT, WIRE_TEXT } from "./properties.ts"
import { returnBytes, returnText } from "./results.ts"

const { OK, NOT_FOUND, INVALID_MEMORY_ACCESS } = Status

/** Returns `value` through the out-addresses `data` and `length`. */
export function returnProperty(vm: HostVm, value: PropertyValue, data: number, length: number): number {
  switch (value.kind) {
    case WIRE_TEXT:
      return returnText(vm, value.text, data, length)
    case TEXT:
      // Nearly always ASCII, which needs no encoder.
      if (Buffer.byteLength(value.text) === value.text.length) return returnText(vm, value.text, data, length)
      return returnBytes(vm, Buffer.from(value.text, "utf8"), data, length)
    case BYTES:
      return returnBytes(vm, value.bytes, data, length)
    case INT:
    case UINT:
    case TIME:
    case DURATION:
      return returnNumber(vm, value.kind, value.number, data, length)
    case BOOL:
      return returnText(vm, value.number === 0 ? "\0" : "\x01", data, length)
    case MAP:
      return returnPairs(vm, value.pairs, data, length)
    default:
      return NOT_FOUND
  }
}

function returnNumber(vm: HostVm, kind: number, number: number, data: number, length: number): number {
  const memory = vm.memory
  if (!memory.inside(data, 4) || !memory.inside(length, 4)) return INVALID_MEMORY_ACCESS
  const pointer = vm.allocate(8)
  if (pointer === 0) return INVALID_MEMORY_ACCESS
  if (kind === TIME || kind === DURATION) {
    memory.writeNanoseconds(pointer, number)
  } else {
    memory.writeWord(pointer, number)
    memory.writeWord(pointer + 4, Math.floor(number / 4294967296))
  }
  memory.writeWord(data, pointer)
  memory.writeWord(length, 8)
  return OK
}

function returnPairs(vm: HostVm, flat: readonly string[], data: number, length: number): number {
  const memory = vm.memory
  if (!memory.inside(data, 4) || !memory.inside(length, 4)) return INVALID_MEMORY_ACCESS
  const size = encodedLength(flat)
  const pointer = size === 0 ? 0 : vm.allocate(size)
  if (size !== 0 && pointer === 0) return INVALID_MEMORY_ACCESS
  encodePairs(flat, memory.bytes, pointer)
  memory.writeWord(data, pointer)
  memory.writeWord(length, size)
  return OK
}
