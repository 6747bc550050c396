// What the calls of one context into its guest come to: how many there were; in one of so many contexts, what they took, for the
// metrics; in all of them while a profile of the filter runs. Whether they went well is decided elsewhere.

import { CONTINUE, type FilterAction, PAUSE } from "../filter/filter.ts"
import type { FilterPhase } from "../telemetry/filter-instruments.ts"
import type { Plugin } from "./plugin.ts"
import type { Vm } from "./vm.ts"

// What a call into a guest that dies in it comes to: the filter is passed over, or the exchange or connection has failed.
export const SKIPPED = -1
export const FAILED = -2

/** What becomes of a message in whose filter a call came to {@link SKIPPED} or {@link FAILED}. */
export function verdict(failure: number): FilterAction {
  return failure === SKIPPED ? CONTINUE : PAUSE
}

export class GuestCalls {
  readonly #plugin: Plugin
  #sampled = false
  #count = 0
  /** Of CPU budget, if they are sampled. */
  #units = 0
  /** ms in the guest, while a profile runs. */
  profiled = 0

  constructor(plugin: Plugin) {
    this.#plugin = plugin
  }

  /** Those of another context begin. */
  reopen(): void {
    this.#sampled = this.#plugin.sample()
    this.#count = 0
    this.#units = 0
    this.profiled = 0
  }

  /** When the call that begins now did; 0 = it isn't measured. */
  begin(vm: Vm): number {
    return this.#sampled || this.#plugin.profile !== null ? vm.clock.monotonic() : 0
  }

  /** A call is over that began at `start`. `octets`: of the body that it was shown. */
  ended(vm: Vm, start: number, callback: string, phase: FilterPhase, octets: number): void {
    this.#count++
    if (start === 0) return
    const units = vm.used()
    const took = vm.clock.monotonic() - start
    if (this.#sampled) {
      this.#units += units
      this.#plugin.metrics.duration(Math.round(took * 1e6), phase)
    }
    this.#profile(callback, took, units, octets)
  }

  /** The calls by which the guest forgets an exchange are over; they count as nothing but time. */
  finished(vm: Vm, start: number): void {
    if (start === 0) return
    const units = vm.used()
    if (this.#sampled) this.#units += units
    this.#profile("proxy_on_done", vm.clock.monotonic() - start, units, 0)
  }

  failed(callback: string): void {
    this.#count++
    this.#plugin.profile?.failed(callback)
  }

  #profile(callback: string, took: number, units: number, octets: number): void {
    const { profile } = this.#plugin
    if (profile === null) return
    this.profiled += took
    profile.called(callback, took, units, octets)
  }

  /** The context is over: the metrics are told. */
  report(): void {
    const { metrics } = this.#plugin
    if (this.#count !== 0) metrics.calls(this.#count)
    if (this.#units !== 0) metrics.budget(this.#units)
  }
}
