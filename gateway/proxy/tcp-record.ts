// What is known of one TCP connection: the part of it that filters, metrics and the access log read, and how it is counted and logged.

import type { StreamInfo } from "../filter/filter.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import { type ConnectionSight, sightOf } from "../http/connection-sight.ts"
import { type SocketAddresses, withPort } from "../http/socket-addresses.ts"
import type { Opened } from "../tcp/opened.ts"
import { flagIndex, NONE, type TcpSlots } from "../telemetry/instruments.ts"
import type { RouteTracing } from "../telemetry/tracing/route-tracing.ts"
import type { Trail } from "../telemetry/trail.ts"
import type { WatchedConnection } from "../telemetry/watch.ts"
import type { TcpAttempts } from "./tcp-attempts.ts"
import type { TcpBackend, TcpPlane } from "./tcp-plane.ts"

const NO_FIELDS: readonly string[] = []

/** The state of a connection that others may look at. */
export class TcpRecord implements StreamInfo, WatchedConnection {
  readonly connectionId: number
  readonly security: ConnectionSecurity | null
  protected readonly plane: TcpPlane
  readonly addresses: SocketAddresses
  readonly requestedServerName: string
  /** What a proxy in front calls the connection. */
  readonly requestId: string
  /** Of the wheel's clock, ms. */
  protected readonly started: number
  protected backend: TcpBackend | null = null
  /** Null until it is to go to a service. */
  protected reaching: TcpAttempts | null = null
  trail: Trail | null = null
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
  readonly userAgent = ""
  readonly requestFields = null
  readonly responseFields = null
  readonly trailerFields = null
  receivedBytes = 0
  sentBytes = 0
  /** Those that metrics know of. */
  #receivedCounted = 0
  #sentCounted = 0

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
      carries: [
        {
          method: "",
          path: "",
          route: "",
          service: this.serviceName,
          endpoint: this.upstreamAddress,
          status: 0,
          age: this.plane.means.wheel.refresh() - this.started,
          received: this.receivedBytes,
          sent: this.sentBytes,
        },
      ],
    }
  }

  /** Octets count as they come: a connection may last for months. */
  protected countOctets(): void {
    const { metrics, identities } = this.plane.means
    const slots = this.#slots
    const received = this.receivedBytes - this.#receivedCounted
    const sent = this.sentBytes - this.#sentCounted
    this.#receivedCounted = this.receivedBytes
    this.#sentCounted = this.sentBytes
    if (received > 0) metrics.add(slots.received, received)
    if (sent > 0) metrics.add(slots.sent, sent)
    const identity = this.#identity
    if (identity !== "" && received + sent > 0) identities.countOctets(identity, this.serviceName || NONE, received, sent)
  }

  logOpen(ms: number): void {
    const { wheel, accessLog } = this.plane.means
    const age = wheel.now - this.started
    if (age < ms || !accessLog.wants("", 0, age)) return
    this.duration = age
    accessLog.recordConnection(this)
  }

  /** It has ended, and {@link duration} is known: metrics and access log. */
  protected publish(): void {
    const { metrics, identities, accessLog, watch } = this.plane.means
    this.countOctets()
    const slots = this.#slots
    metrics.add(slots.ended, 1)
    if (this.flag !== "") metrics.add(slots.flags + flagIndex(this.flag), 1)
    if (this.#identity !== "") identities.countConnection(this.#identity, this.serviceName || NONE)
    if (accessLog.wants(this.flag, 0, this.duration)) accessLog.recordConnection(this)
    if (watch.active) watch.endConnection(this)
  }

  get #slots(): TcpSlots {
    return this.backend === null ? this.plane.noServiceSlots : this.backend.slots
  }

  get #identity(): string {
    return this.security === null ? "" : this.security.peerIdentity
  }

  get tracing(): RouteTracing | null {
    return this.plane.tracing
  }
  /** Nothing of it goes to its service, which hears no words of ours. */
  get traceId(): string {
    return this.trail?.context?.traceId ?? ""
  }
  get traceFields(): readonly string[] {
    return this.trail?.context?.fields ?? NO_FIELDS
  }
  get attempts(): number {
    return this.reaching === null ? 0 : this.reaching.count
  }
  get open(): boolean {
    return this.elapsed < 0
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
    return this.reaching === null ? "" : this.reaching.address
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
    return withPort(this.addresses.sourceAddress, this.addresses.sourcePort)
  }
}
