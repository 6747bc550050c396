// What a foreign function is: named octets in, octets out. Which there are is in proxy-wasm/host-calls-foreign.ts.

import type { Buffer } from "node:buffer"
import { BYTES_PER_UNIT_SHIFT } from "../meter/costs.ts"
import type { DeclaredProperties } from "../proxy-wasm/declared-properties.ts"
import type { HostRoot, HostVm } from "../proxy-wasm/host.ts"

/** Octets a function may be called with. */
export const MAX_ARGUMENT = 1024 * 1024

/** What a function sees of its caller. */
export interface ForeignCaller {
  readonly vm: HostVm
  readonly root: HostRoot
  readonly declared: DeclaredProperties
}

/**
 * The result's octets, or a status. `argument` lies in the guest's memory and is good until the function returns. Runs on the
 * thread that serves, so it is bounded, and charges the guest for what it takes.
 */
export type ForeignFunction = (caller: ForeignCaller, argument: Buffer) => Uint8Array | number

export const NOTHING = new Uint8Array(0)

/**
 * Takes `microseconds` from the guest's budget. Nominal and not measured, so that a filter's fate does not hang on what else
 * the machine does.
 */
export function chargeTime(vm: HostVm, microseconds: number): void {
  vm.charge(Math.round(microseconds * OCTETS_PER_MICROSECOND))
}

/** In octets, which is what `charge` counts: 1024 units of budget, what a slow machine gets through in that time. */
const OCTETS_PER_MICROSECOND = 1024 << BYTES_PER_UNIT_SHIFT
