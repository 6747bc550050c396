// What came of running cases, for people on a terminal and as JUnit XML for build servers.

import type { CaseResult } from "./case-runner.ts"
import type { Difference } from "./compare.ts"

/** The cases of one tests.json, run. */
export interface FileResult {
  /** The filter's name. */
  readonly filter: string
  /** Of the tests.json, as people call it. */
  readonly file: string
  readonly cases: readonly CaseResult[]
  /** Why nothing was run: it doesn't compile, or its tests can't be read; "" otherwise. */
  readonly error: string
  readonly ms: number
}

/** Wraps texts in terminal colours, or not. */
export interface Paint {
  good(text: string): string
  bad(text: string): string
  faint(text: string): string
}

export function paint(colour: boolean): Paint {
  const wrap = (code: number) => (text: string) => (colour ? `\x1b[${code}m${text}\x1b[0m` : text)
  return { good: wrap(32), bad: wrap(31), faint: wrap(2) }
}

const MAX_LOG_LINES = 20
/** Lines of a text beyond which two texts are shown one after the other, not line by line. */
const MAX_DIFF_LINES = 400

export function formatResult(result: FileResult, { colours, verbose }: { readonly colours: Paint; readonly verbose: boolean }): string {
  const { good, bad, faint } = colours
  const failed = result.cases.filter((each) => !each.passed)
  const lines: string[] = []
  if (result.error !== "") {
    lines.push(`${bad("✗")} ${result.filter}  ${faint(result.file)}`, indent(printable(result.error), 4))
    return lines.join("\n")
  }
  const count =
    failed.length === 0 ? counted(result.cases.length, "case") : `${failed.length} of ${counted(result.cases.length, "case")} failed`
  lines.push(`${failed.length === 0 ? good("✓") : bad("✗")} ${result.filter}  ${count}  ${faint(`${Math.round(result.ms)} ms`)}`)
  for (const each of result.cases) {
    if (each.passed) {
      if (verbose) lines.push(`    ${good("✓")} ${printable(each.name)}  ${faint(`${Math.round(each.ms)} ms`)}`)
      continue
    }
    lines.push(`    ${bad("✗")} ${printable(each.name)}  ${faint(result.file)}`)
    lines.push(formatFailure(each, colours, 8))
  }
  return lines.join("\n")
}

function formatFailure(result: CaseResult, colours: Paint, width: number): string {
  const lines: string[] = []
  if (result.error !== "") lines.push(indent(colours.bad(printable(result.error)), width))
  for (const difference of result.differences) {
    lines.push(indent(`${difference.step === "" ? "" : `${difference.step}: `}${printable(difference.path)}`, width))
    lines.push(indent(formatDifference(difference, colours), width + 2))
  }
  if (result.logs.length > 0) {
    const shown = result.logs.slice(-MAX_LOG_LINES)
    lines.push(indent(colours.faint(shown.length < result.logs.length ? `the last ${shown.length} lines of its log:` : "its log:"), width))
    for (const { level, message } of shown) lines.push(indent(colours.faint(printable(`${level}: ${message}`)), width + 2))
  }
  return lines.join("\n")
}

/** `- expected` and `+ actual`; of texts with several lines, only what differs is marked. */
function formatDifference({ expected, actual }: Pick<Difference, "expected" | "actual">, { good, bad }: Paint): string {
  const before = printable(expected).split("\n")
  const after = printable(actual).split("\n")
  if (before.length === 1 || after.length === 1 || before.length > MAX_DIFF_LINES || after.length > MAX_DIFF_LINES) {
    const mark = (sign: string, lines: readonly string[]): string => lines.map((line, i) => `${i === 0 ? sign : " "} ${line}`).join("\n")
    return `${good(mark("- expected", before))}\n${bad(mark("+ actual  ", after))}`
  }
  return diffLines(before, after)
    .map(([sign, line]) => (sign === "-" ? good(`- ${line}`) : sign === "+" ? bad(`+ ${line}`) : `  ${line}`))
    .join("\n")
}

/** The longest common subsequence of lines, with what one side has more: "-" of `before`, "+" of `after`. */
export function diffLines(before: readonly string[], after: readonly string[]): ["-" | "+" | " ", string][] {
  const width = after.length + 1
  const lengths = new Uint16Array((before.length + 1) * width)
  for (let i = before.length - 1; i >= 0; i--) {
    for (let j = after.length - 1; j >= 0; j--) {
      const below = lengths[(i + 1) * width + j]
      const right = lengths[i * width + j + 1]
      lengths[i * width + j] = before[i] === after[j] ? lengths[(i + 1) * width + j + 1] + 1 : Math.max(below, right)
    }
  }
  const out: ["-" | "+" | " ", string][] = []
  let i = 0
  let j = 0
  while (i < before.length || j < after.length) {
    if (i < before.length && j < after.length && before[i] === after[j]) {
      out.push([" ", before[i++]])
      j++
    } else if (j === after.length || (i < before.length && lengths[(i + 1) * width + j] >= lengths[i * width + j + 1])) {
      out.push(["-", before[i++]])
    } else {
      out.push(["+", after[j++]])
    }
  }
  return out
}

/** `1 case`, `2 cases`. */
export function counted(n: number, what: string): string {
  return `${n} ${what}${n === 1 ? "" : "s"}`
}

/** What a guest or a peer wrote must not drive the terminal. */
export function printable(text: string): string {
  return text.replace(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]/g, "\ufffd")
}

function indent(text: string, width: number): string {
  const space = " ".repeat(width)
  return text.replace(/^/gm, space)
}

/** JUnit's XML: a suite a filter, a test case a case. */
export function junitXml(results: readonly FileResult[]): string {
  const all = results.flatMap((result) => result.cases)
  const errors = results.filter((result) => result.error !== "").length
  const total = all.length + errors
  const failures = all.filter((each) => !each.passed).length
  const seconds = (ms: number): string => (ms / 1000).toFixed(3)
  const lines = ['<?xml version="1.0" encoding="UTF-8"?>']
  const time = results.reduce((sum, { ms }) => sum + ms, 0)
  lines.push(`<testsuites name="sluice filter test" tests="${total}" failures="${failures}" errors="${errors}" time="${seconds(time)}">`)
  for (const result of results) {
    const bad = result.cases.filter((each) => !each.passed).length
    const count = result.cases.length + (result.error === "" ? 0 : 1)
    lines.push(
      `  <testsuite name="${xml(result.filter)}" file="${xml(result.file)}" tests="${count}" failures="${bad}" errors="${result.error === "" ? 0 : 1}" time="${seconds(result.ms)}">`,
    )
    if (result.error !== "") {
      lines.push(`    <testcase classname="${xml(result.filter)}" name="loads" time="0.000">`)
      lines.push(`      <error message="${xml(firstLine(result.error))}">${xml(result.error)}</error>`, "    </testcase>")
    }
    for (const each of result.cases) {
      const head = `    <testcase classname="${xml(result.filter)}" name="${xml(each.name)}" file="${xml(result.file)}" time="${seconds(each.ms)}"`
      if (each.passed) {
        lines.push(`${head}/>`)
        continue
      }
      const text = formatFailure(each, paint(false), 0)
      lines.push(`${head}>`, `      <failure message="${xml(firstLine(text))}">${xml(text)}</failure>`, "    </testcase>")
    }
    lines.push("  </testsuite>")
  }
  lines.push("</testsuites>", "")
  return lines.join("\n")
}

function firstLine(text: string): string {
  return text.trim().split("\n")[0]
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\n": "&#10;",
  "\t": "&#9;",
  "\r": "&#13;",
}

function xml(text: string): string {
  return text
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]|[\ud800-\udfff](?![\udc00-\udfff])/g, "\ufffd")
    .replace(/[&<>"]/g, (c) => ENTITIES[c])
}
