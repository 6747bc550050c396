// The data plane of a configuration as the main thread can have it for questions: the same routers, routes, services and balancers
// as the workers', over the same shared memory, without connections. It sends nothing and counts nothing.

import { httpPart } from "../config/listener-parts.ts"
import type { Config, HttpListenerConfig, ListenerConfig, RouteConfig, ServiceConfig } from "../config/model.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import { TimerWheel } from "../http/timer-wheel.ts"
import { Route } from "../proxy/route.ts"
import { servesListener } from "../router/placement.ts"
import { Ranking } from "../router/ranking.ts"
import { Router } from "../router/router.ts"
import type { RouteSlots } from "../telemetry/instruments.ts"
import { CertificateStore } from "../tls/certificate-store.ts"
import type { ServerMaterial } from "../tls/tls-server.ts"
import type { EndpointRecords } from "../upstream/endpoint-table.ts"
import type { LimitsMemory } from "../upstream/limits-memory.ts"
import type { LimitCells } from "../upstream/limits-table.ts"
import { type BuiltServices, type Service, Services } from "../upstream/services.ts"

/** What is in force, as snapshots have it. */
export interface ExplainedSpec {
  readonly generation: number
  readonly config: Config
  /** By listener name. */
  readonly ports: Readonly<Record<string, number>>
  /** Of routes whose weights are not those of the configuration. */
  readonly weights: Readonly<Record<string, readonly number[]>>
  readonly tls: { readonly listeners: Readonly<Record<string, ServerMaterial>> }
  readonly records: EndpointRecords | null
  readonly limits: LimitCells
}

export interface ExplainedPlane {
  readonly listener: ListenerConfig
  readonly http: HttpListenerConfig
  readonly port: number
  readonly router: Router<Route>
  readonly ranking: Ranking<RouteConfig>
  readonly certificates: CertificateStore<never> | null
}

const nothing = (): void => {}
const NO_COUNTERS = {
  connects: nothing,
  connectFailures: nothing,
  active: nothing,
  pending: nothing,
  idle: nothing,
  connected: nothing,
  waited: nothing,
  fault: nothing,
  panics: nothing,
  spills: nothing,
  failovers: nothing,
  refused: nothing,
  concurrencyLimit: nothing,
}
// Nothing is counted.
const NO_SLOTS: RouteSlots = { requests: 0, duration: 0, flags: 0, grpc: 0, requestBytes: 0, responseBytes: 0, firstByte: 0 }

/** Of one configuration in force; made when it is first asked about. */
export class ExplainedPlanes {
  readonly spec: ExplainedSpec
  /** An operator has taken the endpoint out of traffic. */
  readonly isDrained: (service: string, address: string) => boolean
  readonly #wheel = new TimerWheel()
  readonly #built: BuiltServices
  readonly #planes = new Map<string, ExplainedPlane | null>()

  /** `memory` null: nothing is known of what is under way. */
  constructor(spec: ExplainedSpec, memory: LimitsMemory | null, isDrained: (service: string, address: string) => boolean) {
    this.spec = spec
    this.isDrained = isDrained
    const services = new Services({
      wheel: this.#wheel,
      random: Math.random,
      workers: 1,
      // So that ejections are seen; nothing that would bring one about is ever told here.
      outliers: { worker: 0, listener: { onEjected: nothing, onReadmitted: nothing } },
      counters: () => NO_COUNTERS,
      ...(memory === null ? {} : { memory }),
    })
    const { config, records, limits } = spec
    const cells = memory === null ? {} : limits
    this.#built = services.build(withoutTls(config.services), {}, { records, cells, zone: config.zone })
  }

  /** The service; null: there is none that may carry requests. */
  service(name: string, subset: Readonly<Record<string, string>> | undefined): Service | null {
    const whole = this.#built.services.get(name)
    if (whole === undefined || whole.proxyProtocol !== "") return null
    return (subset === undefined ? whole : this.#built.subset(name, subset)) ?? null
  }

  /** Sees what is available now. */
  refresh(): void {
    this.#wheel.refresh()
  }

  /** Null: the listener has no requests. */
  plane(listener: ListenerConfig): ExplainedPlane | null {
    const known = this.#planes.get(listener.name)
    if (known !== undefined) return known
    const plane = this.#make(listener)
    this.#planes.set(listener.name, plane)
    return plane
  }

  #make(listener: ListenerConfig): ExplainedPlane | null {
    const http = httpPart(listener)
    if (http === null) return null
    const { config, ports, weights, tls } = this.spec
    const routes = config.routes.filter((route) => servesListener(route, listener.name))
    const entries = routes.map((route) => {
      const parts = {
        service: (name: string, subset: Readonly<Record<string, string>> | undefined) => this.service(name, subset),
        slots: () => NO_SLOTS,
        filters: [],
        weights: weights[route.name],
      }
      return { route, target: new Route(route, parts) }
    })
    const pairs = tls.listeners[listener.name]?.pairs ?? []
    return {
      listener,
      http,
      port: ports[listener.name] ?? listener.address.port,
      router: new Router(entries, listener.name),
      ranking: new Ranking(
        routes.map((route) => ({ route, target: route })),
        listener.name,
      ),
      certificates: pairs.length === 0 ? null : new CertificateStore<never>(pairs),
    }
  }
}

// Nothing is connected to, so that certificates towards services don't matter.
function withoutTls(services: Config["services"]): Record<string, ServiceConfig> {
  return Object.fromEntries(Object.entries(services).map(([name, service]) => [name, { ...service, tls: null }]))
}

/** The connection of a client that asks for `serverName` and has the certificate of `identity`; null: it isn't secured. */
export function securityOf(plane: ExplainedPlane, serverName: string, identity: string): ConnectionSecurity | null {
  const { certificates, listener } = plane
  if (listener.tls === null) return null
  const hello = { serverName, signatures: [], tls13: false, ecdsaSuites: true, rsaSuites: true, protocols: [] }
  const chosen = certificates?.choose(hello) ?? null
  const { subject, commonName, dnsNames, uris, sha256 } = chosen?.names ?? NAMELESS
  return {
    version: "TLSv1.3",
    serverName,
    protocol: "http/1.1",
    local: { subject, commonName, dnsNames, uris, sha256 },
    peer: null,
    peerIdentity: identity,
    forwardedClientCert: "",
    covers: (host) => chosen === null || chosen.covers(host),
  }
}

const NAMELESS = { subject: "", commonName: "", dnsNames: [], uris: [], sha256: "" }
