// What is known of one exchange: the part of it that filters, metrics and the access log read, and how it is counted and logged.

import type { StreamInfo } from "../filter/filter.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { CarriedSight } from "../http/connection-sight.ts"
import type { DownstreamStream } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import { withPort } from "../http/socket-addresses.ts"
import { traceIdOf } from "../http/trace-id.ts"
import { shownTarget } from "../tap/redact.ts"
import { requestBuckets } from "../telemetry/duration-buckets.ts"
import { flagIndex, type RouteSlots, statusIndex } from "../telemetry/instruments.ts"
import type { NotedFields } from "../telemetry/noted-fields.ts"
import { traceFieldsOf } from "../telemetry/tracing/propagation.ts"
import type { RouteTracing } from "../telemetry/tracing/route-tracing.ts"
import type { Trail } from "../telemetry/trail.ts"
import type { WatchedExchange } from "../telemetry/watch.ts"
import type { Attempts } from "./attempts.ts"
import { clientAddress } from "./forwarded.ts"
import type { GrpcCall } from "./grpc-call.ts"
import type { Plane } from "./plane.ts"
import type { Backend, Route } from "./route.ts"

const NO_FIELDS: readonly string[] = []
/** Characters of a method or a path that are shown of an exchange under way. */
const MAX_SHOWN = 256

/** The state of an exchange that others may look at. */
export class ExchangeRecord implements StreamInfo, WatchedExchange {
  protected readonly plane: Plane
  protected stream: DownstreamStream
  readonly head: RequestHead
  /** Of the wheel's clock, ms. */
  protected readonly started: number
  protected matched: Route | null = null
  protected backend: Backend | null = null
  /** Null until its request is sent on. */
  protected sending: Attempts | null = null
  /** Set when it is a gRPC call. */
  protected grpc: GrpcCall | null = null
  trail: Trail | null = null
  path = ""
  requestId = ""
  status = 0
  flag = ""
  flagDetails = ""
  timeToFirstByte = -1
  duration = 0
  /** Octets of bodies that metrics know of. */
  #requestCounted = 0
  #responseCounted = 0
  /** Milliseconds the whole exchange took; −1 while it runs. */
  elapsed = -1
  requestBytes = 0
  responseBytes = 0
  requestFields: NotedFields | null = null
  responseFields: NotedFields | null = null
  trailerFields: NotedFields | null = null

  constructor(plane: Plane, stream: DownstreamStream, head: RequestHead) {
    this.plane = plane
    this.stream = stream
    this.head = head
    this.started = plane.means.wheel.refresh()
    plane.means.metrics.add(plane.listenerSlots.requestsActive, 1)
  }

  /** Why it didn't go as it should: the first reason is what counts. */
  protected setFlag(flag: string, details: string): void {
    if (this.flag !== "") return
    this.flag = flag
    this.flagDetails = details
  }

  /** Octets count as they come, once it is known for which service: a stream may last for days. */
  protected countOctets(): void {
    const received = this.requestBytes - this.#requestCounted
    const sent = this.responseBytes - this.#responseCounted
    if (received <= 0 && sent <= 0) return
    const { metrics } = this.plane.means
    const slots = this.#slots
    if (received > 0) {
      this.#requestCounted = this.requestBytes
      metrics.add(slots.requestBytes, received)
    }
    if (sent > 0) {
      this.#responseCounted = this.responseBytes
      metrics.add(slots.responseBytes, sent)
    }
  }

  get #slots(): RouteSlots {
    return this.backend?.slots ?? this.matched?.slots ?? this.plane.noRouteSlots
  }

  sight(): CarriedSight {
    const query = this.path.indexOf("?")
    return {
      method: this.method.slice(0, MAX_SHOWN),
      // Sessions may be parameters of a path, too.
      path: shownTarget(this.path.slice(0, query === -1 ? MAX_SHOWN : Math.min(query, MAX_SHOWN))),
      route: this.routeName,
      service: this.serviceName,
      endpoint: this.upstreamAddress,
      status: this.status,
      age: this.plane.means.wheel.refresh() - this.started,
      received: this.requestBytes,
      sent: this.responseBytes,
    }
  }

  logOpen(ms: number): void {
    const { wheel, accessLog } = this.plane.means
    const age = wheel.now - this.started
    if (age < ms || !accessLog.wants("", this.status, age)) return
    this.duration = age
    accessLog.record(this)
  }

  /** It has ended, and {@link duration} is known: metrics and access log. */
  protected publish(): void {
    const { means, listenerSlots } = this.plane
    const { metrics } = means
    const slots = this.#slots
    metrics.add(listenerSlots.requestsActive, -1)
    metrics.add(slots.requests + statusIndex(this.status), 1)
    metrics.add(this.#protocolSlots + statusIndex(this.status), 1)
    const seconds = this.duration / 1000
    metrics.observe(slots.duration, seconds, requestBuckets)
    if (this.timeToFirstByte >= 0) metrics.observe(slots.firstByte, this.timeToFirstByte / 1000, requestBuckets)
    const { security } = this.stream
    if (security !== null && security.peerIdentity !== "")
      means.identities.count(security.peerIdentity, this.serviceName || "-", this.status, seconds)
    this.countOctets()
    if (this.flag !== "") metrics.add(slots.flags + flagIndex(this.flag), 1)
    if (this.grpc !== null) metrics.add(slots.grpc + this.grpc.status, 1)
    // A filter that answers, or delays on purpose, is at work, not at fault.
    const failed = this.flag === "LR" || this.flag === "DI" ? "" : this.flag
    if (means.accessLog.wants(failed, this.status, this.duration)) means.accessLog.record(this)
    // One that has a route, but no trail, has begun, and nobody wanted it then.
    if (means.watch.active && (this.trail !== null || this.matched === null)) means.watch.end(this)
  }

  get #protocolSlots(): number {
    const { http10, http11, http2 } = this.plane.listenerSlots
    return this.head.major === 2 ? http2 : this.head.minor === 1 ? http11 : http10
  }

  get open(): boolean {
    return this.elapsed < 0
  }
  get startTime(): number {
    return this.plane.means.epoch + this.started
  }
  get security(): ConnectionSecurity | null {
    return this.stream.security
  }
  get headTook(): number {
    return this.stream.headTook
  }
  get connectionId(): number {
    return this.stream.connectionId
  }
  get protocol(): string {
    if (this.head.major === 2) return "HTTP/2"
    return this.head.minor === 1 ? "HTTP/1.1" : "HTTP/1.0"
  }
  get sourceAddress(): string {
    return clientAddress(this.head, this.stream.sourceAddress, this.plane.config.trustedHops)
  }
  get peerAddress(): string {
    return this.stream.sourceAddress
  }
  get trusted(): boolean {
    return this.plane.config.trustedHops > 0
  }
  get tracing(): RouteTracing | null {
    return this.matched === null ? null : this.matched.tracing
  }
  get traceFields(): readonly string[] {
    if (this.tracing === null) return NO_FIELDS
    return this.trail?.context?.fields ?? traceFieldsOf(this.head.fields)
  }
  get sourcePort(): number {
    return this.stream.sourcePort
  }
  get destinationAddress(): string {
    return this.stream.destinationAddress
  }
  get destinationPort(): number {
    return this.stream.destinationPort
  }
  get requestedServerName(): string {
    return this.stream.security?.serverName ?? ""
  }
  get listenerName(): string {
    return this.plane.name
  }
  get routeName(): string {
    return this.matched?.name ?? ""
  }
  get serviceName(): string {
    return this.backend?.name ?? ""
  }
  get upstreamAddress(): string {
    return this.sending === null ? "" : this.sending.address
  }
  get attempts(): number {
    return this.sending === null ? 0 : this.sending.count
  }
  get responseFlag(): string {
    return this.flag
  }
  get responseDetails(): string {
    return this.flagDetails
  }
  get method(): string {
    return this.head.method
  }
  get authority(): string {
    return this.head.authority
  }
  get listener(): string {
    return this.plane.name
  }
  get route(): string {
    return this.routeName
  }
  get service(): string {
    return this.serviceName
  }
  get grpcStatus(): number {
    return this.grpc === null ? -1 : this.grpc.status
  }
  get upstream(): string {
    return this.upstreamAddress
  }
  get source(): string {
    return withPort(this.sourceAddress, this.sourcePort)
  }
  /** Of the trace its services are told of. */
  get traceId(): string {
    return this.trail?.context?.traceId ?? traceIdOf(this.head.fields.get("traceparent"))
  }
  get userAgent(): string {
    return this.head.fields.get("user-agent") ?? ""
  }
}
