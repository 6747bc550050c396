// The tables of response flags and failures in gateway/OBSERVABILITY.md, made from what the code and the tests say of them.

import { type ErrorCode, errors } from "../gateway/errors.ts"
import { flagRows } from "../gateway/telemetry/flag-guide.ts"
import { failureCauses } from "../test/support/failure-causes.ts"

export const DOCUMENT = "gateway/OBSERVABILITY.md"

interface Table {
  readonly begin: string
  readonly end: string
  text(): string
}

const tables: readonly Table[] = [
  { begin: "<!-- flags: made by npm run docs:flags -->", end: "<!-- end of flags -->", text: flagTable },
  { begin: "<!-- failures: made by npm run docs:flags -->", end: "<!-- end of failures -->", text: failureTable },
]

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |\n`
}

function flagTable(): string {
  const rows = flagRows.map(({ flag, code, source, meaning, causes, look, act }) =>
    line([`\`${flag}\``, code === "" ? "" : `\`${code}\``, source === "" ? "nobody" : source, meaning, causes.join("; "), look, act]),
  )
  return `| flag | code | whose | what has happened | likely causes | look at | do |\n|---|---|---|---|---|---|---|\n${rows.join("")}`
}

function failureTable(): string {
  const rows = (Object.keys(errors) as ErrorCode[]).map((code) => {
    const { flag, status, text } = errors[code]
    const { cause, foreseen, test } = failureCauses[code]
    const reply = status === 0 ? "closed, or cut off" : `${status} ${text}`
    const said = foreseen ? `the verdict: \`${status} ${flag}\`` : `\`sluice explain ${code}\``
    return line([`\`${code}\``, cause, reply, `\`${flag}\``, said, `\`${test}\``])
  })
  return `| what | brought about by | the client gets | \`flag\` in the log, the series and the trace | explain says | proven in |\n|---|---|---|---|---|---|\n${rows.join("")}`
}

/** `document` with the tables as the code has them now; null: it has no place for one of them. */
export function withTables(document: string): string | null {
  let made = document
  for (const { begin, end, text } of tables) {
    const from = made.indexOf(begin)
    const to = made.indexOf(end)
    if (from === -1 || to < from) return null
    made = `${made.slice(0, from + begin.length)}\n\n${text()}\n${made.slice(to)}`
  }
  return made
}
