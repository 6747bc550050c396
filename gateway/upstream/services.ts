// The services of one worker. A new snapshot gets new services around the old endpoints, so that a reload keeps their
// connections; endpoints that are gone close theirs as they fall idle.

import type { ServiceConfig } from "../config/model.ts"
import type { RateLimitChecks } from "../filter/native/rate-limit-checks.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { type ClientMaterial, ClientTls } from "../tls/client-context.ts"
import { Endpoint } from "./endpoint.ts"
import { EndpointCaps } from "./endpoint-caps.ts"
import { EndpointHealthView, type HealthSlots } from "./health-table.ts"
import { LimitsMemory, NO_CELL } from "./limits-memory.ts"
import type { LimitCells } from "./limits-table.ts"
import { createLoadBalancer, type LoadBalancer } from "./load-balancing/load-balancer.ts"
import type { UpstreamCounters } from "./pool.ts"
import { type LimitCounters, ServiceLimits } from "./service-limits.ts"

export interface Service {
  readonly name: string
  readonly balancer: LoadBalancer
  readonly endpoints: readonly Endpoint[]
  /** Any request to it goes, or may turn out to go, over HTTP/2. */
  readonly mayBeHttp2: boolean
  /** The same of gRPC calls, which `auto` without TLS sends over HTTP/2, and them alone. */
  readonly callsMayBeHttp2: boolean
  /** How much may be under way at it. */
  readonly limits: ServiceLimits
  /** Asked once for each request that is to be sent to it; null or none = it takes all. */
  readonly rateLimit?: RateLimitChecks | null
  /** Every connection to it begins with a PROXY header, so that it can't carry requests of several clients. "" = none. */
  readonly proxyProtocol: ServiceConfig["proxyProtocol"]
}

/** What services need of their worker. */
export interface ServicesDependencies {
  readonly wheel: TimerWheel
  /** [0, 1). */
  readonly random: () => number
  /** Workers of the process: process-wide caps are shared out among them. */
  readonly workers: number
  counters(service: string): UpstreamCounters & LimitCounters
  /** Where limits count; without it each for itself. */
  readonly memory?: LimitsMemory
  /** Zero of the wheel's clock on a clock that all threads have, ms; default 0. */
  readonly epoch?: number
}

/** What a configuration says of an endpoint that isn't a matter of its connections. */
interface EndpointState {
  readonly health: EndpointHealthView | null
  readonly caps: EndpointCaps | null
}

const NO_CAPS = { maxConnections: 0, maxRequests: 0 }
const NO_SERVICES: ReadonlyMap<string, Service> = new Map()

export class Services {
  readonly #dependencies: ServicesDependencies
  /** By service and everything about an endpoint that its connections depend on. */
  #endpoints = new Map<string, Endpoint>()
  #current: ReadonlyMap<string, Service> = NO_SERVICES
  /** Of a snapshot that is being made. */
  #next: ReadonlyMap<string, Service> = NO_SERVICES
  /** What it says of endpoints that are in use already. */
  #nextStates = new Map<Endpoint, EndpointState>()
  /** By name of the service, over all snapshots. What is under way at one that is gone has hold of its own. */
  readonly #limits = new Map<string, ServiceLimits>()
  readonly #memory: LimitsMemory
  #config: Readonly<Record<string, ServiceConfig>> = {}

  constructor(dependencies: ServicesDependencies) {
    this.#dependencies = dependencies
    this.#memory = dependencies.memory ?? new LimitsMemory(new SharedArrayBuffer(0), 1, 0)
  }

  /** The services of a new snapshot. Call {@link retire} once it is in force, {@link abandon} when it won't be. */
  build(
    config: Readonly<Record<string, ServiceConfig>>,
    materials: Readonly<Record<string, ClientMaterial>>,
    health: HealthSlots | null = null,
    cells: LimitCells = {},
    rateLimit: (limits: ServiceConfig["rateLimits"]) => RateLimitChecks | null = () => null,
  ): { services: Map<string, Service>; endpoints: Map<string, Endpoint> } {
    const { wheel, random, workers, counters } = this.#dependencies
    const services = new Map<string, Service>()
    const endpoints = new Map<string, Endpoint>()
    const words = health === null ? null : new Int32Array(health.memory)
    this.#nextStates = new Map()
    this.#config = config
    for (const [name, service] of Object.entries(config)) {
      const slots = health?.services[name]
      const settings = {
        connectTimeout: service.connectTimeout,
        maxConnections: Math.max(1, Math.ceil(service.pool.maxConnections / workers)),
        maxPending: Math.ceil(service.pool.maxPending / workers),
        idleTimeout: service.pool.idleTimeout,
        maxAge: service.pool.maxAge,
        head: { startLine: service.limits.head, head: service.limits.head, fields: service.limits.fields },
      }
      const tls = service.tls === null ? null : new ClientTls(service.tls, materials[name])
      const limits = this.#limitsOf(name, service, cells[name]?.service ?? NO_CELL)
      const list: Endpoint[] = []
      for (const [i, { address, weight }] of service.endpoints.entries()) {
        const key = JSON.stringify([name, address.host, address.port, weight, service.protocol, tls?.key, settings])
        const live = this.#endpoints.get(key)
        const endpoint =
          endpoints.get(key) ??
          live ??
          new Endpoint(address.host, address.port, weight, service.protocol, tls, settings, wheel, counters(name), limits)
        const view = words === null || slots === undefined ? null : new EndpointHealthView(words, slots.endpoints[i], slots.allUnwell)
        const caps = this.#capsOf(service, cells[name]?.endpoints[i])
        if (live === undefined) setState(endpoint, { health: view, caps })
        else this.#nextStates.set(live, { health: view, caps })
        endpoints.set(key, endpoint)
        list.push(endpoint)
      }
      const { protocol, proxyProtocol, loadBalancing } = service
      const balancer = createLoadBalancer(loadBalancing, list, random)
      const callsMayBeHttp2 = protocol !== "http1"
      const mayBeHttp2 = protocol === "h2" || (protocol === "auto" && tls !== null)
      services.set(name, {
        name,
        endpoints: list,
        balancer,
        proxyProtocol,
        mayBeHttp2,
        callsMayBeHttp2,
        limits,
        rateLimit: rateLimit(service.rateLimits),
      })
    }
    this.#next = services
    return { services, endpoints }
  }

  #limitsOf(name: string, service: ServiceConfig, cell: number): ServiceLimits {
    const known = this.#limits.get(name)
    if (known !== undefined) return known
    const { wheel, random, workers, counters, epoch = 0 } = this.#dependencies
    const limits = new ServiceLimits(service, this.#memory, cell, { wheel, random, workers, epoch }, counters(name))
    this.#limits.set(name, limits)
    return limits
  }

  #capsOf({ circuitBreaker: { endpoint } }: ServiceConfig, cell: number | undefined): EndpointCaps | null {
    const capped = endpoint.maxConnections > 0 || endpoint.maxRequests > 0
    return capped ? new EndpointCaps(endpoint, this.#memory, cell ?? NO_CELL) : null
  }

  /** Ends idle connections of services whose limit keeps other workers from having any. To be called now and then. */
  yieldConnections(): void {
    for (const limits of this.#limits.values()) limits.yieldConnections()
  }

  /**
   * The service of that name: of the snapshot in force, or one that is new in the snapshot being made, since filters that
   * start with it may call out at once.
   */
  find(name: string): Service | undefined {
    return this.#current.get(name) ?? this.#next.get(name)
  }

  /** The snapshot being made never came into force. */
  abandon(): void {
    for (const name of this.#next.keys()) if (!this.#current.has(name)) this.#limits.delete(name)
    this.#next = NO_SERVICES
    this.#nextStates = new Map()
  }

  /** Takes the endpoints of the snapshot now in force; the others close. */
  retire(endpoints: Map<string, Endpoint>): void {
    for (const [key, endpoint] of this.#endpoints) if (endpoints.get(key) !== endpoint) endpoint.close()
    for (const [endpoint, state] of this.#nextStates) setState(endpoint, state)
    this.#nextStates = new Map()
    for (const [name, limits] of this.#limits) {
      if (this.#next.has(name)) limits.use(this.#config[name])
      else this.#limits.delete(name)
    }
    this.#endpoints = endpoints
    this.#current = this.#next
    this.#next = NO_SERVICES
  }
}

// Caps that an endpoint has already are changed, not replaced: they know what they have counted.
function setState(endpoint: Endpoint, { health, caps }: EndpointState): void {
  endpoint.health = health
  if (endpoint.caps === null) endpoint.caps = caps
  else endpoint.caps.settings = caps?.settings ?? NO_CAPS
}
