// Limits of memories and tables, and the features their flags announce.

import type { Reader } from "./reader.ts"
import type { Writer } from "./writer.ts"

export interface Limits {
  readonly min: number
  /** Infinity when none is given. */
  readonly max: number
}

/** @throws MalformedModule also for shared memory, 64-bit addresses and custom page sizes, by name. */
export function readLimits(reader: Reader): Limits {
  const at = reader.pos
  const flags = reader.u8()
  if (flags & 0x02) reader.fail("unsupported feature: threads (shared memory)", at)
  if (flags & 0x04) reader.fail("unsupported feature: memory64", at)
  if (flags & 0x08) reader.fail("unsupported feature: custom page sizes", at)
  if (flags > 1) reader.fail("malformed limits", at)
  const min = reader.u32()
  const max = flags & 1 ? reader.u32() : Infinity
  if (max < min) reader.fail("maximum below minimum", at)
  return { min, max }
}

export function writeLimits(writer: Writer, limits: Limits): void {
  if (limits.max === Infinity) {
    writer.u8(0)
    writer.u32(limits.min)
  } else {
    writer.u8(1)
    writer.u32(limits.min)
    writer.u32(limits.max)
  }
}
