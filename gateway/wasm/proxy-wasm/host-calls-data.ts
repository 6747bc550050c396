// Host calls that read or keep data: configuration buffers, properties and shared data.

import { BufferType, Status } from "./enums.ts"
import { CONFIGURE, type HostVm, restricted } from "./host.ts"
import { MAX_PATH, property, splitPath, storeProperty } from "./properties.ts"
import { returnBytes, returnText } from "./results.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY_ACCESS, CAS_MISMATCH, INTERNAL_FAILURE } = Status

/** Longest key of shared data, octets. */
const MAX_KEY = 4096

/** The configuration behind a buffer type now, or null. 0.1.0 modules don't know these types. */
function configuration(vm: HostVm, type: number): Uint8Array | null {
  if (vm.abi === "0.1.0" || vm.root === null) return null
  if (type === BufferType.VM_CONFIGURATION) return vm.vmConfig
  return type === BufferType.PLUGIN_CONFIGURATION && vm.phase === CONFIGURE ? vm.root.config : null
}

export function dataHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory } = vm
  return {
    proxy_get_buffer_bytes(type, start, max, data, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (type >>> 0 > BufferType.FOREIGN_FUNCTION_ARGUMENTS) return BAD_ARGUMENT
      const bytes = configuration(vm, type)
      if (bytes === null) return NOT_FOUND
      const from = start >>> 0
      if (from + (max >>> 0) > 0xffffffff) return BAD_ARGUMENT
      return returnBytes(vm, bytes.subarray(Math.min(from, bytes.length), Math.min(from + (max >>> 0), bytes.length)), data, length)
    },

    proxy_get_buffer_status(type, length, flags) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (type >>> 0 > BufferType.FOREIGN_FUNCTION_ARGUMENTS) return BAD_ARGUMENT
      const bytes = configuration(vm, type)
      if (bytes === null) return NOT_FOUND
      if (!memory.inside(length, 4) || !memory.inside(flags, 4)) return INVALID_MEMORY_ACCESS
      memory.writeWord(length, bytes.length)
      memory.writeWord(flags, 0)
      return OK
    },

    proxy_set_buffer_bytes() {
      if (vm.root === null) restricted(vm)
      return BAD_ARGUMENT
    },

    proxy_get_configuration(data, length) {
      memory.refresh()
      const root = vm.root ?? restricted(vm)
      return returnBytes(vm, vm.phase === CONFIGURE ? root.config : vm.vmConfig, data, length)
    },

    proxy_get_property(path, pathLength, data, length) {
      memory.refresh()
      const root = vm.root ?? restricted(vm)
      if (!memory.inside(path, pathLength)) return INVALID_MEMORY_ACCESS
      if (pathLength >>> 0 > MAX_PATH) return NOT_FOUND
      const value = property(vm, root, vm.stream, splitPath(memory.latin1(path, pathLength)))
      if (value === undefined) return NOT_FOUND
      return typeof value === "string" ? returnText(vm, value, data, length) : returnBytes(vm, value, data, length)
    },

    proxy_set_property(path, pathLength, value, valueLength) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (!memory.inside(path, pathLength) || !memory.inside(value, valueLength)) return INVALID_MEMORY_ACCESS
      const stream = vm.stream
      if (stream === null) return NOT_FOUND
      if (pathLength >>> 0 > MAX_PATH) return BAD_ARGUMENT
      const key = splitPath(memory.latin1(path, pathLength))
      if (key === "") return BAD_ARGUMENT
      return storeProperty(stream, key, memory, value, valueLength) ? OK : INTERNAL_FAILURE
    },

    proxy_get_shared_data(key, keyLength, data, length, cas) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (!memory.inside(key, keyLength) || !memory.inside(cas, 4)) return INVALID_MEMORY_ACCESS
      if (keyLength >>> 0 > MAX_KEY) return NOT_FOUND
      const entry = vm.shared.get(vm.namespace, memory.latin1(key, keyLength))
      if (entry === undefined) return NOT_FOUND
      const status = returnBytes(vm, entry.value, data, length)
      if (status === OK) memory.writeWord(cas, entry.cas)
      return status
    },

    proxy_set_shared_data(key, keyLength, value, valueLength, cas) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (!memory.inside(key, keyLength) || !memory.inside(value, valueLength)) return INVALID_MEMORY_ACCESS
      if (keyLength >>> 0 > MAX_KEY) return BAD_ARGUMENT
      const outcome = vm.shared.set(vm.namespace, memory.latin1(key, keyLength), memory.copy(value, valueLength), cas >>> 0)
      return outcome === "ok" ? OK : outcome === "cas-mismatch" ? CAS_MISMATCH : INTERNAL_FAILURE
    },
  }
}
