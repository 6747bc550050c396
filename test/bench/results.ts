// RESULTS.md: a section for each scenario, of the run that measured it last. A run of some scenarios leaves the others' sections, and
// what other measurements have added behind them.

import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { scenarios } from "./scenarios.ts"

const HEAD = `# Results of \`npm run bench\`

CPU is user and system time of all of a proxy's processes and threads, divided by what was done, or what a second of it was good
for. Values are medians over interleaved rounds; ratios and differences are medians of those within a round. RSS is read after the
last round. Requests have ten fields. Below each table is when and how it was measured; the load average is that before the first
round, and above 1 the machine had other things to do: then only ratios are worth anything. \`direct\` is no proxy: what load and
origin are good for without one.
`

/** Sections of a file by their title. */
function sectionsOf(text: string): Map<string, string> {
  const sections = new Map<string, string>()
  for (const part of text.split(/^(?=##+ )/m)) {
    const title = /^##+ (.*)$/m.exec(part)
    if (title !== null && part.startsWith("##")) sections.set(title[1], `${part.trimEnd()}\n`)
  }
  return sections
}

/** `measured`: sections, each with its title in its first line. */
export function writeResults(file: string, environment: string, measured: readonly string[]): void {
  const sections = existsSync(file) ? sectionsOf(readFileSync(file, "utf8")) : new Map<string, string>()
  for (const [title, section] of sectionsOf(measured.join("\n"))) sections.set(title, section)
  const known = scenarios.map((scenario) => sections.get(scenario.title)).filter((section) => section !== undefined)
  const titles = new Set(scenarios.map(({ title }) => title))
  const others = [...sections].filter(([title]) => !titles.has(title)).map(([, section]) => section)
  writeFileSync(file, [HEAD, `${environment}\n`, ...known, ...others].join("\n"))
}
