// The services of one worker. A new snapshot gets new services around the old endpoints, so that a reload keeps their
// connections; endpoints that are gone close theirs as they fall idle.

import type { ServiceConfig } from "../config/model.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { RetryBudget } from "../resilience/retry-budget.ts"
import { type ClientMaterial, ClientTls } from "../tls/client-context.ts"
import { Endpoint } from "./endpoint.ts"
import { EndpointMemory, type EndpointRecords } from "./endpoint-table.ts"
import { type EndpointViews, endpointViews, NO_VIEWS } from "./endpoint-views.ts"
import { type BalancedService, Balancers } from "./load-balancing/balancers.ts"
import { HashKey } from "./load-balancing/hash-key.ts"
import type { BalancerCounters, LoadBalancer } from "./load-balancing/load-balancer.ts"
import { hasLabels } from "./load-balancing/subset.ts"
import { TableCache } from "./load-balancing/table-cache.ts"
import type { EjectionListener } from "./outlier-observer.ts"
import type { UpstreamCounters } from "./pool.ts"

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
  readonly retries: RetryBudget
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
  counters(service: string): UpstreamCounters & BalancerCounters
}

/** The services of one snapshot. */
export interface BuiltServices {
  readonly services: Map<string, Service>
  /** For {@link Services.retire}. */
  readonly endpoints: Map<string, Endpoint>
  /** The service of that name with those of its endpoints that have all of `labels`; undefined when there is no such service. */
  subset(name: string, labels: Readonly<Record<string, string>>): Service | undefined
}

const NO_SERVICES: ReadonlyMap<string, Service> = new Map()

export class Services {
  readonly #dependencies: ServicesDependencies
  /** By service and everything about an endpoint that its connections depend on. */
  #endpoints = new Map<string, Endpoint>()
  #current: ReadonlyMap<string, Service> = NO_SERVICES
  /** Of a snapshot that is being made. */
  #next: ReadonlyMap<string, Service> = NO_SERVICES
  /** What it says of endpoints that are in use already. */
  #nextViews = new Map<Endpoint, EndpointViews>()
  readonly #tables = new TableCache()

  constructor(dependencies: ServicesDependencies) {
    this.#dependencies = dependencies
  }

  /**
   * The services of a new snapshot. Call {@link retire} once it is in force, {@link abandon} when it won't be. `zone`: the
   * gateway's; "" = none.
   */
  build(
    config: Readonly<Record<string, ServiceConfig>>,
    materials: Readonly<Record<string, ClientMaterial>>,
    records: EndpointRecords | null = null,
    zone = "",
  ): BuiltServices {
    const { wheel, random, workers, counters } = this.#dependencies
    const balanced = new Map<string, BalancedService>()
    const endpoints = new Map<string, Endpoint>()
    const memory = records === null ? null : new EndpointMemory(records)
    this.#nextViews = new Map()
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
      const list: Endpoint[] = []
      const recorder = counters(name)
      for (const [i, { address }] of service.endpoints.entries()) {
        const key = JSON.stringify([name, address.host, address.port, service.protocol, tls?.key, settings])
        const live = this.#endpoints.get(key)
        const endpoint =
          endpoints.get(key) ?? live ?? new Endpoint(address.host, address.port, service.protocol, tls, settings, wheel, recorder)
        if (live === undefined && this.#current.has(name)) endpoint.warmSince = wheel.now
        const seen = views?.[i] ?? NO_VIEWS
        if (live === undefined) endpoint.show(seen)
        else this.#nextViews.set(live, seen)
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
        retries: new RetryBudget(),
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
    records: EndpointRecords | null = null,
    zone = "",
  ): void {
    const { services, endpoints } = this.build(config, materials, records, zone)
    for (const [endpoint, views] of this.#nextViews) endpoint.show(views)
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
    for (const endpoint of gone) endpoint.close()
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
    this.#next = NO_SERVICES
    this.#nextViews = new Map()
  }

  /** Takes the endpoints of the snapshot now in force; the others close. */
  retire(endpoints: Map<string, Endpoint>): void {
    for (const [key, endpoint] of this.#endpoints) if (endpoints.get(key) !== endpoint) endpoint.close()
    for (const [endpoint, views] of this.#nextViews) endpoint.show(views)
    this.#nextViews = new Map()
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
