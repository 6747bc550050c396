// Properties: what a filter can ask about its plugin, the exchange and the connection, under Envoy's names. A value comes as
// one of Envoy's types; host calls lay it into guest memory in Envoy's binary form, expressions take it as it is.

import { hostname } from "node:os"
import type { StreamInfo } from "../../filter/filter.ts"
import type { Fields } from "../../http/fields.ts"
import { withPort } from "../../http/socket-addresses.ts"
import { getRequestHeader, getResponseHeader, pathOf, requestPairs, responsePairs } from "./header-map.ts"
import type { HeaderName } from "./header-names.ts"
import type { HostRoot, HostStream, HostVm } from "./host.ts"
import {
  ABSENT,
  CLUSTER_NAME,
  CONNECTION_ID,
  CONNECTION_MTLS,
  CONNECTION_SERVER_NAME,
  DESTINATION_ADDRESS,
  DESTINATION_PORT,
  LISTENER_DIRECTION,
  LISTENER_NAME,
  NODE,
  NODE_CLUSTER,
  NODE_ID,
  PLUGIN_NAME,
  PLUGIN_ROOT_ID,
  PLUGIN_VM_ID,
  type PropertyPath,
  REQUEST_DURATION,
  REQUEST_HEADER,
  REQUEST_HEADERS,
  REQUEST_HEADERS_BYTES,
  REQUEST_HOST,
  REQUEST_ID,
  REQUEST_METHOD,
  REQUEST_PATH,
  REQUEST_PROTOCOL,
  REQUEST_QUERY,
  REQUEST_REFERER,
  REQUEST_SCHEME,
  REQUEST_SIZE,
  REQUEST_TIME,
  REQUEST_TOTAL_SIZE,
  REQUEST_TRAILER,
  REQUEST_TRAILERS,
  REQUEST_URL_PATH,
  REQUEST_USERAGENT,
  RESPONSE_BACKEND_LATENCY,
  RESPONSE_CODE,
  RESPONSE_CODE_DETAILS,
  RESPONSE_FLAGS,
  RESPONSE_GRPC_STATUS,
  RESPONSE_HEADER,
  RESPONSE_HEADERS,
  RESPONSE_HEADERS_BYTES,
  RESPONSE_SIZE,
  RESPONSE_TOTAL_SIZE,
  RESPONSE_TRAILER,
  RESPONSE_TRAILERS,
  ROUTE_NAME,
  SOURCE_ADDRESS,
  SOURCE_PORT,
  STORED,
  UPSTREAM_ADDRESS,
  UPSTREAM_ATTEMPTS,
  UPSTREAM_FAILURE,
  UPSTREAM_PORT,
} from "./property-paths.ts"
import { securityText } from "./security-properties.ts"

/** Longest property path, octets. */
export const MAX_PATH = 1024

/** Types of a {@link PropertyValue}. */
export const NONE = 0
/** From the wire: one character an octet. */
export const WIRE_TEXT = 1
/** From the configuration: any character. */
export const TEXT = 2
export const BYTES = 3
/** A whole number within ±2^53. */
export const INT = 4
export const UINT = 5
export const BOOL = 6
/** ms since the epoch, with fraction. */
export const TIME = 7
/** ms, with fraction. */
export const DURATION = 8
/** Name, value, name, value …, one character an octet. */
export const MAP = 9

/** A property's value. Each VM has one and uses it again: good until the next read. */
export class PropertyValue {
  kind = NONE
  text = ""
  number = 0
  bytes: Uint8Array = new Uint8Array(0)
  pairs: readonly string[] = []

  #wire(text: string | undefined): void {
    if (text === undefined) return
    this.kind = WIRE_TEXT
    this.text = text
  }

  /** Not yet known = absent. */
  #known(text: string): void {
    if (text === "") return
    this.kind = TEXT
    this.text = text
  }

  #of(kind: number, value: number): void {
    this.kind = kind
    this.number = value
  }

  #octets(bytes: Uint8Array | undefined): void {
    if (bytes === undefined) return
    this.kind = BYTES
    this.bytes = bytes
  }

  /** Becomes the value of `path` now; {@link NONE} when there is none. */
  read(vm: HostVm, root: HostRoot, context: HostStream | null, path: PropertyPath): void {
    this.kind = NONE
    switch (path.attribute) {
      case ABSENT:
        return
      case STORED:
        if (context !== null && path.key !== "") this.#octets(context.stream.property(path.key))
        return
      case PLUGIN_NAME:
        this.#octets(root.pluginName)
        return
      case PLUGIN_ROOT_ID:
        this.#octets(root.rootId)
        return
      case PLUGIN_VM_ID:
        this.#wire(vm.namespace)
        return
      case NODE:
        this.#octets(nodeMessage())
        return
      case NODE_ID:
        this.#known(hostname())
        return
      case NODE_CLUSTER:
        this.#known(CLUSTER)
        return
    }
    if (context === null) return
    if (context.tcp && path.attribute <= RESPONSE_TRAILER) return
    if (path.attribute <= REQUEST_TRAILER) this.#request(vm, context, path)
    else if (path.attribute <= RESPONSE_TRAILER) this.#response(vm, context, path)
    else this.#connection(context.stream.info, path.attribute)
  }

  #request(vm: HostVm, context: HostStream, path: PropertyPath): void {
    const { request, info, requestTrailers } = context.stream
    switch (path.attribute) {
      case REQUEST_PATH:
        this.#pseudo(vm, ":path", pathOf(request))
        return
      case REQUEST_URL_PATH:
        this.#pseudo(vm, ":path", request.path)
        return
      case REQUEST_HOST:
        this.#pseudo(vm, ":authority", request.authority)
        return
      case REQUEST_SCHEME:
        this.#pseudo(vm, ":scheme", request.scheme)
        return
      case REQUEST_METHOD:
        this.#pseudo(vm, ":method", request.method)
        return
      case REQUEST_REFERER:
        this.#field(vm, request.fields, "referer")
        return
      case REQUEST_USERAGENT:
        this.#field(vm, request.fields, "user-agent")
        return
      case REQUEST_ID:
        this.#field(vm, request.fields, "x-request-id")
        if (this.kind === NONE) this.#known(info.requestId)
        return
      case REQUEST_PROTOCOL:
        this.#wire(info.protocol)
        return
      case REQUEST_QUERY:
        this.#pseudo(vm, ":path", request.query ?? "")
        return
      case REQUEST_TIME:
        this.#of(TIME, info.startTime)
        return
      case REQUEST_DURATION:
        if (info.elapsed >= 0) this.#of(DURATION, info.elapsed)
        return
      case REQUEST_SIZE:
        this.#of(INT, request.body === "length" ? request.contentLength : info.requestBytes)
        return
      case REQUEST_HEADERS_BYTES:
        this.#of(INT, sizeOf(requestPairs(request)))
        return
      case REQUEST_TOTAL_SIZE:
        this.#of(INT, sizeOf(requestPairs(request)) + info.requestBytes + trailersSize(requestTrailers))
        return
      case REQUEST_HEADERS:
        this.#map(vm, requestPairs(request))
        return
      case REQUEST_HEADER:
        if (path.field !== null && readable(vm, path.field.name)) this.#wire(getRequestHeader(request, path.field))
        return
      case REQUEST_TRAILERS:
        if (requestTrailers !== null) this.#map(vm, requestTrailers.entries())
        return
      case REQUEST_TRAILER:
        this.#trailer(vm, requestTrailers, path.field)
        return
    }
  }

  #response(vm: HostVm, context: HostStream, path: PropertyPath): void {
    const { response, info, responseTrailers } = context.stream
    if (response === null) return
    switch (path.attribute) {
      case RESPONSE_CODE:
        this.#of(INT, response.status)
        return
      case RESPONSE_CODE_DETAILS:
        if (info.responseFlag !== "" || info.responseDetails !== "") this.#known(info.responseDetails || info.responseFlag)
        else if (info.upstreamAddress !== "") this.#known("via_upstream")
        return
      case RESPONSE_FLAGS:
        this.#of(INT, flagBits.get(info.responseFlag) ?? 0)
        return
      case RESPONSE_GRPC_STATUS: {
        const status = responseTrailers?.get("grpc-status") ?? response.fields.get("grpc-status")
        if (status !== undefined && /^[0-9]{1,9}$/.test(status)) this.#of(INT, Number(status))
        return
      }
      case RESPONSE_SIZE:
        this.#of(INT, info.responseBytes)
        return
      case RESPONSE_HEADERS_BYTES:
        this.#of(INT, sizeOf(responsePairs(response)))
        return
      case RESPONSE_TOTAL_SIZE:
        this.#of(INT, sizeOf(responsePairs(response)) + info.responseBytes + trailersSize(responseTrailers))
        return
      case RESPONSE_BACKEND_LATENCY:
        if (info.upstreamAddress !== "" && info.timeToFirstByte >= 0) this.#of(DURATION, info.timeToFirstByte)
        return
      case RESPONSE_HEADERS:
        this.#map(vm, responsePairs(response))
        return
      case RESPONSE_HEADER:
        if (path.field !== null && readable(vm, path.field.name)) this.#wire(getResponseHeader(response, path.field))
        return
      case RESPONSE_TRAILERS:
        if (responseTrailers !== null) this.#map(vm, responseTrailers.entries())
        return
      case RESPONSE_TRAILER:
        this.#trailer(vm, responseTrailers, path.field)
        return
    }
  }

  #connection(info: StreamInfo, attribute: number): void {
    switch (attribute) {
      case SOURCE_ADDRESS:
        this.#known(addressOf(info.sourceAddress, info.sourcePort))
        return
      case SOURCE_PORT:
        this.#of(INT, info.sourcePort)
        return
      case DESTINATION_ADDRESS:
        this.#known(addressOf(info.destinationAddress, info.destinationPort))
        return
      case DESTINATION_PORT:
        this.#of(INT, info.destinationPort)
        return
      case CONNECTION_ID:
        this.#of(UINT, info.connectionId)
        return
      case CONNECTION_SERVER_NAME:
        this.#known(info.requestedServerName)
        return
      case CONNECTION_MTLS:
        this.#of(BOOL, (info.security?.peer ?? null) === null ? 0 : 1)
        return
      case UPSTREAM_ADDRESS:
        this.#known(info.upstreamAddress)
        return
      case UPSTREAM_PORT:
        if (info.upstreamAddress !== "") this.#of(INT, portOf(info.upstreamAddress))
        return
      case UPSTREAM_ATTEMPTS:
        this.#of(UINT, info.attempts)
        return
      case UPSTREAM_FAILURE:
        if (info.responseFlag === "UF") this.#known(info.responseDetails)
        return
      case LISTENER_NAME:
        this.#known(info.listenerName)
        return
      case LISTENER_DIRECTION:
        this.#of(INT, UNSPECIFIED)
        return
      case ROUTE_NAME:
        this.#known(info.routeName)
        return
      case CLUSTER_NAME:
        this.#known(info.serviceName)
        return
    }
    if (info.security !== null) this.#known(securityText(info.security, attribute))
  }

  #pseudo(vm: HostVm, name: string, value: string): void {
    if (readable(vm, name)) this.#wire(value)
  }

  #field(vm: HostVm, fields: Fields, name: string): void {
    if (readable(vm, name)) this.#wire(fields.get(name))
  }

  #trailer(vm: HostVm, trailers: Fields | null, name: HeaderName | null): void {
    if (trailers !== null && name !== null && readable(vm, name.name)) this.#wire(trailers.getCombined(name.name, ", "))
  }

  #map(vm: HostVm, pairs: string[]): void {
    this.kind = MAP
    this.pairs = vm.grants === null ? pairs : vm.grants.visible(pairs)
  }
}

/** Envoy's `TrafficDirection` where nothing says whether traffic comes in or goes out. */
const UNSPECIFIED = 0

/** Envoy's bit for a response flag. Flags of ours that it doesn't know have none. */
const flagBits: ReadonlyMap<string, number> = new Map([
  ["UH", 1 << 1],
  ["UT", 1 << 2],
  ["UF", 1 << 5],
  ["UC", 1 << 6],
  ["UO", 1 << 7],
  ["NR", 1 << 8],
  ["DC", 1 << 14],
  ["SI", 1 << 16],
  ["DPE", 1 << 18],
  ["UPE", 1 << 23],
  ["NC", 1 << 24],
])

const CLUSTER = "sluice"

/** Envoy's `config.core.v3.Node`: id 1, cluster 2, user_agent_name 6. */
function nodeMessage(): Uint8Array {
  const encoder = new TextEncoder()
  const out: number[] = []
  const add = (field: number, text: string): void => {
    const bytes = encoder.encode(text.slice(0, 100)).subarray(0, 127)
    out.push((field << 3) | 2, bytes.length, ...bytes)
  }
  add(1, hostname())
  add(2, CLUSTER)
  add(6, CLUSTER)
  return Uint8Array.from(out)
}

/** Whether a filter may see fields of this name. */
function readable(vm: HostVm, name: string): boolean {
  return vm.grants === null || vm.grants.reads(name)
}

/** Octets of the names and values. */
function sizeOf(pairs: readonly string[]): number {
  let size = 0
  for (let i = 0; i < pairs.length; i++) size += pairs[i].length
  return size
}

function trailersSize(trailers: Fields | null): number {
  return trailers === null ? 0 : sizeOf(trailers.entries())
}

function addressOf(address: string, port: number): string {
  return address === "" ? "" : withPort(address, port)
}

function portOf(address: string): number {
  return Number(address.slice(address.lastIndexOf(":") + 1)) || 0
}
