// Keeps the endpoints of one service as the DNS has them: looks, waits as long as the answer is good for, looks again.

import type { DiscoveryConfig } from "../config/discovery-model.ts"
import type { EndpointConfig } from "../config/model.ts"
import { Refresh } from "../resilience/refresh.ts"
import type { LookResult, Lookup } from "./lookup.ts"
import { type EndpointSource, inOrder, MAX_ENDPOINTS, type SourceOwner, sameEndpoints } from "./source.ts"

export type DnsDiscovery = Exclude<DiscoveryConfig, { kind: "file" }>

/** Time and chance, which tests play. */
export interface SourceMeans {
  /** [0, 1). */
  readonly random: () => number
  /** Runs `what` after so many ms; the answer takes that back. Keeps no process alive. */
  after(ms: number, what: () => void): () => void
}

export class DnsSource implements EndpointSource {
  readonly service: string
  endpoints: readonly EndpointConfig[] = []
  problem = ""
  readonly first: Promise<void>
  readonly #config: DnsDiscovery
  readonly #lookup: Pick<Lookup, "dns" | "srv">
  readonly #means: SourceMeans
  readonly #owner: SourceOwner
  readonly #refresh: Refresh
  #cancel: (() => void) | null = null
  #closed = false

  /** Looks at once. */
  constructor(service: string, config: DnsDiscovery, lookup: Pick<Lookup, "dns" | "srv">, means: SourceMeans, owner: SourceOwner) {
    this.service = service
    this.#config = config
    this.#lookup = lookup
    this.#means = means
    this.#owner = owner
    this.#refresh = new Refresh(config.refresh, means.random)
    this.first = this.#look()
  }

  async #look(): Promise<void> {
    const config = this.#config
    const result = await (config.kind === "dns" ? this.#lookup.dns(config.address) : this.#lookup.srv(config.name))
    if (this.#closed) return
    const pause = this.#take(result)
    this.#cancel = this.#means.after(pause, () => void this.#look())
  }

  /** ms until the next look. */
  #take(result: LookResult): number {
    if (result.kind === "found") {
      const all = inOrder(result.endpoints)
      this.problem = all.length > MAX_ENDPOINTS ? `there are ${all.length} endpoints; ${MAX_ENDPOINTS} are used` : ""
      const endpoints = all.slice(0, MAX_ENDPOINTS)
      const changed = !sameEndpoints(endpoints, this.endpoints)
      if (changed) this.endpoints = endpoints
      const pause = this.#refresh.found(result.ttl)
      this.#owner.onLooked(this, "ok", changed)
      return pause
    }
    this.problem = result.reason
    const pause = result.kind === "empty" ? this.#refresh.empty() : this.#refresh.failed()
    const changed = this.#refresh.emptyBelieved && this.endpoints.length > 0
    if (changed) this.endpoints = []
    this.#owner.onLooked(this, result.kind, changed)
    return pause
  }

  close(): void {
    this.#closed = true
    this.#cancel?.()
  }
}
