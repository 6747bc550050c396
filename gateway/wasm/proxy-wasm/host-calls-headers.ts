// Host calls on header maps: heads and trailers of the exchange, and what a callout answered. Maps of phases that have not
// come answer as the ABI says, no pairs and BAD_ARGUMENT for the rest; while a stream is logged, and for a callout that
// failed, they read as empty instead.

import type { Fields } from "../../http/fields.ts"
import type { RequestHead, ResponseHead } from "../../http/message.ts"
import { MapType, Status } from "./enums.ts"
import {
  addHeader,
  getRequestHeader,
  getResponseHeader,
  getTrailer,
  isTrailer,
  removeHeader,
  requestPairs,
  responsePairs,
  setRequestHeader,
  setRequestPairs,
  setResponseHeader,
  setResponsePairs,
  setTrailerPairs,
  trailerNames,
} from "./header-map.ts"
import type { HeaderName } from "./header-names.ts"
import { type HostStream, type HostVm, type Rights, restricted } from "./host.ts"
import { decodePairs, encodedLength, encodePairs } from "./pairs.ts"
import { chargePairs, returnText } from "./results.ts"

const {
  HTTP_REQUEST_HEADERS,
  HTTP_REQUEST_TRAILERS,
  HTTP_RESPONSE_HEADERS,
  HTTP_RESPONSE_TRAILERS,
  GRPC_CALL_INITIAL_METADATA,
  GRPC_CALL_TRAILING_METADATA,
  HTTP_CALL_RESPONSE_HEADERS,
  HTTP_CALL_RESPONSE_TRAILERS,
} = MapType
const { OK, NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY_ACCESS } = Status

/** Octets of headers one stream context may write: a filter that adds without end must not fill the gateway's memory. */
const MAX_WRITTEN = 1 << 20
/** Fields of a message beyond which a filter can't add more. */
const MAX_FIELDS = 1024

const ADD = 0
const REPLACE = 1

const NO_PAIRS: readonly string[] = []

/** Name, value … of a map, as far as the guest may read it; null when it is not there. */
function pairsOf(vm: HostVm, map: number): readonly string[] | null {
  const flat = allPairsOf(vm, map)
  if (flat === null || vm.grants === null || isCallout(map)) return flat
  return vm.grants.visible(flat)
}

/** What a service answers to a guest is the guest's. */
function isCallout(map: number): boolean {
  return map >= GRPC_CALL_INITIAL_METADATA && map <= HTTP_CALL_RESPONSE_TRAILERS
}

function allPairsOf(vm: HostVm, map: number): readonly string[] | null {
  const stream = vm.stream
  switch (map) {
    case HTTP_REQUEST_HEADERS:
      return stream === null || stream.tcp ? null : requestPairs(stream.stream.request)
    case HTTP_RESPONSE_HEADERS:
      if (stream === null) return null
      return stream.stream.response === null ? absent(stream) : responsePairs(stream.stream.response)
    case HTTP_REQUEST_TRAILERS:
    case HTTP_RESPONSE_TRAILERS:
      return stream === null ? null : (trailersOf(stream, map)?.entries() ?? absent(stream))
    case GRPC_CALL_INITIAL_METADATA:
    case GRPC_CALL_TRAILING_METADATA:
    case HTTP_CALL_RESPONSE_HEADERS:
    case HTTP_CALL_RESPONSE_TRAILERS:
      return calloutPairs(vm, map)
    default:
      return null
  }
}

function absent(stream: HostStream): readonly string[] | null {
  return stream.ended ? NO_PAIRS : null
}

function trailersOf(stream: HostStream, map: number): Fields | null {
  return map === HTTP_REQUEST_TRAILERS ? stream.stream.requestTrailers : stream.stream.responseTrailers
}

function calloutPairs(vm: HostVm, map: number): readonly string[] | null {
  if (map === GRPC_CALL_INITIAL_METADATA) return vm.grpc?.initialMetadata ?? null
  if (map === GRPC_CALL_TRAILING_METADATA) return vm.grpc?.trailingMetadata ?? null
  if (vm.callout === null) return null
  const { response } = vm.callout
  if (response === null) return NO_PAIRS
  return map === HTTP_CALL_RESPONSE_TRAILERS ? response.trailers : [":status", String(response.status), ...response.headers]
}

/** A value of a callout's answer; null when there is no such map. */
function calloutValue(vm: HostVm, map: number, name: HeaderName | null): string | undefined | null {
  const flat = calloutPairs(vm, map)
  if (flat === null) return null
  let value: string | undefined
  if (name === null) return undefined
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i] !== name.name) continue
    if (value === undefined) value = flat[i + 1]
    else if (name.separator !== "") value += name.separator + flat[i + 1]
  }
  return value
}

/**
 * The length of a body that the guest may change: where the head leaves before the body is complete, taking the field away is
 * part of that. Sluice sets it itself.
 */
function isOwnLength(vm: HostVm, map: number, { name }: HeaderName): boolean {
  if (name !== "content-length") return false
  return map === HTTP_REQUEST_HEADERS ? vm.seesRequestBodies : map === HTTP_RESPONSE_HEADERS && vm.seesResponseBodies
}

/** The head behind a map that may be edited now, or null. */
function writable(stream: HostStream, map: number): RequestHead | ResponseHead | null {
  if (map === HTTP_REQUEST_HEADERS) return stream.requestWritable ? stream.stream.request : null
  return map === HTTP_RESPONSE_HEADERS && stream.responseWritable ? stream.stream.response : null
}

/**
 * What a message is to have when a guest that may write only some headers replaces all: those as it gives them, the others
 * as they are. Null: it gives one that it may not write, other than it is.
 */
function grantedPairs(rights: Rights, given: readonly string[], current: readonly string[]): readonly string[] | null {
  const names = rights.writeHeaders
  if (names === null) return given
  const merged: string[] = []
  const kept = new Set<string>()
  for (let i = 0; i < current.length; i += 2) {
    if (names.has(current[i])) continue
    kept.add(`${current[i]}\0${current[i + 1]}`)
    // Pseudo-headers that are not named stay.
    if (!current[i].startsWith(":")) merged.push(current[i], current[i + 1])
  }
  for (let i = 0; i < given.length; i += 2) {
    const name = given[i].toLowerCase()
    if (names.has(name)) merged.push(given[i], given[i + 1])
    else if (!kept.has(`${name}\0${given[i + 1]}`)) {
      rights.refuse("writeHeader", name)
      return null
    }
  }
  return merged
}

/** Whether the trailers of that map may be edited, or made, now. */
function trailersWritable(stream: HostStream, map: number): boolean {
  if (stream.ended) return false
  if (map === HTTP_REQUEST_TRAILERS) return stream.shownRequest.trailersWritable || stream.shownRequest.ends
  return map === HTTP_RESPONSE_TRAILERS && (stream.shownResponse.trailersWritable || stream.shownResponse.ends)
}

/** The trailers to edit, new ones if need be. */
function trailersFor(stream: HostStream, map: number): Fields | null {
  if (map === HTTP_REQUEST_TRAILERS) {
    const trailers = stream.stream.requestTrailers ?? stream.stream.addRequestTrailers()
    if (trailers !== null) stream.shownRequest.trailersWritable = true
    return trailers
  }
  const trailers = stream.stream.responseTrailers ?? stream.stream.addResponseTrailers()
  if (trailers !== null) stream.shownResponse.trailersWritable = true
  return trailers
}

export function headerHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory, names } = vm

  function write(map: number, key: number, keyLength: number, value: number, valueLength: number, how: number): number {
    memory.refresh()
    if (vm.root === null) restricted(vm)
    const stream = vm.stream
    if (stream === null) return BAD_ARGUMENT
    const head = writable(stream, map)
    if (head === null && !trailersWritable(stream, map)) return BAD_ARGUMENT
    if (!memory.inside(key, keyLength) || !memory.inside(value, valueLength)) return INVALID_MEMORY_ACCESS
    const name = names.lookup(memory.bytes, key >>> 0, keyLength >>> 0)
    const cost = (keyLength >>> 0) + (valueLength >>> 0)
    if (name !== null && vm.grants !== null && !vm.grants.writes(name.name)) return BAD_ARGUMENT
    if (name === null || stream.written + cost > MAX_WRITTEN) return BAD_ARGUMENT
    const text = memory.latin1(value, valueLength)
    stream.written += cost
    if (head === null) return writeTrailer(stream, map, name, text, how)
    let done: boolean
    if (how === ADD) done = head.fields.size < MAX_FIELDS && addHeader(head, name, text)
    else if (map === HTTP_REQUEST_HEADERS) done = setRequestHeader(head as RequestHead, name, text)
    else done = setResponseHeader(head as ResponseHead, name, text)
    if (!done) return BAD_ARGUMENT
    if (stream.reroutes && map === HTTP_REQUEST_HEADERS) stream.stream.clearRoute()
    return OK
  }

  function writeTrailer(stream: HostStream, map: number, name: HeaderName, text: string, how: number): number {
    if (!isTrailer(name, text)) return BAD_ARGUMENT
    const trailers = trailersFor(stream, map)
    if (trailers === null || trailers.size >= MAX_FIELDS) return BAD_ARGUMENT
    if (how === ADD) trailers.add(name.name, text)
    else trailers.set(name.name, text)
    return OK
  }

  return {
    proxy_get_header_map_size(map, out) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      const flat = pairsOf(vm, map)
      if (flat === null) return BAD_ARGUMENT
      if (!memory.inside(out, 4)) return INVALID_MEMORY_ACCESS
      let size = 0
      for (let i = 0; i < flat.length; i++) size += flat[i].length
      chargePairs(vm, size)
      memory.writeWord(out, size)
      return OK
    },

    proxy_get_header_map_pairs(map, data, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (map >>> 0 > HTTP_CALL_RESPONSE_TRAILERS) return BAD_ARGUMENT
      if (!memory.inside(data, 4) || !memory.inside(length, 4)) return INVALID_MEMORY_ACCESS
      const flat = pairsOf(vm, map) ?? NO_PAIRS
      const size = encodedLength(flat)
      let pointer = 0
      chargePairs(vm, size)
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
      if (stream === null) return BAD_ARGUMENT
      const head = writable(stream, map)
      if (head === null && !trailersWritable(stream, map)) return BAD_ARGUMENT
      if (!memory.inside(pointer, length)) return INVALID_MEMORY_ACCESS
      if (stream.written + (length >>> 0) > MAX_WRITTEN) return BAD_ARGUMENT
      stream.written += length >>> 0
      const given = decodePairs(memory.bytes, pointer >>> 0, length >>> 0) ?? []
      const flat = vm.grants === null ? given : grantedPairs(vm.grants, given, allPairsOf(vm, map) ?? NO_PAIRS)
      if (flat === null) return BAD_ARGUMENT
      if (head === null) {
        const trailers = trailerNames(flat)
        if (trailers === null) return BAD_ARGUMENT
        const fields = flat.length === 0 ? trailersOf(stream, map) : trailersFor(stream, map)
        if (fields !== null) setTrailerPairs(fields, trailers, flat)
        return fields !== null || flat.length === 0 ? OK : BAD_ARGUMENT
      }
      const done = map === HTTP_REQUEST_HEADERS ? setRequestPairs(head as RequestHead, flat) : setResponsePairs(head as ResponseHead, flat)
      if (!done) return BAD_ARGUMENT
      if (stream.reroutes && map === HTTP_REQUEST_HEADERS) stream.stream.clearRoute()
      return OK
    },

    proxy_get_header_map_value(map, key, keyLength, data, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (map >>> 0 > HTTP_CALL_RESPONSE_TRAILERS) return BAD_ARGUMENT
      if (!memory.inside(key, keyLength)) return INVALID_MEMORY_ACCESS
      const stream = vm.stream
      const name = names.lookup(memory.bytes, key >>> 0, keyLength >>> 0)
      let value: string | undefined
      if (vm.grants !== null && name !== null && !isCallout(map) && !vm.grants.reads(name.name)) {
        if (stream === null) return BAD_ARGUMENT
      } else if (map === HTTP_REQUEST_HEADERS) {
        if (stream === null || stream.tcp) return BAD_ARGUMENT
        if (name !== null) value = getRequestHeader(stream.stream.request, name)
      } else if (isCallout(map)) {
        const found = calloutValue(vm, map, name)
        if (found === null) return BAD_ARGUMENT
        value = found
      } else if (stream === null) {
        return BAD_ARGUMENT
      } else if (map === HTTP_RESPONSE_HEADERS) {
        const { response } = stream.stream
        if (response === null) {
          if (!stream.ended) return BAD_ARGUMENT
        } else if (name !== null) value = getResponseHeader(response, name)
      } else {
        const trailers = map === HTTP_REQUEST_TRAILERS || map === HTTP_RESPONSE_TRAILERS ? trailersOf(stream, map) : null
        if (trailers === null) {
          if (!stream.ended) return BAD_ARGUMENT
        } else if (name !== null) value = getTrailer(trailers, name)
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
      const stream = vm.stream
      if (stream === null) return BAD_ARGUMENT
      const head = writable(stream, map)
      if (head === null && !trailersWritable(stream, map)) return BAD_ARGUMENT
      if (!memory.inside(key, keyLength)) return INVALID_MEMORY_ACCESS
      const name = names.lookup(memory.bytes, key >>> 0, keyLength >>> 0)
      // No field has a name that can't be one.
      if (name === null) return OK
      if (vm.grants !== null && !isOwnLength(vm, map, name) && !vm.grants.writes(name.name)) return BAD_ARGUMENT
      if (head === null) {
        trailersOf(stream, map)?.remove(name.name)
        return OK
      }
      if (!removeHeader(head, name)) return BAD_ARGUMENT
      if (stream.reroutes && map === HTTP_REQUEST_HEADERS) stream.stream.clearRoute()
      return OK
    },
  }
}
