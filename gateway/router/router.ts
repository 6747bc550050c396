// Finds the route of a request among those of one listener, by the precedence of the Kubernetes Gateway API: exact host,
// longest wildcard, no host; then path; then method, number of headers, of cookies, of query parameters; then order.

import type { MatchConfig, RouteConfig } from "../config/model.ts"
import { hostOf } from "../http/authority.ts"
import type { Fields } from "../http/fields.ts"
import { normalizePath, type PathPolicy } from "../http/path.ts"
import { anchored, Candidate, type Match, octets } from "./conditions.ts"
import { PathTree } from "./path-tree.ts"
import { RequestReader } from "./request-reader.ts"

// Paths of the configuration are spelled as the user likes; only what every listener normalises is normalised here.
const CONFIGURED: PathPolicy = { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "keep", mergeSlashes: false }

/** A route and what its requests are handed to. */
export interface RouteEntry<T> {
  readonly route: RouteConfig
  readonly target: T
}

/** The compiled routes of one listener. Immutable once made; one thread, no reentrancy. */
export class Router<T> {
  readonly #exact = new Map<string, PathTree<T>>()
  /** By what follows the `*`, leading dot included. */
  readonly #wildcards = new Map<string, PathTree<T>>()
  #any: PathTree<T> | null = null
  /** 1 at the lengths that suffixes in {@link #wildcards} have: other lengths need no look-up. */
  readonly #suffixLengths = new Uint8Array(256)
  readonly #reader = new RequestReader()
  /** Some match takes a share of requests only: callers draw a lot for each. */
  readonly drawsLots: boolean

  /** Takes those of `routes` that serve the listener, in order of age. */
  constructor(routes: readonly RouteEntry<T>[], listenerName: string) {
    const trees = new Set<PathTree<T>>()
    let order = 0
    for (const { route, target } of routes) {
      if (route.listeners.length !== 0 && !route.listeners.includes(listenerName)) continue
      const hostTrees = this.#treesOf(route.hosts)
      for (const tree of hostTrees) trees.add(tree)
      for (const match of route.matches) add(hostTrees, target, route, match, order++)
    }
    for (const tree of trees) tree.seal()
    this.drawsLots = routes.some(({ route }) => route.matches.some((match) => (match.percentage ?? 1) < 1))
  }

  #treesOf(hosts: readonly string[]): Set<PathTree<T>> {
    const trees = new Set<PathTree<T>>()
    if (hosts.length === 0) {
      this.#any ??= new PathTree<T>()
      trees.add(this.#any)
    }
    for (const host of hosts) {
      if (host.startsWith("*.")) {
        const suffix = host.slice(1).toLowerCase()
        this.#suffixLengths[suffix.length] = 1
        trees.add(treeAt(this.#wildcards, suffix))
      } else trees.add(treeAt(this.#exact, hostOf(host) ?? host))
    }
    return trees
  }

  /**
   * The route of a request, or null (404). Where the routes of the most specific host do not match, those of less specific
   * ones may. `host` as {@link hostOf} gives it, `path` in normal form, `draw` any 32 bits of chance, where {@link drawsLots}.
   * The result is shared by all requests of that match.
   */
  match(host: string, path: string, query: string | undefined, method: string, fields: Fields, draw = 0): Match<T> | null {
    const reader = this.#reader
    reader.reset(query, fields, draw)
    if (this.#exact.size !== 0) {
      const tree = this.#exact.get(host)
      if (tree !== undefined) {
        const found = tree.find(path, method, fields, reader)
        if (found !== null) return found
      }
    }
    if (this.#wildcards.size !== 0) {
      // From the left, so the longest suffix comes first. `*` stands for at least one label: a host never begins with a dot.
      for (let dot = host.indexOf("."); dot !== -1; dot = host.indexOf(".", dot + 1)) {
        if (this.#suffixLengths[host.length - dot] !== 1) continue
        const tree = this.#wildcards.get(host.slice(dot))
        if (tree === undefined) continue
        const found = tree.find(path, method, fields, reader)
        if (found !== null) return found
      }
    }
    return this.#any === null ? null : this.#any.find(path, method, fields, reader)
  }
}

function treeAt<T>(trees: Map<string, PathTree<T>>, key: string): PathTree<T> {
  let tree = trees.get(key)
  if (tree === undefined) {
    tree = new PathTree<T>()
    trees.set(key, tree)
  }
  return tree
}

function add<T>(trees: Iterable<PathTree<T>>, target: T, route: RouteConfig, match: MatchConfig, order: number): void {
  const { kind, value } = match.path
  if (kind === "regex") {
    const regex = anchored(value)
    const candidate = new Candidate(target, route, match, "", order)
    for (const tree of trees) tree.addRegex(regex, value, candidate)
    return
  }
  const spelled = octets(value)
  const path = normalizePath(spelled, CONFIGURED) ?? spelled
  if (kind === "exact") {
    const candidate = new Candidate(target, route, match, path, order)
    for (const tree of trees) tree.addExact(path, candidate)
  } else {
    const prefix = path.endsWith("/") ? path.slice(0, -1) : path
    const candidate = new Candidate(target, route, match, prefix, order)
    for (const tree of trees) tree.addPrefix(prefix, candidate)
  }
}
