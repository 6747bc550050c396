// What is wrong in a configuration, and how it is shown: where, what, and what to write instead.

import { maskCredentials, maskLine } from "./secrets.ts"

/** One thing wrong (or, as a warning, doubtful). */
export interface Problem {
  readonly file: string
  /** From 1; 0 = the file as a whole, or a module, whose values have no position. */
  readonly line: number
  readonly column: number
  /** Such as `routes[0].backends`; "" for the whole document. */
  readonly path: string
  /** What is wrong; what to write instead. */
  readonly message: string
  /** The source line that `line` names, when there is one. */
  readonly source?: string
}

/** Keys and indices from the root of the document. */
export type Path = readonly PropertyKey[]

export function formatPath(path: Path): string {
  let out = ""
  for (const part of path) {
    if (typeof part === "number") out += `[${part}]`
    else if (/^[A-Za-z_$][\w$-]{0,127}$/.test(String(part))) out += out === "" ? String(part) : `.${String(part)}`
    else out += `[${printable(JSON.stringify(String(part).slice(0, 128)))}]`
  }
  return out
}

const UNPRINTABLE = /[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

function printable(text: string): string {
  return text.replace(UNPRINTABLE, "\ufffd")
}

const EXCERPT_WIDTH = 120

/** `file:line:column: path: message`; with `excerpt`, the source line and a caret below it. */
export function formatProblem(problem: Problem, options: { excerpt?: boolean } = {}): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file
  const text = printable(`${place}: ${problem.path === "" ? "" : `${problem.path}: `}${maskCredentials(problem.message)}`)
  if (options.excerpt !== true || problem.source === undefined) return text
  const from = problem.column > EXCERPT_WIDTH - 20 ? problem.column - 40 : 0
  const line = printable(maskLine(problem.source).slice(from, from + EXCERPT_WIDTH)).replaceAll("\t", " ")
  const gutter = String(problem.line).padStart(5)
  return `${text}\n${gutter} | ${line}\n${" ".repeat(gutter.length)} | ${" ".repeat(problem.column - 1 - from)}^`
}

/** All problems, one after the other, an empty line between excerpts. */
export function formatProblems(problems: readonly Problem[], options: { excerpt?: boolean } = {}): string {
  return problems.map((problem) => formatProblem(problem, options)).join(options.excerpt === true ? "\n\n" : "\n")
}

// A suggestion is a courtesy: its cost stays bounded in files with tens of thousands of names.
const MAX_CANDIDATES = 1000

/** The candidate that `word` is most likely a misspelling of. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  const wanted = word.toLowerCase().slice(0, 64)
  let best: string | undefined
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1
  let left = MAX_CANDIDATES
  for (const candidate of candidates) {
    if (--left < 0) break
    const distance = editDistance(wanted, candidate.toLowerCase().slice(0, 64), bestDistance)
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/** ` did you mean "x"?` with a leading `; `, or "". */
export function didYouMean(word: string, candidates: Iterable<string>): string {
  const found = nearest(word, candidates)
  return found === undefined ? "" : `; did you mean ${JSON.stringify(found)}?`
}

/** Insertions, deletions, replacements and swaps of neighbours; `limit` or more is `limit`. */
function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      let cost = Math.min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, before[j - 2] + 1)
      row.push(cost)
    }
    before = above
    above = row
  }
  return Math.min(above[b.length], limit)
}
