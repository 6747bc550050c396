// `compress` and `uncompress`: zlib's format (RFC 1950) both ways, as Envoy's functions of these names have it.

import { deflateSync, inflateSync } from "node:zlib"
import { Status } from "../proxy-wasm/enums.ts"
import { chargeTime, type ForeignFunction } from "./function.ts"

/** Octets a text may have once it is uncompressed. */
const MAX_OUTPUT = 4 * 1024 * 1024

// µs: a stream's set-up, and what a KiB of text takes.
const SET_UP = 150
const COMPRESS_KIB = 12
const UNCOMPRESS_KIB = 4

export const compress: ForeignFunction = ({ vm }, argument) => {
  chargeTime(vm, SET_UP + (argument.length / 1024) * COMPRESS_KIB)
  return deflateSync(argument)
}

/** SERIALIZATION_FAILURE: the octets are not zlib's, are cut off, or hold more than 4 MiB. */
export const uncompress: ForeignFunction = ({ vm }, argument) => {
  chargeTime(vm, SET_UP)
  let output: Uint8Array
  try {
    output = inflateSync(argument, { maxOutputLength: MAX_OUTPUT })
  } catch {
    // It may have been all but four mebibytes before the fault showed: a text is at most a thousandfold.
    chargeTime(vm, (Math.min(MAX_OUTPUT, argument.length * 1032) / 1024) * UNCOMPRESS_KIB)
    return Status.SERIALIZATION_FAILURE
  }
  chargeTime(vm, (output.length / 1024) * UNCOMPRESS_KIB)
  return output
}
