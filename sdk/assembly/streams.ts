// The objects of the class form, by the stream they belong to. Only filters in that form contain this.

import { HttpFilter } from "./filter"

const streams = new Map<i32, HttpFilter>()

export function addStream(id: i32, filter: HttpFilter): void {
  streams.set(id, filter)
}

export function stream(id: i32): HttpFilter | null {
  return streams.has(id) ? streams.get(id) : null
}

export function deleteStream(id: i32): void {
  streams.delete(id)
}
