// Live figures of this gateway: says where the metric slots in force, the counts of endpoints and the CPU time are to be had.

import { formatAddress } from "../config/units.ts"
import type { IdentityInstruments } from "../telemetry/identity-instruments.ts"
import { LiveFigures } from "../telemetry/live-figures.ts"
import type { EndpointCount } from "../telemetry/live-sampler.ts"
import type { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import type { SharedMemory } from "./shared-memory.ts"
import type { Snapshots } from "./snapshots.ts"

/** Endpoints that are counted one by one in live figures; of more, the first in the configuration. */
const MAX_ENDPOINTS = 2000

export interface LiveParts {
  readonly registry: MetricsRegistry
  readonly identities: IdentityInstruments
  readonly shared: SharedMemory
  readonly snapshots: Snapshots
  readonly unitsPerMs: number
}

export function liveFigures({ registry, identities, shared, snapshots, unitsPerMs }: LiveParts): LiveFigures {
  return new LiveFigures({
    slots: () => snapshots.current?.slots ?? null,
    read: (slot) => registry.read(slot),
    readAll: (slot, into) => registry.readAll(slot, into),
    identities: () => identities.pairs(),
    asksWho: (name) => {
      const listener = snapshots.current?.config.listeners.find((each) => each.name === name)
      return listener !== undefined && "tls" in listener && (listener.tls?.clientCa ?? "") !== ""
    },
    endpoints: () => countedEndpoints(shared, snapshots),
    unitsPerMs,
    cpu: () => {
      const { user, system } = process.cpuUsage()
      return (user + system) / 1e6
    },
    now: () => performance.now(),
    every: (ms, tick) => {
      const timer = setInterval(tick, ms)
      // Somebody who looks doesn't keep the process alive.
      timer.unref()
      return () => clearInterval(timer)
    },
  })
}

function* countedEndpoints(shared: SharedMemory, snapshots: Snapshots): Generator<EndpointCount> {
  const services = snapshots.current?.config.services ?? {}
  let left = MAX_ENDPOINTS
  for (const service in services) {
    for (const endpoint of services[service].endpoints) {
      if (left-- === 0) return
      const address = formatAddress(endpoint.address)
      const { counts } = shared.endpoint(service, address)
      if (counts !== null) yield { service, address, requests: counts.requests, successes: counts.requests - counts.failures }
    }
  }
}
