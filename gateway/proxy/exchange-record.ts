// What is known of one exchange: the part of it that filters, metrics and the access log read.

import type { StreamInfo } from "../filter/filter.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { DownstreamStream } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import type { AccessEntry } from "../telemetry/access-log.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import { clientAddress } from "./forwarded.ts"
import type { GrpcCall } from "./grpc-call.ts"
import type { Plane } from "./plane.ts"
import type { Backend, Route } from "./route.ts"

/** The state of an exchange that others may look at. */
export class ExchangeRecord implements StreamInfo, AccessEntry {
  protected readonly plane: Plane
  protected stream: DownstreamStream
  protected readonly head: RequestHead
  /** Of the wheel's clock, ms. */
  protected readonly started: number
  protected matched: Route | null = null
  protected backend: Backend | null = null
  protected endpoint: Endpoint | null = null
  /** Address of the last endpoint. */
  protected lastUpstream = ""
  /** Set when it is a gRPC call. */
  protected grpc: GrpcCall | null = null
  attempts = 0
  path = ""
  requestId = ""
  status = 0
  flag = ""
  flagDetails = ""
  timeToFirstByte = -1
  duration = 0
  /** Milliseconds the whole exchange took; −1 while it runs. */
  elapsed = -1
  requestBytes = 0
  responseBytes = 0

  constructor(plane: Plane, stream: DownstreamStream, head: RequestHead) {
    this.plane = plane
    this.stream = stream
    this.head = head
    this.started = plane.means.wheel.refresh()
  }

  get startTime(): number {
    return this.plane.means.epoch + this.started
  }
  get security(): ConnectionSecurity | null {
    return this.stream.security
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
    return this.endpoint?.address ?? this.lastUpstream
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
    const address = this.sourceAddress
    return address.includes(":") ? `[${address}]:${this.sourcePort}` : `${address}:${this.sourcePort}`
  }
  get userAgent(): string {
    return this.head.fields.get("user-agent") ?? ""
  }
}
