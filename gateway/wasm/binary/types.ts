// Reads the type section: how many parameters each function type has, and that every type is of a kind the gateway knows.

import { skipValueType } from "./instructions.ts"
import type { Reader } from "./reader.ts"

/** Returns the number of parameters of each type; 0 for those that aren't functions. @throws MalformedModule */
export function readTypes(reader: Reader): number[] {
  const parameters: number[] = []
  for (let groups = reader.count(); groups > 0; groups--) {
    if (reader.bytes[reader.pos] === 0x4e) {
      reader.pos++
      for (let left = reader.count(); left > 0; left--) parameters.push(readSubType(reader))
    } else {
      parameters.push(readSubType(reader))
    }
  }
  return parameters
}

function readSubType(reader: Reader): number {
  let form = reader.u8()
  if (form === 0x50 || form === 0x4f) {
    for (let left = reader.count(); left > 0; left--) reader.u32()
    form = reader.u8()
  }
  switch (form) {
    case 0x60: {
      const parameters = reader.count()
      for (let left = parameters; left > 0; left--) skipValueType(reader)
      for (let left = reader.count(); left > 0; left--) skipValueType(reader)
      return parameters
    }
    case 0x5f:
      for (let left = reader.count(2); left > 0; left--) skipField(reader)
      return 0
    case 0x5e:
      skipField(reader)
      return 0
    case 0x5d:
      return reader.fail("unsupported feature: stack switching", reader.pos - 1)
    case 0x4c:
    case 0x4d:
      return reader.fail("unsupported feature: custom descriptors", reader.pos - 1)
    default:
      return reader.fail(`unsupported type form 0x${form.toString(16)}`, reader.pos - 1)
  }
}

function skipField(reader: Reader): void {
  skipValueType(reader, true)
  if (reader.u8() > 1) reader.fail("malformed mutability", reader.pos - 1)
}
