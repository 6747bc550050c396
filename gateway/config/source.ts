// YAML and JSON text → a plain value and the position of everything in it. Bounded against hostile documents: aliases can't
// multiply, nesting can't overflow the stack, a key can't be written twice.

import { createRequire } from "node:module"
import type { Node } from "yaml"
import { NOT_PLAIN, plainYaml } from "./plain-yaml.ts"
import type { Path } from "./problem.ts"
import { quote } from "./units.ts"

// Most documents are read without the package, which takes a tenth of an idle gateway's memory: it is loaded when needed.
const load = createRequire(import.meta.url)
const yaml = (): typeof import("yaml") => load("yaml")

/** Values that aliases may stand for in all, counted as if written out. */
const MAX_ALIASED = 1000
const MAX_SYNTAX_PROBLEMS = 20
/** Brackets open at once, those in texts counted too. */
const MAX_BRACKETS = 2000

/** What is wrong, before its position is looked up. `at`: the key itself rather than its value. */
export interface Finding {
  readonly path: Path
  readonly at: "key" | "value"
  /** Computed only for what is shown: suggestions cost time. */
  readonly message: string | (() => string)
  /** Octet offset in the text when no path leads there. */
  readonly offset?: number
}

export interface Position {
  readonly line: number
  readonly column: number
  readonly source: string
}

/** A parsed document. `value` means nothing when there are `findings`. */
export interface Source {
  readonly value: unknown
  readonly findings: readonly Finding[]
  locate(finding: Finding): Position | undefined
}

/** A value without a text, such as a module's export. */
export function valueSource(value: unknown): Source {
  return { value, findings: [], locate: () => undefined }
}

/** Never throws. */
export function textSource(text: string): Source {
  // Positions are needed only when something is wrong: the full parser takes seconds for what these read in a fraction of one.
  let value = jsonValue(text)
  if (value === undefined) {
    value = plainYaml(text)
    if (value === NOT_PLAIN) return yamlSource(text)
  }
  let positions: Source | undefined
  return {
    value,
    findings: [],
    locate: (finding) => {
      positions ??= yamlSource(text)
      return positions.locate(finding)
    },
  }
}

/** As {@link textSource}, always by the full parser. */
export function yamlSource(text: string): Source {
  const { LineCounter, parseDocument } = yaml()
  const lines = new LineCounter()
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset)
    const start = lines.lineStarts[line - 1] ?? 0
    const end = text.indexOf("\n", start)
    const source = text.slice(start, Math.min(end === -1 ? text.length : end, start + 4096))
    return { line: Math.max(line, 1), column: Math.max(col, 1), source: source.endsWith("\r") ? source.slice(0, -1) : source }
  }
  const failed = (findings: Finding[]): Source => ({ value: undefined, findings, locate: (finding) => at(finding.offset ?? 0) })
  const whole = (message: string): Source => failed([{ path: [], at: "value", message, offset: 0 }])

  if (isTooDeep(text)) return whole("is nested too deeply; write a flatter document")
  let contents: Node | null
  let value: unknown
  try {
    // Duplicate keys are looked for below: the package's own check takes time quadratic in the size of a map.
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, logLevel: "error" })
    const broken = [...document.errors, ...document.warnings]
    if (broken.length > 0) {
      return failed(
        broken
          .slice(0, MAX_SYNTAX_PROBLEMS)
          .map((error) => ({ path: [], at: "value", message: syntaxMessage(error, text), offset: Math.min(error.pos[0], text.length) })),
      )
    }
    contents = document.contents
    const findings = checkKeys(contents)
    if (findings.length > 0) return failed(findings)
    value = document.toJS({ maxAliasCount: MAX_ALIASED })
  } catch (error) {
    if (error instanceof RangeError) return whole("is nested too deeply; write a flatter document")
    if (error instanceof ReferenceError) {
      return whole(
        error.message.includes("alias count")
          ? `uses aliases for more than ${MAX_ALIASED} values; write some of them out`
          : "has an alias inside of what it stands for; write it out",
      )
    }
    return whole(`can't be read as YAML: ${error instanceof Error ? error.message : String(error)}`)
  }
  return { value, findings: [], locate: (finding) => at(offsetOf(contents, finding)) }
}

/** Nesting that can only be meant to harm, told without parsing, for parsing it takes time quadratic in its depth. */
function isTooDeep(text: string): boolean {
  let depth = 0
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    // [ and {, ] and }
    if (code === 0x5b || code === 0x7b) {
      if (++depth > MAX_BRACKETS) return true
    } else if ((code === 0x5d || code === 0x7d) && depth > 0) depth--
  }
  return /(?:[-?:] +){200}/.test(text)
}

/** The value of a JSON text, quickly; undefined when it isn't JSON, or has keys that only {@link checkKeys} can report. */
function jsonValue(text: string): unknown {
  if (!/^\s*\{/.test(text)) return undefined
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return undefined
  }
  // The text is known to be valid: strings and brackets are all there is to see.
  const open: Set<string>[] = []
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"(?:\s*:)?|[{}]/g)) {
    if (token === "{") open.push(new Set())
    else if (token === "}") open.pop()
    else if (token.endsWith(":")) {
      const key = token.slice(0, token.lastIndexOf('"') + 1)
      const name: string = key.includes("\\") ? JSON.parse(key) : key.slice(1, -1)
      const seen = open[open.length - 1]
      if (name === "__proto__" || seen.has(name)) return undefined
      seen.add(name)
    }
  }
  return value
}

function syntaxMessage(error: { code: string; message: string; pos: readonly [number, number] }, text: string): string {
  const said = error.message.replace(/ at line \d+, column \d+:[\s\S]*$/, "").split("\n")[0]
  const start = text.lastIndexOf("\n", error.pos[0] - 1) + 1
  const line = text.slice(start, start + 400).split("\n")[0]
  if (/\[[0-9a-f:.]*:[0-9a-f:.]*\]:/i.test(line))
    return `not valid YAML: ${said}; put quotes around an address that begins with a bracket, such as "[::1]:8080"`
  if (error.code === "TAB_AS_INDENT") return "not valid YAML: a tab indents this line; use spaces"
  if (error.code === "MULTIPLE_DOCS") return "the file holds more than one document; write one, without ---"
  if (error.code === "TAG_RESOLVE_FAILED") return `not valid YAML here: ${said}; leave the tag (!...) out`
  if (/(?:^|[\s,{[:])\*[.\w]/.test(line))
    return `not valid YAML: ${said}; put quotes around a text that begins with *, such as "*.example.com"`
  return `not valid YAML: ${said}`
}

/** Aliases of nothing, keys written twice, keys that are not texts, and `__proto__`, which plain objects can't hold safely. */
function checkKeys(root: Node | null): Finding[] {
  const { isAlias, isMap, isScalar, isSeq } = yaml()
  const findings: Finding[] = []
  const anchors = new Set<string>()
  const pending: unknown[] = [root]
  while (pending.length > 0 && findings.length < MAX_SYNTAX_PROBLEMS) {
    const node = pending.pop()
    if (isAlias(node)) {
      if (anchors.has(node.source)) continue
      const message = `there is no anchor &${node.source} before this alias; put quotes around a text that begins with *, such as "*.example.com"`
      findings.push({ path: [], at: "value", message, offset: node.range?.[0] ?? 0 })
      continue
    }
    const anchor = (node as { anchor?: string } | null)?.anchor
    if (anchor !== undefined) anchors.add(anchor)
    if (isSeq(node)) {
      for (let i = node.items.length - 1; i >= 0; i--) pending.push(node.items[i])
    } else if (isMap(node)) {
      const seen = new Set<string>()
      for (const pair of node.items) {
        const key = pair.key
        const offset = (key as Node | null)?.range?.[0] ?? node.range?.[0] ?? 0
        if (!isScalar(key) || (typeof key.value === "object" && key.value !== null)) {
          findings.push({ path: [], at: "key", message: "a key is not a text; write a plain name before the colon", offset })
          continue
        }
        const name = String(key.value ?? "")
        if (name === "__proto__")
          findings.push({ path: [], at: "key", message: '"__proto__" can\'t be a key; choose another name', offset })
        else if (seen.has(name))
          findings.push({ path: [], at: "key", message: `the key ${quote(name)} is written twice; leave one of them out`, offset })
        seen.add(name)
      }
      for (let i = node.items.length - 1; i >= 0; i--) pending.push(node.items[i].value)
    }
  }
  return findings
}

/** Goes as far along the path as the document does: what is missing is shown where it should be. */
function offsetOf(root: Node | null, finding: Finding): number {
  const { isAlias, isMap, isScalar, isSeq } = yaml()
  let node: unknown = root
  let offset = root?.range?.[0] ?? 0
  for (let i = 0; i < finding.path.length; i++) {
    const part = finding.path[i]
    let next: unknown
    if (isMap(node)) {
      const pair = node.items.find((candidate) => isScalar(candidate.key) && String(candidate.key.value ?? "") === String(part))
      if (pair === undefined) break
      const key = pair.key as Node
      if (finding.at === "key" && i === finding.path.length - 1) return key.range?.[0] ?? offset
      offset = key.range?.[0] ?? offset
      next = pair.value
    } else if (isSeq(node)) {
      next = node.items[Number(part)]
    } else break
    if (next === undefined || next === null) break
    node = next
    offset = (node as Node).range?.[0] ?? offset
    // What an alias stands for is elsewhere: the use of it is what this path names.
    if (isAlias(node)) break
  }
  return offset
}
