// Host calls that read or keep data: configuration, properties and shared data.

import type { DeclaredProperties } from "./declared-properties.ts"
import { Status } from "./enums.ts"
import { CONFIGURE, type HostVm, restricted } from "./host.ts"
import { MAX_PATH, PropertyValue } from "./properties.ts"
import { returnProperty } from "./property-encoding.ts"
import { PropertyPaths } from "./property-paths.ts"
import { chargeShared, returnBytes } from "./results.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY_ACCESS, CAS_MISMATCH, INTERNAL_FAILURE } = Status

/** Longest key of shared data, octets. */
const MAX_KEY = 4096
/** µs of a look into shared data. */
const SHARED_WORK = 1
/** Largest property a filter may store, octets. What an exchange keeps of all is bounded with it. */
const MAX_PROPERTY = 1 << 18

export function dataHostCalls(vm: HostVm, declared: DeclaredProperties): Record<string, (...args: number[]) => number> {
  const { memory } = vm
  const { shared } = vm.environment
  const paths = new PropertyPaths()
  const property = new PropertyValue()
  return {
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
      property.read(vm, root, vm.stream, paths.lookup(memory.bytes, path >>> 0, pathLength >>> 0))
      return returnProperty(vm, property, data, length)
    },

    proxy_set_property(path, pathLength, value, valueLength) {
      memory.refresh()
      const root = vm.root ?? restricted(vm)
      if (!memory.inside(path, pathLength) || !memory.inside(value, valueLength)) return INVALID_MEMORY_ACCESS
      const context = vm.stream
      if (context === null) return NOT_FOUND
      if (pathLength >>> 0 > MAX_PATH) return BAD_ARGUMENT
      const { key } = paths.lookup(memory.bytes, path >>> 0, pathLength >>> 0)
      if (key === "" || declared.forbids(root, key, context.stream)) return BAD_ARGUMENT
      if (valueLength >>> 0 > MAX_PROPERTY) return INTERNAL_FAILURE
      chargeShared(vm, 0, valueLength >>> 0)
      return context.stream.setProperty(key, memory.copy(value, valueLength)) ? OK : INTERNAL_FAILURE
    },

    proxy_get_shared_data(key, keyLength, data, length, cas) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (!memory.inside(key, keyLength) || !memory.inside(cas, 4)) return INVALID_MEMORY_ACCESS
      if (keyLength >>> 0 > MAX_KEY) return NOT_FOUND
      const name = memory.latin1(key, keyLength)
      if (vm.grants !== null && !vm.grants.shares(name)) return NOT_FOUND
      const entry = shared.get(vm.namespace, name)
      chargeShared(vm, SHARED_WORK, name.length + (entry?.value.length ?? 0))
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
      const name = memory.latin1(key, keyLength)
      if (vm.grants !== null && !vm.grants.shares(name)) return BAD_ARGUMENT
      chargeShared(vm, SHARED_WORK, name.length + (valueLength >>> 0))
      const outcome = shared.set(vm.namespace, name, memory.copy(value, valueLength), cas >>> 0)
      return outcome === "ok" ? OK : outcome === "cas-mismatch" ? CAS_MISMATCH : INTERNAL_FAILURE
    },
  }
}
