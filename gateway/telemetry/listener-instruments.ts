// What is counted of a listener: its connections, their handshakes, and the requests that run or have ended on it by protocol.

import { type HandshakeResult, handshakeResults } from "../http/connection-security.ts"
import { requestBuckets } from "./duration-buckets.ts"
import { type Metric, type MetricsRegistry, slotsOf } from "./metrics-registry.ts"
import { statusClasses } from "./status-classes.ts"

const LISTENER_SERIES = 1000

/** Offset of a result in the slots of {@link ListenerSlots.handshakes}. */
export function handshakeIndex(result: HandshakeResult): number {
  return handshakeResults.indexOf(result)
}

/** Slots of a listener. */
export interface ListenerSlots {
  /** Gauge: open downstream connections. */
  readonly connections: number
  /** Counter: accepted connections. */
  readonly connectionsTotal: number
  /** Counter: connections closed at once because the listener was full. */
  readonly connectionsRefused: number
  /** Gauge: exchanges in progress. */
  readonly requestsActive: number
  /** Counters; add {@link handshakeIndex}. */
  readonly handshakes: number
  /** Histogram of {@link requestBuckets}: seconds of those that came off. */
  readonly handshakeDuration: number
  /** Counters of finished requests by the version of HTTP; add {@link statusIndex}. */
  readonly http10: number
  readonly http11: number
  readonly http2: number
}

type OneLabel = Omit<ListenerSlots, "http10" | "http11" | "http2">

/** The metrics of listeners, whose slots {@link listenerSlots} gives. */
export interface ListenerMetrics {
  readonly own: Record<keyof OneLabel, Metric>
  readonly protocols: Metric
}

export function listenerSlots({ own, protocols }: ListenerMetrics, listener: string): ListenerSlots {
  return {
    ...slotsOf(own, (metric) => metric.slot(listener)),
    http10: protocols.slot(listener, "HTTP/1.0"),
    http11: protocols.slot(listener, "HTTP/1.1"),
    http2: protocols.slot(listener, "HTTP/2"),
  }
}

export function listenerMetrics(registry: MetricsRegistry): ListenerMetrics {
  const byListener = { labels: ["listener"], maxSeries: LISTENER_SERIES }
  const protocols = registry.counter({
    name: "sluice_protocol_requests_total",
    help: "Finished requests by the version of HTTP clients spoke and the class of their status",
    labels: ["listener", "protocol"],
    across: { label: "code", values: statusClasses },
    maxSeries: 3 * LISTENER_SERIES,
    omitZero: true,
  })
  const own = {
    connections: registry.gauge({ name: "sluice_downstream_connections_active", help: "Open client connections", ...byListener }),
    connectionsTotal: registry.counter({
      name: "sluice_downstream_connections_total",
      help: "Accepted client connections",
      ...byListener,
    }),
    connectionsRefused: registry.counter({
      name: "sluice_downstream_connections_refused_total",
      help: "Client connections closed at once because the listener was full",
      ...byListener,
    }),
    requestsActive: registry.gauge({ name: "sluice_requests_active", help: "Requests in progress", ...byListener }),
    handshakes: registry.counter({
      name: "sluice_tls_handshakes_total",
      help: "TLS handshakes with clients that have ended",
      ...byListener,
      across: { label: "result", values: handshakeResults },
      omitZero: true,
    }),
    handshakeDuration: registry.histogram({
      name: "sluice_tls_handshake_duration_seconds",
      help: "Time of TLS handshakes with clients that came off",
      ...byListener,
      buckets: requestBuckets,
      omitZero: true,
    }),
  }
  return { own, protocols }
}
