// The services of one worker. A new snapshot gets new services around the old endpoints, so that a reload keeps their
// connections; endpoints that are gone close theirs as they fall idle.

import type { ServiceConfig } from "../config/model.ts"
import type { RateLimitChecks } from "../filter/native/rate-limit-checks.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { RetryBudget } from "../resilience/retry-budget.ts"
import { type ClientMaterial, ClientTls } from "../tls/client-context.ts"
import { Endpoint } from "./endpoint.ts"
import { EndpointHealthView, type HealthSlots } from "./health-table.ts"
import { createLoadBalancer, type LoadBalancer } from "./load-balancing/load-balancer.ts"
import type { UpstreamCounters } from "./pool.ts"

export interface Service {
  readonly name: string
  readonly balancer: LoadBalancer
  readonly endpoints: readonly Endpoint[]
  /** Any request to it goes, or may turn out to go, over HTTP/2. */
  readonly mayBeHttp2: boolean
  /** The same of gRPC calls, which `auto` without TLS sends over HTTP/2, and them alone. */
  readonly callsMayBeHttp2: boolean
  readonly retries: RetryBudget
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
  counters(service: string): UpstreamCounters
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
  #nextHealth = new Map<Endpoint, EndpointHealthView | null>()

  constructor(dependencies: ServicesDependencies) {
    this.#dependencies = dependencies
  }

  /** The services of a new snapshot. Call {@link retire} once it is in force, {@link abandon} when it won't be. */
  build(
    config: Readonly<Record<string, ServiceConfig>>,
    materials: Readonly<Record<string, ClientMaterial>>,
    health: HealthSlots | null = null,
    rateLimit: (limits: ServiceConfig["rateLimits"]) => RateLimitChecks | null = () => null,
  ): { services: Map<string, Service>; endpoints: Map<string, Endpoint> } {
    const { wheel, random, workers, counters } = this.#dependencies
    const services = new Map<string, Service>()
    const endpoints = new Map<string, Endpoint>()
    const words = health === null ? null : new Int32Array(health.memory)
    this.#nextHealth = new Map()
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
      const list: Endpoint[] = []
      for (const [i, { address, weight }] of service.endpoints.entries()) {
        const key = JSON.stringify([name, address.host, address.port, weight, service.protocol, tls?.key, settings])
        const live = this.#endpoints.get(key)
        const endpoint =
          endpoints.get(key) ??
          live ??
          new Endpoint(address.host, address.port, weight, service.protocol, tls, settings, wheel, counters(name))
        const view = words === null || slots === undefined ? null : new EndpointHealthView(words, slots.endpoints[i], slots.allUnwell)
        if (live === undefined) endpoint.health = view
        else this.#nextHealth.set(live, view)
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
        retries: new RetryBudget(),
        rateLimit: rateLimit(service.rateLimits),
      })
    }
    this.#next = services
    return { services, endpoints }
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
    this.#nextHealth = new Map()
  }

  /** Takes the endpoints of the snapshot now in force; the others close. */
  retire(endpoints: Map<string, Endpoint>): void {
    for (const [key, endpoint] of this.#endpoints) if (endpoints.get(key) !== endpoint) endpoint.close()
    for (const [endpoint, view] of this.#nextHealth) endpoint.health = view
    this.#nextHealth = new Map()
    this.#endpoints = endpoints
    this.#current = this.#next
    this.#next = NO_SERVICES
  }
}
