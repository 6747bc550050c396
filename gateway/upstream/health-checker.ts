// Probes the endpoints of services that ask for it, in one place for the whole process, and says in shared memory which are
// well. It carries no traffic, and its probes are no exchanges.

import type { Config, HealthCheckConfig } from "../config/model.ts"
import { TimerWheel } from "../http/timer-wheel.ts"
import { EndpointHealth, firstProbe, probePause } from "../resilience/health.ts"
import { type ClientMaterial, ClientTls } from "../tls/client-context.ts"
import { HealthProbe } from "./health-probe.ts"
import { type HealthSlots, HealthTable } from "./health-table.ts"

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
  readonly weight: number
  readonly probe: HealthProbe
  readonly health: EndpointHealth
  readonly check: HealthCheckConfig
  timer: ReturnType<typeof setTimeout> | null
}

export class HealthChecker {
  readonly #options: HealthCheckerOptions
  readonly #wheel = new TimerWheel(undefined, TICK)
  readonly #table = new HealthTable()
  /** By service and address. */
  #watched = new Map<string, Watched>()

  constructor(options: HealthCheckerOptions) {
    this.#options = options
  }

  /** What workers need to know the health of a configuration's endpoints. */
  slots(config: Config): HealthSlots {
    return this.#table.assign(config.services)
  }

  /** The configuration is in force: its endpoints are probed, and no others. */
  use(config: Config, materials: Readonly<Record<string, ClientMaterial>>): void {
    const before = this.#watched
    const after = new Map<string, Watched>()
    const kept = new Map<string, Set<string>>()
    for (const [service, each] of Object.entries(config.services)) {
      const check = each.healthCheck
      if (check === undefined) continue
      const addresses = new Set<string>()
      kept.set(service, addresses)
      for (const endpoint of each.endpoints) {
        const { protocol, tls, limits } = each
        const identity = tls === null ? "" : new ClientTls(tls, materials[service]).key
        const settings = JSON.stringify([check, protocol, identity, limits, endpoint.weight])
        const key = JSON.stringify([service, endpoint.address])
        if (after.has(key)) continue
        const known = before.get(key)
        if (known?.settings === settings) {
          after.set(key, known)
          addresses.add(known.probe.address)
          continue
        }
        const means = { wheel: this.#wheel, fault: this.#options.fault }
        const probe = new HealthProbe(service, each, endpoint, check, materials[service], means)
        const health = new EndpointHealth(check)
        // What its probes have shown before holds until they show something else.
        if (known !== undefined) health.healthy = known.health.healthy
        const watched = { settings, service, weight: endpoint.weight, probe, health, check, timer: null }
        after.set(key, watched)
        addresses.add(probe.address)
        this.#options.onHealth(service, probe.address, health.healthy, false, "")
        this.#schedule(watched, firstProbe(check.interval, this.#options.random()))
      }
    }
    this.#watched = after
    for (const [key, watched] of before) if (after.get(key) !== watched) close(watched)
    this.#table.keepOnly(kept)
    for (const service of kept.keys()) this.#summarize(service)
  }

  #schedule(watched: Watched, ms: number): void {
    watched.timer = setTimeout(() => watched.probe.run((failure) => this.#probed(watched, failure)), ms)
    watched.timer.unref()
  }

  #probed(watched: Watched, failure: string): void {
    const { service, probe, health, check } = watched
    if (health.record(failure === "")) {
      this.#table.set(service, probe.address, !health.healthy)
      this.#summarize(service)
      this.#options.onHealth(service, probe.address, health.healthy, true, failure)
    }
    this.#schedule(watched, probePause(check.interval, this.#options.random()))
  }

  /** Where all endpoints that take traffic are unwell, they are used as if none were. */
  #summarize(service: string): void {
    let some = false
    for (const watched of this.#watched.values()) some ||= watched.service === service && watched.weight > 0 && watched.health.healthy
    this.#table.set(service, "", !some)
  }

  close(): void {
    for (const watched of this.#watched.values()) close(watched)
    this.#watched = new Map()
  }
}

function close(watched: Watched): void {
  clearTimeout(watched.timer ?? undefined)
  watched.probe.close()
}
