// The load balancers of one snapshot: of its services, of parts of them that routes name, and of services that fail over to others.

import type { ServiceConfig } from "../../config/model.ts"
import type { Endpoint } from "../endpoint.ts"
import { FailingOver } from "./failing-over.ts"
import type { Member } from "./level.ts"
import { type BalancerCounters, createLoadBalancer, type StagedBalancer } from "./load-balancer.ts"
import { hasLabels } from "./subset.ts"
import type { TableCache } from "./table-cache.ts"

export interface BalancersMeans {
  readonly clock: { readonly now: number }
  /** [0, 1). */
  readonly random: () => number
  readonly tables: TableCache
  /** The gateway's; "" = none. */
  readonly zone: string
}

/** A service and its endpoints, in the order of its configuration. */
export interface BalancedService {
  readonly config: ServiceConfig
  readonly endpoints: readonly Endpoint[]
  readonly counters: BalancerCounters
}

export class Balancers {
  readonly #services: ReadonlyMap<string, BalancedService>
  readonly #means: BalancersMeans
  readonly #made = new Map<string, StagedBalancer>()

  constructor(services: ReadonlyMap<string, BalancedService>, means: BalancersMeans) {
    this.#services = services
    this.#means = means
  }

  of(name: string): StagedBalancer {
    const made = this.#made.get(name)
    if (made !== undefined) return made
    const balancer = this.#make(this.#services.get(name) as BalancedService, null)
    this.#made.set(name, balancer)
    return balancer
  }

  /** Of the endpoints of a service that have all of `labels`. */
  subset(name: string, labels: Readonly<Record<string, string>>): StagedBalancer {
    return this.#make(this.#services.get(name) as BalancedService, labels)
  }

  #make({ config, endpoints, counters }: BalancedService, labels: Readonly<Record<string, string>> | null): StagedBalancer {
    const { clock, random, tables, zone } = this.#means
    const members: Member[] = []
    for (const [i, endpoint] of config.endpoints.entries()) {
      if (labels !== null && !hasLabels(endpoint, labels)) continue
      members.push({ endpoint: endpoints[i], weight: endpoint.weight, zone: endpoint.zone ?? "", priority: endpoint.priority ?? 0 })
    }
    const { failover } = config
    // Circles don't pass the check of the configuration.
    const other = failover === undefined || !this.#services.has(failover) ? null : this.of(failover)
    const own = createLoadBalancer(config.loadBalancing, members, { clock, random, counters, tables }, zone, other !== null)
    return other === null ? own : new FailingOver(own, other, counters)
  }
}
