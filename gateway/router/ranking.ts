// Says of every route why a request does or doesn't go there, in the order in which matches are preferred. It looks at all of them,
// for people who ask; requests are routed by router.ts, from the same matches and conditions.

import type { Fields } from "../http/fields.ts"
import { ACCEPTED, bySpecificity, type Condition } from "./conditions.ts"
import { type Placement, placements, type RouteEntry } from "./placement.ts"
import { RequestReader } from "./request-reader.ts"

/** What is looked up, as {@link Router.match} takes it. */
export interface Lookup {
  readonly host: string
  readonly path: string
  readonly query: string | undefined
  readonly method: string
  readonly fields: Fields
  readonly draw: number
}

/** What of a match a request doesn't have; `listener`: its route doesn't serve the one it came by. */
export interface Miss extends Omit<Condition, "kind"> {
  readonly kind: Condition["kind"] | "host" | "path" | "listener"
}

/** One match, under one of its hosts, and what is to be said of it. */
export interface Judged<T> {
  readonly placement: Placement<T>
  /** Of {@link Placement.hosts}: the one that covers the request, else the likest. */
  readonly host: string
  /** First of what it doesn't have; null: it has all. */
  readonly miss: Miss | null
  /** Of host, path and the rest those it doesn't have: 0 to 3. */
  readonly failures: number
}

/** All matches of one listener, by precedence. Made once for a configuration. */
export class Ranking<T> {
  readonly #placed: readonly Placement<T>[]
  readonly #reader = new RequestReader()

  constructor(routes: readonly RouteEntry<T>[], listener: string) {
    this.#placed = placements(routes, listener)
  }

  /** Every match with each of its hosts, in the order in which they are preferred where several have all a request asks. */
  get ordered(): Judged<T>[] {
    const all = this.#placed.flatMap((placement) =>
      placement.hosts.map((host): Judged<T> => ({ placement, host, miss: null, failures: 0 })),
    )
    return all.sort(byPrecedence)
  }

  /** What is to be said of every match for one request; those that it would be given to first, by precedence, then near misses. */
  judge(lookup: Lookup): Judged<T>[] {
    this.#reader.reset(lookup.query, lookup.fields, lookup.draw)
    const judged = this.#placed.map((placement) => this.#judge(placement, lookup))
    const likeness = new Map(judged.map((each) => [each, alike(each, lookup)]))
    const near = (each: Judged<T>): number => likeness.get(each) as number
    return judged.sort((a, b) => a.failures - b.failures || stage(b) - stage(a) || near(b) - near(a) || byPrecedence(a, b))
  }

  #judge(placement: Placement<T>, { host, path, method, fields }: Lookup): Judged<T> {
    const { candidate, hosts } = placement
    const covering = hosts.filter((each) => coversHost(each, host)).sort(byHost)
    const misses: Miss[] = []
    if (covering.length === 0) misses.push(lacking("host", hosts.map(hostText).join(", "), host))
    if (!coversPath(placement, path)) misses.push(lacking("path", pathText(placement), path))
    const refused = candidate.unconditional ? ACCEPTED : candidate.refusal(method, fields, this.#reader)
    if (refused !== ACCEPTED) misses.push(candidate.condition(refused, method, fields, this.#reader))
    return { placement, host: covering[0] ?? hosts[0], miss: misses[0] ?? null, failures: misses.length }
  }
}

export function lacking(kind: "host" | "path" | "listener", expected: string, actual: string): Miss {
  return { kind, name: "", expected, regex: false, actual }
}

/** Of one that has one failure: how far a look-up would get with it. */
function stage({ miss }: Judged<unknown>): number {
  if (miss === null || miss.kind === "percentage") return 5
  if (miss.kind === "host") return 1
  if (miss.kind === "path") return 0
  return miss.kind === "method" ? 3 : 4
}

function alike({ placement, host, miss }: Judged<unknown>, lookup: Lookup): number {
  if (miss?.kind === "path") return common(placement.kind === "regex" ? "" : placement.path, lookup.path)
  return miss?.kind === "host" ? common(reversed(host), reversed(lookup.host)) : 0
}

function common(a: string, b: string): number {
  let i = 0
  while (i < a.length && i < b.length && a[i] === b[i]) i++
  return i
}

function reversed(text: string): string {
  return [...text].reverse().join("")
}

function coversHost(host: string, asked: string): boolean {
  if (!host.startsWith(".")) return host === "" || host === asked
  return asked.length > host.length && asked.endsWith(host)
}

function coversPath({ kind, path, regex }: Placement<unknown>, asked: string): boolean {
  // `*` (of OPTIONS) has no segments: only matches that ask nothing of the path take it.
  if (!asked.startsWith("/")) return kind === "prefix" && path === ""
  if (regex !== null) return regex.test(asked)
  return asked === path || (kind === "prefix" && asked.startsWith(`${path}/`))
}

/** As the configuration writes it. */
export function hostText(host: string): string {
  return host === "" ? "*" : host.startsWith(".") ? `*${host}` : host
}

/** The same of a path: a prefix as it is, others with what they are. */
export function pathText({ kind, path }: Placement<unknown>): string {
  return kind === "prefix" ? path || "/" : `${kind} ${path}`
}

// Exact hosts, wildcards by their length, every host.
function byHost(a: string, b: string): number {
  const rank = (host: string): number => (host === "" ? 2 : host.startsWith(".") ? 1 : 0)
  return rank(a) - rank(b) || (rank(a) === 1 ? b.length - a.length : 0) || (a < b ? -1 : a > b ? 1 : 0)
}

// Exact paths, prefixes by their length, regexes by theirs, the prefix `/`.
function byPath(a: Placement<unknown>, b: Placement<unknown>): number {
  const rank = ({ kind, path }: Placement<unknown>): number => (kind === "exact" ? 0 : kind === "regex" ? 2 : path === "" ? 3 : 1)
  const order = rank(a) - rank(b) || (a.kind === "exact" ? 0 : b.path.length - a.path.length)
  // Exact paths, and prefixes of one length, exclude each other; regexes don't.
  return order !== 0 || a.kind === "regex" ? order : a.path < b.path ? -1 : a.path > b.path ? 1 : 0
}

/** Which of two is preferred where a request has all that both ask. */
export function byPrecedence(a: Judged<unknown>, b: Judged<unknown>): number {
  return byHost(a.host, b.host) || byPath(a.placement, b.placement) || bySpecificity(a.placement.candidate, b.placement.candidate)
}
