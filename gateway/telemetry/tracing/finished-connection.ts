// What a worker tells the main thread of a TCP connection that was recorded. It has no words of its own to carry a trace in, so that
// every one begins here, and ends.

import type { WatchedConnection } from "../watch.ts"
import type { ExchangeTrace } from "./exchange-trace.ts"
import { type FinishedTrace, finishedAttempt, MAX_AGENT, MAX_TEXT, TraceClock } from "./finished-trace.ts"
import type { TraceIds } from "./trace-ids.ts"

/** `epoch`: as in `finishedTrace`. */
export function finishedConnection(connection: WatchedConnection, trace: ExchangeTrace, epoch: number, ids: TraceIds): FinishedTrace {
  const clock = new TraceClock(connection.startTime, connection.duration, epoch)
  const steps = connection.trail?.attempts ?? []
  return {
    ...NO_REQUEST,
    traceId: trace.traceId,
    spanId: trace.spanId,
    began: clock.began,
    duration: connection.duration,
    flag: connection.flag,
    details: connection.flagDetails.slice(0, MAX_TEXT),
    listener: connection.listener,
    service: connection.service,
    clientAddress: connection.sourceAddress.slice(0, MAX_AGENT),
    peerAddress: connection.peerAddress,
    peerPort: connection.sourcePort,
    identity: connection.security?.peerIdentity.slice(0, MAX_TEXT) ?? "",
    requestId: connection.requestId.slice(0, MAX_TEXT),
    connection: {
      received: connection.receivedBytes,
      sent: connection.sentBytes,
      serverName: connection.requestedServerName,
      localAddress: connection.destinationAddress,
      localPort: connection.destinationPort,
    },
    attempts: steps.map((step) => finishedAttempt(step, -1, clock, ids)),
  }
}

/** What a connection has none of. */
const NO_REQUEST = {
  parentId: "",
  state: "",
  linkTraceId: "",
  linkSpanId: "",
  method: "",
  path: "",
  sentPath: "",
  scheme: "",
  authority: "",
  version: "",
  status: 0,
  grpcStatus: -1,
  route: "",
  userAgent: "",
  phases: [],
} as const
