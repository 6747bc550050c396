// Lists the matches of all routes in the order in which they are preferred, and what was counted of their routes.

import { httpPart } from "../config/listener-parts.ts"
import type { RouteConfig } from "../config/model.ts"
import { limitsAround } from "../filter/native/rate-limits.ts"
import { hostText, pathText } from "../router/ranking.ts"
import type { RouteSlots } from "../telemetry/instruments.ts"
import { requestCounts } from "../telemetry/request-counts.ts"
import { matchText, percent } from "./miss-text.ts"
import type { ExplainedPlanes } from "./planes.ts"
import { subsetText } from "./services.ts"

/** What was counted of a route at a listener, since the process began. */
export interface RouteFigures {
  readonly requests: number
  /** Share (0–1) of them that ended with a 5xx, a gRPC status that blames the server, or without a response. */
  readonly errors: number
}

/** One match of a route, under one of its hosts. */
export interface ListedRoute {
  readonly listener: string
  readonly route: string
  /** `*` = every host. */
  readonly host: string
  /** A prefix as it is; `exact …`, `regex …`. */
  readonly path: string
  /** All of the match, in words. */
  readonly match: string
  readonly action: string
  readonly filters: readonly string[]
  /** Of the whole route at this listener; null: nothing is counted. */
  readonly figures: RouteFigures | null
}

export interface RouteListMeans {
  /** By listener name, route name, service name; null: nothing is counted. */
  readonly slots: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, RouteSlots>>>>>> | null
  /** Value of a metric slot. */
  read(slot: number): number
  isSecret(name: string): boolean
}

export interface RouteListQuery {
  readonly listener?: string | undefined
  readonly route?: string | undefined
  /** Matches that are listed. */
  readonly limit: number
}

export function listRoutes(planes: ExplainedPlanes, means: RouteListMeans, query: RouteListQuery): { routes: ListedRoute[]; left: number } {
  const routes: ListedRoute[] = []
  let left = 0
  for (const listener of planes.spec.config.listeners) {
    const http = httpPart(listener)
    const plane = planes.plane(listener)
    if (http === null || plane === null || (query.listener !== undefined && query.listener !== listener.name)) continue
    const figures = new Map<string, RouteFigures | null>()
    for (const judged of plane.ranking.ordered) {
      const { route } = judged.placement.candidate
      if (query.route !== undefined && query.route !== route.name) continue
      if (routes.length >= query.limit) {
        left++
        continue
      }
      if (!figures.has(route.name)) figures.set(route.name, figuresOf(means, means.slots?.[listener.name]?.[route.name]))
      const { early, late } = limitsAround(http.rateLimits, route.rateLimits)
      routes.push({
        listener: listener.name,
        route: route.name,
        host: hostText(judged.host),
        path: pathText(judged.placement),
        match: matchText(judged, (name) => means.isSecret(name)),
        action: actionText(route, planes.spec.weights[route.name]),
        filters: [
          ...early.map(({ name }) => name),
          ...(route.fault === undefined ? [] : ["fault"]),
          ...route.filters.map(({ use }) => use),
          ...late.map(({ name }) => name),
        ],
        figures: figures.get(route.name) ?? null,
      })
    }
  }
  return { routes, left }
}

function actionText({ action }: RouteConfig, weights: readonly number[] | undefined): string {
  if (action.kind === "respond") return `respond ${action.status}`
  if (action.kind === "redirect") {
    const { status, scheme, host, prefix, path } = action.redirect
    return `redirect ${status}${scheme === undefined ? "" : ` ${scheme}`}${host === undefined ? "" : ` ${host}`} ${path ?? prefix ?? ""}`.trimEnd()
  }
  if (action.backends.length === 0) return "no backends"
  const all = action.backends.map(({ weight }, i) => weights?.[i] ?? weight)
  const total = all.reduce((sum, weight) => sum + weight, 0)
  return action.backends
    .map(({ service, subset }, i) => {
      const name = `${service}${subset === undefined ? "" : ` (${subsetText(subset)})`}`
      return action.backends.length === 1 && total > 0 ? name : `${name} ${percent(total === 0 ? 0 : all[i] / total)}`
    })
    .join(", ")
}

function figuresOf({ read }: RouteListMeans, services: Readonly<Record<string, RouteSlots>> | undefined): RouteFigures | null {
  if (services === undefined) return null
  let requests = 0
  let failed = 0
  for (const slots of Object.values(services)) {
    const counted = requestCounts(slots, read)
    requests += counted.requests
    failed += counted.failures
  }
  return { requests, errors: requests === 0 ? 0 : failed / requests }
}
