// What is one value for the whole process and lies in memory that all threads share: what is known of endpoints, limits of services,
// rate limits, how full the memory is, and the data, queues and metrics of filters. The main thread's side of it: makes it, gives
// places in it to what a configuration names, and takes them back. It counts no request.

import type { Config } from "../config/model.ts"
import { RateLimitState } from "../filter/native/rate-limit-state.ts"
import type { SnapshotSpec } from "../snapshot.ts"
import type { Instruments } from "../telemetry/instruments.ts"
import { limitUsed, overloadSlots } from "../telemetry/limit-instruments.ts"
import type { Logger } from "../telemetry/log.ts"
import { MemoryWatch } from "../telemetry/memory-watch.ts"
import type { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import { threadSlots } from "../telemetry/thread-instruments.ts"
import type { ClientMaterial } from "../tls/client-context.ts"
import { type EjectionEvent, type EndpointState, EndpointWatch } from "../upstream/endpoint-watch.ts"
import type { ServiceFigure } from "../upstream/limits-memory.ts"
import { LimitsTable } from "../upstream/limits-table.ts"
import { guestFamilies, guestMetricsText, queuesText } from "../wasm/guest-exposition.ts"
import { createGuestMetrics, GuestMetricsTable } from "../wasm/guest-metrics.ts"
import { createSharedStore } from "../wasm/shared-data.ts"
import { createSharedQueues, SharedQueueStore } from "../wasm/shared-queues.ts"
import type { WorkerStart } from "../worker-messages.ts"

/** ms between two looks for clients' identities that make room. */
const SWEEP_INTERVAL = 60_000

export interface SharedMemoryOptions {
  readonly workers: number
  readonly registry: MetricsRegistry
  readonly instruments: Instruments
  readonly logger: Logger
  /** A worker is to look at the queues of its filters. */
  wake(worker: number): void
}

/** Places of services and their endpoints. */
export type EndpointPlaces = Pick<SnapshotSpec, "records" | "limits" | "endpointSlots">
/** Places of what a snapshot names. */
export type SharedPlaces = EndpointPlaces & Pick<SnapshotSpec, "rateLimits">

type StartMemory = Pick<
  WorkerStart,
  | "workers"
  | "slots"
  | "overloadSlots"
  | "threadSlots"
  | "identityOverflow"
  | "limits"
  | "memoryLevel"
  | "shared"
  | "queues"
  | "guestMetrics"
>

export class SharedMemory {
  /** What a worker is started with. */
  readonly start: StartMemory
  readonly #endpoints: EndpointWatch
  readonly #limits: LimitsTable
  readonly #rateLimits: RateLimitState
  readonly #memory = new MemoryWatch()
  readonly #queues: SharedQueueStore
  readonly #sweeps: NodeJS.Timeout

  constructor({ workers, registry, instruments, logger, wake }: SharedMemoryOptions) {
    const queues = createSharedQueues({ threads: workers })
    const guestMetrics = createGuestMetrics()
    this.#rateLimits = new RateLimitState(registry)
    this.#queues = new SharedQueueStore(queues, { thread: -1, wake })
    this.#endpoints = new EndpointWatch({ workers, random: Math.random, logger, instruments: instruments.endpoints })
    this.#limits = new LimitsTable(workers)
    const defined = new GuestMetricsTable(guestMetrics)
    this.#sweeps = setInterval(() => instruments.identities.sweep(performance.now()), SWEEP_INTERVAL).unref()
    registry.include(() => guestMetricsText(defined) + queuesText(this.#queues), guestFamilies)
    registry.include(() => this.#limits.exposition, [limitUsed])
    this.start = {
      workers,
      slots: instruments.worker,
      overloadSlots: overloadSlots(registry, workers),
      threadSlots: threadSlots(registry, workers),
      identityOverflow: instruments.identities.overflow,
      limits: this.#limits.memory,
      memoryLevel: this.#memory.memory,
      shared: createSharedStore(),
      queues,
      guestMetrics,
    }
  }

  /** Places for a configuration; what an earlier one has been given stays the same. Followed by {@link use} or {@link keepOnly}. */
  assign(config: Config): SharedPlaces {
    return { ...this.assignEndpoints(config), rateLimits: this.#rateLimits.assign(config) }
  }

  /** The same where endpoints alone are others than in the configuration in force. Followed by {@link useEndpoints}. */
  assignEndpoints(config: Config): EndpointPlaces {
    return {
      records: this.#endpoints.records(config),
      limits: this.#limits.assign(config.services),
      endpointSlots: this.#endpoints.slots(config),
    }
  }

  /** The configuration is in force in all workers: what isn't in it is given back, and its endpoints are watched. */
  use(config: Config, materials: Readonly<Record<string, ClientMaterial>>): void {
    this.useEndpoints(config, materials)
    this.#rateLimits.keepOnly(config)
    this.#memory.use(config.overload)
  }

  useEndpoints(config: Config, materials: Readonly<Record<string, ClientMaterial>>): void {
    this.#endpoints.use(config, materials)
    this.#limits.keepOnly(config.services)
  }

  /** Another configuration never came into force: what only that one was given is given back. `config`: the one in force. */
  keepOnly(config: Config): void {
    this.#endpoints.keepOnly(config)
    this.#limits.keepOnly(config.services)
    this.#rateLimits.abandon(config)
  }

  /** A worker has died. */
  forget(worker: number): void {
    this.#queues.forget(worker)
    this.#limits.forget(worker)
    this.#endpoints.forget(worker)
  }

  /** A worker ejected an endpoint, or brought it back. */
  heard(event: EjectionEvent): void {
    this.#endpoints.heard(event)
  }

  endpoint(service: string, address: string): EndpointState {
    return this.#endpoints.state(service, address)
  }

  /** Neither unwell nor ejected. */
  isUsable(service: string, address: string): boolean {
    const { healthy, ejection } = this.#endpoints.state(service, address)
    return healthy !== false && (ejection === null || ejection.left === null)
  }

  /** How much of a service's limits is used, over all workers. */
  used(service: string, figure: ServiceFigure): number {
    return this.#limits.used(service, figure)
  }

  /** Watches nothing any more. */
  close(): void {
    clearInterval(this.#sweeps)
    this.#endpoints.close()
    this.#memory.close()
  }
}
