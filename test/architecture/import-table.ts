// Who may import whom in gateway/: the table of gateway/README.md as rules over sources. Pure: sources come in as a map.

import { posix } from "node:path"
import { linesWith, scanSource } from "./source-scan.ts"

/** Path from the repository's root, with `/`, to the source. */
export type Sources = ReadonlyMap<string, string>

/** Parts of gateway/: a folder's name, or a file's for those at its top. Each row may import the rows above it. */
export const rows: readonly (readonly string[])[] = [
  ["errors.ts", "version.ts", "runtime"],
  ["http", "config", "resilience"],
  ["telemetry", "http1", "http2", "tls", "identity"],
  ["router", "filter", "tcp", "canary", "steering"],
  ["wasm", "upstream", "listener", "rate-limit", "discovery", "tap"],
  ["proxy", "explain", "admin"],
  ["snapshot.ts", "worker-messages.ts", "worker-questions.ts", "worker", "supervisor", "index.ts", "testing"],
  ["cli", "main.ts"],
]

/** Within a row, besides a part's own files. */
const sameRow: Readonly<Record<string, readonly string[]>> = {
  tls: ["identity"],
  explain: ["proxy"],
  admin: ["explain"],
  "worker-messages.ts": ["snapshot.ts", "worker-questions.ts"],
  worker: ["snapshot.ts", "worker-messages.ts", "worker-questions.ts"],
  supervisor: ["snapshot.ts", "worker-messages.ts", "worker-questions.ts"],
  "index.ts": ["supervisor"],
  "main.ts": ["cli"],
}

/** What is only run, as a thread of its own, never imported. */
const started: Readonly<Record<string, readonly string[]>> = { supervisor: ["worker"] }

/** Files outside gateway/ that its code may read as a module: the package's own version. */
const outside = new Set(["package.json"])

/** `http1` of `gateway/http1/head-reader.ts`, `errors.ts` of `gateway/errors.ts`. */
function partOf(path: string): string {
  return path.split("/")[1]
}

function rowOf(part: string): number {
  return rows.findIndex((parts) => parts.includes(part))
}

/** The file a relative specifier means, from the repository's root. A worker's URL may lack its extension. */
function target(from: string, specifier: string): string {
  const path = posix.normalize(posix.join(posix.dirname(from), specifier))
  return /\.[a-z]+$/.test(path) ? path : `${path.replace(/\.$/, "")}.ts`
}

/** Every import in gateway/ that the table does not allow, as `file:line: why`. */
export function importViolations(sources: Sources): string[] {
  const violations: string[] = []
  for (const [path, source] of sources) {
    if (!path.startsWith("gateway/")) continue
    const part = partOf(path)
    const row = rowOf(part)
    if (row < 0) {
      violations.push(`${path}: gateway/${part} has no row in the import table`)
      continue
    }
    for (const { specifier, kind, line } of scanSource(source).references) {
      if (!specifier.startsWith(".")) continue
      const to = target(path, specifier)
      const where = `${path}:${line}`
      if (!to.startsWith("gateway/")) {
        // A script that runs in a child is found by its path, which is no import.
        if (kind === "import" && !outside.has(to)) violations.push(`${where}: imports ${to}, outside gateway/`)
        continue
      }
      const toPart = partOf(to)
      const toRow = rowOf(toPart)
      if (toPart === part || toRow < row) continue
      if (toRow === row && sameRow[part]?.includes(toPart)) continue
      if (kind !== "import" && started[part]?.includes(toPart)) continue
      violations.push(`${where}: gateway/${part} (row ${row}) may not import gateway/${toPart} (row ${toRow})`)
    }
  }
  return violations
}

/** Relative imports that name no file of `sources` or `others`. */
export function danglingImports(sources: Sources, others: ReadonlySet<string>): string[] {
  const violations: string[] = []
  for (const [path, source] of sources) {
    for (const { specifier, line } of scanSource(source).references) {
      if (!specifier.startsWith(".")) continue
      const to = target(path, specifier)
      if (!sources.has(to) && !others.has(to) && !isFolder(to, others)) violations.push(`${path}:${line}: ${specifier} does not exist`)
    }
  }
  return violations
}

function isFolder(path: string, files: ReadonlySet<string>): boolean {
  const prefix = `${path.replace(/\/?(\.ts)?$/, "")}/`
  for (const file of files) if (file.startsWith(prefix)) return true
  return false
}

/** Circles among the parts of gateway/, each as `a → b → a`. */
export function importCycles(sources: Sources): string[] {
  const edges = new Map<string, Set<string>>()
  for (const [path, source] of sources) {
    if (!path.startsWith("gateway/")) continue
    const part = partOf(path)
    for (const { specifier, kind } of scanSource(source).references) {
      if (kind !== "import" || !specifier.startsWith(".")) continue
      const to = target(path, specifier)
      if (!to.startsWith("gateway/") || partOf(to) === part) continue
      const targets = edges.get(part) ?? new Set()
      edges.set(part, targets.add(partOf(to)))
    }
  }
  const cycles: string[] = []
  const done = new Set<string>()
  const walk = (part: string, trail: readonly string[]): void => {
    const start = trail.indexOf(part)
    if (start >= 0) {
      cycles.push([...trail.slice(start), part].join(" → "))
      return
    }
    if (done.has(part)) return
    for (const to of edges.get(part) ?? []) walk(to, [...trail, part])
    done.add(part)
  }
  for (const part of edges.keys()) walk(part, [])
  return cycles
}

/** Mentions of `Bun`, `Deno` or which runtime this is, outside gateway/runtime/. */
export function runtimeMentions(sources: Sources): string[] {
  const violations: string[] = []
  for (const [path, source] of sources) {
    if (!path.startsWith("gateway/") || path.startsWith("gateway/runtime/")) continue
    const scanned = scanSource(source)
    for (const line of linesWith(scanned, /\b(?:Bun|Deno)\b|\bversions\s*\.\s*(?:bun|deno)\b/)) {
      violations.push(`${path}:${line}: only gateway/runtime/ knows which runtime it is on`)
    }
  }
  return violations
}
