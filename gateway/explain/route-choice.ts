// Which route takes a request, by the router itself; and why the others don't, by the same matches.

import type { RouteConfig } from "../config/model.ts"
import { mixBits } from "../http/text-hash.ts"
import type { Route } from "../proxy/route.ts"
import type { Match } from "../router/conditions.ts"
import { byPrecedence, type Judged, type Lookup, lacking } from "../router/ranking.ts"
import type { RouteMiss, RouteOdds } from "./explanation.ts"
import { matchText, missText, shadowText } from "./miss-text.ts"
import type { ExplainedPlane } from "./planes.ts"

/** Draws after which a match that takes a small share of requests is taken to be out of reach. */
const MAX_DRAWS = 10_000

export interface RouteChoice {
  /** What the router says; null: no route. */
  readonly match: Match<Route> | null
  readonly judged: Judged<RouteConfig> | null
  readonly odds: readonly RouteOdds[]
  readonly others: readonly RouteMiss[]
  /** The first of all others, listed or not; null: there are none. */
  readonly closest: RouteMiss | null
  /** Others there are beyond those listed. */
  readonly left: number
}

type Secret = (name: string) => boolean

/** Where matches take percentages, the likeliest route is followed. `elsewhere`: routes of other listeners. `most`: others listed. */
export function chooseRoute(
  plane: ExplainedPlane,
  asked: Omit<Lookup, "draw">,
  elsewhere: readonly RouteConfig[],
  most: number,
  secret: Secret,
): RouteChoice {
  const { router, ranking } = plane
  const first = ranking.judge({ ...asked, draw: 0 })
  const odds = oddsOf(first)
  const likeliest = odds.reduce((best, each) => (each.odds > best.odds ? each : best))
  const look = (draw: number): Match<Route> | null => router.match(asked.host, asked.path, asked.query, asked.method, asked.fields, draw)
  let draw = 0
  let match = look(draw)
  for (let i = 1; i <= MAX_DRAWS && (match?.order ?? -1) !== likeliest.order; i++) {
    draw = mixBits(i)
    match = look(draw)
  }
  const judged = draw === 0 ? first : ranking.judge({ ...asked, draw })
  const taken = match === null ? null : (judged.find(({ placement }) => placement.candidate.order === match.order) as Judged<RouteConfig>)
  const nearest = nearestOf(judged, taken)
  const listed = nearest.slice(0, most).map((each) => missOf(each, taken, secret))
  const away = elsewhere.slice(0, Math.max(0, most - listed.length)).map((route) => otherListener(route, plane.listener.name))
  return {
    match,
    judged: taken,
    odds: odds.length < 2 ? [] : odds.map(({ judged, odds }) => ({ ...named(judged, secret), odds: rounded(odds) })),
    others: [...listed, ...away],
    closest:
      nearest.length > 0
        ? missOf(nearest[0], taken, secret)
        : elsewhere.length > 0
          ? otherListener(elsewhere[0], plane.listener.name)
          : null,
    left: nearest.length + elsewhere.length - listed.length - away.length,
  }
}

interface Odds {
  readonly judged: Judged<RouteConfig> | null
  /** Of the match; −1 = none. */
  readonly order: number
  readonly odds: number
}

// Of the matches a request has all for, each takes its share of what those before it leave.
function oddsOf(judged: readonly Judged<RouteConfig>[]): Odds[] {
  const fitting = judged
    .filter(({ miss, failures }) => failures === 0 || (failures === 1 && miss?.kind === "percentage"))
    .sort(byPrecedence)
  const odds: Odds[] = []
  let left = 1
  for (const each of fitting) {
    const { order, share } = each.placement.candidate
    odds.push({ judged: each, order, odds: left * share })
    left *= 1 - share
    if (left === 0) return odds
  }
  odds.push({ judged: null, order: -1, odds: left })
  return odds
}

/** Shares are kept in parts of 2³². */
function rounded(share: number): number {
  return Number(share.toPrecision(6))
}

function named(judged: Judged<RouteConfig> | null, secret: Secret): { route: string; match: string } {
  return judged === null ? { route: "", match: "" } : { route: judged.placement.candidate.route.name, match: matchText(judged, secret) }
}

// One for each route: that of its matches which comes nearest.
function nearestOf(judged: readonly Judged<RouteConfig>[], taken: Judged<RouteConfig> | null): Judged<RouteConfig>[] {
  const seen = new Set([taken?.placement.candidate.route.name])
  return judged.filter(({ placement }) => {
    const { name } = placement.candidate.route
    return !seen.has(name) && seen.add(name)
  })
}

function missOf(each: Judged<RouteConfig>, taken: Judged<RouteConfig> | null, secret: Secret): RouteMiss {
  const { miss, failures } = each
  const base = { ...named(each, secret), failures }
  if (miss === null) {
    const text = taken === null ? "matches too" : shadowText(taken, each)
    return { ...base, reason: "shadowed", expected: "", actual: null, text }
  }
  const hidden = miss.kind === "cookie" || secret(miss.name)
  const hide = (value: string): string => (hidden ? "[redacted]" : value)
  const more = failures > 1 ? `, and ${failures === 2 ? "one more thing doesn't fit" : "two more things don't fit"}` : ""
  return {
    ...base,
    reason: miss.kind,
    expected: hide(miss.expected),
    actual: miss.actual === null ? null : hide(miss.actual),
    text: `${missText(miss, secret)}${more}`,
  }
}

function otherListener(route: RouteConfig, listener: string): RouteMiss {
  const miss = lacking("listener", route.listeners.join(", "), listener)
  const { expected, actual } = miss
  return { route: route.name, match: "", reason: "listener", expected, actual, failures: 1, text: missText(miss, () => false) }
}
