// One version of the whole configuration, compiled for one worker. Exchanges pin the snapshot they began with; when the
// last one of a replaced snapshot ends, its filters are let go.

import { httpPart, tcpPart } from "./config/listener-parts.ts"
import type { Config, ServiceConfig } from "./config/model.ts"
import type { RateLimitSpec } from "./filter/native/rate-limit-state.ts"
import { RateLimits } from "./filter/native/rate-limits.ts"
import type { Plane, SnapshotPin, WorkerMeans } from "./proxy/plane.ts"
import { Route } from "./proxy/route.ts"
import { faultFilters, mirrorsOf } from "./proxy/shaping.ts"
import { TcpPlane } from "./proxy/tcp-plane.ts"
import type { Deciders } from "./rate-limit/deciders.ts"
import { Router } from "./router/router.ts"
import type { SlotsOfEndpoints } from "./telemetry/endpoint-instruments.ts"
import type { FilterSlots } from "./telemetry/filter-instruments.ts"
import type { ListenerSlots, RouteSlots, ServiceSlots, TcpSlots } from "./telemetry/instruments.ts"
import type { ShapingSlots } from "./telemetry/shaping-instruments.ts"
import type { TlsMaterials } from "./tls/tls-files.ts"
import type { Endpoint } from "./upstream/endpoint.ts"
import type { EndpointRecords } from "./upstream/endpoint-table.ts"
import type { LimitCells } from "./upstream/limits-table.ts"
import type { Service, Services } from "./upstream/services.ts"
import type { PreparedFilters } from "./wasm/assemble-filters.ts"
import type { WasmFilter, WasmRuntime } from "./wasm/runtime.ts"

/** Metric slots of everything a snapshot names. */
export interface SnapshotSlots {
  /** That they were given out in. */
  readonly epoch: number
  readonly listeners: Readonly<Record<string, ListenerSlots>>
  /** By listener name and route name; "-" = no route. Then by service name; "-" = no service. */
  readonly routes: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, RouteSlots>>>>>>
  /** Of listeners that carry TCP, by listener name and service name; "-" = no service. */
  readonly tcp: Readonly<Record<string, Readonly<Record<string, TcpSlots>>>>
  readonly services: Readonly<Record<string, ServiceSlots>>
  /** By route name, of those that have any. */
  readonly shaping: Readonly<Record<string, ShapingSlots>>
  /** By name of the filter and of its version. */
  readonly filters: Readonly<Record<string, Readonly<Record<string, FilterSlots>>>>
}

/** What the main thread hands to every worker. Plain data and compiled modules. */
export interface SnapshotSpec {
  readonly generation: number
  readonly config: Config
  readonly filters: PreparedFilters
  readonly slots: SnapshotSlots
  readonly tls: TlsMaterials
  /** What is known of endpoints. */
  readonly records: EndpointRecords
  /** Of the backends of routes whose weights are not those of the configuration, by the route's name. */
  readonly weights: Readonly<Record<string, readonly number[]>>
  readonly limits: LimitCells
  readonly endpointSlots: SlotsOfEndpoints
  readonly rateLimits: RateLimitSpec
  /** Ports in use, by listener name: the configuration may have asked for port 0. */
  readonly ports: Readonly<Record<string, number>>
}

/** Other endpoints of some services of a snapshot that is in use. The rest of it stays as it is, and so does its generation. */
export interface EndpointsChange {
  readonly services: Readonly<Record<string, ServiceConfig>>
  /** Of those services, as in a {@link SnapshotSpec}. */
  readonly tls: TlsMaterials["services"]
  readonly records: EndpointRecords
  readonly limits: LimitCells
  readonly endpointSlots: SlotsOfEndpoints
  /** That these were given out in. */
  readonly epoch: number
  readonly zone: string
}

export class Snapshot implements SnapshotPin {
  readonly generation: number
  /** Of its metric slots. */
  readonly epoch: number
  readonly config: Config
  readonly planes: ReadonlyMap<string, Plane>
  /** Of the listeners that carry TCP. */
  readonly tcpPlanes: ReadonlyMap<string, TcpPlane>
  /** For {@link Services.retire}. */
  readonly endpoints: Map<string, Endpoint>
  /** It is, or was, in force. */
  served = false
  readonly #wasm: WasmRuntime
  readonly #filters: readonly WasmFilter[]
  #exchanges = 0
  #replaced = false
  #freed = false

  constructor(spec: SnapshotSpec, means: WorkerMeans, services: Services, wasm: WasmRuntime, deciders: Deciders) {
    this.generation = spec.generation
    this.epoch = spec.slots.epoch
    this.config = spec.config
    this.#wasm = wasm
    const shared = deciders.prepare(spec)
    const rateLimits = new RateLimits(spec.rateLimits, { metrics: means.metrics, decider: (limit) => shared.decider(limit) })
    const built = services.build(spec.config.services, spec.tls.services, {
      records: spec.records,
      zone: spec.config.zone,
      cells: spec.limits,
      endpointSlots: spec.endpointSlots,
      rateLimit: (limits) => rateLimits.service(limits),
    })
    this.endpoints = built.endpoints
    // A filter that nothing uses gets no instance in a worker.
    const used = new Set([...spec.filters.routes.flat(), ...spec.filters.listeners.flat()])
    const filters = spec.filters.plugins.map((plugin, i) => (used.has(i) ? wasm.filter(plugin) : null))
    this.#filters = filters.filter((filter) => filter !== null)
    // Connections that carry requests are shared by clients, and so can't begin with the address of one.
    const forRequests = (name: string): Service | undefined => {
      const service = built.services.get(name)
      return service?.proxyProtocol === "" ? service : undefined
    }
    const planes = new Map<string, Plane>()
    const tcpPlanes = new Map<string, TcpPlane>()
    for (const [i, listener] of spec.config.listeners.entries()) {
      const connections = tcpPart(listener)
      if (connections !== null) {
        const plane = new TcpPlane(connections, {
          means,
          snapshot: this,
          port: spec.ports[listener.name],
          tls: spec.tls.listeners[listener.name] ?? null,
          listenerSlots: spec.slots.listeners[listener.name],
          slots: spec.slots.tcp[listener.name],
          serviceSlots: (service) => spec.slots.services[service],
          filters: spec.filters.listeners[i].map((index) => filters[index] as WasmFilter),
          service: (name) => built.services.get(name),
        })
        tcpPlanes.set(listener.name, plane)
      }
      const requests = httpPart(listener)
      if (requests === null) continue
      const slots = spec.slots.routes[listener.name]
      const entries = []
      for (const [i, config] of spec.config.routes.entries()) {
        if (config.listeners.length > 0 && !config.listeners.includes(listener.name)) continue
        const shaping = spec.slots.shaping[config.name]
        const route = new Route(config, {
          service: (name, subset): Service | null => {
            const whole = forRequests(name)
            return (whole === undefined || subset === undefined ? whole : built.subset(name, subset)) ?? null
          },
          slots: (name, service) => slots[name][service],
          filters: rateLimits.around(requests.rateLimits, config.rateLimits, [
            ...faultFilters(config, shaping, means),
            ...spec.filters.routes[i].map((index) => filters[index] as WasmFilter),
          ]),
          mirrors: mirrorsOf(config, shaping, means, this, forRequests),
          random: means.random,
          weights: spec.weights[config.name],
        })
        entries.push({ route: config, target: route })
      }
      planes.set(listener.name, {
        means,
        snapshot: this,
        name: listener.name,
        port: spec.ports[listener.name],
        config: requests,
        tls: spec.tls.listeners[listener.name] ?? null,
        router: new Router(entries, listener.name),
        traced: spec.config.tracing !== undefined,
        listenerSlots: spec.slots.listeners[listener.name],
        noRouteSlots: slots["-"]["-"],
        serviceSlots: (service) => spec.slots.services[service],
        service: forRequests,
      })
    }
    this.planes = planes
    this.tcpPlanes = tcpPlanes
  }

  pin(): void {
    this.#exchanges++
  }

  unpin(): void {
    this.#exchanges--
    if (this.#replaced && this.#exchanges === 0) this.#free()
  }

  /** Another snapshot is in force. */
  replace(): void {
    this.#replaced = true
    if (this.#exchanges === 0) this.#free()
  }

  /** Something of it may still count in its slots. */
  get held(): boolean {
    if (!this.#freed || this.#filters.some((filter) => this.#wasm.isLeaving(filter))) return true
    // What its exchanges have opened at endpoints that are gone closes a little later than they end.
    for (const endpoint of this.endpoints.values()) if (endpoint.leaving) return true
    return false
  }

  #free(): void {
    if (this.#freed) return
    this.#freed = true
    for (const filter of this.#filters) this.#wasm.release(filter)
  }
}
