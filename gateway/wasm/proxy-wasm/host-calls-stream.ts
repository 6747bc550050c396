// Host calls that act on a stream as a whole: local replies, resuming, closing, and choosing the context calls act on.
// Nothing happens before the guest has returned.

import { Status, StreamType } from "./enums.ts"
import { replyHeaders } from "./header-map.ts"
import type { HostStream, HostVm, Rights } from "./host.ts"
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

/** A field it may not write is left out: what a filter refuses stays refused. How a body reads is its own affair. */
function grantedReply(rights: Rights, given: readonly string[]): readonly string[] {
  if (rights.writeHeaders === null) return given
  const flat: string[] = []
  for (let i = 0; i < given.length; i += 2) {
    const name = given[i].toLowerCase()
    if (name === "content-type" || name === "content-length" || rights.writes(name)) flat.push(given[i], given[i + 1])
  }
  return flat
}

function current(vm: HostVm): HostStream | null {
  if (vm.root === null) restricted(vm)
  return vm.stream
}

/** An exchange has no DOWNSTREAM and UPSTREAM, a connection nothing else: what is meant for the other kind does nothing. */
function resumeType(vm: HostVm, type: number, action: number): number {
  const stream = current(vm)
  return stream !== null && stream.tcp === type >= StreamType.DOWNSTREAM ? resume(vm, action) : OK
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
      // There is nobody to reply to: the filter should learn that it denied nothing.
      if (stream.tcp) return BAD_ARGUMENT
      chargePairs(vm, headersLength >>> 0)
      const given = decodePairs(memory.bytes, headers >>> 0, headersLength >>> 0) ?? []
      const flat = replyHeaders(vm.grants === null ? given : grantedReply(vm.grants, given), bodyLength >>> 0)
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
      // As Envoy answers in an exchange.
      if (type === StreamType.UPSTREAM && vm.stream?.tcp !== true) return UNIMPLEMENTED
      return resumeType(vm, type, (type & 1) === 0 ? CONTINUE_REQUEST : CONTINUE_RESPONSE)
    },

    proxy_close_stream(type) {
      if (vm.root === null) restricted(vm)
      if (type >>> 0 > StreamType.UPSTREAM) return BAD_ARGUMENT
      return resumeType(vm, type, CLOSE)
    },

    proxy_continue_request: () => resumeType(vm, StreamType.HTTP_REQUEST, CONTINUE_REQUEST),
    proxy_continue_response: () => resumeType(vm, StreamType.HTTP_RESPONSE, CONTINUE_RESPONSE),

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
