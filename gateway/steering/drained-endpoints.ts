// Endpoints that an operator has taken out of traffic: they get no new requests, while what is under way there finishes and health
// checks go on. It lays that over what the configuration says, which stays as it is written; workers see a weight of 0, which every
// balancer honours however little is left.

import type { BackendConfig, Config, EndpointConfig, ServiceConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import type { Outcome } from "../http/outcome.ts"

export interface DrainedEndpointsOptions {
  /** The configuration in force, with the endpoints that were found and without what is laid over it here; null before the first. */
  found(): Config | null
  /** Neither unwell nor ejected. */
  isUsable(service: string, address: string): boolean
  /** Gives the workers what {@link DrainedEndpoints.laidOver} now answers, or rejects with why they haven't got it. */
  apply(): Promise<void>
  /** Runs a change when those before it are done; resolves when it is, however it went. */
  inTurn(change: () => Promise<void>): Promise<void>
  log(level: "info" | "error", message: string, fields: Readonly<Record<string, string>>): void
  /** `drained`: endpoints of the service that are, 0 too. */
  onCount(service: string, drained: number): void
}

/** When each was drained, ms since the epoch, by address. */
type Drained = ReadonlyMap<string, number>

/** The endpoints of a service as workers are given them, kept as long as nothing about them changes: they are compared as a whole. */
interface Laid {
  readonly from: readonly EndpointConfig[]
  readonly drained: Drained
  readonly endpoints: readonly EndpointConfig[]
}

/** Addresses named in one line. */
const MAX_NAMED = 10

export class DrainedEndpoints {
  readonly #options: DrainedEndpointsOptions
  /** By service; only those that have any. */
  #drained: ReadonlyMap<string, Drained> = new Map()
  readonly #laid = new Map<string, Laid>()

  constructor(options: DrainedEndpointsOptions) {
    this.#options = options
  }

  /** `config`, its drained endpoints without weight. A service's list is the same one as long as nothing has changed. */
  laidOver(config: Config): Config {
    if (this.#drained.size === 0) return config
    const services: Record<string, ServiceConfig> = { ...config.services }
    for (const [name, drained] of this.#drained) {
      if (!Object.hasOwn(services, name)) continue
      services[name] = { ...services[name], endpoints: this.#lay(name, services[name].endpoints, drained) }
    }
    return { ...config, services }
  }

  #lay(service: string, from: readonly EndpointConfig[], drained: Drained): readonly EndpointConfig[] {
    const before = this.#laid.get(service)
    if (before !== undefined && before.from === from && before.drained === drained) return before.endpoints
    const endpoints = from.map((endpoint) => (drained.has(formatAddress(endpoint.address)) ? { ...endpoint, weight: 0 } : endpoint))
    this.#laid.set(service, { from, drained, endpoints })
    return endpoints
  }

  /** `config`, without what is laid over it, is in force: endpoints it no longer has are forgotten. */
  use({ services }: Config): void {
    const kept = new Map<string, Drained>()
    for (const [name, drained] of this.#drained) {
      const addresses = Object.hasOwn(services, name)
        ? new Set(services[name].endpoints.map(({ address }) => formatAddress(address)))
        : null
      const left = [...drained].filter(([address]) => addresses?.has(address) === true)
      if (left.length === drained.size) kept.set(name, drained)
      else {
        if (left.length > 0) kept.set(name, new Map(left))
        this.#options.onCount(name, left.length)
        for (const address of drained.keys()) {
          if (addresses?.has(address) !== true) this.#log("info", "drained endpoint is gone, and forgotten", name, address)
        }
      }
    }
    this.#take(kept)
  }

  #take(drained: ReadonlyMap<string, Drained>): void {
    this.#drained = drained
    for (const service of this.#laid.keys()) if (!drained.has(service)) this.#laid.delete(service)
  }

  /** When it was drained, ms since the epoch; null: it isn't. */
  since(service: string, address: string): number | null {
    return this.#drained.get(service)?.get(address) ?? null
  }

  /** Drains an endpoint. `force`: even though nobody else could take its requests. */
  drain(service: string, address: string, force: boolean): Promise<Outcome> {
    return this.#order(service, address, async (config) => {
      if (this.since(service, address) !== null)
        return { status: 200, message: `endpoint ${address} of service ${service} is drained already` }
      const lack = force ? null : this.#lackWithout(config, service, address)
      if (lack !== null) return { status: 409, message: lack }
      const own = new Map(this.#drained.get(service)).set(address, Date.now())
      const refusal = await this.#apply(new Map(this.#drained).set(service, own))
      if (refusal !== null) return { status: 503, message: `endpoint ${address} of service ${service} can't be drained: ${refusal}` }
      this.#options.onCount(service, own.size)
      this.#log("info", "endpoint drained: it gets no new requests", service, address)
      return {
        status: 200,
        message: `endpoint ${address} of service ${service} gets no new requests, until it is undrained, removed from the service or the process ends`,
      }
    })
  }

  undrain(service: string, address: string): Promise<Outcome> {
    return this.#order(service, address, async () => {
      const own = new Map(this.#drained.get(service))
      if (!own.delete(address)) return { status: 200, message: `endpoint ${address} of service ${service} is not drained` }
      const next = new Map(this.#drained)
      if (own.size > 0) next.set(service, own)
      else next.delete(service)
      const refusal = await this.#apply(next)
      if (refusal !== null) return { status: 503, message: `endpoint ${address} of service ${service} can't be undrained: ${refusal}` }
      this.#options.onCount(service, own.size)
      this.#log("info", "endpoint undrained: it gets requests again", service, address)
      return { status: 200, message: `endpoint ${address} of service ${service} gets requests again` }
    })
  }

  /** Null once it is in force, else why it isn't. */
  async #apply(next: ReadonlyMap<string, Drained>): Promise<string | null> {
    const before = this.#drained
    this.#take(next)
    try {
      await this.#options.apply()
      return null
    } catch (error) {
      this.#take(before)
      return error instanceof Error ? error.message : String(error)
    }
  }

  /** Why the service can't do without the endpoint; null when it can. */
  #lackWithout({ services, routes }: Config, service: string, address: string): string | null {
    const { endpoints, failover } = services[service]
    const target = endpoints.filter((endpoint) => formatAddress(endpoint.address) === address)
    // It takes no requests as it is.
    if (target.every(({ weight }) => weight === 0)) return null
    const usable = this.#options.isUsable(service, address)
    const others = endpoints.filter((endpoint) => {
      const other = formatAddress(endpoint.address)
      if (other === address || endpoint.weight === 0 || this.since(service, other) !== null) return false
      // One that is unwell or ejected has to do only where all are: then any other has to as well.
      return !usable || this.#options.isUsable(service, other)
    })
    const last = usable
      ? `endpoint ${address} of service ${service} is the last that is usable`
      : `endpoint ${address} of service ${service} is unwell or ejected, but the last that takes requests`
    const instead = "make another one usable first, or force it (--force; ?force=true)"
    if (others.length === 0) {
      const where = failover === undefined ? "its requests would be answered with 503" : `its requests would go to service ${failover}`
      return `${last}: without it ${where}; ${instead}`
    }
    for (const { name, action } of routes) {
      for (const { service: used, subset } of action.kind === "forward" ? action.backends : []) {
        if (used !== service || subset === undefined || !target.some((each) => isIn(each, subset))) continue
        if (others.some((other) => isIn(other, subset))) continue
        const labels = Object.entries(subset).map(([label, value]) => `${label}: ${value}`)
        return `${last} of those with { ${labels.join(", ")} }, which route ${name} sends requests to; ${instead}`
      }
    }
    return null
  }

  async #order(service: string, address: string, carryOut: (config: Config) => Promise<Outcome>): Promise<Outcome> {
    let outcome: Outcome = { status: 503, message: "it could not be done; the log says why" }
    await this.#options.inTurn(async () => {
      const config = this.#options.found()
      if (config === null || !Object.hasOwn(config.services, service)) {
        outcome = { status: 404, message: `there is no service ${service}; there are ${some(Object.keys(config?.services ?? {}))}` }
        return
      }
      const addresses = config.services[service].endpoints.map((endpoint) => formatAddress(endpoint.address))
      outcome = addresses.includes(address)
        ? await carryOut(config)
        : { status: 404, message: `service ${service} has no endpoint ${address}; it has ${some(addresses)}` }
    })
    return outcome
  }

  #log(level: "info" | "error", message: string, service: string, endpoint: string): void {
    this.#options.log(level, message, { service, endpoint })
  }

  /** What an operator should know, one sentence each. */
  get reasons(): string[] {
    return [...this.#drained].map(([service, drained]) => {
      const addresses = [...drained.keys()]
      return `${addresses.length === 1 ? "endpoint" : "endpoints"} ${some(addresses)} of service ${service} ${addresses.length === 1 ? "is" : "are"} drained`
    })
  }
}

function isIn({ labels }: EndpointConfig, subset: NonNullable<BackendConfig["subset"]>): boolean {
  return Object.entries(subset).every(([label, value]) => labels?.[label] === value)
}

/** The first of them, and how many more there are. */
function some(names: readonly string[]): string {
  if (names.length === 0) return "none"
  const shown = names.slice(0, MAX_NAMED).join(", ")
  return names.length > MAX_NAMED ? `${shown} and ${names.length - MAX_NAMED} more` : shown
}
