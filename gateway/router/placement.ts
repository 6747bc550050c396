// Where the matches of routes belong, before they are arranged for look-ups: for which hosts, and by which path, each compiled
// once. Both the look-up (router.ts) and the explanation of it (ranking.ts) are made of this.

import type { RouteConfig } from "../config/model.ts"
import { hostOf } from "../http/authority.ts"
import { normalizePath, type PathPolicy } from "../http/path.ts"
import { anchored, Candidate, octets } from "./conditions.ts"

// Paths of the configuration are spelled as the user likes; only what every listener normalises is normalised here.
const CONFIGURED: PathPolicy = { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "keep", mergeSlashes: false }

/** A route and what its requests are handed to. */
export interface RouteEntry<T> {
  readonly route: RouteConfig
  readonly target: T
}

/** One match of one route. */
export interface Placement<T> {
  readonly candidate: Candidate<T>
  /** Lower case: a host, what follows the `*` of `*.suffix`, leading dot included, or "" = every host. No two are the same. */
  readonly hosts: readonly string[]
  readonly kind: "exact" | "prefix" | "regex"
  /** In normal form; a prefix without final slash (the root is ""), a regex as it is written. */
  readonly path: string
  /** Null unless it is one. */
  readonly regex: RegExp | null
}

export function servesListener(route: RouteConfig, listener: string): boolean {
  return route.listeners.length === 0 || route.listeners.includes(listener)
}

/** The matches of those of `routes` that serve the listener, in order of age. */
export function placements<T>(routes: readonly RouteEntry<T>[], listener: string): Placement<T>[] {
  const placed: Placement<T>[] = []
  for (const { route, target } of routes) {
    if (!servesListener(route, listener)) continue
    const hosts = route.hosts.length === 0 ? [""] : [...new Set(route.hosts.map(hostKey))]
    for (const match of route.matches) {
      const { kind, value } = match.path
      const order = placed.length
      if (kind === "regex") {
        const candidate = new Candidate(target, route, match, "", order)
        placed.push({ candidate, hosts, kind, path: value, regex: anchored(value) })
        continue
      }
      const spelled = octets(value)
      const normal = normalizePath(spelled, CONFIGURED) ?? spelled
      const path = kind === "prefix" && normal.endsWith("/") ? normal.slice(0, -1) : normal
      placed.push({ candidate: new Candidate(target, route, match, path, order), hosts, kind, path, regex: null })
    }
  }
  return placed
}

function hostKey(host: string): string {
  return host.startsWith("*.") ? host.slice(1).toLowerCase() : (hostOf(host) ?? host)
}
