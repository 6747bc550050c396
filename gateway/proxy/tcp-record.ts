// What is known of one TCP connection: the part of it that filters, metrics and the access log read.

import type { StreamInfo } from "../filter/filter.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import { type ConnectionSight, sightOf } from "../http/connection-sight.ts"
import type { SocketAddresses } from "../http/socket-addresses.ts"
import type { Opened } from "../tcp/opened.ts"
import type { TcpAccessEntry } from "../telemetry/access-entry.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import type { TcpBackend, TcpPlane } from "./tcp-plane.ts"

/** The state of a connection that others may look at. */
export class TcpRecord implements StreamInfo, TcpAccessEntry {
  readonly connectionId: number
  readonly security: ConnectionSecurity | null
  protected readonly plane: TcpPlane
  protected readonly addresses: SocketAddresses
  readonly requestedServerName: string
  /** What a proxy in front calls the connection. */
  readonly requestId: string
  /** Of the wheel's clock, ms. */
  protected readonly started: number
  protected backend: TcpBackend | null = null
  protected endpoint: Endpoint | null = null
  /** Address of the last endpoint. */
  protected lastUpstream = ""
  attempts = 0
  flag = ""
  flagDetails = ""
  duration = 0
  connectTime = -1
  elapsed = -1
  // What exchanges alone have.
  readonly method = ""
  readonly path = ""
  readonly authority = ""
  readonly status = 0
  readonly grpcStatus = -1
  readonly traceId = ""
  readonly userAgent = ""
  readonly requestFields = null
  readonly responseFields = null
  readonly trailerFields = null
  receivedBytes = 0
  sentBytes = 0

  constructor(plane: TcpPlane, id: number, opened: Opened) {
    this.plane = plane
    this.connectionId = id
    this.addresses = opened.addresses
    this.security = opened.security
    this.requestedServerName = opened.serverName
    this.requestId = opened.proxyId
    this.started = plane.means.wheel.refresh()
  }

  sight(): ConnectionSight {
    const octets = { bytesRead: this.receivedBytes, bytesWritten: this.sentBytes }
    return {
      ...sightOf(this, octets),
      serverName: this.requestedServerName,
      protocol: "TCP",
      began: this.started,
      requests: 1,
      underWay: 1,
    }
  }

  get startTime(): number {
    return this.plane.means.epoch + this.started
  }
  get timeToFirstByte(): number {
    return -1
  }
  get protocol(): string {
    return "TCP"
  }
  get sourceAddress(): string {
    return this.addresses.sourceAddress
  }
  get peerAddress(): string {
    return this.addresses.sourceAddress
  }
  get sourcePort(): number {
    return this.addresses.sourcePort
  }
  get destinationAddress(): string {
    return this.addresses.destinationAddress
  }
  get destinationPort(): number {
    return this.addresses.destinationPort
  }
  get listenerName(): string {
    return this.plane.name
  }
  get routeName(): string {
    return ""
  }
  get serviceName(): string {
    return this.backend?.name ?? ""
  }
  get upstreamAddress(): string {
    return this.endpoint?.address ?? this.lastUpstream
  }
  get requestBytes(): number {
    return this.receivedBytes
  }
  get responseBytes(): number {
    return this.sentBytes
  }
  get responseFlag(): string {
    return this.flag
  }
  get responseDetails(): string {
    return this.flagDetails
  }
  get listener(): string {
    return this.plane.name
  }
  get service(): string {
    return this.serviceName
  }
  get upstream(): string {
    return this.upstreamAddress
  }
  get route(): string {
    return ""
  }
  get source(): string {
    const { sourceAddress: address, sourcePort: port } = this.addresses
    return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
  }
}
