// Counts and logs what was refused before it became an exchange or a carried connection, like those that did.

import { type ErrorCode, errors } from "../errors.ts"
import type { RequestHead } from "../http/message.ts"
import { type SocketAddresses, withPort } from "../http/socket-addresses.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import type { HttpConnection } from "../listener/listener.ts"
import type { Plane } from "../proxy/plane.ts"
import type { Snapshot } from "../snapshot.ts"
import type { AccessLog, TcpAccessEntry } from "../telemetry/access-log.ts"
import { flagIndex, statusIndex } from "../telemetry/instruments.ts"
import type { MetricsWriter } from "../telemetry/metrics-writer.ts"
import type { Watch, WatchedExchange } from "../telemetry/watch.ts"

export class Refusals {
  readonly #metrics: MetricsWriter
  readonly #accessLog: AccessLog
  readonly #wheel: TimerWheel
  readonly #watch: Pick<Watch, "active" | "end" | "refusedConnection">

  constructor(metrics: MetricsWriter, accessLog: AccessLog, wheel: TimerWheel, watch: Pick<Watch, "active" | "end" | "refusedConnection">) {
    this.#metrics = metrics
    this.#accessLog = accessLog
    this.#wheel = wheel
    this.#watch = watch
  }

  /** A request that never became an exchange. */
  request(plane: Plane, connection: HttpConnection, code: ErrorCode, head: RequestHead): void {
    const { status, flag } = errors[code]
    this.#metrics.add(plane.noRouteSlots.requests + statusIndex(status), 1)
    this.#metrics.add(plane.noRouteSlots.flags + flagIndex(flag), 1)
    const logged = this.#accessLog.wants(flag, status, 0)
    if (!logged && !this.#watch.active) return
    const { security } = connection
    const exchange: WatchedExchange = {
      ...NONE,
      head,
      trail: null,
      headTook: 0,
      trusted: false,
      tracing: null,
      startTime: Date.now(),
      method: head.method,
      path: head.target,
      authority: head.authority,
      protocol: head.major === 2 ? "HTTP/2" : "HTTP/1.1",
      status,
      flag,
      flagDetails: code,
      listener: plane.name,
      connectionId: connection.connectionId,
      ...addresses(connection),
      requestedServerName: security?.serverName ?? "",
      security,
      requestFields: logged ? this.#accessLog.noteRequest(head.fields) : null,
    }
    if (logged) this.#accessLog.record(exchange)
    if (this.#watch.active) this.#watch.end(exchange)
  }

  /** A connection that nobody carried. `snapshot`: the one in force. */
  connection(snapshot: Snapshot | null, listener: string, from: SocketAddresses, started: number, code: ErrorCode, details: string): void {
    const { flag } = errors[code]
    const connections = snapshot?.tcpPlanes.get(listener)?.noServiceSlots
    const requests = snapshot?.planes.get(listener)?.noRouteSlots
    if (connections !== undefined) {
      this.#metrics.add(connections.ended, 1)
      this.#metrics.add(connections.flags + flagIndex(flag), 1)
    } else if (requests !== undefined) this.#metrics.add(requests.flags + flagIndex(flag), 1)
    const duration = this.#wheel.refresh() - started
    const logged = this.#accessLog.wants(flag, 0, duration)
    if (!logged && !this.#watch.active) return
    const entry: TcpAccessEntry = {
      ...NONE,
      protocol: "TCP",
      startTime: performance.timeOrigin + started,
      flag,
      flagDetails: details === "" ? code : `${code}: ${details}`,
      duration,
      connectTime: -1,
      receivedBytes: 0,
      sentBytes: 0,
      listener,
      ...addresses(from),
    }
    if (logged) this.#accessLog.recordConnection(entry)
    if (this.#watch.active) this.#watch.refusedConnection(entry)
  }
}

/** What there is none of. */
const NONE = {
  open: false,
  method: "",
  path: "",
  authority: "",
  status: 0,
  grpcStatus: -1,
  duration: 0,
  timeToFirstByte: -1,
  requestBytes: 0,
  responseBytes: 0,
  route: "",
  service: "",
  upstream: "",
  attempts: 0,
  connectionId: 0,
  requestedServerName: "",
  requestId: "",
  traceId: "",
  userAgent: "",
  security: null,
  requestFields: null,
  responseFields: null,
  trailerFields: null,
} as const

function addresses({ sourceAddress, sourcePort, destinationAddress, destinationPort }: SocketAddresses) {
  const source = withPort(sourceAddress, sourcePort)
  return { source, sourceAddress, sourcePort, peerAddress: sourceAddress, destinationAddress, destinationPort }
}
