// What a proxy is to the bench: something that is started for a scenario, answers on a port, and is stopped.

import { RawClient } from "../support/raw-client.ts"
import type { Certificate } from "./certificate.ts"
import type { Scenario } from "./scenarios.ts"

export interface Running {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

export interface Surroundings {
  readonly originPort: number
  /** For scenarios with TLS. */
  readonly certificate: Certificate | null
  /** The proxy's own, and empty. */
  readonly folder: string
}

export interface Contender {
  readonly name: string
  /** Null: can't run here, and why is in `missing`. */
  readonly missing: string | null
  /** Whether it takes part in a scenario. */
  suits(scenario: Scenario): boolean
  start(scenario: Scenario, surroundings: Surroundings): Promise<Running>
}

/** Whether something accepts connections there. */
export async function accepts(port: number): Promise<boolean> {
  try {
    const client = await RawClient.connect(port)
    client.destroy()
    return true
  } catch {
    return false
  }
}
