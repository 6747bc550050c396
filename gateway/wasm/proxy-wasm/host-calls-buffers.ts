// Host calls on buffers: the bodies of the exchange or the octets of the connection, what a callout answered, and what a callback was called with. A
// buffer belongs to the callback that shows it; at any other time it is not there.

import type { BodyBuffer } from "../../filter/body-buffer.ts"
import { BufferType, Status } from "./enums.ts"
import { CONFIGURE, type HostStream, type HostVm, restricted } from "./host.ts"
import { CHARGED, returnBytes } from "./results.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY_ACCESS } = Status

function bodyOf(stream: HostStream, type: number): BodyBuffer | null {
  switch (type) {
    case BufferType.HTTP_REQUEST_BODY:
      return stream.tcp ? null : stream.shownRequest.body
    case BufferType.HTTP_RESPONSE_BODY:
      return stream.tcp ? null : stream.shownResponse.body
    case BufferType.DOWNSTREAM_DATA:
      return stream.tcp ? stream.shownRequest.body : null
    case BufferType.UPSTREAM_DATA:
      return stream.tcp ? stream.shownResponse.body : null
    default:
      return null
  }
}

/** The octets behind a buffer type now, or null. 0.1.0 modules know no types above 5. */
function bufferOf(vm: HostVm, type: number): Uint8Array | null {
  switch (type) {
    case BufferType.HTTP_REQUEST_BODY:
    case BufferType.HTTP_RESPONSE_BODY:
    case BufferType.DOWNSTREAM_DATA:
    case BufferType.UPSTREAM_DATA:
      return vm.stream === null ? null : (bodyOf(vm.stream, type)?.bytes ?? null)
    case BufferType.HTTP_CALL_RESPONSE_BODY:
      return vm.callout?.response?.body ?? null
    case BufferType.GRPC_CALL_MESSAGE:
      return vm.grpc?.message ?? null
    case BufferType.VM_CONFIGURATION:
      return vm.abi === "0.1.0" ? null : vm.vmConfig
    case BufferType.PLUGIN_CONFIGURATION:
      return vm.abi === "0.1.0" || vm.root === null || vm.phase !== CONFIGURE ? null : vm.root.config
    case BufferType.FOREIGN_FUNCTION_ARGUMENTS:
      return vm.abi === "0.1.0" ? null : vm.foreignArguments
    default:
      return null
  }
}

export function bufferHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory } = vm
  return {
    proxy_get_buffer_bytes(type, start, max, data, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (type >>> 0 > BufferType.FOREIGN_FUNCTION_ARGUMENTS) return BAD_ARGUMENT
      const bytes = bufferOf(vm, type)
      if (bytes === null) return NOT_FOUND
      const from = start >>> 0
      const to = from + (max >>> 0)
      if (to > 0xffffffff) return BAD_ARGUMENT
      return returnBytes(vm, from === 0 && to >= bytes.length ? bytes : bytes.subarray(Math.min(from, bytes.length), to), data, length)
    },

    proxy_get_buffer_status(type, length, flags) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (type >>> 0 > BufferType.FOREIGN_FUNCTION_ARGUMENTS) return BAD_ARGUMENT
      const bytes = bufferOf(vm, type)
      if (bytes === null) return NOT_FOUND
      if (!memory.inside(length, 4) || !memory.inside(flags, 4)) return INVALID_MEMORY_ACCESS
      memory.writeWord(length, bytes.length)
      memory.writeWord(flags, 0)
      return OK
    },

    proxy_set_buffer_bytes(type, start, count, data, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (type >>> 0 > BufferType.UPSTREAM_DATA) return BAD_ARGUMENT
      const stream = vm.stream
      const body = stream === null ? null : bodyOf(stream, type)
      if (stream === null || body === null) return NOT_FOUND
      if (!memory.inside(data, length)) return INVALID_MEMORY_ACCESS
      const at = Math.min(start >>> 0, body.length)
      const gone = Math.min(count >>> 0, body.length - at)
      const grown = (length >>> 0) - gone
      if (grown > 0 && body.length + grown > stream.bodyRoom) return BAD_ARGUMENT
      // What moves to make room is copied as well.
      const copied = (length >>> 0) + (grown === 0 ? 0 : body.length - at - gone)
      if (copied > CHARGED) vm.charge(copied)
      body.splice(at, gone, memory.octets(data, length))
      return OK
    },
  }
}
