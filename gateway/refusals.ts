// Counts and logs what was refused before it became an exchange or a carried connection, like those that did.

import { type ErrorCode, errors } from "./errors.ts"
import type { RequestHead } from "./http/message.ts"
import type { SocketAddresses } from "./http/socket-addresses.ts"
import type { TimerWheel } from "./http/timer-wheel.ts"
import type { HttpConnection } from "./listener/listener.ts"
import type { Plane } from "./proxy/plane.ts"
import type { Snapshot } from "./snapshot.ts"
import type { AccessLog, TcpAccessEntry } from "./telemetry/access-log.ts"
import { flagIndex, statusIndex } from "./telemetry/instruments.ts"
import type { MetricsWriter } from "./telemetry/metrics-writer.ts"
import type { Watch, WatchedExchange } from "./telemetry/watch.ts"

export class Refusals {
  readonly #metrics: MetricsWriter
  readonly #accessLog: AccessLog
  readonly #wheel: TimerWheel
  readonly #watch: Pick<Watch, "active" | "end" | "endConnection">

  constructor(metrics: MetricsWriter, accessLog: AccessLog, wheel: TimerWheel, watch: Pick<Watch, "active" | "end" | "endConnection">) {
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
    const logged = this.#accessLog.wants(flag)
    if (!logged && !this.#watch.active) return
    const { sourceAddress, sourcePort } = connection
    const exchange: WatchedExchange = {
      head,
      trail: null,
      attempts: 0,
      headTook: 0,
      startTime: Date.now(),
      method: head.method,
      path: head.target,
      authority: head.authority,
      protocol: head.major === 2 ? "HTTP/2" : "HTTP/1.1",
      status,
      grpcStatus: -1,
      flag,
      flagDetails: code,
      duration: 0,
      timeToFirstByte: -1,
      requestBytes: 0,
      responseBytes: 0,
      listener: plane.name,
      route: "",
      service: "",
      upstream: "",
      source: withPort(sourceAddress, sourcePort),
      requestId: "",
      userAgent: "",
      security: connection.security,
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
    const logged = this.#accessLog.wants(flag)
    if (!logged && !this.#watch.active) return
    const entry: TcpAccessEntry = {
      startTime: performance.timeOrigin + started,
      flag,
      flagDetails: details === "" ? code : `${code}: ${details}`,
      duration: this.#wheel.refresh() - started,
      connectTime: -1,
      receivedBytes: 0,
      sentBytes: 0,
      listener,
      serverName: "",
      service: "",
      upstream: "",
      requestId: "",
      security: null,
      source: withPort(from.sourceAddress, from.sourcePort),
    }
    if (logged) this.#accessLog.recordConnection(entry)
    if (this.#watch.active) this.#watch.endConnection(entry)
  }
}

function withPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}
