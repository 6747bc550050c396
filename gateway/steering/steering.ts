// What operators lay over the configuration while the gateway runs: drained endpoints, and weights of routes. Snapshots are made with
// it, and an order is in force once all workers have what it changes.

import type { Config } from "../config/model.ts"
import type { MetricsRegistry } from "../telemetry/metrics-registry.ts"
import { SteeringInstruments } from "../telemetry/steering-instruments.ts"
import { DrainedEndpoints } from "./drained-endpoints.ts"
import { RouteWeights } from "./route-weights.ts"

/** What is in force, and how the workers are given something else. */
export interface SteeredSnapshots {
  readonly found: Config | null
  readonly written: Config | null
  readonly current: { readonly weights: Readonly<Record<string, readonly number[]>> } | null
  endpointsChanged(): Promise<void>
}

export interface SteeringOptions {
  readonly registry: MetricsRegistry
  /** Null: there is nothing in force yet. */
  snapshots(): SteeredSnapshots | null
  /** Gives all workers a snapshot of the configuration in force, or rejects with why none has it. */
  apply(): Promise<void>
  inTurn(change: () => Promise<void>): Promise<void>
  log(level: "info" | "error", message: string, fields: Readonly<Record<string, string>>): void
  /** Neither unwell nor ejected. */
  isUsable(service: string, address: string): boolean
}

export class Steering {
  readonly drained: DrainedEndpoints
  readonly weights: RouteWeights

  constructor({ registry, snapshots, apply, inTurn, log, isUsable }: SteeringOptions) {
    const instruments = new SteeringInstruments(registry)
    this.drained = new DrainedEndpoints({
      found: () => snapshots()?.found ?? null,
      isUsable,
      apply: async () => snapshots()?.endpointsChanged(),
      inTurn,
      log,
      onCount: (service, drained) => instruments.drained(service, drained),
    })
    this.weights = new RouteWeights({
      config: () => snapshots()?.written ?? null,
      inForce: () => snapshots()?.current?.weights ?? {},
      apply,
      inTurn,
      log,
    })
  }

  /** What an operator should know, one sentence each. */
  get reasons(): string[] {
    return [...this.drained.reasons, ...this.weights.reasons]
  }
}
