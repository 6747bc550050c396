// Functions of the host beyond the ABI. A host that lacks one answers NOT_FOUND.

import { Status } from "./abi"
import { proxy_call_foreign_function } from "./env"
import { clearResult, OUT_DATA, OUT_SIZE } from "./memory"
import { encodeKey, keySize, releaseKey } from "./text"

/** Status of the last {@link callForeign}. */
export let foreignStatus: i32 = 0

/** Calls `name` with the octets at `argument`; the result is then where `takeUint8Array` and its like find it. */
export function callForeign(name: string, argument: usize, size: i32): boolean {
  clearResult()
  const key = encodeKey(name)
  foreignStatus = proxy_call_foreign_function(key, keySize, argument, size, OUT_DATA, OUT_SIZE)
  releaseKey(key)
  return foreignStatus == Status.OK
}
