// What the connections of one tcp listener share: its backends, filters and settings out of one snapshot.

import type { TcpListenerConfig } from "../config/model.ts"
import type { NetworkFilter } from "../filter/network-filter.ts"
import { WeightedSplit } from "../router/split.ts"
import type { ListenerSlots, TcpSlots } from "../telemetry/instruments.ts"
import type { ServerMaterial } from "../tls/tls-server.ts"
import type { Service } from "../upstream/services.ts"
import type { SnapshotPin, WorkerMeans } from "./plane.ts"

/** Where connections go; `service` is null when the configuration names one that does not exist. */
export interface TcpBackend {
  readonly service: Service | null
  readonly name: string
  readonly slots: TcpSlots
}

/** What a plane needs that the listener's configuration doesn't hold. */
export interface TcpPlaneParts {
  readonly means: WorkerMeans
  readonly snapshot: SnapshotPin
  readonly port: number
  /** Certificates of a listener at which TLS ends; null = it doesn't. */
  readonly tls: ServerMaterial | null
  readonly listenerSlots: ListenerSlots
  /** By service, and "-" for none. */
  readonly slots: Readonly<Record<string, TcpSlots>>
  /** Its filters, configured, in order. */
  readonly filters: readonly NetworkFilter[]
  service(name: string): Service | undefined
}

/** One tcp listener in one snapshot. */
export class TcpPlane {
  readonly config: TcpListenerConfig
  readonly name: string
  readonly port: number
  readonly tls: ServerMaterial | null
  readonly means: WorkerMeans
  readonly snapshot: SnapshotPin
  readonly listenerSlots: ListenerSlots
  readonly filters: readonly NetworkFilter[]
  readonly backends: readonly TcpBackend[]
  readonly split: WeightedSplit
  /** Metrics of connections that reached no service. */
  readonly noServiceSlots: TcpSlots
  readonly #service: (name: string) => Service | undefined
  readonly #slots: Readonly<Record<string, TcpSlots>>

  constructor(config: TcpListenerConfig, parts: TcpPlaneParts) {
    this.config = config
    this.name = config.name
    this.port = parts.port
    this.tls = parts.tls
    this.means = parts.means
    this.snapshot = parts.snapshot
    this.listenerSlots = parts.listenerSlots
    this.filters = parts.filters
    this.#service = parts.service
    this.#slots = parts.slots
    this.noServiceSlots = parts.slots["-"]
    this.backends = config.backends.map(({ service }) => ({
      service: parts.service(service) ?? null,
      name: service,
      slots: parts.slots[service],
    }))
    this.split = new WeightedSplit(config.backends.map(({ weight }) => weight))
  }

  /** The next connection's backend; null when no backend has a weight. */
  pick(): TcpBackend | null {
    const i = this.split.pick(this.means.random())
    return i < 0 ? null : this.backends[i]
  }

  /** A backend for a service that a filter chose; null when there is none of that name. */
  chosen(name: string): TcpBackend | null {
    const service = this.#service(name)
    return service === undefined ? null : { service, name, slots: this.#slots[name] ?? this.noServiceSlots }
  }
}
