// Host calls that act on a stream as a whole: local replies, resuming, closing, and choosing the context calls act on.
// Nothing happens before the guest has returned.

import { Status, StreamType } from "./enums.ts"
import { replyHeaders } from "./header-map.ts"
import type { HostStream, HostVm } from "./host.ts"
import { CLOSE, CONTINUE_REQUEST, CONTINUE_RESPONSE, REPLY, restricted } from "./host.ts"
import { decodePairs } from "./pairs.ts"
import { chargePairs } from "./results.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY_ACCESS, UNIMPLEMENTED } = Status

/** Longest reason a filter can put into the access log, octets. */
const MAX_DETAILS = 256

/** What a stream that is over, or none at all, is asked for is done already: a callout may outlive the exchange it was for. */
function resume(vm: HostVm, action: number): number {
  const stream = current(vm)
  if (stream !== null && !stream.ended) vm.defer(stream, action)
  return OK
}

function current(vm: HostVm): HostStream | null {
  if (vm.root === null) restricted(vm)
  return vm.stream
}

export function streamHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory } = vm
  return {
    proxy_send_local_response(code, details, detailsLength, body, bodyLength, headers, headersLength, grpcStatus) {
      memory.refresh()
      const stream = current(vm)
      if (!memory.inside(details, detailsLength) || !memory.inside(body, bodyLength) || !memory.inside(headers, headersLength)) {
        return INVALID_MEMORY_ACCESS
      }
      if (code < 200 || code > 999) return BAD_ARGUMENT
      if (stream === null || stream.ended || stream.reply !== null) return OK
      chargePairs(vm, headersLength >>> 0)
      const flat = replyHeaders(decodePairs(memory.bytes, headers >>> 0, headersLength >>> 0) ?? [], bodyLength >>> 0)
      if (flat === null) return BAD_ARGUMENT
      const reason = memory.utf8(details, Math.min(detailsLength >>> 0, MAX_DETAILS))
      stream.reply = {
        status: code,
        body: memory.copy(body, bodyLength),
        headers: flat,
        details: reason.replace(/[\x00-\x20\x7f]+/g, "_"),
        grpcStatus: grpcStatus >= 0 && grpcStatus <= 16 ? grpcStatus : -1,
      }
      vm.defer(stream, REPLY)
      return OK
    },

    proxy_continue_stream(type) {
      if (vm.root === null) restricted(vm)
      if (type >>> 0 > StreamType.UPSTREAM) return BAD_ARGUMENT
      if (type === StreamType.HTTP_REQUEST) return resume(vm, CONTINUE_REQUEST)
      if (type === StreamType.HTTP_RESPONSE) return resume(vm, CONTINUE_RESPONSE)
      return type === StreamType.DOWNSTREAM ? OK : UNIMPLEMENTED
    },

    proxy_close_stream(type) {
      if (vm.root === null) restricted(vm)
      if (type >>> 0 > StreamType.UPSTREAM) return BAD_ARGUMENT
      return type === StreamType.HTTP_REQUEST || type === StreamType.HTTP_RESPONSE ? resume(vm, CLOSE) : OK
    },

    proxy_continue_request: () => resume(vm, CONTINUE_REQUEST),
    proxy_continue_response: () => resume(vm, CONTINUE_RESPONSE),

    proxy_clear_route_cache() {
      const stream = current(vm)
      if (stream !== null && !stream.ended) stream.stream.clearRoute()
      return OK
    },

    proxy_set_effective_context(id) {
      if (vm.root === null) restricted(vm)
      return vm.choose(id >>> 0) ? OK : BAD_ARGUMENT
    },

    proxy_done() {
      if (vm.root === null) restricted(vm)
      const root = vm.root
      if (root === null || !root.awaitingDone) return NOT_FOUND
      vm.done(root)
      return OK
    },
  }
}
