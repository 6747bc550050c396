// How many requests of a route to a service were counted, and how many of them failed: the same everywhere it is told.

import { serverFaults } from "../http/grpc-status.ts"
import type { RouteSlots } from "./instruments.ts"
import { statusClasses, statusIndex } from "./status-classes.ts"

export interface RequestCounts {
  readonly requests: number
  /** Answered with a 5xx or a gRPC status that blames the server, or not at all. */
  readonly failures: number
}

/** `read`: the value of a slot, over all threads. Listeners may share slots: each is to be asked for once. */
export function requestCounts(slots: Pick<RouteSlots, "requests" | "grpc">, read: (slot: number) => number): RequestCounts {
  let requests = 0
  for (let i = 0; i < statusClasses.length; i++) requests += read(slots.requests + i)
  let failures = read(slots.requests + statusIndex(500)) + read(slots.requests + statusIndex(0))
  for (const code of serverFaults) failures += read(slots.grpc + code)
  return { requests, failures }
}
