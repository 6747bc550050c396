// Says in words why a route isn't taken, and by which match one is.

import { hostText, type Judged, type Miss, pathText } from "../router/ranking.ts"

/** Octets of a value that are shown. */
const MAX_SHOWN = 200

/** What a match asks for: host, path, and the rest. `secret`: whether the value of that name isn't shown. */
export function matchText({ placement, host }: Judged<unknown>, secret: (name: string) => boolean): string {
  const { methods, headers, cookies, query, share } = placement.candidate
  const named = (kind: string, list: readonly { name: string; exact: string; regex: RegExp | null }[]): string[] =>
    list.map(({ name, exact, regex }) => {
      const value = kind === "cookie" || secret(name) ? "[redacted]" : show(exact)
      return `${kind} ${show(name)} ${regex === null ? "=" : "~"} ${value}`
    })
  return [
    ...(host === "" ? [] : [`host ${hostText(host)}`]),
    `path ${show(pathText(placement))}`,
    ...(methods.length === 0 ? [] : [`method ${methods.join(", ")}`]),
    ...named("header", headers),
    ...named("cookie", cookies),
    ...named("query", query),
    ...(share < 1 ? [`${percent(share)} of these`] : []),
  ].join(", ")
}

/** The first thing a request lacks, as a clause. */
export function missText(miss: Miss, secret: (name: string) => boolean): string {
  const { kind } = miss
  if (kind === "host") return `host ${show(actualOf(miss)) || "(none)"} isn't ${miss.expected}`
  if (kind === "listener") return `it serves listener ${miss.expected}, not ${actualOf(miss)}`
  if (kind === "path") return pathMiss(miss.expected, actualOf(miss))
  if (kind === "method") return `method ${show(actualOf(miss))} isn't ${miss.expected.includes(",") ? "in " : ""}${miss.expected}`
  if (kind === "percentage") return `it takes ${miss.expected} of such requests, and not this one`
  const hidden = kind === "cookie" || secret(miss.name)
  const what = kind === "query" ? `query parameter ${show(miss.name)}` : `${kind} ${show(miss.name)}`
  const expected = hidden ? "the value it asks for" : show(miss.expected)
  if (miss.actual === null) return `${what} is missing (${hidden ? "it asks for a value" : `${miss.regex ? "to match " : ""}${expected}`})`
  const actual = hidden ? "[redacted]" : show(miss.actual)
  return `${what} is ${actual === "" ? "empty" : actual}, which ${miss.regex ? `doesn't match ${expected}` : `isn't ${expected}`}`
}

function actualOf({ actual }: Miss): string {
  return actual ?? ""
}

function pathMiss(expected: string, actual: string): string {
  const [kind] = expected.split(" ", 1)
  if (kind === "exact") return `path ${show(actual)} isn't exactly ${show(expected.slice(6))}`
  if (kind === "regex") return `path ${show(actual)} doesn't match ${show(expected.slice(6))}`
  return `path ${show(actual)} isn't ${show(expected)} or below it`
}

/** Why `taken` is preferred to `other`, which has all that is asked for too. */
export function shadowText(taken: Judged<unknown>, other: Judged<unknown>): string {
  const a = taken.placement
  const b = other.placement
  const name = `route \`${a.candidate.route.name}\``
  if (taken.host !== other.host) return `matches too, but ${name} comes first: its host ${hostText(taken.host)} is more specific`
  if (a.path !== b.path || a.kind !== b.kind) return `matches too, but ${name} comes first: its path ${show(pathText(a))} is more specific`
  const [more, less] = [a.candidate, b.candidate]
  if (more.methods.length !== 0 && less.methods.length === 0) return `matches too, but ${name} comes first: it names a method`
  for (const part of ["headers", "cookies", "query"] as const) {
    if (more[part].length > less[part].length) {
      return `matches too, but ${name} comes first: it asks for more ${part === "query" ? "query parameters" : part}`
    }
  }
  return `matches too, but ${name} comes first: they are alike, and it is written before this one`
}

export function percent(share: number): string {
  return `${Number((share * 100).toPrecision(3))}%`
}

function show(text: string): string {
  return text.length <= MAX_SHOWN ? text : `${text.slice(0, MAX_SHOWN)}…`
}
