// What a filter has made of a head: the names of the fields that it added, changed and removed. Values are not kept.

import { RequestHead, type ResponseHead } from "../http/message.ts"

/** Names, pseudo-headers among them; in the order of the head. */
export interface HeadEdits {
  readonly added: readonly string[]
  readonly changed: readonly string[]
  readonly removed: readonly string[]
}

/** Names kept of each kind; others are left out. */
const MAX_NAMES = 32

/** Name, value, name, value …: the fields, and what HTTP/2 has as pseudo-headers. */
export function headPairs(head: RequestHead | ResponseHead): string[] {
  const pairs = head.fields.entries()
  if (head instanceof RequestHead) {
    const path = head.query === undefined ? head.path : `${head.path}?${head.query}`
    pairs.push(":method", head.method, ":authority", head.authority, ":path", path)
  } else pairs.push(":status", String(head.status))
  return pairs
}

/** Null: nothing is different. The order of fields of different names, which filters may move, isn't looked at. */
export function headEdits(before: readonly string[], after: readonly string[]): HeadEdits | null {
  if (same(before, after)) return null
  const was = byName(before)
  const is = byName(after)
  const added: string[] = []
  const changed: string[] = []
  const removed: string[] = []
  for (const [name, value] of is) {
    const old = was.get(name)
    if (old === undefined) keep(added, name)
    else if (old !== value) keep(changed, name)
  }
  for (const name of was.keys()) if (!is.has(name)) keep(removed, name)
  return added.length + changed.length + removed.length === 0 ? null : { added, changed, removed }
}

/** Both together: what one callback has done, and a later one of the same filter. */
export function joinEdits(first: HeadEdits | null, then: HeadEdits | null): HeadEdits | null {
  if (first === null || then === null) return first ?? then
  const join = (a: readonly string[], b: readonly string[]): string[] => [...new Set([...a, ...b])].slice(0, MAX_NAMES)
  return { added: join(first.added, then.added), changed: join(first.changed, then.changed), removed: join(first.removed, then.removed) }
}

function keep(names: string[], name: string): void {
  if (names.length < MAX_NAMES) names.push(name)
}

function same(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

// All values of a name, as one text; a line feed stands in none of them.
function byName(pairs: readonly string[]): Map<string, string> {
  const names = new Map<string, string>()
  for (let i = 0; i < pairs.length; i += 2) {
    const before = names.get(pairs[i])
    names.set(pairs[i], before === undefined ? pairs[i + 1] : `${before}\n${pairs[i + 1]}`)
  }
  return names
}
