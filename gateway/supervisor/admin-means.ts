// What the admin API tells of the gateway and has it do: each of its functions from the part of the main thread that has the answer.

import type { AdminDeps } from "../admin/app.ts"
import { type CertificateStatus, certificateStatus } from "../admin/certificate-status.ts"
import type { ChangeHistory } from "../admin/change-history.ts"
import { filterStatus } from "../admin/filter-status.ts"
import { readyState } from "../admin/ready-state.ts"
import { serviceStatus } from "../admin/service-status.ts"
import type { FilterStatus } from "../admin/status.ts"
import type { CanaryChanges } from "../canary/canary-changes.ts"
import type { ConfigHistory } from "../config/config-history.ts"
import { isSecretKey } from "../config/secrets.ts"
import type { Discovery } from "../discovery/discovery.ts"
import type { Explainer } from "../explain/explainer.ts"
import type { Outcome } from "../http/outcome.ts"
import { runtimeName } from "../runtime/child.ts"
import type { Steering } from "../steering/steering.ts"
import type { IdentityInstruments } from "../telemetry/identity-instruments.ts"
import type { LogLevels } from "../telemetry/log-levels.ts"
import type { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import { showState } from "../telemetry/state-instruments.ts"
import type { TlsChanges } from "../tls/tls-changes.ts"
import { LimitsMemory } from "../upstream/limits-memory.ts"
import { packageVersion } from "../version.ts"
import type { FilterChanges } from "../wasm/filter-changes.ts"
import type { FilterLogs } from "../wasm/filter-logs.ts"
import type { FilterStore } from "../wasm/filter-store.ts"
import type { ConfigChanges } from "./config-changes.ts"
import { liveFigures } from "./live-sources.ts"
import { openConnections } from "./open-connections.ts"
import { Profiling } from "./profiling.ts"
import type { SharedMemory } from "./shared-memory.ts"
import type { Snapshots } from "./snapshots.ts"
import type { WorkerPool } from "./worker-pool.ts"

/** Parts of the main thread. */
export interface AdminSources {
  readonly history: ChangeHistory
  readonly registry: MetricsRegistry
  readonly identities: IdentityInstruments
  readonly shared: SharedMemory
  readonly pool: WorkerPool
  readonly snapshots: Snapshots
  readonly store: FilterStore
  readonly changes: FilterChanges
  readonly configs: ConfigChanges
  readonly canaries: CanaryChanges
  readonly steering: Steering
  readonly filterLogs: FilterLogs
  readonly tls: TlsChanges
  readonly discovery: Discovery
  readonly configHistory: ConfigHistory
  readonly logLevels: LogLevels
  /** Runs a change when those before it are done; resolves when it is, however it went. */
  inTurn(change: () => Promise<void>): Promise<void>
  /** Budget units of a millisecond. */
  readonly unitsPerMs: number
  stopping(): boolean
}

export function adminMeans(sources: AdminSources): AdminDeps {
  const { history, registry, shared, pool, snapshots, changes, configs, canaries, steering, filterLogs, tls, discovery, configHistory } =
    sources
  const profiling = new Profiling({ workers: pool.size, ask: (...question) => pool.ask(...question) })
  const live = liveFigures(sources)
  const filters = (): FilterStatus[] => filtersOf(sources)
  const read = (slot: number): number => registry.read(slot)
  // With routers and load balancers, that the main thread has no other use for: loaded when somebody asks.
  let explainer: Promise<Explainer> | null = null
  const explaining = (): Promise<Explainer> => {
    explainer ??= explainerOf(sources, filters)
    return explainer
  }
  // Nobody else scrapes.
  showState(registry, {
    config: () => snapshots.current?.config ?? null,
    filters: () => pool.plugins,
    expiries: () => tls.expiries,
    used: (...limit) => shared.used(...limit),
    runtime: runtimeName(),
    version: packageVersion(),
  })
  return {
    history,
    changes: () => history.entries,
    live: () => true,
    ready: () =>
      readyState({
        stopping: sources.stopping(),
        generation: snapshots.generation,
        lastReload: configs.last,
        workers: { running: pool.running, wanted: pool.size },
        filters: filters(),
        reasons: [...steering.reasons, ...canaries.reasons, ...tls.reasons, ...discovery.reasons, ...departed(configs)],
      }),
    exposition: (accept) => registry.exposition(accept),
    generation: () => snapshots.generation,
    configs: () => configHistory.entries,
    configAt: (generation) => configHistory.at(generation),
    departure: () => configs.departure,
    rollback: (...order) => inTurn(sources, () => configs.rollback(...order)),
    services: () =>
      serviceStatus({
        config: snapshots.found,
        slots: snapshots.current?.slots ?? null,
        stateOf: (...endpoint) => shared.endpoint(...endpoint),
        used: (...figure) => shared.used(...figure),
        drainedSince: (...endpoint) => steering.drained.since(...endpoint),
        read,
      }),
    drain: (...order) => steering.drained.drain(...order),
    undrain: (...order) => steering.drained.undrain(...order),
    weights: (route) => steering.weights.status(route),
    setWeights: (...order) => steering.weights.set(...order),
    routes: async (query) => {
      const [{ planes }, { listRoutes }] = await Promise.all([explaining(), import("../explain/route-list.ts")])
      const slots = snapshots.current?.slots.routes ?? null
      return planes === null ? null : listRoutes(planes, { slots, read, isSecret: isSecretKey }, query)
    },
    explain: async (request) => (await explaining()).explain(request),
    filters,
    push: (...order) => changes.push(...order),
    unpush: (...order) => changes.unpush(...order),
    release: (...order) => changes.release(...order),
    restore: (...order) => changes.restore(...order),
    quarantine: (...order) => changes.quarantine(...order),
    hasFilter: (filter) => Object.hasOwn(snapshots.current?.config.filters ?? {}, filter),
    filterLog: (...wanted) => filterLogs.lines(...wanted),
    followFilter: (...wanted) => filterLogs.follow(...wanted),
    profileFilter: (...wanted) => pool.profiles.profile(...wanted),
    connections: (limit) => openConnections(pool, limit),
    certificates: () => certificates(snapshots),
    logLevel: () => sources.logLevels.status,
    recentLog: () => sources.logLevels.recent,
    setLogLevel: (level) => sources.logLevels.order(level),
    profile: (...order) => profiling.take(...order),
    figures: (question) => live.ask(question),
    canaries: () => canaries.status(),
    steer: (...order) => canaries.order(...order),
    tap: (query) => pool.taps.open(query),
  }
}

function certificates({ current }: Snapshots): CertificateStatus[] {
  if (current === null) return []
  return certificateStatus(current.tls, current.config.admin?.tls?.certificate ?? "", Date.now())
}

function departed({ departure }: ConfigChanges): string[] {
  return departure === null ? [] : [departure]
}

async function inTurn(sources: AdminSources, order: () => Promise<Outcome>): Promise<Outcome> {
  let outcome: Outcome = { status: 503, message: "the gateway is shutting down" }
  await sources.inTurn(async () => {
    outcome = await order()
  })
  return outcome
}

async function explainerOf({ snapshots, shared, registry, steering }: AdminSources, filters: () => FilterStatus[]): Promise<Explainer> {
  const { Explainer } = await import("../explain/explainer.ts")
  const { limits, workers, overloadSlots } = shared.start
  return new Explainer({
    spec: () => snapshots.current,
    memory: new LimitsMemory(limits, workers, 0),
    filters,
    overloadLevel: () => Math.max(...Array.from({ length: workers }, (_, worker) => registry.read(overloadSlots.level + worker))),
    isSecret: isSecretKey,
    isDrained: (...endpoint) => steering.drained.since(...endpoint) !== null,
  })
}

function filtersOf({ snapshots, store, pool, registry, unitsPerMs }: AdminSources): FilterStatus[] {
  const spec = snapshots.current
  if (spec === null) return []
  return filterStatus({
    config: spec.config,
    store,
    plugins: pool.plugins,
    slots: spec.slots.filters,
    read: (slot) => registry.read(slot),
    unitsPerMs,
  })
}
