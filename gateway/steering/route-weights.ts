// Weights of a route's backends that an operator has set while the gateway runs, in the place of those of the configuration, until the
// configuration says something else of these backends. A route that a canary steers has none: two hands on one wheel.

import type { BackendConfig, Config, RouteConfig } from "../config/model.ts"
import type { Outcome } from "../http/outcome.ts"

export interface RouteWeightsOptions {
  /** The configuration in force, as it is written; null before the first. */
  config(): Config | null
  /** Weights in force that are not the configuration's, by the route's name. */
  inForce(): Readonly<Record<string, readonly number[]>>
  /** Gives all workers what {@link RouteWeights.prepare} now answers with, or rejects with why none has it. */
  apply(): Promise<void>
  /** Runs a change when those before it are done; resolves when it is, however it went. */
  inTurn(change: () => Promise<void>): Promise<void>
  log(level: "info", message: string, fields: Readonly<Record<string, string>>): void
}

/** Weights of a configuration that is about to be handed to the workers. */
export interface PreparedWeights {
  /** In the order of the route's backends, by the route's name. */
  readonly weights: Readonly<Record<string, readonly number[]>>
  /** They are in force. */
  commit(): void
}

/** One backend of a route, and what it is given. */
export interface BackendWeight {
  readonly service: string
  /** Labels of the endpoints it is about; null: all of the service's. */
  readonly subset: Readonly<Record<string, string>> | null
  /** In force, and of the configuration. */
  readonly weight: number
  readonly configured: number
  /** Share (0–1) of the route's requests. */
  readonly share: number
}

/** What is told of a route's weights. */
export interface RouteWeightsStatus {
  readonly route: string
  /** Whose the weights are. */
  readonly setBy: "config" | "canary" | "order"
  /** When they were set by an order, ISO 8601; null: they weren't. */
  readonly since: string | null
  readonly backends: readonly BackendWeight[]
}

/** One wanted weight. `service` may be `NAME` or, where a service is there more than once, `#2`: its place among the backends. */
export type WantedWeights = Readonly<Record<string, unknown>>

interface Ordered {
  /** The backends it was set for, and what the configuration gave them. */
  readonly identity: string
  readonly weights: readonly number[]
  /** ms since the epoch. */
  readonly at: number
}

/** The same as in the configuration. */
const MAX_WEIGHT = 1_000_000
/** Routes named in one line. */
const MAX_NAMED = 10

export class RouteWeights {
  readonly #options: RouteWeightsOptions
  /** By the route's name. */
  #set: ReadonlyMap<string, Ordered> = new Map()

  constructor(options: RouteWeightsOptions) {
    this.#options = options
  }

  /** What was set holds where `config` says the same of the backends as when it was; the rest is forgotten once this is in force. */
  prepare(config: Config): PreparedWeights {
    const kept = new Map<string, Ordered>()
    for (const route of config.routes) {
      const set = this.#set.get(route.name)
      if (set?.identity === identityOf(route)) kept.set(route.name, set)
    }
    return {
      weights: Object.fromEntries([...kept].map(([route, { weights }]) => [route, weights])),
      commit: () => {
        for (const [route] of this.#set) {
          if (!kept.has(route)) {
            this.#options.log("info", "weights set by order are forgotten: the configuration says something else of the route", { route })
          }
        }
        this.#set = kept
      },
    }
  }

  /** Null: there is no such route, or it has no backends. */
  status(route: string): RouteWeightsStatus | Outcome {
    const found = this.#find(route)
    if ("status" in found) return found
    const { name, canary } = found.config
    const set = this.#set.get(name)
    const weights = this.#options.inForce()[name] ?? found.backends.map(({ weight }) => weight)
    let total = 0
    for (const weight of weights) total += weight
    return {
      route: name,
      setBy: canary !== undefined ? "canary" : set !== undefined ? "order" : "config",
      since: set === undefined ? null : new Date(set.at).toISOString(),
      backends: found.backends.map(({ service, subset, weight }, i) => ({
        service,
        subset: subset ?? null,
        weight: weights[i],
        configured: weight,
        share: total === 0 ? 0 : weights[i] / total,
      })),
    }
  }

  /** Sets weights; a backend that isn't named keeps what it has. Null: those of the configuration again. */
  async set(route: string, wanted: WantedWeights | null): Promise<Outcome> {
    let outcome: Outcome = { status: 503, message: "it could not be done; the log says why" }
    await this.#options.inTurn(async () => {
      outcome = await this.#setNow(route, wanted)
    })
    return outcome
  }

  async #setNow(route: string, wanted: WantedWeights | null): Promise<Outcome> {
    const found = this.#find(route)
    if ("status" in found) return found
    const { backends, config } = found
    if (config.canary !== undefined) {
      return {
        status: 409,
        message: `route ${route} has a canary, which sets its weights; steer that one: sluice canary pause, resume, promote, abort or restart`,
      }
    }
    const next = new Map(this.#set)
    if (wanted === null) {
      if (!next.delete(route)) return { status: 200, message: `route ${route} has the weights of the configuration already` }
    } else {
      const current = this.#set.get(route)?.weights ?? backends.map(({ weight }) => weight)
      const weights = weightsOf(route, backends, current, wanted)
      if (typeof weights === "string") return { status: 422, message: weights }
      next.set(route, { identity: identityOf(config), weights, at: Date.now() })
    }
    const before = this.#set
    this.#set = next
    try {
      await this.#options.apply()
    } catch (error) {
      this.#set = before
      return {
        status: 503,
        message: `the weights of route ${route} can't be changed: ${error instanceof Error ? error.message : String(error)}`,
      }
    }
    const said = backends.map(({ service }, i) => `${service} ${next.get(route)?.weights[i] ?? backends[i].weight}`).join(", ")
    this.#options.log("info", wanted === null ? "weights are those of the configuration again" : "weights set by order", {
      route,
      weights: said,
    })
    return {
      status: 200,
      message:
        wanted === null
          ? `route ${route} has the weights of the configuration: ${said}`
          : `route ${route} has the weights ${said}, until its backends change in the configuration or the process ends`,
    }
  }

  #find(route: string): { readonly config: RouteConfig; readonly backends: readonly BackendConfig[] } | Outcome {
    const routes = this.#options.config()?.routes ?? []
    const config = routes.find(({ name }) => name === route)
    if (config === undefined) {
      const names = routes.map(({ name }) => name)
      const more = names.length > MAX_NAMED ? ` and ${names.length - MAX_NAMED} more` : ""
      return { status: 404, message: `there is no route ${route}; there are ${names.slice(0, MAX_NAMED).join(", ") || "none"}${more}` }
    }
    if (config.action.kind !== "forward")
      return { status: 409, message: `route ${route} has no backends: it answers with a ${config.action.kind}` }
    return { config, backends: config.action.backends }
  }

  /** What an operator should know, one sentence each. */
  get reasons(): string[] {
    return [...this.#set.keys()].map((route) => `the weights of route ${route} are set by order, and not those of the configuration`)
  }
}

/** The weights that are wanted, or what is wrong with them. */
function weightsOf(
  route: string,
  backends: readonly BackendConfig[],
  current: readonly number[],
  wanted: WantedWeights,
): readonly number[] | string {
  const weights = [...current]
  const entries = Object.entries(wanted)
  if (entries.length === 0) return `no weight is given; write one for some of ${namesOf(backends)}`
  for (const [key, weight] of entries) {
    const named = backends.flatMap(({ service }, i) => (service === key || `#${i + 1}` === key ? [i] : []))
    if (named.length === 0) return `route ${route} has no backend ${key}; it has ${namesOf(backends)}`
    if (named.length > 1) return `route ${route} has ${key} more than once; write its place among the backends, such as #${named[1] + 1}`
    if (typeof weight !== "number" || !Number.isInteger(weight) || weight < 0 || weight > MAX_WEIGHT) {
      return `the weight of ${key} must be a whole number from 0 to ${MAX_WEIGHT}`
    }
    weights[named[0]] = weight
  }
  if (weights.every((weight) => weight === 0))
    return `every weight would be 0, so that the requests of route ${route} were answered with 500; give one a weight above 0`
  return weights
}

function namesOf(backends: readonly BackendConfig[]): string {
  return backends.map(({ service }) => service).join(", ")
}

function identityOf({ action, canary }: RouteConfig): string {
  if (action.kind !== "forward") return ""
  return JSON.stringify([canary ?? null, action.backends.map(({ service, subset, weight }) => [service, subset, weight])])
}
