// What a request passes between its route and its service: limits, faults and filters in their order, and the settings of its route.

import type { FaultConfig, HttpListenerConfig, RouteConfig } from "../config/model.ts"
import type { RateLimitConfig } from "../config/rate-limit-model.ts"
import { limitsAround } from "../filter/native/rate-limits.ts"
import type { FilterStep } from "./explanation.ts"
import { percent } from "./miss-text.ts"

/** What of a filter's status matters to a request. */
export interface FilterCondition {
  readonly name: string
  readonly state: string
  readonly onError: "deny" | "skip"
  readonly versions: readonly { readonly name: string; readonly weight: number; readonly state: string; readonly rolledBack: unknown }[]
}

/** States in which a filter's version has no instance to run. */
const DOWN: ReadonlySet<string> = new Set(["quarantined", "failed"])

/** In the order in which they see the request. `filters`: by name; empty = their state isn't known. */
export function stepsOf(listener: HttpListenerConfig, route: RouteConfig, filters: ReadonlyMap<string, FilterCondition>): FilterStep[] {
  const { early, late } = limitsAround(listener.rateLimits, route.rateLimits)
  return [
    ...early.map(limitStep),
    ...(route.fault === undefined ? [] : [faultStep(route.fault)]),
    ...route.filters.map(({ use }) => filterStep(use, filters.get(use))),
    ...late.map(limitStep),
  ]
}

/** A service's, asked before the request is sent to it. */
export function limitStep(limit: RateLimitConfig): FilterStep {
  const { name, scope, requests, per, burst, by, shadow } = limit
  const figures = scope === "service" ? "the rate-limit service decides" : `${requests} requests in ${duration(per)}, ${burst} at once`
  const keys = by.length === 0 ? "" : ` by ${by.map(({ text }) => text).join(", ")}`
  return {
    name,
    kind: "rate limit",
    state: "",
    text: `${figures}${keys}${scope === "global" ? ", counted with other gateways" : ""}${shadow ? "; it only counts" : `; over it ${limit.status}`}`,
  }
}

function faultStep({ share, delay, abort, reset, bandwidth, header }: FaultConfig): FilterStep {
  const kinds = [
    ...(delay === null ? [] : [`delayed (${percent(share * delay.share)})`]),
    ...(abort === null
      ? []
      : [`answered ${abort.status > 0 ? abort.status : `gRPC ${abort.grpcStatus}`} (${percent(share * abort.share)})`]),
    ...(reset === null ? [] : [`reset (${percent(share * reset.share)})`]),
    ...(bandwidth === null ? [] : [`slowed (${percent(share * bandwidth.share)})`]),
  ]
  return {
    name: "fault",
    kind: "fault",
    state: "",
    text: `on purpose ${kinds.join(", ")}${header === "" ? "" : ` if there is a header ${header}`}`,
  }
}

function filterStep(name: string, status: FilterCondition | undefined): FilterStep {
  if (status === undefined) return { name, kind: "filter", state: "", text: "its state isn't known" }
  const serving = status.versions.filter(({ weight }) => weight > 0)
  const versions =
    status.versions.length < 2
      ? ""
      : `; ${status.versions.map((each) => `${each.name} weight ${each.weight}${each.rolledBack === null ? "" : ", rolled back"}, ${each.state}`).join("; ")}`
  const down = serving.length > 0 && serving.every(({ state }) => DOWN.has(state))
  const effect = down ? (status.onError === "skip" ? "; it is skipped" : "; requests get 500") : ""
  return { name, kind: "filter", state: status.state, text: `${status.state}${effect}${versions}` }
}

/** The filter that answers every such request with 500, since it can't run; null: none does. */
export function blockingFilter(route: RouteConfig, filters: ReadonlyMap<string, FilterCondition>): string | null {
  for (const { use } of route.filters) {
    const status = filters.get(use)
    if (status === undefined || status.onError === "skip") continue
    const serving = status.versions.filter(({ weight }) => weight > 0)
    if (serving.length > 0 && serving.every(({ state }) => DOWN.has(state))) return use
  }
  return null
}

/** ms in words. */
export function duration(ms: number): string {
  if (ms % 60_000 === 0 && ms > 0) return `${ms / 60_000}m`
  return ms % 1000 === 0 ? `${ms / 1000}s` : `${ms}ms`
}
