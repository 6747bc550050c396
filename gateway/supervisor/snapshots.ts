// Makes snapshots on the main thread and has all workers take them, one after the other: of another configuration, other filters,
// certificates or weights, or with other endpoints alone. One that isn't taken leaves everything as it was, and gives back what had
// been given to it.

import type { CanaryChanges } from "../canary/canary-changes.ts"
import type { Config } from "../config/model.ts"
import { canChangeAlone } from "../discovery/alone.ts"
import type { Discovery } from "../discovery/discovery.ts"
import type { VersionCounts } from "../resilience/rollback.ts"
import type { SnapshotSpec } from "../snapshot.ts"
import type { DrainedEndpoints } from "../steering/drained-endpoints.ts"
import type { RouteWeights } from "../steering/route-weights.ts"
import type { AccessOutput } from "../telemetry/access-output.ts"
import type { Instruments } from "../telemetry/instruments.ts"
import type { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import type { TraceExports } from "../telemetry/tracing/trace-exports.ts"
import type { TlsMaterials } from "../tls/tls-files.ts"
import type { PreparedFilters } from "../wasm/assemble-filters.ts"
import { filterCounts } from "../wasm/filter-gauges.ts"
import { claimPorts } from "./ports.ts"
import type { SharedMemory } from "./shared-memory.ts"
import { snapshotSlots } from "./snapshot-slots.ts"
import type { WorkerPool } from "./worker-pool.ts"

export interface SnapshotsMeans {
  readonly registry: MetricsRegistry
  readonly instruments: Instruments
  readonly discovery: Pick<Discovery, "resolved" | "use">
  readonly canaries: Pick<CanaryChanges, "prepare">
  readonly drained: Pick<DrainedEndpoints, "laidOver" | "use">
  readonly weights: Pick<RouteWeights, "prepare">
  readonly shared: Pick<SharedMemory, "assign" | "assignEndpoints" | "use" | "useEndpoints" | "keepOnly">
  readonly pool: Pick<WorkerPool, "apply" | "change">
  readonly access: Pick<AccessOutput, "prepare" | "keepOnly">
  readonly traces: Pick<TraceExports, "use">
}

export class Snapshots {
  readonly #means: SnapshotsMeans
  #current: SnapshotSpec | null = null
  #written: Config | null = null
  #found: Config | null = null
  #generation = 0
  #closed = false
  /** What versions of filters had counted when the snapshot in force was about to be handed out, by `filter version`. */
  #countsBefore: ReadonlyMap<string, VersionCounts> = new Map()

  constructor(means: SnapshotsMeans) {
    this.#means = means
  }

  /** Null: none is in force yet. */
  get current(): SnapshotSpec | null {
    return this.#current
  }

  /** The configuration in force as it is written: without the endpoints that were found. */
  get written(): Config | null {
    return this.#written
  }

  /** The same with the endpoints that were found: what operators have laid over it is missing. */
  get found(): Config | null {
    return this.#found
  }

  get generation(): number {
    return this.#generation
  }

  countsBefore(filter: string, version: string): VersionCounts {
    return this.#countsBefore.get(`${filter} ${version}`) as VersionCounts
  }

  /** Gives all workers a new one. Rejects with why they haven't got it; the one before serves then. */
  async apply(written: Config, filters: PreparedFilters, tls: TlsMaterials): Promise<void> {
    const { registry, instruments, discovery, canaries, drained, weights, shared, pool, access, traces } = this.#means
    const found = discovery.resolved(written)
    const config = drained.laidOver(found)
    let spec: SnapshotSpec
    let prepared: ReturnType<CanaryChanges["prepare"]>
    let ordered: ReturnType<RouteWeights["prepare"]>
    let counts: ReadonlyMap<string, VersionCounts>
    const epoch = registry.begin()
    try {
      access.prepare(config.accessLog.to)
      const ports = await claimPorts(config.listeners, this.#current)
      const slots = snapshotSlots(config, instruments, epoch)
      prepared = canaries.prepare(config, slots.routes)
      ordered = weights.prepare(config)
      spec = {
        generation: this.#generation + 1,
        config,
        filters,
        ports,
        tls,
        slots,
        weights: { ...ordered.weights, ...prepared.weights },
        ...shared.assign(config),
      }
      counts = filterCounts(slots.filters, (slot) => registry.read(slot))
      await pool.apply(spec)
    } catch (error) {
      registry.abandon(epoch)
      if (this.#current !== null) {
        shared.keepOnly(this.#current.config)
        access.keepOnly(this.#current.config.accessLog.to)
      }
      throw error
    }
    if (this.#closed) return
    this.#current = spec
    this.#written = written
    this.#found = found
    this.#countsBefore = counts
    this.#generation = spec.generation
    prepared.commit()
    ordered.commit()
    shared.use(config, tls.services)
    discovery.use(found)
    drained.use(found)
    registry.settle(epoch, "snapshots", "endpoints")
    registry.keepOwn(isNamedBy(config))
    instruments.identities.use(config)
    access.keepOnly(config.accessLog.to)
    traces.use(config)
    instruments.generation(spec.generation)
    instruments.use(config.metrics)
  }

  /** Services have other endpoints than the workers know. What isn't about these stays: where that can be, it is no new generation. */
  async endpointsChanged(): Promise<void> {
    const before = this.#current as SnapshotSpec
    const written = this.#written as Config
    const { registry, discovery, drained, shared, pool } = this.#means
    const found = discovery.resolved(written)
    const config = drained.laidOver(found)
    const names = Object.keys(config.services).filter((name) => config.services[name].endpoints !== before.config.services[name].endpoints)
    if (names.length === 0) return
    if (!canChangeAlone(config, names)) return this.apply(written, before.filters, before.tls)
    const epoch = registry.begin()
    const places = shared.assignEndpoints(config)
    const spec = { ...before, config, ...places }
    await pool.change(spec, {
      services: pick(config.services, names),
      tls: pick(before.tls.services, names),
      records: { ...places.records, services: pick(places.records.services, names) },
      limits: pick(places.limits, names),
      endpointSlots: pick(places.endpointSlots, names),
      epoch,
      zone: config.zone,
    })
    if (this.#closed) return
    this.#current = spec
    this.#found = found
    shared.useEndpoints(config, spec.tls.services)
    discovery.use(found)
    drained.use(found)
    registry.settle(epoch, "endpoints")
  }

  /** What workers take from now on changes nothing here: they are about to end. */
  close(): void {
    this.#closed = true
  }
}

/** Whether a configuration has all that the labels of a series name. */
function isNamedBy({ services, filters, routes, listeners }: Config): (labels: Readonly<Record<string, string>>) => boolean {
  const routeNames = new Set(routes.map(({ name }) => name))
  const listenerNames = new Set(listeners.map(({ name }) => name))
  return ({ service, route, listener, filter, version }) =>
    (service === undefined || Object.hasOwn(services, service)) &&
    (route === undefined || routeNames.has(route)) &&
    (listener === undefined || listenerNames.has(listener)) &&
    (filter === undefined || (Object.hasOwn(filters, filter) && (version === undefined || hasVersion(filters[filter], version))))
}

function hasVersion({ versions }: Config["filters"][string], version: string): boolean {
  return versions.some(({ name }) => name === version)
}

function pick<T>(values: Readonly<Record<string, T>>, names: readonly string[]): Record<string, T> {
  return Object.fromEntries(names.filter((name) => Object.hasOwn(values, name)).map((name) => [name, values[name]]))
}
