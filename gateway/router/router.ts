// Finds the route of a request among those of one listener, by the precedence of the Kubernetes Gateway API: exact host,
// longest wildcard, no host; then path; then method, number of headers, of cookies, of query parameters; then order.

import type { Fields } from "../http/fields.ts"
import type { Match } from "./conditions.ts"
import { PathTree } from "./path-tree.ts"
import { placements, type RouteEntry } from "./placement.ts"
import { RequestReader } from "./request-reader.ts"

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
    const placed = placements(routes, listenerName)
    const trees = new Set<PathTree<T>>()
    for (const { candidate, hosts, kind, path, regex } of placed) {
      for (const host of hosts) {
        const tree = this.#treeOf(host)
        trees.add(tree)
        if (regex !== null) tree.addRegex(regex, path, candidate)
        else if (kind === "exact") tree.addExact(path, candidate)
        else tree.addPrefix(path, candidate)
      }
    }
    for (const tree of trees) tree.seal()
    this.drawsLots = routes.some(({ route }) => route.matches.some((match) => (match.percentage ?? 1) < 1))
  }

  #treeOf(host: string): PathTree<T> {
    if (host === "") {
      this.#any ??= new PathTree<T>()
      return this.#any
    }
    if (!host.startsWith(".")) return treeAt(this.#exact, host)
    this.#suffixLengths[host.length] = 1
    return treeAt(this.#wildcards, host)
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
