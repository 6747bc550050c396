// Explanations for people: lines with what they are about in front.

import type { Explanation, Outcome } from "../explain/explanation.ts"
import { type OutcomeLine, outcomeLines } from "../explain/outcome-lines.ts"
import type { FlagRow } from "../telemetry/flag-guide.ts"
import { printable } from "./table.ts"

const LABEL = 10

/** One explanation; a paragraph for each listener the request may come by. */
export function explanationText(said: Explanation): string {
  const lines = [`${said.method} ${said.url}`]
  for (const outcome of said.outcomes) {
    const { verdict } = outcome
    lines.push(verdict.text, "", ...outcomeLines(outcome, said.listeners).flatMap((line) => labelled(line.label, textsOf(line, outcome))))
    if (verdict.flag !== "") lines.push(...labelled("flag", [`${verdict.flag}: sluice explain ${verdict.code} says what to do about it`]))
    lines.push("")
  }
  if (said.outcomes.length === 0) lines.push(said.verdict.text)
  return `${lines.map(printable).join("\n").trimEnd()}\n`
}

function textsOf({ label, rows }: OutcomeLine, { others, othersLeft }: Outcome): string[] {
  const more = label === "not" && othersLeft > 0 ? [`and ${othersLeft} more (--others ${Math.min(100, others.length + othersLeft)})`] : []
  return [...columns(rows), ...more]
}

/** A row of the table of flags. */
export function flagText({ flag, code, source, status, retryable, text, meaning, causes, look, act }: FlagRow): string {
  const fault = source === "" ? "nobody's fault" : `${source}'s doing`
  const reply = status === 0 ? "no answer is possible" : `answered ${status}${text === "" ? "" : ` "${text}"`}`
  const again = retryable === "" ? "" : `; sent again: ${retryable}`
  return [
    `${flag}${code === "" ? "" : ` ${code}`}: ${meaning}`,
    ...labelled("", [code === "" ? fault : `${fault}; ${reply}${again}`]),
    ...labelled("causes", causes),
    ...labelled("look at", [look]),
    ...labelled("do", [act]),
    "",
  ].join("\n")
}

// The label stands before the first of its lines.
function labelled(label: string, lines: readonly string[]): string[] {
  return lines.map((line, i) => `${(i === 0 ? label : "").padEnd(LABEL)}${line}`)
}

function columns(rows: readonly (readonly string[])[]): string[] {
  const width = Math.max(0, ...rows.filter((cells) => cells.length > 1).map(([first]) => first.length))
  return rows.map(([first, ...others]) => (others.length === 0 ? first : `${first.padEnd(width)}  ${others.join("  ")}`.trimEnd()))
}
