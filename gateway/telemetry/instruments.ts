// The gateway's metrics by name: what the data plane counts and under which labels. The main thread asks for slots when it
// compiles a snapshot; they travel to the workers as plain numbers inside it.

import { errors } from "../errors.ts"
import { type HandshakeResult, handshakeResults } from "../http/connection-security.ts"
import { grpcCodes } from "../http/grpc-status.ts"
import { requestBuckets } from "./duration-buckets.ts"
import { EndpointInstruments } from "./endpoint-instruments.ts"
import { FilterInstruments } from "./filter-instruments.ts"
import { limitMetrics, type ServiceLimitSlots } from "./limit-instruments.ts"
import { type Metric, type MetricsRegistry, slotsOf } from "./metrics-registry.ts"
import { ShapingInstruments } from "./shaping-instruments.ts"

/** Label value where there is no route or no service. */
export const NONE = "-"

/** Values of the `code` label; `none`: the exchange ended without a response head. */
export const statusClasses = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"] as const

/** Offset of a status in the slots of {@link RouteSlots.requests}; statuses over 599 count as 5xx. */
export function statusIndex(status: number): number {
  const index = (status / 100) | 0
  return index > 5 ? 5 : index
}

/** Response flags that have a series; anything else counts as the last. */
export const responseFlags: readonly string[] = [...new Set([...Object.values(errors).map((row) => row.flag), "LR", "DI"]), "other"]
const flagIndexes: ReadonlyMap<string, number> = new Map(responseFlags.map((flag, i) => [flag, i]))

/** Offset of a response flag in the slots of {@link RouteSlots.flags}. */
export function flagIndex(flag: string): number {
  return flagIndexes.get(flag) ?? responseFlags.length - 1
}

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
}

/** Slots of the exchanges of one listener that took one route to one service. */
export interface RouteSlots {
  /** Counters; add {@link statusIndex}. */
  readonly requests: number
  /** Histogram of {@link requestBuckets}. */
  readonly duration: number
  /** Counters; add {@link flagIndex}. */
  readonly flags: number
  /** Counters of gRPC calls; add a code, OTHER_STATUS or NO_STATUS. */
  readonly grpc: number
  /** Counters of body octets received from and sent to the client. */
  readonly requestBytes: number
  readonly responseBytes: number
}

/** Slots of the connections of one tcp listener that went to one service. */
export interface TcpSlots {
  /** Counter: connections that have ended. */
  readonly ended: number
  /** Counters; add {@link flagIndex}. */
  readonly flags: number
  /** Counters of octets received from and sent to clients. */
  readonly received: number
  readonly sent: number
}

/** Slots of a service. */
export interface ServiceSlots extends ServiceLimitSlots {
  /** Counter: connections opened. */
  readonly connects: number
  /** Counter: attempts to connect that failed or timed out. */
  readonly connectFailures: number
  /** Gauge: open connections, idle ones included. */
  readonly connections: number
  /** Counter: requests sent on a connection that had served before. */
  readonly reused: number
  /** Counter: requests sent a second time. */
  readonly retries: number
  /** Counters: second attempts that set out beside the first, and those that were answered first. */
  readonly hedges: number
  readonly hedgesWon: number
  /** Gauge: requests waiting for a connection. */
  readonly pending: number
  /** Counter: requests refused because too many waited. */
  readonly overflows: number
  /** Counters: what balancers had to do because too little was available. */
  readonly panics: number
  readonly spills: number
  readonly failovers: number
}

/** Slots every worker writes whatever its configuration. */
export interface WorkerSlots {
  readonly accessLogLines: number
  readonly accessLogDropped: number
  readonly logDropped: number
}

// Ten thousand routes on a few listeners, split over a few services, have their own series; more share one.
const ROUTE_SERIES = 65536
const SERVICE_SERIES = 16384

/** Defines all metrics in a registry, hands out their slots, and counts what the main thread itself does. */
export class Instruments {
  readonly #registry: MetricsRegistry
  readonly #listener: Record<keyof ListenerSlots, Metric>
  readonly #route: Record<keyof RouteSlots, Metric>
  readonly #tcp: Record<keyof TcpSlots, Metric>
  readonly #service: Record<keyof ServiceSlots, Metric>
  readonly #generation: number
  readonly #reloadSuccess: number
  readonly #reloadTime: number
  readonly #reloads: number
  readonly #workers: number
  readonly #restarts: number
  readonly endpoints: EndpointInstruments
  readonly filters: FilterInstruments
  /** Goes to every worker with its handle. */
  readonly worker: WorkerSlots
  readonly shaping: ShapingInstruments

  constructor(registry: MetricsRegistry) {
    this.#registry = registry
    this.shaping = new ShapingInstruments(registry)
    const listener = ["listener"]
    this.#listener = {
      connections: registry.gauge({ name: "sluice_downstream_connections_active", help: "Open client connections", labels: listener }),
      connectionsTotal: registry.counter({
        name: "sluice_downstream_connections_total",
        help: "Accepted client connections",
        labels: listener,
      }),
      connectionsRefused: registry.counter({
        name: "sluice_downstream_connections_refused_total",
        help: "Client connections closed at once because the listener was full",
        labels: listener,
      }),
      requestsActive: registry.gauge({ name: "sluice_requests_active", help: "Requests in progress", labels: listener }),
      handshakes: registry.counter({
        name: "sluice_tls_handshakes_total",
        help: "TLS handshakes with clients that have ended",
        labels: listener,
        across: { label: "result", values: handshakeResults },
        omitZero: true,
      }),
    }
    const byRoute = { maxSeries: ROUTE_SERIES, omitZero: true }
    this.#route = {
      requests: registry.counter({
        name: "sluice_requests_total",
        help: "Finished requests by class of their status",
        labels: ["listener", "route", "service"],
        across: { label: "code", values: statusClasses },
        ...byRoute,
      }),
      duration: registry.histogram({
        name: "sluice_request_duration_seconds",
        help: "Time from the first byte of a request to the last of its response",
        labels: ["route", "service"],
        buckets: requestBuckets,
        ...byRoute,
      }),
      flags: registry.counter({
        name: "sluice_response_flags_total",
        help: "Finished requests with a response flag",
        labels: ["route"],
        across: { label: "flag", values: responseFlags },
        ...byRoute,
      }),
      grpc: registry.counter({
        name: "sluice_grpc_requests_total",
        help: "Finished gRPC calls by their status",
        labels: ["listener", "route", "service"],
        across: { label: "code", values: [...grpcCodes, "other", "none"] },
        ...byRoute,
      }),
      requestBytes: registry.counter({
        name: "sluice_request_body_bytes_total",
        help: "Body bytes received from clients",
        labels: ["route", "service"],
        ...byRoute,
      }),
      responseBytes: registry.counter({
        name: "sluice_response_body_bytes_total",
        help: "Body bytes sent to clients",
        labels: ["route", "service"],
        ...byRoute,
      }),
    }
    const byConnection = { labels: ["listener", "service"], maxSeries: SERVICE_SERIES, omitZero: true }
    this.#tcp = {
      ended: registry.counter({ name: "sluice_tcp_connections_total", help: "TCP connections that have ended", ...byConnection }),
      flags: registry.counter({
        name: "sluice_tcp_flags_total",
        help: "TCP connections that ended with a flag",
        across: { label: "flag", values: responseFlags },
        ...byConnection,
      }),
      received: registry.counter({ name: "sluice_tcp_received_bytes_total", help: "Bytes received from TCP clients", ...byConnection }),
      sent: registry.counter({ name: "sluice_tcp_sent_bytes_total", help: "Bytes sent to TCP clients", ...byConnection }),
    }
    const byService = { labels: ["service"], maxSeries: SERVICE_SERIES, omitZero: false }
    const rarely = { ...byService, omitZero: true }
    this.#service = {
      connects: registry.counter({ name: "sluice_upstream_connects_total", help: "Connections opened to a service", ...byService }),
      connectFailures: registry.counter({
        name: "sluice_upstream_connect_failures_total",
        help: "Connections to a service that failed or timed out before they were open",
        ...byService,
      }),
      connections: registry.gauge({ name: "sluice_upstream_connections_active", help: "Open connections to a service", ...byService }),
      reused: registry.counter({
        name: "sluice_upstream_connections_reused_total",
        help: "Requests sent on a connection that had served before",
        ...byService,
      }),
      retries: registry.counter({ name: "sluice_upstream_retries_total", help: "Requests sent to a service once more", ...byService }),
      hedges: registry.counter({
        name: "sluice_upstream_hedges_total",
        help: "Requests sent to a second endpoint while the first had not answered",
        ...byService,
      }),
      hedgesWon: registry.counter({
        name: "sluice_upstream_hedges_won_total",
        help: "Requests whose second endpoint answered first",
        ...byService,
      }),
      pending: registry.gauge({ name: "sluice_upstream_requests_pending", help: "Requests waiting for a connection", ...byService }),
      overflows: registry.counter({
        name: "sluice_upstream_overflows_total",
        help: "Requests refused because too many waited for a connection",
        ...byService,
      }),
      panics: registry.counter({
        name: "sluice_upstream_panics_total",
        help: "Attempts for which unwell endpoints were candidates, since too few were well",
        ...rarely,
      }),
      spills: registry.counter({
        name: "sluice_upstream_spills_total",
        help: "Attempts sent to other zones, since the gateway's own could not take them",
        ...rarely,
      }),
      failovers: registry.counter({
        name: "sluice_upstream_failovers_total",
        help: "Attempts given to the service's failover",
        ...rarely,
      }),
      ...limitMetrics(registry, byService),
    }
    this.filters = new FilterInstruments(registry)
    this.endpoints = new EndpointInstruments(registry)
    this.#generation = registry.gauge({ name: "sluice_config_generation", help: "Generation of the configuration in force" }).slot()
    this.#reloadSuccess = registry
      .gauge({ name: "sluice_config_last_reload_success", help: "1 when the last configuration was taken, 0 when it was refused" })
      .slot()
    this.#reloadTime = registry
      .gauge({ name: "sluice_config_last_reload_timestamp_seconds", help: "When a configuration was last taken or refused" })
      .slot()
    this.#reloads = registry
      .counter({
        name: "sluice_config_reloads_total",
        help: "Configurations read",
        across: { label: "result", values: ["taken", "refused"] },
      })
      .slot()
    this.#workers = registry.gauge({ name: "sluice_workers", help: "Threads that carry traffic" }).slot()
    this.#restarts = registry.counter({ name: "sluice_worker_restarts_total", help: "Workers replaced after they died" }).slot()
    this.worker = {
      accessLogLines: registry.counter({ name: "sluice_access_log_lines_total", help: "Lines handed to the access log" }).slot(),
      accessLogDropped: registry
        .counter({ name: "sluice_access_log_dropped_total", help: "Lines of the access log lost: who takes them was too slow, or failed" })
        .slot(),
      logDropped: registry
        .counter({ name: "sluice_log_dropped_total", help: "Log events of workers lost because there were too many" })
        .slot(),
    }
  }

  listener(name: string): ListenerSlots {
    return slotsOf(this.#listener, (metric) => metric.slot(name))
  }

  /** `route` or `service` is {@link NONE} for requests no route matched, redirects, direct responses and missing services. */
  route(listener: string, route: string, service: string): RouteSlots {
    const { requests, duration, flags, grpc, requestBytes, responseBytes } = this.#route
    return {
      requests: requests.slot(listener, route, service),
      duration: duration.slot(route, service),
      flags: flags.slot(route),
      grpc: grpc.slot(listener, route, service),
      requestBytes: requestBytes.slot(route, service),
      responseBytes: responseBytes.slot(route, service),
    }
  }

  /**
   * A trace stands for the bucket of the request it is of, until another one does. `route`, `service`: as in {@link route}; what has no
   * series of its own has no exemplars. @param traceId 32 lower-case hex digits @param now milliseconds since the epoch
   */
  exemplar(route: string, service: string, seconds: number, traceId: string, now: number = Date.now()): void {
    const slot = this.#route.duration.find(route, service)
    if (slot >= 0) this.#registry.exemplars.note(slot, requestBuckets, seconds, traceId, now)
  }

  /** `service` is {@link NONE} for connections that reached none. */
  tcp(listener: string, service: string): TcpSlots {
    return slotsOf(this.#tcp, (metric) => metric.slot(listener, service))
  }

  service(name: string): ServiceSlots {
    return slotsOf(this.#service, (metric) => metric.slot(name))
  }

  /** A snapshot came into force, of a new configuration or of the one before. */
  generation(generation: number): void {
    this.#registry.writer.set(this.#generation, generation)
  }

  /** A configuration came into force. @param now milliseconds since the epoch */
  configTaken(now: number): void {
    const { writer } = this.#registry
    writer.set(this.#reloadSuccess, 1)
    writer.set(this.#reloadTime, now / 1000)
    writer.add(this.#reloads, 1)
  }

  /** The configuration was read and is the one in force. @param now milliseconds since the epoch */
  configUnchanged(now: number): void {
    const { writer } = this.#registry
    writer.set(this.#reloadSuccess, 1)
    writer.set(this.#reloadTime, now / 1000)
  }

  /** A configuration was refused; the one before stays in force. @param now milliseconds since the epoch */
  configRefused(now: number): void {
    const { writer } = this.#registry
    writer.set(this.#reloadSuccess, 0)
    writer.set(this.#reloadTime, now / 1000)
    writer.add(this.#reloads + 1, 1)
  }

  /** How many workers serve now. */
  workersRunning(count: number): void {
    this.#registry.writer.set(this.#workers, count)
  }

  /** Lines of the access log that couldn't be written. */
  accessLost(lines: number): void {
    this.#registry.writer.add(this.worker.accessLogDropped, lines)
  }

  workerRestarted(): void {
    this.#registry.writer.add(this.#restarts, 1)
  }
}
