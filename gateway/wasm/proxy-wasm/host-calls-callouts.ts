// Host calls for what a root context does by itself: HTTP callouts to services, the status of callouts, and timers. What a guest sends is
// checked here, so that no callout can split its message or change its framing.

import { isFieldValue, isToken } from "../../http/fields.ts"
import { isTrailerField } from "../../http/trailers.ts"
import { Status } from "./enums.ts"
import { AUTHORITY, CONNECTION_FIELD, CONTENT_LENGTH, FIELD, HOST, headerName, METHOD, PATH, SCHEME } from "./header-names.ts"
import { type HostVm, restricted } from "./host.ts"
import { decodePairs } from "./pairs.ts"
import { returnText } from "./results.ts"
import { withTrace } from "./trace-fields.ts"

const { OK, BAD_ARGUMENT, INVALID_MEMORY_ACCESS, INTERNAL_FAILURE } = Status

/** Longest name of a service, octets. */
const MAX_SERVICE = 1024
/** Longest value of a field, and target, of a callout. */
const MAX_VALUE = 65_536
/** Octets whose copying takes about as long as making a callout does. */
const CALLOUT_WORK = 1024 * 1024
/** Octets of a callout's body. */
const MAX_BODY = 1024 * 1024

// No controls, no space, no fragment.
const TARGET = /^(?:\/[\x21\x22\x24-\x7e\x80-\xff]*|\*)$/
// Not only hosts: guests made for other proxies put the names of their clusters here, such as `outbound|80||api`.
const HOST_VALUE = /^[0-9A-Za-z._~|:[\]%-]{1,512}$/

interface CalloutHead {
  readonly method: string
  readonly path: string
  readonly authority: string
  readonly headers: readonly string[]
}

/** The head of a callout, out of the pairs a guest gave; null when something is missing, repeated or not allowed. */
export function calloutHead(flat: readonly string[]): CalloutHead | null {
  let method = ""
  let path = ""
  let authority = ""
  let host = ""
  const headers: string[] = []
  for (let i = 0; i < flat.length; i += 2) {
    const name = headerName(flat[i])
    const value = flat[i + 1]
    if (name === null || value.length > MAX_VALUE || !isFieldValue(value)) return null
    switch (name.kind) {
      case FIELD:
        headers.push(name.name, value)
        break
      case METHOD:
        // CONNECT would turn the connection into a tunnel.
        if (method !== "" || !isToken(value) || value.length > 64 || value === "CONNECT") return null
        method = value
        break
      case PATH:
        if (path !== "" || !TARGET.test(value)) return null
        path = value
        break
      case AUTHORITY:
        if (authority !== "" || !HOST_VALUE.test(value)) return null
        authority = value
        break
      case HOST:
        if (host !== "" || !HOST_VALUE.test(value)) return null
        host = value
        break
      case SCHEME:
      case CONTENT_LENGTH:
      case CONNECTION_FIELD:
        // The service's protocol and the codec decide these.
        break
      default:
        return null
    }
  }
  if (authority === "") authority = host
  return method === "" || path === "" || authority === "" ? null : { method, path, authority, headers }
}

/** The trailers of a callout; null when one is not allowed. */
function calloutTrailers(flat: readonly string[]): readonly string[] | null {
  const trailers: string[] = []
  for (let i = 0; i < flat.length; i += 2) {
    const name = headerName(flat[i])
    const value = flat[i + 1]
    if (name === null || value.length > MAX_VALUE || !isFieldValue(value)) return null
    if (name.kind === FIELD) {
      if (isTrailerField(name.name)) trailers.push(name.name, value)
    } else if (name.kind !== CONTENT_LENGTH && name.kind !== CONNECTION_FIELD && name.kind !== HOST) {
      return null
    }
  }
  return trailers
}

export function calloutHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory } = vm

  return {
    proxy_http_call(name, nameLength, headers, headersLength, body, bodyLength, trailers, trailersLength, timeout, id) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (
        !memory.inside(name, nameLength) ||
        !memory.inside(headers, headersLength) ||
        !memory.inside(body, bodyLength) ||
        !memory.inside(trailers, trailersLength) ||
        !memory.inside(id, 4)
      ) {
        return INVALID_MEMORY_ACCESS
      }
      if (nameLength >>> 0 > MAX_SERVICE || bodyLength >>> 0 > MAX_BODY || (timeout | 0) < 0) return BAD_ARGUMENT
      const service = memory.utf8(name, nameLength)
      if (vm.grants !== null && !vm.grants.calls(service)) return BAD_ARGUMENT
      if (!vm.environment.services.has(service)) return BAD_ARGUMENT
      const head = calloutHead(decodePairs(memory.bytes, headers >>> 0, headersLength >>> 0) ?? [])
      const tail = calloutTrailers(decodePairs(memory.bytes, trailers >>> 0, trailersLength >>> 0) ?? [])
      if (head === null || tail === null) return BAD_ARGUMENT
      vm.charge(CALLOUT_WORK + (headersLength >>> 0) + (bodyLength >>> 0) + (trailersLength >>> 0))
      const fields = withTrace(head.headers, vm.stream)
      const call = vm.call({ service, ...head, headers: fields, body: memory.copy(body, bodyLength), trailers: tail, timeout })
      if (call === 0) return INTERNAL_FAILURE
      memory.writeWord(id, call)
      return OK
    },

    proxy_get_status(code, data, length) {
      memory.refresh()
      const root = vm.root ?? restricted(vm)
      if (!memory.inside(code, 4)) return INVALID_MEMORY_ACCESS
      memory.writeWord(code, root.status)
      return returnText(vm, root.statusMessage, data, length)
    },

    proxy_set_tick_period_milliseconds(ms) {
      const root = vm.root ?? restricted(vm)
      root.setTick(ms >>> 0)
      return OK
    },
  }
}
