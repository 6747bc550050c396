// `proxy_call_foreign_function`: functions by name that the ABI does not know. Envoy's under its names, and Sluice's own.

import { compress, uncompress } from "../foreign/compression.ts"
import { clearRouteCache, declareProperty, setEnvoyFilterState, setService } from "../foreign/exchange.ts"
import { Expressions } from "../foreign/expressions.ts"
import { type ForeignFunction, MAX_ARGUMENT } from "../foreign/function.ts"
import { random } from "../foreign/random.ts"
import { Signatures } from "../foreign/signatures.ts"
import type { DeclaredProperties } from "./declared-properties.ts"
import { Status } from "./enums.ts"
import { type HostVm, restricted } from "./host.ts"
import { CHARGED } from "./results.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY_ACCESS } = Status

/** Longest name, octets. */
const MAX_NAME = 64

export function foreignHostCalls(vm: HostVm, declared: DeclaredProperties): Record<string, (...args: number[]) => number> {
  const { memory } = vm
  const signatures = new Signatures()
  const expressions = new Expressions()
  const functions: ReadonlyMap<string, ForeignFunction> = new Map([
    ["compress", compress],
    ["uncompress", uncompress],
    ["verify_signature", signatures.envoyVerify],
    ["sign", signatures.envoySign],
    ["clear_route_cache", clearRouteCache],
    ["set_envoy_filter_state", setEnvoyFilterState],
    ["declare_property", declareProperty],
    ["expr_create", expressions.create],
    ["expr_evaluate", expressions.evaluate],
    ["expr_delete", expressions.delete],
    ["sluice_set_service", setService],
    ["sluice_hash", signatures.hash],
    ["sluice_hmac", signatures.hmac],
    ["sluice_verify", signatures.verify],
    ["sluice_random", random],
  ])

  /** Returns octets through the out-addresses; either may be 0: the guest doesn't want that. */
  function returned(bytes: Uint8Array, data: number, length: number): number {
    if (bytes.length > CHARGED) vm.charge(bytes.length)
    if (data !== 0) {
      const pointer = bytes.length === 0 ? 0 : vm.allocate(bytes.length)
      if (bytes.length !== 0 && pointer === 0) return INVALID_MEMORY_ACCESS
      memory.writeBytes(pointer, bytes)
      memory.writeWord(data, pointer)
    }
    if (length !== 0) memory.writeWord(length, bytes.length)
    return OK
  }

  return {
    proxy_call_foreign_function(name, nameLength, argument, argumentLength, data, length) {
      memory.refresh()
      const root = vm.root ?? restricted(vm)
      if (!memory.inside(name, nameLength) || !memory.inside(argument, argumentLength)) return INVALID_MEMORY_ACCESS
      if (!memory.inside(data, 4) || !memory.inside(length, 4)) return INVALID_MEMORY_ACCESS
      if (nameLength >>> 0 > MAX_NAME) return NOT_FOUND
      const run = functions.get(memory.latin1(name, nameLength))
      if (run === undefined) return NOT_FOUND
      if (argumentLength >>> 0 > MAX_ARGUMENT) return BAD_ARGUMENT
      if (argumentLength >>> 0 > CHARGED) vm.charge(argumentLength >>> 0)
      const start = argument >>> 0
      const result = run({ vm, root, declared }, memory.bytes.subarray(start, start + (argumentLength >>> 0)))
      return typeof result === "number" ? result : returned(result, data, length)
    },
  }
}
