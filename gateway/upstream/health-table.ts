// Which endpoints are well, as memory that the main thread writes and every worker reads: one word an endpoint, and one a
// service that says whether anything else is left.

import type { ServiceConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"

/** Words: endpoints and services that are probed, together. Those beyond are taken for well. */
const WORDS = 32_768
/** The word of what is never unwell. */
export const ALWAYS_WELL = 0

/** Where the endpoints of a service stand, in the order of its configuration. */
export interface ServiceHealthSlots {
  /** 1: all of them are unwell, so that any will have to do. */
  readonly allUnwell: number
  readonly endpoints: readonly number[]
}

/** What workers are handed with a snapshot. */
export interface HealthSlots {
  readonly memory: SharedArrayBuffer
  /** Of the services that are probed. */
  readonly services: Readonly<Record<string, ServiceHealthSlots>>
}

/** The main thread's side. */
export class HealthTable {
  readonly #memory = new SharedArrayBuffer(WORDS * 4)
  readonly #words = new Int32Array(this.#memory)
  readonly #slots = new Map<string, number>()
  readonly #free: number[] = []
  #next = ALWAYS_WELL + 1

  /** The slots for a configuration; those that an earlier one has given stay the same. */
  assign(services: Readonly<Record<string, ServiceConfig>>): HealthSlots {
    const slots: Record<string, ServiceHealthSlots> = {}
    for (const [name, { endpoints, healthCheck }] of Object.entries(services)) {
      if (healthCheck === undefined) continue
      slots[name] = {
        allUnwell: this.#slot(name, ""),
        endpoints: endpoints.map(({ address }) => this.#slot(name, formatAddress(address))),
      }
    }
    return { memory: this.#memory, services: slots }
  }

  #slot(service: string, address: string): number {
    const key = keyOf(service, address)
    const known = this.#slots.get(key)
    if (known !== undefined) return known
    const slot = this.#free.pop() ?? (this.#next < WORDS ? this.#next++ : ALWAYS_WELL)
    if (slot !== ALWAYS_WELL) this.#slots.set(key, slot)
    return slot
  }

  /** Only what `kept` has is still in use: pairs of a service and an address of it. */
  keepOnly(kept: ReadonlyMap<string, ReadonlySet<string>>): void {
    for (const [key, slot] of this.#slots) {
      const [service, address] = key.split("\0")
      const addresses = kept.get(service)
      if (addresses !== undefined && (address === "" || addresses.has(address))) continue
      this.#slots.delete(key)
      Atomics.store(this.#words, slot, 0)
      this.#free.push(slot)
    }
  }

  /** `address` "": of the service, whether all its endpoints are. */
  set(service: string, address: string, unwell: boolean): void {
    const slot = this.#slots.get(keyOf(service, address))
    if (slot !== undefined) Atomics.store(this.#words, slot, unwell ? 1 : 0)
  }
}

// Neither a name nor an address has a NUL.
function keyOf(service: string, address: string): string {
  return `${service}\0${address}`
}

/** One endpoint's words, as its worker reads them. */
export class EndpointHealthView {
  readonly #words: Int32Array
  readonly #slot: number
  readonly #allUnwell: number

  constructor(words: Int32Array, slot: number, allUnwell: number) {
    this.#words = words
    this.#slot = slot
    this.#allUnwell = allUnwell
  }

  /** It should be avoided: it is unwell, and there are others. */
  get unwell(): boolean {
    return Atomics.load(this.#words, this.#slot) === 1 && Atomics.load(this.#words, this.#allUnwell) === 0
  }
}
