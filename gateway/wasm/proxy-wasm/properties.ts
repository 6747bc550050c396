// Properties: what a filter can ask about its plugin, the exchange and the connection, under Envoy's names and in Envoy's
// binary forms (integers 8 octets little-endian, truth values one octet, maps as pairs, text as it is).

import { getRequestHeader, getResponseHeader, pathOf } from "./header-map.ts"
import { type HeaderName, headerName } from "./header-names.ts"
import type { HostRoot, HostStream, HostVm } from "./host.ts"
import type { GuestMemory } from "./memory.ts"
import { encodedLength, encodePairs } from "./pairs.ts"

/** Longest property path, octets. */
export const MAX_PATH = 1024
/** Octets and entries of properties one stream context may keep. */
const MAX_STORED = 1 << 18
const MAX_STORED_ENTRIES = 64

/** A path without its empty segments, joined by NUL: SDKs disagree about a final NUL. */
export function splitPath(raw: string): string {
  return raw
    .split("\0")
    .filter((segment) => segment !== "")
    .join("\0")
}

/** Keeps a copy of `length` octets under `key` for the stream's life; false when the stream keeps too much already. */
export function storeProperty(stream: HostStream, key: string, memory: GuestMemory, value: number, length: number): boolean {
  const cost = key.length + (length >>> 0)
  const stored = (stream.properties ??= new Map())
  if (stream.written + cost > MAX_STORED || (stored.size >= MAX_STORED_ENTRIES && !stored.has(key))) return false
  stream.written += cost
  stored.set(key, memory.copy(value, length))
  return true
}

/** Value of a property: latin1 text or octets; undefined when there is no such property (now). */
export function property(vm: HostVm, root: HostRoot, stream: HostStream | null, path: string): string | Uint8Array | undefined {
  switch (path) {
    case "plugin_name":
      return root.pluginName
    case "plugin_root_id":
      return root.rootId
    case "plugin_vm_id":
      return utf8(vm.id)
    default:
      return stream === null ? undefined : (stream.properties?.get(path) ?? streamProperty(stream, path, vm))
  }
}

function streamProperty(context: HostStream, path: string, vm: HostVm): string | Uint8Array | undefined {
  const { response, info } = context.stream
  const dot = path.indexOf("\0")
  const section = dot === -1 ? path : path.slice(0, dot)
  const rest = dot === -1 ? "" : path.slice(dot + 1)
  switch (section) {
    case "request":
      return requestProperty(context, rest, vm)
    case "response":
      return response === null ? undefined : responseProperty(context, rest)
    case "source":
      if (rest === "address") return text(withPort(info.sourceAddress, info.sourcePort))
      return rest === "port" ? int(info.sourcePort) : undefined
    case "destination":
      if (rest === "address") return text(withPort(info.destinationAddress, info.destinationPort))
      return rest === "port" ? int(info.destinationPort) : undefined
    case "connection":
      if (rest === "id") return int(info.connectionId)
      // Plain listeners only: no client certificate can have been seen.
      return rest === "mtls" ? new Uint8Array([0]) : undefined
    case "connection_id":
      return rest === "" ? int(info.connectionId) : undefined
    case "upstream":
      if (rest === "address") return text(info.upstreamAddress)
      return rest === "port" && info.upstreamAddress !== "" ? int(portOf(info.upstreamAddress)) : undefined
    case "route_name":
      return rest === "" ? text(info.routeName) : undefined
    case "cluster_name":
      return rest === "" ? text(info.serviceName) : undefined
    case "listener_name":
      return rest === "" ? text(info.listenerName) : undefined
    case "xds":
      if (rest === "route_name") return text(info.routeName)
      if (rest === "cluster_name") return text(info.serviceName)
      return rest === "listener_name" ? text(info.listenerName) : undefined
    default:
      return undefined
  }
}

function requestProperty(context: HostStream, name: string, vm: HostVm): string | Uint8Array | undefined {
  const { request, info } = context.stream
  switch (name) {
    case "path":
      return pathOf(request)
    case "url_path":
      return request.path
    case "query":
      return request.query ?? ""
    case "host":
      return request.authority
    case "scheme":
      return request.scheme
    case "method":
      return request.method
    case "referer":
      return request.fields.get("referer")
    case "useragent":
      return request.fields.get("user-agent")
    case "id":
      return request.fields.get("x-request-id") ?? text(info.requestId)
    case "protocol":
      return info.protocol
    case "time":
      return nanoseconds(info.startTime)
    case "duration":
      return context.ended ? nanoseconds(Math.max(0, vm.clock.now() - info.startTime)) : undefined
    case "size":
      return int(request.body === "length" ? request.contentLength : info.requestBytes)
    case "total_size":
      return int(info.requestBytes)
    case "headers":
      return pairs(request.fields.entries())
    default: {
      const field = headerProperty(name)
      return field === null ? undefined : getRequestHeader(request, field)
    }
  }
}

function responseProperty(context: HostStream, name: string): string | Uint8Array | undefined {
  const { response, info } = context.stream
  if (response === null) return undefined
  switch (name) {
    case "code":
      return int(response.status)
    case "code_details":
      return text(info.responseFlag)
    case "grpc_status": {
      const status = response.fields.get("grpc-status")
      return status !== undefined && /^[0-9]{1,9}$/.test(status) ? int(Number(status)) : undefined
    }
    case "size":
    case "total_size":
      return int(info.responseBytes)
    case "headers":
      return pairs(response.fields.entries())
    default: {
      const field = headerProperty(name)
      return field === null ? undefined : getResponseHeader(response, field)
    }
  }
}

/** The name in `headers NUL name`, or null. */
function headerProperty(name: string): HeaderName | null {
  return name.startsWith("headers\0") ? headerName(name.slice(8)) : null
}

/** Not yet known = absent. Configured names may hold any character. */
function text(value: string): Uint8Array | undefined {
  return value === "" ? undefined : utf8(value)
}

function utf8(value: string): Uint8Array {
  return new TextEncoder().encode(value)
}

function withPort(address: string, port: number): string {
  if (address === "") return ""
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1)) || 0
}

function int(value: number): Uint8Array {
  const out = new Uint8Array(8)
  new DataView(out.buffer).setBigInt64(0, BigInt(Math.trunc(value)), true)
  return out
}

function nanoseconds(ms: number): Uint8Array {
  const out = new Uint8Array(8)
  const whole = Math.floor(ms)
  new DataView(out.buffer).setBigInt64(0, BigInt(whole) * 1_000_000n + BigInt(Math.floor((ms - whole) * 1e6)), true)
  return out
}

function pairs(flat: readonly string[]): Uint8Array {
  const out = new Uint8Array(encodedLength(flat))
  encodePairs(flat, out, 0)
  return out
}
