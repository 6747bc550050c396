// The matches of one host, arranged by path: a tree with one level a segment, so that a look-up costs what the path's
// depth says and not what the number of routes says.

import type { Fields } from "../http/fields.ts"
import { Candidates } from "./candidates.ts"
import { ACCEPTED, bySpecificity, type Candidate } from "./conditions.ts"
import type { RequestReader } from "./request-reader.ts"

/** Up to this many children are compared one by one, which needs no copy of the segment; more are looked up in a map. */
const FEW = 4

class PathNode<T> {
  readonly segments: string[] = []
  readonly children: PathNode<T>[] = []
  map: Map<string, PathNode<T>> | null = null
  /** Matches of exactly this path. */
  exact: Candidates<T> | null = null
  /** Matches of this path and all below it. */
  prefix: Candidates<T> | null = null
  /** Nearest node above that has {@link prefix}, the root excluded. */
  up: PathNode<T> | null = null

  child(path: string, start: number, end: number): PathNode<T> | undefined {
    if (this.map !== null) return this.map.get(path.slice(start, end))
    const segments = this.segments
    for (let i = 0; i < segments.length; i++) {
      const segment = segments[i]
      if (segment.length === end - start && path.startsWith(segment, start)) return this.children[i]
    }
    return undefined
  }

  grow(path: string, start: number, end: number): PathNode<T> {
    const found = this.child(path, start, end)
    if (found !== undefined) return found
    const node = new PathNode<T>()
    const segment = path.slice(start, end)
    this.segments.push(segment)
    this.children.push(node)
    if (this.map !== null) this.map.set(segment, node)
    else if (this.segments.length > FEW) this.map = new Map(this.segments.map((key, i) => [key, this.children[i]]))
    return node
  }
}

interface RegexEntry<T> {
  readonly regex: RegExp
  readonly source: string
  readonly candidate: Candidate<T>
}

/**
 * Matches by path, most specific first: the exact path, the longest prefix, regexes (the longest source first, for lack
 * of a better measure), and last the prefix `/`, which asks nothing of the path and would otherwise hide every regex.
 */
export class PathTree<T> {
  readonly #root = new PathNode<T>()
  readonly #regexes: RegexEntry<T>[] = []

  /** `path` in normal form. */
  addExact(path: string, candidate: Candidate<T>): void {
    const node = this.#grow(path)
    node.exact ??= new Candidates<T>()
    node.exact.add(candidate)
  }

  /** `prefix` in normal form, without final slash: the root is "". */
  addPrefix(prefix: string, candidate: Candidate<T>): void {
    const node = prefix === "" ? this.#root : this.#grow(prefix)
    node.prefix ??= new Candidates<T>()
    node.prefix.add(candidate)
  }

  addRegex(regex: RegExp, source: string, candidate: Candidate<T>): void {
    this.#regexes.push({ regex, source, candidate })
  }

  #grow(path: string): PathNode<T> {
    let node = this.#root
    let start = 1
    while (start <= path.length) {
      let end = path.indexOf("/", start)
      if (end === -1) end = path.length
      node = node.grow(path, start, end)
      start = end + 1
    }
    return node
  }

  /** Puts everything added into order of precedence; to be called once, before the first look-up. */
  seal(): void {
    const open: PathNode<T>[] = [this.#root]
    for (let node = open.pop(); node !== undefined; node = open.pop()) {
      node.exact?.seal()
      node.prefix?.seal()
      const up = node.prefix !== null && node !== this.#root ? node : node.up
      for (const child of node.children) {
        child.up = up
        open.push(child)
      }
    }
    this.#regexes.sort((a, b) => b.source.length - a.source.length || bySpecificity(a.candidate, b.candidate))
  }

  /** The most specific match of a request to this host. `path` in normal form. */
  find(path: string, method: string, fields: Fields, reader: RequestReader): Candidate<T> | null {
    const root = this.#root
    // `*` (of OPTIONS) has no segments: only matches that ask nothing of the path take it.
    if (path.charCodeAt(0) !== 0x2f) return root.prefix === null ? null : root.prefix.first(method, fields, reader)
    let best: PathNode<T> | null = null
    let node: PathNode<T> = root
    let start = 1
    for (;;) {
      const slash = path.indexOf("/", start)
      const end = slash === -1 ? path.length : slash
      const child = node.child(path, start, end)
      if (child === undefined) break
      node = child
      if (node.prefix !== null) best = node
      if (slash !== -1) {
        start = end + 1
        continue
      }
      if (node.exact !== null) {
        const found = node.exact.first(method, fields, reader)
        if (found !== null) return found
      }
      break
    }
    for (; best !== null; best = best.up) {
      const found = (best.prefix as Candidates<T>).first(method, fields, reader)
      if (found !== null) return found
    }
    const regexes = this.#regexes
    for (let i = 0; i < regexes.length; i++) {
      const { regex, candidate } = regexes[i]
      if (regex.test(path) && (candidate.unconditional || candidate.refusal(method, fields, reader) === ACCEPTED)) return candidate
    }
    return root.prefix === null ? null : root.prefix.first(method, fields, reader)
  }
}
