// Routes for the router's tests, written short.

import type { HeaderEdits, MatchConfig, RouteConfig, ValueMatch } from "../../../gateway/config/model.ts"

export const NO_EDITS: HeaderEdits = { remove: [], set: [], add: [] }

/** `/a` is a prefix, `=/a` an exact path, `~a` a regex. */
export interface ShortMatch {
  readonly path?: string
  readonly methods?: readonly string[]
  readonly headers?: Readonly<Record<string, string | ValueMatch>>
  readonly query?: Readonly<Record<string, string | ValueMatch>>
  readonly cookies?: Readonly<Record<string, string | ValueMatch>>
  readonly percentage?: number
}

export function matchOf(short: ShortMatch): MatchConfig {
  const path = short.path ?? "/"
  return {
    path: path.startsWith("=")
      ? { kind: "exact", value: path.slice(1) }
      : path.startsWith("~")
        ? { kind: "regex", value: path.slice(1) }
        : { kind: "prefix", value: path },
    methods: short.methods ?? [],
    headers: values(short.headers),
    query: values(short.query),
    ...(short.cookies === undefined ? {} : { cookies: values(short.cookies) }),
    ...(short.percentage === undefined ? {} : { percentage: short.percentage }),
  }
}

function values(short: Readonly<Record<string, string | ValueMatch>> = {}): MatchConfig["headers"] {
  return Object.entries(short).map(([name, value]) => ({ name, value: typeof value === "string" ? { exact: value } : value }))
}

export function routeOf(
  name: string,
  matches: readonly ShortMatch[],
  hosts: readonly string[] = [],
  listeners: readonly string[] = [],
): RouteConfig {
  return {
    name,
    listeners,
    hosts,
    matches: matches.map(matchOf),
    filters: [],
    action: { kind: "forward", backends: [] },
    timeout: { request: 15_000, perTry: 0, idle: 300_000, propagate: false, grpc: 0 },
    retry: null,
    hedge: null,
    priority: "normal",
    grpcWeb: false,
    headers: { request: NO_EDITS, response: NO_EDITS },
  }
}
