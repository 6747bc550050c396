// Probes the endpoints of services that ask for it, in one place for the whole process, and says in shared memory which are
// well. It carries no traffic, and its probes are no exchanges.

import type { HealthCheckConfig } from "../config/health-model.ts"
import type { Config } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import { TimerWheel } from "../http/timer-wheel.ts"
import { EndpointHealth, firstProbe, probePause } from "../resilience/health.ts"
import { type ClientMaterial, ClientTls } from "../tls/client-context.ts"
import type { EndpointTable } from "./endpoint-table.ts"
import { HealthProbe } from "./health-probe.ts"

/** ms; probes need no finer clock. */
const TICK = 50

export interface HealthCheckerOptions {
  /** [0, 1). */
  readonly random: () => number
  /** What is known of an endpoint: at first, and whenever it changes. `failure`: what was wrong with the last probe. */
  onHealth(service: string, address: string, well: boolean, changed: boolean, failure: string): void
  /** A programming error showed in a connection. */
  fault(error: unknown): void
}

interface Watched {
  /** Everything its probes depend on. */
  readonly settings: string
  readonly service: string
  weight: number
  readonly probe: HealthProbe
  readonly health: EndpointHealth
  readonly check: HealthCheckConfig
  timer: ReturnType<typeof setTimeout> | null
}

export class HealthChecker {
  readonly #options: HealthCheckerOptions
  readonly #wheel = new TimerWheel(undefined, TICK)
  readonly #table: EndpointTable
  /** By service, then by address. */
  #watched = new Map<string, Map<string, Watched>>()

  constructor(table: EndpointTable, options: HealthCheckerOptions) {
    this.#table = table
    this.#options = options
  }

  /** The configuration is in force: its endpoints are probed, and no others. */
  use(config: Config, materials: Readonly<Record<string, ClientMaterial>>): void {
    const before = this.#watched
    this.#watched = new Map()
    for (const [service, each] of Object.entries(config.services)) {
      const check = each.healthCheck
      if (check === undefined) continue
      const own = new Map<string, Watched>()
      this.#watched.set(service, own)
      const { protocol, tls, limits } = each
      const identity = tls === null ? "" : new ClientTls(tls, materials[service]).key
      for (const endpoint of each.endpoints) {
        const address = formatAddress(endpoint.address)
        if (own.has(address)) continue
        const settings = JSON.stringify([check, protocol, identity, limits])
        const known = before.get(service)?.get(address)
        if (known?.settings === settings) {
          known.weight = endpoint.weight
          own.set(address, known)
          continue
        }
        const means = { wheel: this.#wheel, fault: this.#options.fault }
        const probe = new HealthProbe(service, each, endpoint, check, materials[service], means)
        const health = new EndpointHealth(check)
        // What its probes have shown before holds until they show something else.
        if (known !== undefined) health.healthy = known.health.healthy
        // A record that stayed because its endpoint may be ejected knows nothing of when it wasn't probed.
        this.#table.setUnwell(service, address, !health.healthy)
        const watched = { settings, service, weight: endpoint.weight, probe, health, check, timer: null }
        own.set(address, watched)
        this.#options.onHealth(service, probe.address, health.healthy, false, "")
        this.#schedule(watched, firstProbe(check.interval, this.#options.random()))
      }
    }
    for (const [service, own] of before) {
      const after = this.#watched.get(service)
      for (const [address, watched] of own) if (after?.get(address) !== watched) close(watched)
    }
    for (const service of this.#watched.keys()) this.#summarize(service)
  }

  /** What probes say of an endpoint; null: it has none. */
  healthy(service: string, address: string): boolean | null {
    return this.#watched.get(service)?.get(address)?.health.healthy ?? null
  }

  #schedule(watched: Watched, ms: number): void {
    watched.timer = setTimeout(() => watched.probe.run((failure) => this.#probed(watched, failure)), ms)
    watched.timer.unref()
  }

  #probed(watched: Watched, failure: string): void {
    const { service, probe, health, check } = watched
    if (health.record(failure === "")) {
      this.#table.setUnwell(service, probe.address, !health.healthy)
      this.#summarize(service)
      this.#options.onHealth(service, probe.address, health.healthy, true, failure)
    }
    this.#schedule(watched, probePause(health.healthy ? check.interval : check.unhealthyInterval, this.#options.random()))
  }

  /** Where all endpoints that take traffic are unwell, they are used as if none were. */
  #summarize(service: string): void {
    let some = false
    for (const watched of this.#watched.get(service)?.values() ?? []) some ||= watched.weight > 0 && watched.health.healthy
    this.#table.setUnwell(service, "", !some)
  }

  close(): void {
    for (const own of this.#watched.values()) for (const watched of own.values()) close(watched)
    this.#watched = new Map()
  }
}

function close(watched: Watched): void {
  clearTimeout(watched.timer ?? undefined)
  watched.probe.close()
}
