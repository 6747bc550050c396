// A route as the exchange uses it: everything that can be decided when a snapshot is made has been.

import type { BackendConfig, RedirectConfig, RewriteConfig, RouteConfig } from "../config/model.ts"
import type { HttpFilter } from "../filter/filter.ts"
import { HedgePolicy } from "../resilience/hedge.ts"
import { HIGH, LOW, NORMAL, type Priority } from "../resilience/overload.ts"
import { RetryPolicy } from "../resilience/retry.ts"
import { EvenDraws } from "../router/even-draws.ts"
import { HeaderEditor } from "../router/header-edits.ts"
import { WeightedSplit } from "../router/split.ts"
import { StickySplit } from "../router/sticky.ts"
import type { RouteSlots } from "../telemetry/instruments.ts"
import { RouteTracing } from "../telemetry/tracing/route-tracing.ts"
import type { Service } from "../upstream/services.ts"
import type { Mirrors } from "./mirror.ts"

/** A backend of a route; `service` is null when the configuration names one that does not exist. */
export interface Backend {
  readonly service: Service | null
  readonly name: string
  readonly request: HeaderEditor
  readonly response: HeaderEditor
  readonly rewrite: RewriteConfig | undefined
  readonly slots: RouteSlots
}

/** What a route needs that its configuration doesn't hold. */
export interface RouteParts {
  /** `subset`: with endpoints that have these labels only. */
  service(name: string, subset: BackendConfig["subset"]): Service | null
  /** Metrics of exchanges of this route that went to `service`, or to none ("-"). */
  slots(route: string, service: string): RouteSlots
  /** Its filters, configured, in order. */
  readonly filters: readonly HttpFilter[]
  /** Of its backends, as a canary has them now; undefined: as they are configured. */
  readonly weights?: readonly number[] | undefined
  /** Of its requests copies are made; absent = of none. */
  readonly mirrors?: Mirrors | null
  /** [0, 1); absent = Math.random. */
  readonly random?: () => number
}

const PRIORITIES: Readonly<Record<RouteConfig["priority"], Priority>> = { low: LOW, normal: NORMAL, high: HIGH }
const noEdits = new HeaderEditor({ remove: [], set: [], add: [] })

export class Route {
  readonly name: string
  readonly filters: readonly HttpFilter[]
  readonly requestTimeout: number
  readonly perTryTimeout: number
  readonly idleTimeout: number
  /** In place of {@link requestTimeout} for gRPC. */
  readonly grpcTimeout: number
  readonly retry: RetryPolicy | null
  readonly hedge: HedgePolicy | null
  /** Bodies are kept so that they can be sent again. */
  readonly keepsBodies: boolean
  /** Services are told how long an answer is wanted. */
  readonly propagatesTimeout: boolean
  readonly grpcWeb: boolean
  readonly priority: Priority
  /** Null: nothing is traced. */
  readonly tracing: RouteTracing | null
  readonly request: HeaderEditor
  readonly response: HeaderEditor
  readonly redirect: RedirectConfig | null = null
  readonly direct: { readonly status: number; readonly body: Buffer; readonly headers: readonly string[] } | null = null
  readonly backends: readonly Backend[]
  readonly split: WeightedSplit
  /** Of the backends. */
  readonly weights: readonly number[]
  /** Null: every request is given to a backend by itself. */
  readonly sticky: StickySplit | null
  readonly mirrors: Mirrors | null
  readonly #draws: EvenDraws
  readonly rewrite: RewriteConfig | undefined
  /** Some match of it names TRACE, which is refused otherwise. */
  readonly allowsTrace: boolean
  /** Metrics of exchanges without a service. */
  readonly slots: RouteSlots

  constructor(config: RouteConfig, parts: RouteParts) {
    this.name = config.name
    this.filters = parts.filters
    this.requestTimeout = config.timeout.request
    this.perTryTimeout = config.timeout.perTry
    this.idleTimeout = config.timeout.idle
    this.grpcTimeout = config.timeout.grpc
    this.retry = config.retry === null ? null : new RetryPolicy(config.retry)
    this.hedge = config.hedge === null ? null : new HedgePolicy(config.hedge)
    this.keepsBodies = config.retry?.keepsBodies === true || config.hedge !== null
    this.propagatesTimeout = config.timeout.propagate
    this.grpcWeb = config.grpcWeb
    this.priority = PRIORITIES[config.priority]
    this.tracing = config.tracing === undefined ? null : new RouteTracing(config.tracing)
    this.request = new HeaderEditor(config.headers.request)
    this.response = new HeaderEditor(config.headers.response)
    this.allowsTrace = config.matches.some((match) => match.methods.includes("TRACE"))
    this.slots = parts.slots(config.name, "-")
    const action = config.action
    let backends: readonly BackendConfig[] = []
    if (action.kind === "redirect") {
      this.redirect = action.redirect
    } else if (action.kind === "respond") {
      this.direct = { status: action.status, body: Buffer.from(action.body), headers: action.headers.flat() }
    } else {
      backends = action.backends
      this.rewrite = action.rewrite
    }
    this.backends = backends.map((backend) => ({
      service: parts.service(backend.service, backend.subset),
      name: backend.service,
      request: new HeaderEditor(backend.headers.request),
      response: new HeaderEditor(backend.headers.response),
      rewrite: backend.rewrite,
      slots: parts.slots(config.name, backend.service),
    }))
    this.weights = parts.weights ?? backends.map(({ weight }) => weight)
    this.split = new WeightedSplit(this.weights)
    this.#draws = new EvenDraws((parts.random ?? Math.random)(), 0)
    this.sticky = config.sticky === undefined ? null : new StickySplit(config.sticky, distinctNames(backends))
    this.mirrors = parts.mirrors ?? null
  }

  /** Index of the backend for the next request that has none yet; −1 when all weights are 0. */
  draw(): number {
    return this.split.pick(this.#draws.next())
  }

  /** Requests go to a service, or would if there were one. */
  get forwards(): boolean {
    return this.redirect === null && this.direct === null
  }

  /** The backend for a service that a filter chose. One of the route's own brings its own edits and metrics. */
  backend(service: Service): Backend {
    const own = this.backends.find((backend) => backend.name === service.name)
    return own ?? { service, name: service.name, request: noEdits, response: noEdits, rewrite: undefined, slots: this.slots }
  }
}

// Services may be there more than once, with other edits or other endpoints.
function distinctNames(backends: readonly BackendConfig[]): string[] {
  const names = backends.map(({ service, subset }) => {
    if (subset === undefined) return service
    return `${service} ${JSON.stringify(Object.entries(subset).sort(([a], [b]) => (a < b ? -1 : 1)))}`
  })
  return names.map((name, i) => {
    const before = names.slice(0, i).filter((other) => other === name).length
    return before === 0 ? name : `${name} ${before + 1}`
  })
}
