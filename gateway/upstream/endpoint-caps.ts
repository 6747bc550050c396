// What one endpoint may have under way, over all workers, where its service sets a cap.

import type { CircuitBreakerConfig } from "../config/limits-model.ts"
import type { LimitsMemory } from "./limits-memory.ts"
import type { SharedCount } from "./shared-count.ts"

export class EndpointCaps {
  /** 0 = no cap. */
  settings: CircuitBreakerConfig["endpoint"]
  readonly #requests: SharedCount
  readonly #connections: SharedCount
  /** What this worker has counted: a reload may set a cap where there was none, and what began before was not. */
  #heldRequests = 0
  #heldConnections = 0

  constructor(settings: CircuitBreakerConfig["endpoint"], memory: LimitsMemory, cell: number) {
    this.settings = settings
    this.#requests = memory.endpoint(cell, "requests")
    this.#connections = memory.endpoint(cell, "connections")
  }

  get requestsFull(): boolean {
    const { maxRequests } = this.settings
    return maxRequests > 0 && this.#requests.value >= maxRequests
  }

  get connectionsFull(): boolean {
    const { maxConnections } = this.settings
    return maxConnections > 0 && this.#connections.value >= maxConnections
  }

  admitRequest(): boolean {
    const { maxRequests } = this.settings
    if (maxRequests === 0) return true
    if (!this.#requests.take(maxRequests)) return false
    this.#heldRequests++
    return true
  }

  releaseRequest(): void {
    if (this.#heldRequests === 0) return
    this.#heldRequests--
    this.#requests.release()
  }

  admitConnection(): boolean {
    const { maxConnections } = this.settings
    if (maxConnections === 0) return true
    if (!this.#connections.take(maxConnections)) return false
    this.#heldConnections++
    return true
  }

  releaseConnection(): void {
    if (this.#heldConnections === 0) return
    this.#heldConnections--
    this.#connections.release()
  }
}
