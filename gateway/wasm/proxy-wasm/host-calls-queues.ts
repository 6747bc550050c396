// Host calls of shared queues. A queue belongs to a VM's namespace; its id is good in every VM that gets to know it.

import { Status } from "./enums.ts"
import { type HostVm, restricted } from "./host.ts"
import { chargeShared, returnBytes } from "./results.ts"

const { OK, NOT_FOUND, EMPTY, INVALID_MEMORY_ACCESS, INTERNAL_FAILURE } = Status

/** Longest name, and longest vm_id, that is looked at; no queue has longer ones. Octets. */
const MAX_NAME = 1024
/** µs it takes to find or make a queue, and to put an item in or take one out. */
const NAMED_WORK = 4
const ITEM_WORK = 1

export function queueHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory } = vm
  return {
    proxy_register_shared_queue(name, nameLength, id) {
      memory.refresh()
      const root = vm.root ?? restricted(vm)
      if (!memory.inside(name, nameLength) || !memory.inside(id, 4)) return INVALID_MEMORY_ACCESS
      if (nameLength >>> 0 > MAX_NAME) return INTERNAL_FAILURE
      const text = memory.latin1(name, nameLength)
      if (vm.grants !== null && !vm.grants.shares(text)) return INTERNAL_FAILURE
      chargeShared(vm, NAMED_WORK, text.length)
      const queue = root.registerQueue(vm.namespace, text)
      if (queue === 0) return INTERNAL_FAILURE
      vm.grants?.grantQueue(queue)
      memory.writeWord(id, queue)
      return OK
    },

    proxy_resolve_shared_queue(vmId, vmIdLength, name, nameLength, id) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (!memory.inside(vmId, vmIdLength) || !memory.inside(name, nameLength) || !memory.inside(id, 4)) return INVALID_MEMORY_ACCESS
      if (vmIdLength >>> 0 > MAX_NAME || nameLength >>> 0 > MAX_NAME) return NOT_FOUND
      const namespace = vmIdLength === 0 ? vm.namespace : memory.latin1(vmId, vmIdLength)
      const text = memory.latin1(name, nameLength)
      if (vm.grants !== null && !vm.grants.shares(text)) return NOT_FOUND
      chargeShared(vm, NAMED_WORK, namespace.length + text.length)
      const queue = vm.environment.queues.resolve(namespace, text)
      if (queue === 0) return NOT_FOUND
      vm.grants?.grantQueue(queue)
      memory.writeWord(id, queue)
      return OK
    },

    proxy_enqueue_shared_queue(id, value, valueLength) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (!memory.inside(value, valueLength)) return INVALID_MEMORY_ACCESS
      if (vm.grants !== null && !vm.grants.usesQueue(id)) return NOT_FOUND
      const length = valueLength >>> 0
      chargeShared(vm, ITEM_WORK, length)
      const start = value >>> 0
      // A full queue answers what an unknown one does: that is the one error Rust's SDK hands to its caller and does not
      // panic over, and no filter should die of a slow reader.
      return vm.environment.queues.enqueue(id, memory.bytes.subarray(start, start + length)) === "ok" ? OK : NOT_FOUND
    },

    proxy_dequeue_shared_queue(id, data, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      // Before the item leaves the queue.
      if (!memory.inside(data, 4) || !memory.inside(length, 4)) return INVALID_MEMORY_ACCESS
      if (vm.grants !== null && !vm.grants.usesQueue(id)) return NOT_FOUND
      const value = vm.environment.queues.dequeue(id)
      chargeShared(vm, ITEM_WORK, typeof value === "string" ? 0 : value.length)
      if (value === "unknown") return NOT_FOUND
      return value === "empty" ? EMPTY : returnBytes(vm, value, data, length)
    },
  }
}
