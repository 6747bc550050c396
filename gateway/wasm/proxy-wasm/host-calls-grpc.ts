// Host calls for gRPC: calls with one message each way, streams, and what ends them. What can't be sent answers as if the
// service could not be reached, which the SDKs hand on to filters; most other answers make them trap.

import { Status } from "./enums.ts"
import { callMetadata, clusterOf, methodPath } from "./grpc-request.ts"
import { type HostVm, restricted } from "./host.ts"
import { decodePairs } from "./pairs.ts"
import { withTrace } from "./trace-fields.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, PARSE_FAILURE, INVALID_MEMORY_ACCESS, INTERNAL_FAILURE } = Status

/** Longest name of a service, or GrpcService, octets. */
const MAX_SERVICE = 4096
/** Longest name of a gRPC service or method. */
const MAX_NAME = 512
/** Octets of a message. */
const MAX_MESSAGE = 1024 * 1024
/** Octets whose copying takes about as long as making a call, and sending a message, does. */
const CALL_WORK = 1024 * 1024
const SEND_WORK = 65_536
/** ms, for a call that names no other. */
const DEFAULT_TIMEOUT = 15_000
/** ms: the longest a timer can wait. */
const MAX_TIMEOUT = 0x7fffffff

/** Lowest bits of a stream's id. */
const STREAM_ID = 2

export function grpcHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory } = vm

  /** The service of the configuration that a guest means; "" when there is none, or it may not. */
  function serviceOf(pointer: number, length: number): string {
    if (length >>> 0 > MAX_SERVICE) return ""
    const { services } = vm.environment
    // Guests made for Envoy give it a message, which is no name that a service could have.
    const name = memory.utf8(pointer, length)
    const service = /^[\x20-\x7e]+$/.test(name) ? name : clusterOf(memory.bytes.subarray(pointer >>> 0, (pointer >>> 0) + (length >>> 0)))
    if (service === "" || (vm.grants !== null && !vm.grants.calls(service))) return ""
    return services.has(service) ? service : ""
  }

  function pathOf(service: number, serviceLength: number, method: number, methodLength: number): string {
    if (serviceLength >>> 0 > MAX_NAME || methodLength >>> 0 > MAX_NAME) return ""
    return methodPath(memory.utf8(service, serviceLength), memory.utf8(method, methodLength))
  }

  /** What a guest adds to a call; null when it is malformed, or can't be sent. */
  function metadataOf(pointer: number, length: number): readonly string[] | null {
    const pairs = decodePairs(memory.bytes, pointer >>> 0, length >>> 0)
    return pairs === null ? null : callMetadata(pairs)
  }

  return {
    proxy_grpc_call(
      upstream,
      upstreamLength,
      service,
      serviceLength,
      method,
      methodLength,
      metadata,
      metadataLength,
      message,
      messageLength,
      timeout,
      id,
    ) {
      memory.refresh()
      const root = vm.root ?? restricted(vm)
      if (
        !memory.inside(upstream, upstreamLength) ||
        !memory.inside(service, serviceLength) ||
        !memory.inside(method, methodLength) ||
        !memory.inside(metadata, metadataLength) ||
        !memory.inside(message, messageLength) ||
        !memory.inside(id, 4)
      ) {
        return INVALID_MEMORY_ACCESS
      }
      const name = serviceOf(upstream, upstreamLength)
      if (name === "") return PARSE_FAILURE
      const path = pathOf(service, serviceLength, method, methodLength)
      const pairs = metadataOf(metadata, metadataLength)
      if (path === "" || pairs === null || messageLength >>> 0 > MAX_MESSAGE) return INTERNAL_FAILURE
      vm.charge(CALL_WORK + (metadataLength >>> 0) + (messageLength >>> 0))
      const limit = timeout === 0 ? DEFAULT_TIMEOUT : Math.min(timeout >>> 0, MAX_TIMEOUT)
      const call = root.grpcCall(
        { service: name, path, metadata: withTrace(pairs, vm.stream), timeout: limit },
        memory.copy(message, messageLength),
      )
      if (call === 0) return INTERNAL_FAILURE
      memory.writeWord(id, call)
      return OK
    },

    proxy_grpc_stream(upstream, upstreamLength, service, serviceLength, method, methodLength, metadata, metadataLength, id) {
      memory.refresh()
      const root = vm.root ?? restricted(vm)
      if (
        !memory.inside(upstream, upstreamLength) ||
        !memory.inside(service, serviceLength) ||
        !memory.inside(method, methodLength) ||
        !memory.inside(metadata, metadataLength) ||
        !memory.inside(id, 4)
      ) {
        return INVALID_MEMORY_ACCESS
      }
      const name = serviceOf(upstream, upstreamLength)
      if (name === "") return PARSE_FAILURE
      const path = pathOf(service, serviceLength, method, methodLength)
      const pairs = metadataOf(metadata, metadataLength)
      if (path === "" || pairs === null) return INTERNAL_FAILURE
      vm.charge(CALL_WORK + (metadataLength >>> 0))
      const stream = root.grpcStream({ service: name, path, metadata: withTrace(pairs, vm.stream), timeout: 0 })
      if (stream === 0) return INTERNAL_FAILURE
      memory.writeWord(id, stream)
      return OK
    },

    proxy_grpc_send(id, message, length, end) {
      memory.refresh()
      const root = vm.root ?? restricted(vm)
      if (!memory.inside(message, length)) return INVALID_MEMORY_ACCESS
      if ((id & 3) !== STREAM_ID || length >>> 0 > MAX_MESSAGE) return BAD_ARGUMENT
      const call = root.findGrpc(id >>> 0)
      if (call === undefined) return NOT_FOUND
      vm.charge(SEND_WORK + (length >>> 0))
      call.send(memory.copy(message, length), end !== 0)
      return OK
    },

    proxy_grpc_cancel(id) {
      const root = vm.root ?? restricted(vm)
      const call = root.findGrpc(id >>> 0)
      call?.cancel()
      return call === undefined ? NOT_FOUND : OK
    },

    proxy_grpc_close(id) {
      const root = vm.root ?? restricted(vm)
      const call = root.findGrpc(id >>> 0)
      call?.close()
      return call === undefined ? NOT_FOUND : OK
    },
  }
}
