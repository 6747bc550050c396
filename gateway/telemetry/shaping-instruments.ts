// Metrics of traffic that is shaped on purpose: faults that were injected, copies that were sent.

import type { RouteConfig } from "../config/model.ts"
import type { Metric, MetricsRegistry } from "./metrics-registry.ts"

/** Kinds of faults, in the order of their slots. */
const faultKinds = ["delay", "abort", "reset", "bandwidth"] as const
export type FaultKind = (typeof faultKinds)[number]

/**
 * What became of a copy. `ok`, `error`: answered, with less than 500 or not. `failed`: no answer. `timeout`: none in time.
 * `overflow`: not sent, since too many were under way, or the service's limits were reached. `tooLarge`: not sent, for its
 * body is. `incomplete`: not sent, for the request ended before its body did.
 */
const mirrorResults = ["ok", "error", "failed", "timeout", "overflow", "tooLarge", "incomplete"] as const
export type MirrorResult = (typeof mirrorResults)[number]

/** Slots of one route, for what it has of this. */
export interface ShapingSlots {
  /** Counters; add {@link faultIndex}. −1 = it has no faults. */
  readonly faults: number
  /** Counters by service; add {@link mirrorIndex}. */
  readonly mirrors: Readonly<Record<string, number>>
}

/** Offset of a kind in the slots of {@link ShapingSlots.faults}. */
export function faultIndex(kind: FaultKind): number {
  return faultKinds.indexOf(kind)
}

/** Offset of a result in the slots of {@link ShapingSlots.mirrors}. */
export function mirrorIndex(result: MirrorResult): number {
  return mirrorResults.indexOf(result)
}

export class ShapingInstruments {
  readonly #faults: Metric
  readonly #mirrors: Metric

  constructor(registry: MetricsRegistry) {
    this.#faults = registry.counter({
      name: "sluice_faults_total",
      help: "Faults injected on purpose",
      labels: ["route"],
      across: { label: "kind", values: faultKinds },
      maxSeries: 10_000,
      omitZero: true,
    })
    this.#mirrors = registry.counter({
      name: "sluice_mirror_requests_total",
      help: "Copies of requests by what became of them",
      labels: ["route", "service"],
      across: { label: "result", values: mirrorResults },
      maxSeries: 10_000,
      omitZero: true,
    })
  }

  /** By route name: those that shape their traffic. */
  slots(routes: readonly RouteConfig[]): Record<string, ShapingSlots> {
    const all: Record<string, ShapingSlots> = {}
    for (const { name, fault, mirrors } of routes) {
      if (fault === undefined && mirrors === undefined) continue
      const copies = (mirrors ?? []).map(({ service }) => [service, this.#mirrors.slot(name, service)] as const)
      all[name] = { faults: fault === undefined ? -1 : this.#faults.slot(name), mirrors: Object.fromEntries(copies) }
    }
    return all
  }
}
