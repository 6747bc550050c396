// What a property path in guest memory asks for. Guests ask for the same few paths over and over, so a path is recognised by
// its octets in a small table; taking it apart and finding its attribute happen once a path.

import { type HeaderName, headerName } from "./header-names.ts"

/** What filters of the exchange have stored, by key. */
export const STORED = 0
/** A path of the host's that has no value here: neither readable nor to be taken by what filters store. */
export const ABSENT = 1

export const PLUGIN_NAME = 2
export const PLUGIN_ROOT_ID = 3
export const PLUGIN_VM_ID = 4
export const NODE = 5
export const NODE_ID = 6
export const NODE_CLUSTER = 7

export const REQUEST_PATH = 10
export const REQUEST_URL_PATH = 11
export const REQUEST_HOST = 12
export const REQUEST_SCHEME = 13
export const REQUEST_METHOD = 14
export const REQUEST_REFERER = 15
export const REQUEST_USERAGENT = 16
export const REQUEST_ID = 17
export const REQUEST_PROTOCOL = 18
export const REQUEST_QUERY = 19
export const REQUEST_TIME = 20
export const REQUEST_DURATION = 21
export const REQUEST_SIZE = 22
export const REQUEST_TOTAL_SIZE = 23
export const REQUEST_HEADERS_BYTES = 24
export const REQUEST_HEADERS = 25
export const REQUEST_HEADER = 26
export const REQUEST_TRAILERS = 27
export const REQUEST_TRAILER = 28

export const RESPONSE_CODE = 30
export const RESPONSE_CODE_DETAILS = 31
export const RESPONSE_FLAGS = 32
export const RESPONSE_GRPC_STATUS = 33
export const RESPONSE_SIZE = 34
export const RESPONSE_TOTAL_SIZE = 35
export const RESPONSE_HEADERS_BYTES = 36
export const RESPONSE_BACKEND_LATENCY = 37
export const RESPONSE_HEADERS = 38
export const RESPONSE_HEADER = 39
export const RESPONSE_TRAILERS = 40
export const RESPONSE_TRAILER = 41

export const SOURCE_ADDRESS = 50
export const SOURCE_PORT = 51
export const DESTINATION_ADDRESS = 52
export const DESTINATION_PORT = 53
export const CONNECTION_ID = 54
/** A client certificate was seen and is good. */
export const CONNECTION_MTLS = 55
export const UPSTREAM_ADDRESS = 56
export const UPSTREAM_PORT = 57
export const UPSTREAM_ATTEMPTS = 58
export const UPSTREAM_FAILURE = 59
export const CONNECTION_SERVER_NAME = 60
export const CONNECTION_TLS_VERSION = 61
export const CONNECTION_SUBJECT_LOCAL = 62
export const CONNECTION_SUBJECT_PEER = 63
export const CONNECTION_DNS_SAN_LOCAL = 64
export const CONNECTION_DNS_SAN_PEER = 65
export const CONNECTION_URI_SAN_LOCAL = 66
export const CONNECTION_URI_SAN_PEER = 67
export const CONNECTION_PEER_DIGEST = 68

export const LISTENER_NAME = 70
export const LISTENER_DIRECTION = 71
export const ROUTE_NAME = 72
export const CLUSTER_NAME = 73

/** What a connection says of its TLS; its server name also where that passes through. */
const TLS_ATTRIBUTES: readonly (readonly [name: string, attribute: number])[] = [
  ["requested_server_name", CONNECTION_SERVER_NAME],
  ["tls_version", CONNECTION_TLS_VERSION],
  ["subject_local_certificate", CONNECTION_SUBJECT_LOCAL],
  ["subject_peer_certificate", CONNECTION_SUBJECT_PEER],
  ["dns_san_local_certificate", CONNECTION_DNS_SAN_LOCAL],
  ["dns_san_peer_certificate", CONNECTION_DNS_SAN_PEER],
  ["uri_san_local_certificate", CONNECTION_URI_SAN_LOCAL],
  ["uri_san_peer_certificate", CONNECTION_URI_SAN_PEER],
  ["sha256_peer_certificate_digest", CONNECTION_PEER_DIGEST],
]

/** Everything there is, segments joined by dots; none of them contains one. */
export const attributeNames: ReadonlyMap<string, number> = new Map<string, number>([
  ["plugin_name", PLUGIN_NAME],
  ["plugin_root_id", PLUGIN_ROOT_ID],
  ["plugin_vm_id", PLUGIN_VM_ID],
  ["node", NODE],
  ["node.id", NODE_ID],
  ["node.cluster", NODE_CLUSTER],
  ["xds.node", NODE],
  ["xds.node.id", NODE_ID],
  ["xds.node.cluster", NODE_CLUSTER],
  ["request.path", REQUEST_PATH],
  ["request.url_path", REQUEST_URL_PATH],
  ["request.host", REQUEST_HOST],
  ["request.scheme", REQUEST_SCHEME],
  ["request.method", REQUEST_METHOD],
  ["request.referer", REQUEST_REFERER],
  ["request.useragent", REQUEST_USERAGENT],
  ["request.id", REQUEST_ID],
  ["request.protocol", REQUEST_PROTOCOL],
  ["request.query", REQUEST_QUERY],
  ["request.time", REQUEST_TIME],
  ["request.duration", REQUEST_DURATION],
  ["request.size", REQUEST_SIZE],
  ["request.total_size", REQUEST_TOTAL_SIZE],
  ["request.headers_bytes", REQUEST_HEADERS_BYTES],
  ["request.headers", REQUEST_HEADERS],
  ["request.trailers", REQUEST_TRAILERS],
  ["response.code", RESPONSE_CODE],
  ["response.code_details", RESPONSE_CODE_DETAILS],
  ["response.flags", RESPONSE_FLAGS],
  ["response.grpc_status", RESPONSE_GRPC_STATUS],
  ["response.size", RESPONSE_SIZE],
  ["response.total_size", RESPONSE_TOTAL_SIZE],
  ["response.headers_bytes", RESPONSE_HEADERS_BYTES],
  ["response.backend_latency", RESPONSE_BACKEND_LATENCY],
  ["response.headers", RESPONSE_HEADERS],
  ["response.trailers", RESPONSE_TRAILERS],
  ["source.address", SOURCE_ADDRESS],
  ["source.port", SOURCE_PORT],
  ["destination.address", DESTINATION_ADDRESS],
  ["destination.port", DESTINATION_PORT],
  ["connection.id", CONNECTION_ID],
  ["connection_id", CONNECTION_ID],
  ["connection.mtls", CONNECTION_MTLS],
  ["connection.termination_details", ABSENT],
  ["upstream.address", UPSTREAM_ADDRESS],
  ["upstream.port", UPSTREAM_PORT],
  ["upstream.local_address", ABSENT],
  ["upstream.request_attempt_count", UPSTREAM_ATTEMPTS],
  ["upstream.transport_failure_reason", UPSTREAM_FAILURE],
  // Of connections to services there is nothing yet.
  ...TLS_ATTRIBUTES.flatMap(([name, attribute]): [string, number][] => [
    [`connection.${name}`, attribute],
    [`upstream.${name}`, ABSENT],
  ]),
  ["listener_name", LISTENER_NAME],
  ["listener_direction", LISTENER_DIRECTION],
  ["route_name", ROUTE_NAME],
  ["cluster_name", CLUSTER_NAME],
  ["xds.listener_name", LISTENER_NAME],
  ["xds.filter_chain_name", LISTENER_NAME],
  ["xds.listener_direction", LISTENER_DIRECTION],
  ["xds.route_name", ROUTE_NAME],
  ["xds.cluster_name", CLUSTER_NAME],
  ["xds.virtual_host_name", ABSENT],
])

/** Sections whose every path is the host's. The metadata ones have nothing in them: only a control plane fills them. */
const sections: ReadonlySet<string> = new Set([
  "request",
  "response",
  "source",
  "destination",
  "connection",
  "upstream",
  "xds",
  "node",
  "metadata",
  "cluster_metadata",
  "route_metadata",
  "listener_metadata",
  "upstream_host_metadata",
])

/** Attributes that go on with the name of a field. */
const fieldOf: ReadonlyMap<string, number> = new Map([
  ["request.headers", REQUEST_HEADER],
  ["request.trailers", REQUEST_TRAILER],
  ["response.headers", RESPONSE_HEADER],
  ["response.trailers", RESPONSE_TRAILER],
])

/** Prefix of what `proxy_set_property` stores: filter state beside it has none. */
const WASM = "wasm."
const FILTER_STATE = "filter_state\0"

/** A path as a guest wrote it, and what it stands for. */
export class PropertyPath {
  readonly octets: Uint8Array
  /** One of the numbers above. */
  readonly attribute: number
  /** Key of the exchange's store; "" = a path that names nothing. */
  readonly key: string
  /** The field asked for, of attributes that are one. */
  readonly field: HeaderName | null

  constructor(octets: Uint8Array, attribute: number, key: string, field: HeaderName | null) {
    this.octets = octets
    this.attribute = attribute
    this.key = key
    this.field = field
  }
}

/** What `raw`, segments separated by NUL, asks for. SDKs disagree about a final NUL: empty segments don't count. */
export function propertyPath(raw: string, octets: Uint8Array = new Uint8Array(0)): PropertyPath {
  const segments = raw.split("\0").filter((segment) => segment !== "")
  const key = keyOf(segments.join("\0"))
  // A dot in a segment is part of a name, so that it can't stand for two of them.
  if (segments.length > 0 && !segments.some((segment) => segment.includes("."))) {
    const attribute = attributeNames.get(segments.join("."))
    if (attribute !== undefined) return new PropertyPath(octets, attribute, key, null)
  }
  if (segments.length === 3) {
    const attribute = fieldOf.get(`${segments[0]}.${segments[1]}`)
    const field = attribute === undefined ? null : headerName(segments[2])
    if (attribute !== undefined && field !== null) return new PropertyPath(octets, attribute, key, field)
  }
  return new PropertyPath(octets, sections.has(segments[0]) ? ABSENT : STORED, key, null)
}

/** Where a path's value is stored: `filter_state NUL x` is x, anything else is `wasm.` and the path, spelled out or not. */
function keyOf(path: string): string {
  if (path.startsWith(FILTER_STATE)) return path.slice(FILTER_STATE.length)
  return path === "" || path.startsWith(WASM) ? path : WASM + path
}

const SLOTS = 256

/** The paths one VM uses. A fixed number of slots: two paths that meet in one displace each other. */
export class PropertyPaths {
  readonly #slots: (PropertyPath | undefined)[] = new Array(SLOTS).fill(undefined)

  /** The path of `length` octets at `start`, which the caller has checked and bounded. */
  lookup(bytes: Uint8Array, start: number, length: number): PropertyPath {
    let hash = length
    const end = start + length
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + bytes[i]) | 0
    const slot = (hash ^ (hash >>> 8) ^ (hash >>> 16)) & (SLOTS - 1)
    const known = this.#slots[slot]
    if (known !== undefined && known.octets.length === length) {
      const octets = known.octets
      let i = 0
      while (i < length && octets[i] === bytes[start + i]) i++
      if (i === length) return known
    }
    let text = ""
    for (let i = start; i < end; i++) text += String.fromCharCode(bytes[i])
    const path = propertyPath(text, Uint8Array.prototype.slice.call(bytes, start, end))
    this.#slots[slot] = path
    return path
  }
}
