// Paths into JSON values: what they lead to, and what is changed there.

import { Json } from "./json"
import { ascii } from "./text"

export const enum EditKind {
  FIND = 0,
  PUT = 1,
  REMOVE = 2,
  RENAME = 3,
}

/** Longest path, in steps. */
const MAX_STEPS: i32 = 64

/** The steps of a path: `a.0.b`, or as a JSON Pointer `/a/0/b`. The empty path is the value itself. */
function steps(path: string): string[] {
  if (path.length == 0) return []
  if (path.charCodeAt(0) != 0x2f) return path.split(".", MAX_STEPS)
  const parts = path.substring(1).split("/", MAX_STEPS)
  for (let i = 0; i < parts.length; i++) {
    if (parts[i].includes("~")) parts[i] = parts[i].replaceAll("~1", "/").replaceAll("~0", "~")
  }
  return parts
}

/** Does `kind` at every place that `path` leads to and answers the values that were found, set, removed or renamed. */
export function editPath(root: Json, path: string, kind: EditKind, value: Json | null, name: string): Json[] {
  const found: Json[] = []
  const parts = steps(path)
  if (parts.length == 0) {
    if (kind == EditKind.FIND) found.push(root)
  } else {
    walk(root, parts, 0, kind, value, name, found)
  }
  return found
}

function walk(at: Json, parts: string[], step: i32, kind: EditKind, value: Json | null, name: string, found: Json[]): void {
  const part = parts[step]
  const last = step + 1 == parts.length
  const items = at.items
  if (items !== null) {
    if (part == "*") {
      if (last && kind == EditKind.REMOVE) {
        for (let i = 0; i < items.length; i++) found.push(items[i])
        at.items = []
        return
      }
      for (let i = 0; i < items.length; i++) item(items, i, parts, step, kind, value, name, found)
    } else {
      const index = ascii.int(part, -1)
      if (index >= 0 && index <= <i64>items.length) item(items, <i32>index, parts, step, kind, value, name, found)
    }
    return
  }
  const fields = at.fields
  if (fields === null) return
  if (part == "*") {
    const keys = fields.keys()
    for (let i = 0; i < keys.length; i++) field(at, keys[i], parts, step, kind, value, name, found)
  } else {
    field(at, part, parts, step, kind, value, name, found)
  }
}

function item(
  items: Json[],
  index: i32,
  parts: string[],
  step: i32,
  kind: EditKind,
  value: Json | null,
  name: string,
  found: Json[],
): void {
  const exists = index < items.length
  if (step + 1 < parts.length) {
    if (exists) walk(items[index], parts, step + 1, kind, value, name, found)
    return
  }
  if (kind == EditKind.PUT && value !== null) {
    const copy = value.clone()
    if (exists) items[index] = copy
    else items.push(copy)
    found.push(copy)
  } else if (exists && kind != EditKind.RENAME) {
    found.push(items[index])
    if (kind == EditKind.REMOVE) items.splice(index, 1)
  }
}

function field(
  at: Json,
  key: string,
  parts: string[],
  step: i32,
  kind: EditKind,
  value: Json | null,
  name: string,
  found: Json[],
): void {
  const fields = at.fields!
  if (step + 1 < parts.length) {
    if (fields.has(key)) {
      walk(fields.get(key), parts, step + 1, kind, value, name, found)
    } else if (kind == EditKind.PUT && !rest(parts, step)) {
      const made = Json.object()
      fields.set(key, made)
      walk(made, parts, step + 1, kind, value, name, found)
    }
    return
  }
  if (kind == EditKind.PUT && value !== null) {
    const copy = value.clone()
    fields.set(key, copy)
    found.push(copy)
    return
  }
  if (!fields.has(key)) return
  const old = fields.get(key)
  if (kind == EditKind.RENAME) {
    if (name != key) at.fields = renamed(fields, key, name)
  } else if (kind == EditKind.REMOVE) {
    fields.delete(key)
  }
  found.push(old)
}

/** Whether a `*` follows: nothing is made for one. */
function rest(parts: string[], step: i32): boolean {
  for (let i = step + 1; i < parts.length; i++) {
    if (parts[i] == "*") return true
  }
  return false
}

function renamed(fields: Map<string, Json>, from: string, to: string): Map<string, Json> {
  const result = new Map<string, Json>()
  const keys = fields.keys()
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i]
    if (key == to) continue
    result.set(key == from ? to : key, fields.get(key))
  }
  return result
}
