// What spans of TCP connections say, by OpenTelemetry's conventions for networks (stable names), and Sluice's own under `sluice.`.

import type { FinishedAttempt, FinishedConnection, FinishedTrace } from "./finished-trace.ts"
import { ours, place, type SpanAttributes, type SpanContent, set } from "./span-attributes.ts"

/** Of a connection as its client sees it. */
export function connectionSpan(trace: FinishedTrace, connection: FinishedConnection): SpanContent {
  const attributes: SpanAttributes = { "network.transport": "tcp" }
  set(attributes, "client.address", trace.clientAddress)
  set(attributes, "network.peer.address", trace.peerAddress)
  if (trace.peerPort > 0) attributes["network.peer.port"] = trace.peerPort
  // The name it asked for, as far as there is one.
  set(attributes, "server.address", connection.serverName || connection.localAddress)
  if (connection.localPort > 0) attributes["server.port"] = connection.localPort
  octets(attributes, connection)
  return { name: `TCP ${trace.listener}`, attributes, error: ours(attributes, trace) }
}

/** Of an attempt to reach the service, and of what went over it if it came off. `last`: no other followed. */
export function connectSpan(trace: FinishedTrace, connection: FinishedConnection, attempt: FinishedAttempt, last: boolean): SpanContent {
  const { host, port } = place(attempt.endpoint, 0)
  const attributes: SpanAttributes = { "network.transport": "tcp", "server.address": host, "network.peer.address": host }
  attributes["server.port"] = port
  attributes["network.peer.port"] = port
  const connected = attempt.sentAt > 0
  if (connected && last) octets(attributes, connection)
  set(attributes, "sluice.service", trace.service)
  attributes["sluice.attempt.outcome"] = attempt.code !== "" ? "failed" : connected ? "connected" : "given up"
  set(attributes, "error.type", attempt.code)
  return { name: `TCP ${trace.service}`, attributes, error: attempt.code === "" ? null : { message: attempt.details } }
}

function octets(attributes: SpanAttributes, { received, sent }: FinishedConnection): void {
  attributes["sluice.received_bytes"] = received
  attributes["sluice.sent_bytes"] = sent
}
