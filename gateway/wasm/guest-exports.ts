// The functions a Proxy-Wasm guest may export, found once an instance. Absent ones are null: the host never calls what
// is not there.

import { REQUEST_BODY, REQUEST_TRAILERS, RESPONSE_BODY, RESPONSE_TRAILERS } from "../filter/filter.ts"
import { DOWNSTREAM_DATA, UPSTREAM_DATA } from "../filter/network-filter.ts"

export type GuestCallback = (...args: number[]) => number

const REQUEST_BODY_EXPORT = "proxy_on_request_body"
const REQUEST_TRAILERS_EXPORT = "proxy_on_request_trailers"
const RESPONSE_HEADERS_EXPORT = "proxy_on_response_headers"
const RESPONSE_BODY_EXPORT = "proxy_on_response_body"
const RESPONSE_TRAILERS_EXPORT = "proxy_on_response_trailers"
const DOWNSTREAM_DATA_EXPORT = "proxy_on_downstream_data"
const UPSTREAM_DATA_EXPORT = "proxy_on_upstream_data"

const bits: ReadonlyMap<string, number> = new Map([
  [REQUEST_BODY_EXPORT, REQUEST_BODY],
  [REQUEST_TRAILERS_EXPORT, REQUEST_TRAILERS],
  [RESPONSE_BODY_EXPORT, RESPONSE_BODY],
  [RESPONSE_TRAILERS_EXPORT, RESPONSE_TRAILERS],
])

/** What a module has callbacks for. */
export interface GuestPhases {
  /** Beside the heads: bits of a filter's `interests`. */
  readonly interests: number
  /** Whether in any phase of a response. */
  readonly responses: boolean
  /** On connections: bits of a filter's `dataInterests`. */
  readonly dataInterests: number
}

export function guestPhases(module: WebAssembly.Module): GuestPhases {
  const names = WebAssembly.Module.exports(module)
    .filter((each) => each.kind === "function")
    .map((each) => each.name)
  const interests = names.reduce((sum, name) => sum | (bits.get(name) ?? 0), 0)
  const downstream = names.includes(DOWNSTREAM_DATA_EXPORT) ? DOWNSTREAM_DATA : 0
  const upstream = names.includes(UPSTREAM_DATA_EXPORT) ? UPSTREAM_DATA : 0
  return {
    interests,
    responses: names.includes(RESPONSE_HEADERS_EXPORT) || (interests & (RESPONSE_BODY | RESPONSE_TRAILERS)) !== 0,
    dataInterests: downstream | upstream,
  }
}

export interface GuestExports {
  /** Runs before everything else, in this order; empty for modules that start in their start section. */
  readonly start: readonly GuestCallback[]
  readonly allocate: GuestCallback | null
  readonly contextCreate: GuestCallback | null
  readonly vmStart: GuestCallback | null
  readonly configure: GuestCallback | null
  readonly requestHeaders: GuestCallback | null
  readonly requestBody: GuestCallback | null
  readonly requestTrailers: GuestCallback | null
  readonly responseHeaders: GuestCallback | null
  readonly responseBody: GuestCallback | null
  readonly responseTrailers: GuestCallback | null
  readonly newConnection: GuestCallback | null
  readonly downstreamData: GuestCallback | null
  readonly upstreamData: GuestCallback | null
  readonly downstreamClose: GuestCallback | null
  readonly upstreamClose: GuestCallback | null
  readonly tick: GuestCallback | null
  readonly queueReady: GuestCallback | null
  readonly httpCallResponse: GuestCallback | null
  readonly grpcInitialMetadata: GuestCallback | null
  readonly grpcReceive: GuestCallback | null
  readonly grpcTrailingMetadata: GuestCallback | null
  readonly grpcClose: GuestCallback | null
  readonly foreignFunction: GuestCallback | null
  readonly done: GuestCallback | null
  readonly log: GuestCallback | null
  readonly delete: GuestCallback | null
}

export function guestExports(exports: WebAssembly.Exports): GuestExports {
  const find = (name: string): GuestCallback | null => {
    const value = exports[name]
    return typeof value === "function" ? (value as GuestCallback) : null
  }
  const start: GuestCallback[] = []
  const initialize = find("_initialize")
  if (initialize !== null) {
    start.push(initialize)
    const main = find("main")
    const voidMain = find("__main_void")
    if (main !== null) start.push(() => main(0, 0))
    else if (voidMain !== null) start.push(voidMain)
  } else {
    const command = find("_start")
    if (command !== null) start.push(command)
  }
  return {
    start,
    // TinyGo exports both, and what its `malloc` hands out is never freed.
    allocate: find("proxy_on_memory_allocate") ?? find("malloc"),
    contextCreate: find("proxy_on_context_create"),
    vmStart: find("proxy_on_vm_start"),
    configure: find("proxy_on_configure"),
    requestHeaders: find("proxy_on_request_headers"),
    requestBody: find(REQUEST_BODY_EXPORT),
    requestTrailers: find(REQUEST_TRAILERS_EXPORT),
    responseHeaders: find(RESPONSE_HEADERS_EXPORT),
    responseBody: find(RESPONSE_BODY_EXPORT),
    responseTrailers: find(RESPONSE_TRAILERS_EXPORT),
    newConnection: find("proxy_on_new_connection"),
    downstreamData: find(DOWNSTREAM_DATA_EXPORT),
    upstreamData: find(UPSTREAM_DATA_EXPORT),
    downstreamClose: find("proxy_on_downstream_connection_close"),
    upstreamClose: find("proxy_on_upstream_connection_close"),
    tick: find("proxy_on_tick"),
    queueReady: find("proxy_on_queue_ready"),
    httpCallResponse: find("proxy_on_http_call_response"),
    grpcInitialMetadata: find("proxy_on_grpc_receive_initial_metadata"),
    grpcReceive: find("proxy_on_grpc_receive"),
    grpcTrailingMetadata: find("proxy_on_grpc_receive_trailing_metadata"),
    grpcClose: find("proxy_on_grpc_close"),
    foreignFunction: find("proxy_on_foreign_function"),
    done: find("proxy_on_done"),
    log: find("proxy_on_log"),
    delete: find("proxy_on_delete"),
  }
}
