// What spans say: attributes, names and statuses by OpenTelemetry's semantic conventions for HTTP and RPC (version 1.41 and later, stable
// names), and Sluice's own under `sluice.`. Nothing of a query or a header but the user agent is in them.

import { type ErrorSource, errors } from "../../errors.ts"
import { blamesServer, grpcCodes } from "../../http/grpc-status.ts"
import type { FinishedAttempt, FinishedPhase, FinishedTrace } from "./finished-trace.ts"

export type SpanAttributes = Record<string, string | number | boolean>

export interface SpanContent {
  readonly name: string
  readonly attributes: SpanAttributes
  /** Null: it ended as it should, as far as this side is concerned. */
  readonly error: { readonly message: string } | null
}

const METHODS: ReadonlySet<string> = new Set(["CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE", "QUERY"])
/** What a method may look like that a service knows. */
const RPC_METHOD = /^\/([A-Za-z0-9_.]{1,255}\/[A-Za-z0-9_]{1,255})$/
const UNIMPLEMENTED = 12
const SOURCES: ReadonlyMap<string, ErrorSource> = new Map(Object.values(errors).map(({ flag, source }) => [flag, source]))

/** `host:port`, an IPv6 address in brackets; without a port it is `port`. */
export function place(address: string, port: number): { host: string; port: number } {
  const match = /^(?:\[([^\]]*)\]|([^:]*))(?::(\d{1,5}))?$/.exec(address)
  if (match === null) return { host: address, port }
  return { host: match[1] ?? match[2], port: match[3] === undefined ? port : Number(match[3]) }
}

// A name that no service knows could be anything.
function rpcMethod(trace: FinishedTrace): string {
  const match = RPC_METHOD.exec(trace.path)
  return match === null || trace.grpcStatus === UNIMPLEMENTED ? "_OTHER" : match[1]
}

function request(trace: FinishedTrace): SpanAttributes {
  const { method } = trace
  const attributes: SpanAttributes = { "http.request.method": METHODS.has(method) ? method : "_OTHER" }
  if (!METHODS.has(method)) set(attributes, "http.request.method_original", method)
  if (trace.grpcStatus < 0) return attributes
  attributes["rpc.system.name"] = "grpc"
  const called = rpcMethod(trace)
  attributes["rpc.method"] = called
  if (called === "_OTHER") attributes["rpc.method_original"] = trace.path.slice(1)
  return attributes
}

function answer(attributes: SpanAttributes, status: number, grpcStatus: number): void {
  if (status > 0) attributes["http.response.status_code"] = status
  if (grpcStatus >= 0 && grpcStatus < grpcCodes.length) attributes["rpc.status_code"] = grpcCodes[grpcStatus]
}

export function set(attributes: SpanAttributes, name: string, value: string): void {
  if (value !== "") attributes[name] = value
}

function verb(trace: FinishedTrace): string {
  return METHODS.has(trace.method) ? trace.method : "HTTP"
}

/** Of the exchange. */
export function serverSpan(trace: FinishedTrace): SpanContent {
  const attributes = request(trace)
  const { host, port } = place(trace.authority, trace.scheme === "https" ? 443 : 80)
  attributes["url.path"] = trace.path
  attributes["url.scheme"] = trace.scheme
  if (host !== "") {
    attributes["server.address"] = host
    attributes["server.port"] = port
  }
  attributes["client.address"] = trace.clientAddress
  attributes["network.peer.address"] = trace.peerAddress
  attributes["network.peer.port"] = trace.peerPort
  attributes["network.protocol.version"] = trace.version
  answer(attributes, trace.status, trace.grpcStatus)
  set(attributes, "http.route", trace.route)
  set(attributes, "user_agent.original", trace.userAgent)
  const error = ours(attributes, trace)
  const name = trace.grpcStatus >= 0 ? String(attributes["rpc.method"]) : trace.route === "" ? verb(trace) : `${verb(trace)} ${trace.route}`
  return { name, attributes, error }
}

/** Sluice's own of what a client asked for, and why it failed, if it did. */
export function ours(attributes: SpanAttributes, trace: FinishedTrace): SpanContent["error"] {
  set(attributes, "sluice.listener", trace.listener)
  set(attributes, "sluice.route", trace.route)
  set(attributes, "sluice.service", trace.service)
  set(attributes, "sluice.response_flag", trace.flag)
  set(attributes, "sluice.response_details", trace.details)
  set(attributes, "sluice.request_id", trace.requestId)
  set(attributes, "sluice.peer_identity", trace.identity)
  attributes["sluice.attempts"] = trace.attempts.length
  const type = serverError(trace)
  if (type === "") return null
  attributes["error.type"] = type
  return { message: trace.details }
}

// What the client did, or was told that it did, is no error of ours. A response that was cut short is, whatever its head said.
function serverError({ status, grpcStatus, flag }: FinishedTrace): string {
  if (status >= 500) return String(status)
  const source = SOURCES.get(flag)
  if (source === "upstream" || source === "filter" || (source === "gateway" && status === 0)) return flag
  return blamesServer(grpcStatus) ? grpcCodes[grpcStatus] : ""
}

/** Of an attempt; `sent`: how many were made before it. `secure`: its service is spoken to with TLS. */
export function clientSpan(trace: FinishedTrace, attempt: FinishedAttempt, sent: number, secure: boolean): SpanContent {
  const attributes = request(trace)
  const { host, port } = place(attempt.endpoint, 0)
  attributes["server.address"] = host
  attributes["server.port"] = port
  attributes["network.peer.address"] = host
  attributes["network.peer.port"] = port
  set(attributes, "network.protocol.version", attempt.version)
  attributes["url.full"] = `${secure ? "https" : "http"}://${attempt.endpoint}${trace.sentPath}`
  if (sent > 0) attributes["http.request.resend_count"] = sent
  answer(attributes, attempt.status, attempt.grpcStatus)
  set(attributes, "sluice.service", trace.service)
  attributes["sluice.attempt.outcome"] = attempt.code !== "" ? "failed" : attempt.status > 0 ? "answered" : "given up"
  if (attempt.hedged) attributes["sluice.attempt.hedged"] = true
  if (attempt.reused) attributes["sluice.attempt.connection_reused"] = true
  const type = clientError(attempt)
  if (type !== "") attributes["error.type"] = type
  const name = trace.grpcStatus >= 0 ? String(attributes["rpc.method"]) : verb(trace)
  return { name, attributes, error: type === "" ? null : { message: attempt.details } }
}

function clientError({ code, status, grpcStatus }: FinishedAttempt): string {
  if (code !== "") return code
  if (status >= 400) return String(status)
  if (grpcStatus > 0) return grpcCodes[grpcStatus] ?? "_OTHER"
  return ""
}

/** Of a phase of a filter. */
export function filterSpan({ name, phase, outcome }: FinishedPhase): SpanContent {
  return {
    name: `${name} ${phase}`,
    attributes: { "sluice.filter.name": name, "sluice.filter.phase": phase, "sluice.filter.outcome": outcome },
    error: outcome === "fail" ? { message: "" } : null,
  }
}
