// Host calls on header maps. Maps of phases that have not come, or that this host does not offer, answer as the ABI says:
// no pairs, and BAD_ARGUMENT for the rest; while a stream is logged they read as empty instead.

import type { RequestHead, ResponseHead } from "../../http/message.ts"
import { MapType, Status } from "./enums.ts"
import {
  addHeader,
  getRequestHeader,
  getResponseHeader,
  removeHeader,
  requestPairs,
  responsePairs,
  setRequestHeader,
  setRequestPairs,
  setResponseHeader,
  setResponsePairs,
} from "./header-map.ts"
import { type HostStream, type HostVm, restricted } from "./host.ts"
import { decodePairs, encodedLength, encodePairs } from "./pairs.ts"
import { returnText } from "./results.ts"

const { HTTP_REQUEST_HEADERS, HTTP_RESPONSE_HEADERS, HTTP_CALL_RESPONSE_TRAILERS } = MapType
const { OK, NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY_ACCESS } = Status

/** Octets of headers one stream context may write: a filter that adds without end must not fill the gateway's memory. */
const MAX_WRITTEN = 1 << 20
/** Fields of a message beyond which a filter can't add more. */
const MAX_FIELDS = 1024

const ADD = 0
const REPLACE = 1

function pairsOf(stream: HostStream | null, map: number): string[] {
  if (stream === null) return []
  if (map === HTTP_REQUEST_HEADERS) return requestPairs(stream.stream.request)
  const response = stream.stream.response
  return map === HTTP_RESPONSE_HEADERS && response !== null ? responsePairs(response) : []
}

/** The head behind a map that may be edited now, or null. */
function writable(stream: HostStream | null, map: number): RequestHead | ResponseHead | null {
  if (stream === null || stream.ended) return null
  if (map === HTTP_REQUEST_HEADERS) return stream.requestWritable ? stream.stream.request : null
  return map === HTTP_RESPONSE_HEADERS && stream.responseWritable ? stream.stream.response : null
}

export function headerHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory, names } = vm

  function write(map: number, key: number, keyLength: number, value: number, valueLength: number, how: number): number {
    memory.refresh()
    if (vm.root === null) restricted(vm)
    const stream = vm.stream
    const head = writable(stream, map)
    if (head === null || stream === null) return BAD_ARGUMENT
    if (!memory.inside(key, keyLength) || !memory.inside(value, valueLength)) return INVALID_MEMORY_ACCESS
    const name = names.lookup(memory.bytes, key >>> 0, keyLength >>> 0)
    const cost = (keyLength >>> 0) + (valueLength >>> 0)
    if (name === null || stream.written + cost > MAX_WRITTEN) return BAD_ARGUMENT
    const text = memory.latin1(value, valueLength)
    stream.written += cost
    if (how === ADD) return head.fields.size < MAX_FIELDS && addHeader(head, name, text) ? OK : BAD_ARGUMENT
    const done =
      map === HTTP_REQUEST_HEADERS ? setRequestHeader(head as RequestHead, name, text) : setResponseHeader(head as ResponseHead, name, text)
    return done ? OK : BAD_ARGUMENT
  }

  return {
    proxy_get_header_map_size(map, out) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (map >>> 0 > HTTP_CALL_RESPONSE_TRAILERS) return BAD_ARGUMENT
      const flat = pairsOf(vm.stream, map)
      if (flat.length === 0 && !vm.stream?.ended) return BAD_ARGUMENT
      if (!memory.inside(out, 4)) return INVALID_MEMORY_ACCESS
      let size = 0
      for (let i = 0; i < flat.length; i++) size += flat[i].length
      memory.writeWord(out, size)
      return OK
    },

    proxy_get_header_map_pairs(map, data, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (map >>> 0 > HTTP_CALL_RESPONSE_TRAILERS) return BAD_ARGUMENT
      if (!memory.inside(data, 4) || !memory.inside(length, 4)) return INVALID_MEMORY_ACCESS
      const flat = pairsOf(vm.stream, map)
      const size = encodedLength(flat)
      let pointer = 0
      if (size !== 0) {
        pointer = vm.allocate(size)
        if (pointer === 0) return INVALID_MEMORY_ACCESS
        encodePairs(flat, memory.bytes, pointer)
      }
      memory.writeWord(data, pointer)
      memory.writeWord(length, size)
      return OK
    },

    proxy_set_header_map_pairs(map, pointer, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      const stream = vm.stream
      const head = writable(stream, map)
      if (head === null || stream === null) return BAD_ARGUMENT
      if (!memory.inside(pointer, length)) return INVALID_MEMORY_ACCESS
      if (stream.written + (length >>> 0) > MAX_WRITTEN) return BAD_ARGUMENT
      stream.written += length >>> 0
      const flat = decodePairs(memory.bytes, pointer >>> 0, length >>> 0) ?? []
      const done = map === HTTP_REQUEST_HEADERS ? setRequestPairs(head as RequestHead, flat) : setResponsePairs(head as ResponseHead, flat)
      return done ? OK : BAD_ARGUMENT
    },

    proxy_get_header_map_value(map, key, keyLength, data, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (map >>> 0 > HTTP_CALL_RESPONSE_TRAILERS) return BAD_ARGUMENT
      if (!memory.inside(key, keyLength)) return INVALID_MEMORY_ACCESS
      const stream = vm.stream
      if (stream === null) return BAD_ARGUMENT
      const name = names.lookup(memory.bytes, key >>> 0, keyLength >>> 0)
      let value: string | undefined
      if (map === HTTP_REQUEST_HEADERS) {
        if (name !== null) value = getRequestHeader(stream.stream.request, name)
      } else {
        const response = map === HTTP_RESPONSE_HEADERS ? stream.stream.response : null
        if (response === null) {
          if (!stream.ended) return BAD_ARGUMENT
        } else if (name !== null) value = getResponseHeader(response, name)
      }
      if (value === undefined) {
        if (vm.abi !== "0.1.0") return NOT_FOUND
        value = ""
      }
      return returnText(vm, value, data, length)
    },

    proxy_add_header_map_value: (map, key, keyLength, value, valueLength) => write(map, key, keyLength, value, valueLength, ADD),
    proxy_replace_header_map_value: (map, key, keyLength, value, valueLength) => write(map, key, keyLength, value, valueLength, REPLACE),

    proxy_remove_header_map_value(map, key, keyLength) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      const head = writable(vm.stream, map)
      if (head === null) return BAD_ARGUMENT
      if (!memory.inside(key, keyLength)) return INVALID_MEMORY_ACCESS
      const name = names.lookup(memory.bytes, key >>> 0, keyLength >>> 0)
      // No field has a name that can't be one.
      return name === null || removeHeader(head, name) ? OK : BAD_ARGUMENT
    },
  }
}
