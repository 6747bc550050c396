// Counts and logs what was refused before it became an exchange or a carried connection, like those that did.

import { type ErrorCode, errors } from "./errors.ts"
import type { RequestHead } from "./http/message.ts"
import type { SocketAddresses } from "./http/socket-addresses.ts"
import type { TimerWheel } from "./http/timer-wheel.ts"
import type { HttpConnection } from "./listener/listener.ts"
import type { Plane } from "./proxy/plane.ts"
import type { Snapshot } from "./snapshot.ts"
import type { AccessLog } from "./telemetry/access-log.ts"
import { flagIndex, statusIndex } from "./telemetry/instruments.ts"
import type { MetricsWriter } from "./telemetry/metrics-writer.ts"

export class Refusals {
  readonly #metrics: MetricsWriter
  readonly #accessLog: AccessLog
  readonly #wheel: TimerWheel

  constructor(metrics: MetricsWriter, accessLog: AccessLog, wheel: TimerWheel) {
    this.#metrics = metrics
    this.#accessLog = accessLog
    this.#wheel = wheel
  }

  /** A request that never became an exchange. */
  request(plane: Plane, connection: HttpConnection, code: ErrorCode, head: RequestHead): void {
    const { status, flag } = errors[code]
    this.#metrics.add(plane.noRouteSlots.requests + statusIndex(status), 1)
    this.#metrics.add(plane.noRouteSlots.flags + flagIndex(flag), 1)
    if (!this.#accessLog.wants(flag)) return
    const { sourceAddress, sourcePort } = connection
    this.#accessLog.record({
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
    })
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
    if (!this.#accessLog.wants(flag)) return
    this.#accessLog.recordConnection({
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
    })
  }
}

function withPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}
