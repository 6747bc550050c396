// The main thread's part in endpoints that fail: probes them, compares them, and says in log and metrics what it or a worker found.
// It carries no traffic.

import type { Config } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import type { EjectionReason, EjectionState } from "../resilience/ejection.ts"
import type { EndpointCounts, EndpointInstruments, SlotsOfEndpoints } from "../telemetry/endpoint-instruments.ts"
import type { Logger } from "../telemetry/log.ts"
import type { ClientMaterial } from "../tls/client-context.ts"
import { ACTIVE, CONNECTIONS, type EndpointRecords, EndpointTable } from "./endpoint-table.ts"
import { HealthChecker } from "./health-checker.ts"
import { OutlierSweep } from "./outlier-sweep.ts"

/** What a worker tells: it ejected an endpoint for `ms`, or found it well again (`reason` null). */
export interface EjectionEvent {
  readonly service: string
  readonly endpoint: string
  readonly reason: EjectionReason | null
  readonly ms: number
}

/** What is known of one endpoint. */
export interface EndpointState {
  /** Null: it isn't probed. */
  readonly healthy: boolean | null
  /** Null: it is never ejected. */
  readonly ejection: EjectionState | null
  /** Both null: there are so many endpoints that nothing is known of this one. */
  readonly load: EndpointLoadState | null
  readonly counts: EndpointCounts | null
}

/** What is under way at an endpoint over all workers. */
export interface EndpointLoadState {
  /** Requests, retries of one counting each, that are under way; TCP connections carried as they are count too. */
  readonly active: number
  readonly connections: number
  /** ms until an answer, an average of late; null: there was none. */
  readonly latency: number | null
}

export interface EndpointWatchOptions {
  readonly workers: number
  /** [0, 1). */
  readonly random: () => number
  readonly logger: Logger
  readonly instruments: EndpointInstruments
}

export class EndpointWatch {
  readonly #logger: Logger
  readonly #instruments: EndpointInstruments
  readonly #table: EndpointTable
  readonly #health: HealthChecker
  readonly #sweep: OutlierSweep
  /** Endpoints that metrics show as ejected, by service. */
  readonly #shown = new Map<string, Set<string>>()
  /** Addresses of the configuration in force, by service. */
  #endpoints = new Map<string, Set<string>>()

  constructor({ workers, random, logger, instruments }: EndpointWatchOptions) {
    this.#logger = logger
    this.#instruments = instruments
    this.#table = new EndpointTable(workers)
    this.#health = new HealthChecker(this.#table, {
      random,
      onHealth: (...known) => this.#onHealth(...known),
      fault: (error) => logger.log("critical", "fault in a health check", { error }),
    })
    this.#sweep = new OutlierSweep(this.#table, {
      random,
      onEjected: (...found) => this.#onEjected(...found),
      onSeen: (service, endpoint, ejected) => this.#show(service, endpoint, ejected),
    })
  }

  /** What workers need of a configuration's endpoints. */
  records(config: Config): EndpointRecords {
    return this.#table.assign(config.services)
  }

  /** Where workers count what a configuration's endpoints are sent. */
  slots(config: Config): SlotsOfEndpoints {
    return this.#instruments.assign(config.services)
  }

  /** The configuration is in force in all workers: its endpoints are watched, and no others. */
  use(config: Config, materials: Readonly<Record<string, ClientMaterial>>): void {
    this.#table.keepOnly(config.services)
    this.#health.use(config, materials)
    this.#sweep.use(config)
    for (const [service, endpoints] of this.#shown) for (const endpoint of endpoints) this.#showNow(service, endpoint)
    this.#forgetGone(config)
  }

  // Where addresses come and go all the time, metrics would have more of them with every day.
  #forgetGone({ services }: Config): void {
    const before = this.#endpoints
    this.#endpoints = new Map()
    for (const [name, { endpoints }] of Object.entries(services))
      this.#endpoints.set(name, new Set(endpoints.map(({ address }) => formatAddress(address))))
    for (const [service, addresses] of before) {
      const now = this.#endpoints.get(service)
      for (const address of addresses) {
        if (now?.has(address) !== true) this.#instruments.gone(service, address)
        else if (this.#health.healthy(service, address) === null) this.#instruments.notProbed(service, address)
      }
      if (this.#shown.get(service)?.size === 0) this.#shown.delete(service)
    }
  }

  /** Another configuration never came into force: what {@link records} gave to it alone is given back. */
  keepOnly(config: Config): void {
    this.#table.keepOnly(config.services)
  }

  /** A worker ejected an endpoint, or brought it back. */
  heard({ service, endpoint, reason, ms }: EjectionEvent): void {
    if (reason !== null) this.#onEjected(service, endpoint, reason, ms, "")
    else this.#onReadmitted(service, endpoint, "a request to it succeeded")
  }

  state(service: string, address: string): EndpointState {
    return {
      healthy: this.#health.healthy(service, address),
      ejection: this.#sweep.ejection(service, address)?.state ?? null,
      load: this.#load(service, address),
      counts: this.#instruments.counts(service, address),
    }
  }

  #load(service: string, address: string): EndpointLoadState | null {
    const counts = this.#table.counts(service, address)
    if (counts === null) return null
    return {
      active: counts[ACTIVE],
      connections: counts[CONNECTIONS],
      latency: this.#table.average(service, address),
    }
  }

  /** A worker has died: it has nothing under way any more. */
  forget(worker: number): void {
    this.#table.forget(worker)
  }

  #onHealth(service: string, endpoint: string, well: boolean, changed: boolean, failure: string): void {
    this.#instruments.healthy(service, endpoint, well)
    if (!changed) return
    if (!well) return this.#logger.log("warn", "endpoint is unwell", { service, endpoint, failure })
    this.#logger.log("info", "endpoint is well again", { service, endpoint })
    if (this.#sweep.ejection(service, endpoint)?.readmit() === true)
      this.#onReadmitted(service, endpoint, "its health checks succeed again")
  }

  #onEjected(service: string, endpoint: string, reason: EjectionReason, ms: number, details: string): void {
    this.#instruments.ejection(service, reason)
    this.#showNow(service, endpoint)
    this.#logger.log("warn", "endpoint is ejected", { service, endpoint, reason, ms, ...(details === "" ? {} : { details }) })
  }

  #onReadmitted(service: string, endpoint: string, why: string): void {
    this.#showNow(service, endpoint)
    this.#logger.log("info", "endpoint is used again", { service, endpoint, why })
  }

  /** What the table says counts: events of several workers come in any order. */
  #showNow(service: string, endpoint: string): void {
    this.#show(service, endpoint, this.#sweep.ejection(service, endpoint)?.ejected === true)
  }

  #show(service: string, endpoint: string, ejected: boolean): void {
    const shown = this.#shown.get(service)
    // A worker may tell of one that has gone meanwhile.
    if (ejected && this.#endpoints.get(service)?.has(endpoint) !== true) return
    if (shown?.has(endpoint) === true) {
      if (ejected) return
      shown.delete(endpoint)
    } else {
      if (!ejected) return
      if (shown === undefined) this.#shown.set(service, new Set([endpoint]))
      else shown.add(endpoint)
    }
    this.#instruments.ejected(service, endpoint, ejected)
  }

  close(): void {
    this.#health.close()
    this.#sweep.close()
  }
}
