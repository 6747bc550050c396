// The gateway's metrics by name: what the data plane counts and under which labels. The main thread asks for slots when it
// compiles a snapshot; they travel to the workers as plain numbers inside it.

import { errors } from "../errors.ts"
import { grpcCodes } from "../http/grpc-status.ts"
import { requestBuckets } from "./duration-buckets.ts"
import { EndpointInstruments } from "./endpoint-instruments.ts"
import { FilterInstruments } from "./filter-instruments.ts"
import { IdentityInstruments } from "./identity-instruments.ts"
import { type ListenerMetrics, type ListenerSlots, listenerMetrics, listenerSlots } from "./listener-instruments.ts"
import { type Metric, type MetricsRegistry, slotsOf } from "./metrics-registry.ts"
import { type ServiceSlots, serviceMetrics } from "./service-instruments.ts"
import { ShapingInstruments } from "./shaping-instruments.ts"
import { statusClasses } from "./status-classes.ts"

// What these hand out goes with what is handed out here.
export { handshakeIndex, type ListenerSlots } from "./listener-instruments.ts"
export type { ServiceSlots } from "./service-instruments.ts"
export { statusClasses, statusIndex } from "./status-classes.ts"

/** Label value where there is no route or no service. */
export const NONE = "-"

/** Response flags that have a series; anything else counts as the last. */
export const responseFlags: readonly string[] = [...new Set([...Object.values(errors).map((row) => row.flag), "LR", "DI"]), "other"]
const flagIndexes: ReadonlyMap<string, number> = new Map(responseFlags.map((flag, i) => [flag, i]))

/** Offset of a response flag in the slots of {@link RouteSlots.flags}. */
export function flagIndex(flag: string): number {
  return flagIndexes.get(flag) ?? responseFlags.length - 1
}

/** Slots of the exchanges of one listener that took one route to one service. */
export interface RouteSlots {
  /** Counters; add {@link statusIndex}. */
  readonly requests: number
  /** Histogram of {@link requestBuckets}. */
  readonly duration: number
  /** Histogram of {@link requestBuckets}. */
  readonly firstByte: number
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

/** Slots every worker writes whatever its configuration. */
export interface WorkerSlots {
  readonly accessLogLines: number
  readonly accessLogDropped: number
  readonly logDropped: number
}

// Ten thousand routes on a few listeners, split over a few services, have their own series; more share one.
const ROUTE_SERIES = 65536
// Fewer have a second histogram, which takes a kilobyte in each thread.
const FIRST_BYTE_SERIES = 4096
const SERVICE_SERIES = 16384

/** Defines all metrics in a registry, hands out their slots, and counts what the main thread itself does. */
export class Instruments {
  readonly #registry: MetricsRegistry
  readonly #listener: ListenerMetrics
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
  readonly identities: IdentityInstruments
  /** Goes to every worker with its handle. */
  readonly worker: WorkerSlots
  readonly shaping: ShapingInstruments

  constructor(registry: MetricsRegistry) {
    this.#registry = registry
    this.shaping = new ShapingInstruments(registry)
    this.#listener = listenerMetrics(registry)
    this.#service = serviceMetrics(registry)
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
      firstByte: registry.histogram({
        name: "sluice_request_first_byte_seconds",
        help: "Time from the first byte of a request to the first of the response a service gave",
        labels: ["route", "service"],
        buckets: requestBuckets,
        ...byRoute,
        maxSeries: FIRST_BYTE_SERIES,
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
    this.filters = new FilterInstruments(registry)
    this.endpoints = new EndpointInstruments(registry)
    this.identities = new IdentityInstruments(registry)
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
    return listenerSlots(this.#listener, name)
  }

  /** `route` or `service` is {@link NONE} for requests no route matched, redirects, direct responses and missing services. */
  route(listener: string, route: string, service: string): RouteSlots {
    const { requests, duration, firstByte, flags, grpc, requestBytes, responseBytes } = this.#route
    return {
      requests: requests.slot(listener, route, service),
      duration: duration.slot(route, service),
      firstByte: firstByte.slot(route, service),
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
