// The services of one worker. A new snapshot gets new services around the old endpoints, so that a reload keeps their
// connections; endpoints that are gone close theirs as they fall idle.

import type { ServiceConfig } from "../config/model.ts"
import type { RateLimitChecks } from "../filter/native/rate-limit-checks.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import type { EndpointSlots, SlotsOfEndpoints } from "../telemetry/endpoint-instruments.ts"
import { type ClientMaterial, ClientTls } from "../tls/client-context.ts"
import { Endpoint, type EndpointMeter } from "./endpoint.ts"
import { EndpointCaps } from "./endpoint-caps.ts"
import { EndpointMemory, type EndpointRecords } from "./endpoint-table.ts"
import { type EndpointViews, endpointViews, NO_VIEWS } from "./endpoint-views.ts"
import { LimitsMemory, NO_CELL } from "./limits-memory.ts"
import type { LimitCells } from "./limits-table.ts"
import { type BalancedService, Balancers } from "./load-balancing/balancers.ts"
import { HashKey } from "./load-balancing/hash-key.ts"
import type { BalancerCounters, LoadBalancer } from "./load-balancing/load-balancer.ts"
import { hasLabels } from "./load-balancing/subset.ts"
import { TableCache } from "./load-balancing/table-cache.ts"
import type { EjectionListener } from "./outlier-observer.ts"
import type { UpstreamCounters } from "./pool.ts"
import { type LimitCounters, ServiceLimits } from "./service-limits.ts"

export interface Service {
  readonly name: string
  /** This and {@link endpoints} are others when {@link Services.change} says so. */
  balancer: LoadBalancer
  /** What its requests are hashed by; null = nothing. */
  readonly hashKey: HashKey | null
  endpoints: readonly Endpoint[]
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
  /** Which of them this one is, and who hears of endpoints it ejects and readmits. Undefined: it does neither. */
  readonly outliers?: { readonly worker: number; readonly listener: EjectionListener } | undefined
  /** Counts what an endpoint of a service is sent; undefined: nobody does. */
  meter?(service: string, slots: EndpointSlots): EndpointMeter
  counters(service: string): UpstreamCounters & BalancerCounters & LimitCounters
  /** Where limits count; without it each for itself. */
  readonly memory?: LimitsMemory
  /** Zero of the wheel's clock on a clock that all threads have, ms; default 0. */
  readonly epoch?: number
}

/** What services share with other threads, or take from elsewhere. */
export interface ServicesParts {
  /** What is known of endpoints; default nothing. */
  readonly records?: EndpointRecords | null
  /** Where limits count; default nowhere. */
  readonly cells?: LimitCells
  /** Where it is counted what endpoints are sent; default nowhere. */
  readonly endpointSlots?: SlotsOfEndpoints
  /** The gateway's; "" = none. */
  readonly zone?: string
  readonly rateLimit?: (limits: ServiceConfig["rateLimits"]) => RateLimitChecks | null
}

/** The services of one snapshot. */
export interface BuiltServices {
  readonly services: Map<string, Service>
  /** For {@link Services.retire}. */
  readonly endpoints: Map<string, Endpoint>
  /** The service of that name with those of its endpoints that have all of `labels`; undefined when there is no such service. */
  subset(name: string, labels: Readonly<Record<string, string>>): Service | undefined
}

/** What a configuration says of an endpoint that isn't a matter of its connections. */
interface EndpointState {
  readonly views: EndpointViews
  readonly caps: EndpointCaps | null
  readonly meter: EndpointMeter | null
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
  /** Endpoints of it that are new. */
  #nextEndpoints = new Map<string, Endpoint>()
  /** What it says of endpoints that are in use already. */
  #nextStates = new Map<Endpoint, EndpointState>()
  /** Endpoints that changes have closed since they were last asked for. */
  #closed: Endpoint[] = []
  readonly #tables = new TableCache()
  /** By name of the service, over all snapshots. What is under way at one that is gone has hold of its own. */
  readonly #limits = new Map<string, ServiceLimits>()
  readonly #memory: LimitsMemory
  #config: Readonly<Record<string, ServiceConfig>> = {}

  constructor(dependencies: ServicesDependencies) {
    this.#dependencies = dependencies
    this.#memory = dependencies.memory ?? new LimitsMemory(new SharedArrayBuffer(0), 1, 0)
  }

  /**
   * The services of a new snapshot. Call {@link retire} once it is in force, {@link abandon} when it won't be.
   */
  build(
    config: Readonly<Record<string, ServiceConfig>>,
    materials: Readonly<Record<string, ClientMaterial>>,
    { records = null, cells = {}, endpointSlots = {}, zone = "", rateLimit = () => null }: ServicesParts = {},
  ): BuiltServices {
    const { wheel, random, workers, counters } = this.#dependencies
    const balanced = new Map<string, BalancedService>()
    const endpoints = new Map<string, Endpoint>()
    const memory = records === null ? null : new EndpointMemory(records)
    this.#nextStates = new Map()
    this.#nextEndpoints = endpoints
    this.#config = config
    for (const [name, service] of Object.entries(config)) {
      const views = memory === null ? null : endpointViews(name, service, records?.services[name], memory, this.#dependencies)
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
      const recorder = counters(name)
      for (const [i, { address }] of service.endpoints.entries()) {
        const key = JSON.stringify([name, address.host, address.port, service.protocol, tls?.key, settings])
        const live = this.#endpoints.get(key)
        const endpoint =
          endpoints.get(key) ?? live ?? new Endpoint(address.host, address.port, service.protocol, tls, settings, wheel, recorder, limits)
        if (live === undefined && this.#current.has(name)) endpoint.warmSince = wheel.now
        const state = {
          views: views?.[i] ?? NO_VIEWS,
          caps: this.#capsOf(service, cells[name]?.endpoints[i]),
          meter: this.#meterOf(name, endpointSlots[name]?.[i]),
        }
        if (live === undefined) setState(endpoint, state)
        else this.#nextStates.set(live, state)
        endpoints.set(key, endpoint)
        list.push(endpoint)
      }
      balanced.set(name, { config: service, endpoints: list, counters: recorder })
    }
    const balancers = new Balancers(balanced, { clock: wheel, random, tables: this.#tables, zone })
    const services = new Map<string, Service>()
    for (const [name, service] of Object.entries(config)) {
      const { by } = service.loadBalancing
      services.set(name, {
        name,
        endpoints: balanced.get(name)?.endpoints ?? [],
        balancer: balancers.of(name),
        hashKey: by === null ? null : new HashKey(by),
        proxyProtocol: service.proxyProtocol,
        mayBeHttp2: goesTo(name, config, ({ protocol, tls }) => protocol === "h2" || (protocol === "auto" && tls !== null)),
        callsMayBeHttp2: goesTo(name, config, ({ protocol }) => protocol !== "http1"),
        limits: this.#limits.get(name) as ServiceLimits,
        rateLimit: rateLimit(service.rateLimits),
      })
    }
    this.#next = services
    const subset = (name: string, labels: Readonly<Record<string, string>>): Service | undefined => {
      const whole = services.get(name)
      if (whole === undefined) return undefined
      const own = whole.endpoints.filter((_, i) => hasLabels(config[name].endpoints[i], labels))
      return { ...whole, endpoints: own, balancer: balancers.subset(name, labels) }
    }
    return { services, endpoints, subset }
  }

  /**
   * Gives services in force other endpoints. They stay the same services to whoever holds them; an endpoint that stays keeps its
   * connections, one that is gone closes its own as they fall idle. Not for services that have, or are, the failover of another, or
   * of which there are subsets: those have balancers that hold each other.
   */
  change(
    config: Readonly<Record<string, ServiceConfig>>,
    materials: Readonly<Record<string, ClientMaterial>>,
    parts: ServicesParts = {},
  ): void {
    const { services, endpoints } = this.build(config, materials, parts)
    for (const [endpoint, state] of this.#nextStates) setState(endpoint, state)
    this.#nextEndpoints = new Map()
    this.abandon()
    this.#tables.turn()
    const gone = new Set<Endpoint>()
    for (const [name, made] of services) {
      const service = this.#current.get(name)
      if (service === undefined) continue
      for (const endpoint of service.endpoints) gone.add(endpoint)
      for (const endpoint of made.endpoints) gone.delete(endpoint)
      service.endpoints = made.endpoints
      service.balancer = made.balancer
    }
    for (const [key, endpoint] of this.#endpoints) if (gone.has(endpoint)) this.#endpoints.delete(key)
    for (const [key, endpoint] of endpoints) this.#endpoints.set(key, endpoint)
    for (const endpoint of gone) {
      endpoint.close()
      if (endpoint.leaving) this.#closed.push(endpoint)
    }
  }

  /** Endpoints that {@link change} has closed since the last call and that had something under way then, which their service counts. */
  takeClosed(): Endpoint[] {
    return this.#closed.splice(0)
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

  #meterOf(service: string, slots: EndpointSlots | undefined): EndpointMeter | null {
    return slots === undefined ? null : (this.#dependencies.meter?.(service, slots) ?? null)
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
    for (const [key, endpoint] of this.#nextEndpoints) if (this.#endpoints.get(key) !== endpoint) endpoint.close()
    this.#nextEndpoints = new Map()
    this.#next = NO_SERVICES
    this.#nextStates = new Map()
  }

  /** Takes the endpoints of the snapshot now in force; the others close. */
  retire(endpoints: Map<string, Endpoint>): void {
    for (const [key, endpoint] of this.#endpoints) if (endpoints.get(key) !== endpoint) endpoint.close()
    this.#nextEndpoints = new Map()
    for (const [endpoint, state] of this.#nextStates) setState(endpoint, state)
    this.#nextStates = new Map()
    for (const [name, limits] of this.#limits) {
      if (this.#next.has(name)) limits.use(this.#config[name])
      else this.#limits.delete(name)
    }
    this.#endpoints = endpoints
    this.#current = this.#next
    this.#next = NO_SERVICES
    this.#tables.turn()
  }
}

/** Whether `holds` of a service, or of one that it fails over to. */
function goesTo(name: string, config: Readonly<Record<string, ServiceConfig>>, holds: (service: ServiceConfig) => boolean): boolean {
  const seen = new Set<string>()
  for (let next: string | undefined = name; next !== undefined && !seen.has(next); next = config[next].failover) {
    if (holds(config[next])) return true
    seen.add(next)
  }
  return false
}

// Caps that an endpoint has already are changed, not replaced: they know what they have counted.
function setState(endpoint: Endpoint, { views, caps, meter }: EndpointState): void {
  endpoint.show(views)
  endpoint.meter = meter
  if (endpoint.caps === null) endpoint.caps = caps
  else endpoint.caps.settings = caps?.settings ?? NO_CAPS
}
