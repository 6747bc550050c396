// `sluice_random`: octets nobody can guess.

import { randomBytes } from "node:crypto"
import { Status } from "../proxy-wasm/enums.ts"
import { chargeTime, type ForeignFunction } from "./function.ts"

const MAX_OCTETS = 65_536

/** A u32, how many → that many octets. BAD_ARGUMENT over 65,536. */
export const random: ForeignFunction = ({ vm }, argument) => {
  const count = argument.length === 4 ? argument.readUInt32LE(0) : MAX_OCTETS + 1
  if (count > MAX_OCTETS) return Status.BAD_ARGUMENT
  chargeTime(vm, 2 + count / 500)
  return randomBytes(count)
}
