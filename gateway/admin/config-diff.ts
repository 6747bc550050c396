// How two configurations differ, as a person would say it: by the paths of what was written, routes and listeners by their names
// wherever they stand in their list. What is compared is the truth; what is shown of it has no secrets.

import { REDACTED } from "../config/secrets.ts"
import { yamlText } from "../config/yaml-text.ts"

export interface ConfigChange {
  /** Such as `routes[orders].timeout.request`. */
  readonly path: string
  /** `moved`: the items of a list are the same, in another order. */
  readonly kind: "added" | "removed" | "changed" | "moved"
  /** As YAML; null: there is nothing. */
  readonly before: string | null
  readonly after: string | null
}

export interface ConfigDiff {
  readonly changes: readonly ConfigChange[]
  /** Changes beyond those. */
  readonly omitted: number
}

/** Changes that are shown, lines of one side of one, and characters of a line. */
const MAX_CHANGES = 500
const MAX_LINES = 60
const MAX_WIDTH = 500

/** One side: what is there, and the same without secrets, where `REDACTED` stands in the place of anything. */
export interface Side {
  readonly whole: unknown
  readonly shown: unknown
}

export function diffConfigs(before: Side, after: Side): ConfigDiff {
  const found = new Differences()
  found.compare("", before, after)
  return { changes: found.changes, omitted: found.omitted }
}

/** For those who read it: the path of each change, and below it what was and what is. */
export function diffText({ changes, omitted }: ConfigDiff): string {
  const lines = changes.flatMap(({ path, kind, before, after }) => [
    `@@ ${path === "" ? "everything" : path}${kind === "moved" ? " (order)" : ""} @@`,
    ...marked("-", before),
    ...marked("+", after),
  ])
  if (omitted > 0) lines.push(`@@ and ${omitted} more changes @@`)
  return lines.map((line) => `${line}\n`).join("")
}

function marked(mark: string, text: string | null): string[] {
  return text === null ? [] : text.split("\n").map((line) => mark + line)
}

type Items = readonly unknown[]

class Differences {
  readonly changes: ConfigChange[] = []
  omitted = 0

  compare(path: string, before: Side, after: Side): void {
    const a = before.whole
    const b = after.whole
    // What is hidden on one side at least has no parts that may be shown.
    if (isMap(a) && isMap(b) && isMap(before.shown) && isMap(after.shown)) return this.#maps(path, before, after)
    if (Array.isArray(a) && Array.isArray(b) && Array.isArray(before.shown) && Array.isArray(after.shown))
      return this.#lists(path, before, after)
    if (textOf(a) !== textOf(b)) this.#add(path, "changed", before, after)
  }

  #maps(path: string, before: Side, after: Side): void {
    const a = before.whole as object
    const b = after.whole as object
    for (const key of Object.keys(a)) {
      const there = childOf(before, key)
      const at = join(path, key)
      if (Object.hasOwn(b, key)) this.compare(at, there, childOf(after, key))
      else this.#add(at, "removed", there, null)
    }
    for (const key of Object.keys(b)) if (!Object.hasOwn(a, key)) this.#add(join(path, key), "added", null, childOf(after, key))
  }

  #lists(path: string, before: Side, after: Side): void {
    const a = before.whole as Items
    const b = after.whole as Items
    const names = namesOf(a)
    const namesAfter = namesOf(b)
    if (names !== null && namesAfter !== null) return this.#named(path, before, after, names, namesAfter)
    const texts = a.map(textOf)
    const textsAfter = b.map(textOf)
    const [removed, added] = unmatched(texts, textsAfter)
    if (removed.length === 0 && added.length === 0) {
      if (texts.some((text, i) => text !== textsAfter[i])) this.#add(path, "moved", before, after)
      return
    }
    // What has no counterpart is taken for the next that has none.
    const flat = [...removed.map((i) => a[i]), ...added.map((i) => b[i])].every((item) => typeof item !== "object" || item === null)
    const pairs = flat ? 0 : Math.min(removed.length, added.length)
    for (let i = 0; i < pairs; i++) this.compare(`${path}[${added[i]}]`, childOf(before, removed[i]), childOf(after, added[i]))
    for (const i of removed.slice(pairs)) this.#add(flat ? path : `${path}[${i}]`, "removed", childOf(before, i), null)
    for (const i of added.slice(pairs)) this.#add(flat ? path : `${path}[${i}]`, "added", null, childOf(after, i))
  }

  #named(path: string, before: Side, after: Side, a: ReadonlyMap<string, number>, b: ReadonlyMap<string, number>): void {
    for (const [name, i] of a) {
      const at = `${path}[${label(name)}]`
      const j = b.get(name)
      if (j === undefined) this.#add(at, "removed", childOf(before, i), null)
      else this.compare(at, childOf(before, i), childOf(after, j))
    }
    for (const [name, j] of b) if (!a.has(name)) this.#add(`${path}[${label(name)}]`, "added", null, childOf(after, j))
    const common = (of: ReadonlyMap<string, number>, other: ReadonlyMap<string, number>): string[] =>
      [...of.keys()].filter((name) => other.has(name))
    const [order, orderAfter] = [common(a, b), common(b, a)]
    if (order.some((name, i) => name !== orderAfter[i]))
      this.#add(path, "moved", { whole: order, shown: order }, { whole: orderAfter, shown: orderAfter })
  }

  #add(path: string, kind: ConfigChange["kind"], before: Side | null, after: Side | null): void {
    if (this.changes.length >= MAX_CHANGES) {
      this.omitted++
      return
    }
    this.changes.push({ path, kind, before: shownText(before), after: shownText(after) })
  }
}

function isMap(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value)
}

function childOf({ whole, shown }: Side, key: string | number): Side {
  const hidden = typeof shown !== "object" || shown === null || !Object.hasOwn(shown, key)
  return {
    whole: (whole as Record<string | number, unknown>)[key],
    shown: hidden ? REDACTED : (shown as Record<string | number, unknown>)[key],
  }
}

function textOf(value: unknown): string {
  return JSON.stringify(value) ?? ""
}

/** Place of each named item; null: not all have one, or two have the same. */
function namesOf(items: Items): Map<string, number> | null {
  const names = new Map<string, number>()
  for (const [i, item] of items.entries()) {
    const name = isMap(item) ? (item as { readonly name?: unknown }).name : undefined
    if (typeof name !== "string") return null
    names.set(name, i)
  }
  return names.size === items.length ? names : null
}

/** Places of the items of each side that the other side hasn't, as often as it has them. */
function unmatched(a: readonly string[], b: readonly string[]): readonly [number[], number[]] {
  const counts = new Map<string, number>()
  for (const text of b) counts.set(text, (counts.get(text) ?? 0) + 1)
  const removed: number[] = []
  for (const [i, text] of a.entries()) {
    const count = counts.get(text) ?? 0
    if (count === 0) removed.push(i)
    else counts.set(text, count - 1)
  }
  const added: number[] = []
  // The last ones of their kind are those that are more.
  for (let i = b.length - 1; i >= 0; i--) {
    const count = counts.get(b[i]) ?? 0
    if (count === 0) continue
    counts.set(b[i], count - 1)
    added.unshift(i)
  }
  return [removed, added]
}

function join(path: string, key: string): string {
  const part = /^[A-Za-z_$][\w$-]{0,127}$/.test(key) ? key : `[${label(key)}]`
  return path === "" || part.startsWith("[") ? path + part : `${path}.${part}`
}

function label(name: string): string {
  return /^[\w.:/@*-]{1,128}$/.test(name) ? name : JSON.stringify(name.slice(0, 128))
}

function shownText(side: Side | null): string | null {
  if (side === null) return null
  const lines = yamlText(side.shown).trimEnd().split("\n")
  const kept = lines.slice(0, MAX_LINES).map((line) => (line.length <= MAX_WIDTH ? line : `${line.slice(0, MAX_WIDTH)}…`))
  if (lines.length > MAX_LINES) kept.push(`… and ${lines.length - MAX_LINES} more lines`)
  return kept.join("\n")
}
