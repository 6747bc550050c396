// Canaries while the gateway runs: watches what is counted of them, and has the weights of their routes changed as they move on
// or are rolled back. The weights go to the workers with a snapshot, so that no request is dropped by it.

import type { CanaryConfig } from "../config/canary-model.ts"
import type { Config, RouteConfig } from "../config/model.ts"
import type { Outcome } from "../http/outcome.ts"
import {
  Canary,
  type CanaryFigures,
  type CanaryOrder,
  type CanaryPosition,
  type CanarySample,
  type CanaryState,
  canaryWeights,
  firstPosition,
} from "../resilience/canary.ts"
import type { CanaryInstruments } from "../telemetry/canary-instruments.ts"
import { p99, type SlotsOfRoutes, sampleCanary } from "./canary-counts.ts"

export interface CanaryChangesOptions {
  log(level: "info" | "error", message: string, fields: Readonly<Record<string, string>>): void
  readonly instruments: CanaryInstruments
  /** Value of a metric slot, over all workers. */
  read(slot: number): number
  /** Metric slots of the routes in force. */
  slots(): SlotsOfRoutes
  /** Gives all workers the weights that {@link CanaryChanges.prepare} now answers with, or rejects with why none has them. */
  apply(): Promise<void>
  /** Runs a change when those before it are done; resolves when it is, however it went. */
  inTurn(change: () => Promise<void>): Promise<void>
}

/** Weights of a configuration that is about to be handed to the workers. */
export interface PreparedCanaries {
  /** Of the backends of routes that have a canary, by the route's name. */
  readonly weights: Readonly<Record<string, readonly number[]>>
  /** They are in force. */
  commit(): void
}

/** What the admin API tells of a canary. */
export interface CanaryStatus {
  readonly route: string
  readonly service: string
  readonly state: CanaryState
  /** Number of the step it is in, from 1; 0: rolled back. */
  readonly step: number
  /** Shares (0–1) of the steps, and the one it is given. */
  readonly steps: readonly number[]
  readonly share: number
  /** When it came into this state or step, ISO 8601. */
  readonly since: string
  readonly config: CanaryConfig
  /** Of the last interval, on either side. */
  readonly figures: { readonly canary: CanaryFigures; readonly stable: CanaryFigures }
  /** What it waits for, beside time; "" = nothing. */
  readonly waiting: string
  /** Why it was rolled back; "" = it wasn't. */
  readonly reason: string
  /** Why each order can't be carried out as things are; "" = it can. */
  readonly refusals: Readonly<Record<CanaryOrder, string>>
}

/** ms between two looks. */
const LOOK_INTERVAL = 1000
/** ms until a change that could not be made is tried again. */
const RETRY = 10_000

interface Watched {
  readonly canary: Canary
  readonly config: CanaryConfig
  /** Services of the other backends. */
  readonly others: readonly string[]
  /** Another one begins anew. */
  readonly identity: string
  /** ms since the epoch. */
  since: number
  /** A change of it is under way. */
  moving: boolean
  /** Not looked at before then. */
  notBefore: number
}

export class CanaryChanges {
  readonly #options: CanaryChangesOptions
  /** By the route's name. */
  #watched: ReadonlyMap<string, Watched> = new Map()
  /** What is being handed to the workers. */
  #next: { readonly route: string; readonly position: CanaryPosition } | null = null
  readonly #timer: ReturnType<typeof setInterval>

  constructor(options: CanaryChangesOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.look(performance.now()), LOOK_INTERVAL)
    this.#timer.unref()
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Canaries that `config` leaves as they are go on; the others begin. `slots`: its own. */
  prepare(config: Config, slots: SlotsOfRoutes): PreparedCanaries {
    const now = performance.now()
    const weights: Record<string, readonly number[]> = {}
    const watched = new Map<string, Watched>()
    const done: (() => void)[] = []
    for (const route of config.routes) {
      const parts = partsOf(route)
      if (parts === null) continue
      const { canary: plan, backends, at, others } = parts
      const sample = sampleCanary(now, route.name, plan.service, others, slots, this.#options.read)
      const identity = JSON.stringify([plan, backends.map(({ service }) => service)])
      let entry = this.#watched.get(route.name)
      let position: CanaryPosition
      if (entry?.identity !== identity) {
        position = firstPosition(plan)
        entry = { canary: new Canary(plan, p99, sample), config: plan, others, identity, since: Date.now(), moving: false, notBefore: 0 }
        done.push(() => this.#log("info", "canary begins", route.name, plan, position))
      } else if (this.#next?.route === route.name) {
        position = this.#next.position
        const { canary } = entry
        done.push(() => canary.take(position, sample))
      } else position = entry.canary.position
      const given = backends.map(({ weight }) => weight)
      weights[route.name] = canaryWeights(given, at, position.share)
      watched.set(route.name, entry)
      done.push(() => this.#options.instruments.share(route.name, plan.service, position.share))
    }
    return {
      weights,
      commit: () => {
        for (const [name, { config: gone }] of this.#watched) {
          if (watched.get(name)?.config.service !== gone.service) this.#options.instruments.share(name, gone.service, 0)
        }
        this.#watched = watched
        for (const each of done) each()
      },
    }
  }

  /** Looks at every canary; to be called every second or so. `now`: ms. */
  look(now: number): void {
    for (const [route, watched] of this.#watched) {
      if (watched.moving || now < watched.notBefore) continue
      const position = watched.canary.judge(this.#sample(now, route, watched))
      if (position === null) continue
      watched.moving = true
      void this.#options.inTurn(async () => {
        // Another change may have come first.
        const moved = this.#watched.get(route) === watched && (await this.#move(route, watched, position, false))
        if (moved && position.state === "rolledBack") this.#options.instruments.rolledBack(route, watched.config.service)
        watched.moving = false
      })
    }
  }

  async order(route: string, order: CanaryOrder): Promise<Outcome> {
    let outcome: Outcome = { status: 503, message: "it could not be done; the log says why" }
    await this.#options.inTurn(async () => {
      const watched = this.#watched.get(route)
      if (watched === undefined) {
        const known = [...this.#watched.keys()].join(", ")
        outcome = {
          status: 404,
          message: `there is no canary of a route ${route}; ${known === "" ? "no route has one" : `there are ${known}`}`,
        }
        return
      }
      const position = watched.canary.order(order)
      if (typeof position === "string") outcome = { status: 409, message: `the canary of route ${route} ${position}` }
      else if (await this.#move(route, watched, position, true)) outcome = { status: 200, message: this.#said(route, watched) }
    })
    return outcome
  }

  /** Whether it is in force. */
  async #move(route: string, watched: Watched, position: CanaryPosition, ordered: boolean): Promise<boolean> {
    const { canary, config } = watched
    const before = canary.position
    if (position.share === before.share) canary.take(position, this.#sample(performance.now(), route, watched))
    else {
      this.#next = { route, position }
      try {
        await this.#options.apply()
      } catch (error) {
        watched.notBefore = performance.now() + RETRY
        const reason = error instanceof Error ? error.message : String(error)
        this.#options.log("error", "canary can't be moved", {
          route,
          service: config.service,
          share: percent(position.share),
          reason,
        })
        return false
      } finally {
        this.#next = null
      }
    }
    watched.since = Date.now()
    watched.notBefore = 0
    this.#log(position.state === "rolledBack" && !ordered ? "error" : "info", MESSAGES[position.state], route, config, position)
    return true
  }

  #log(level: "info" | "error", message: string, route: string, { service }: CanaryConfig, { share, reason }: CanaryPosition): void {
    const fields = { route, service, share: percent(share), ...(reason === "" ? {} : { reason }) }
    this.#options.log(level, message, fields)
  }

  #sample(now: number, route: string, { config, others }: Watched): CanarySample {
    return sampleCanary(now, route, config.service, others, this.#options.slots(), this.#options.read)
  }

  #said(route: string, { canary, config }: Watched): string {
    const { state, share } = canary.position
    return `the canary ${config.service} of route ${route} is ${state === "rolledBack" ? "rolled back" : `${state} at ${percent(share)}`}`
  }

  status(): CanaryStatus[] {
    return [...this.#watched].map(([route, { canary, config, since }]) => {
      const { state, step, share, reason } = canary.position
      return {
        route,
        service: config.service,
        state,
        step: step + 1,
        steps: config.steps,
        share,
        since: new Date(since).toISOString(),
        config,
        figures: canary.figures,
        waiting: canary.waiting,
        reason,
        refusals: canary.refusals,
      }
    })
  }

  /** What an operator should know, one sentence each. */
  get reasons(): string[] {
    const rolledBack = [...this.#watched].filter(([, { canary }]) => canary.position.state === "rolledBack")
    return rolledBack.map(([route, { config }]) => `the canary ${config.service} of route ${route} is rolled back`)
  }
}

const MESSAGES: Readonly<Record<CanaryState, string>> = {
  progressing: "canary moves on",
  paused: "canary paused",
  promoted: "canary promoted",
  rolledBack: "canary rolled back; the other backends get its requests until it changes or is restarted",
}

function partsOf({ canary, action }: RouteConfig) {
  if (canary === undefined || action.kind !== "forward") return null
  const { backends } = action
  const others = backends.map(({ service }) => service).filter((service) => service !== canary.service)
  return { canary, backends, at: backends.findIndex(({ service }) => service === canary.service), others }
}

function percent(share: number): string {
  return `${Math.round(share * 1e6) / 1e4}%`
}
