// Counts a worker's requests and TCP connections by the identity of their client and the service they went to. The first of a pair asks
// the main thread for slots; until they come, what is counted waits here. Slots that the main thread wants back are used no more. Those
// of clients without an identity don't come by.

import { type IdentityPair, type IdentitySlots, MAX_IDENTITY_LENGTH, MAX_IDENTITY_SERIES } from "./identity-instruments.ts"
import type { MetricsWriter } from "./metrics-writer.ts"
import { statusClasses, statusIndex } from "./status-classes.ts"

/** One pair. */
interface Cell {
  /** Null until the main thread has said. */
  slots: IdentitySlots | null
  /** By class of the status, what has been counted until then. */
  readonly waiting: number[]
  seconds: number
  connections: number
  received: number
  sent: number
}

export class IdentityCounts {
  readonly #metrics: MetricsWriter
  readonly #overflow: IdentitySlots
  readonly #ask: (source: string, service: string) => void
  /** By source, then by service; so many in all as there may be series. */
  readonly #cells = new Map<string, Map<string, Cell>>()
  #size = 0

  /** `ask`: for slots of a pair; {@link settle} has the answer. */
  constructor(metrics: MetricsWriter, overflow: IdentitySlots, ask: (source: string, service: string) => void) {
    this.#metrics = metrics
    this.#overflow = overflow
    this.#ask = ask
  }

  /** A request has ended. `service`: "-" = it went to none. */
  count(source: string, service: string, status: number, seconds: number): void {
    const cell = this.#cell(source, service)
    const slots = cell === null ? this.#overflow : cell.slots
    if (slots === null) {
      const { waiting } = cell as Cell
      waiting[statusIndex(status)]++
      ;(cell as Cell).seconds += seconds
      return
    }
    this.#metrics.add(slots.requests + statusIndex(status), 1)
    this.#metrics.add(slots.seconds, seconds)
  }

  /** A TCP connection has ended. */
  countConnection(source: string, service: string): void {
    const cell = this.#cell(source, service)
    const slots = cell === null ? this.#overflow : cell.slots
    if (slots === null) (cell as Cell).connections++
    else this.#metrics.add(slots.connections, 1)
  }

  /** Octets have come from a TCP client, or went to it. */
  countOctets(source: string, service: string, received: number, sent: number): void {
    const cell = this.#cell(source, service)
    const slots = cell === null ? this.#overflow : cell.slots
    if (slots === null) {
      ;(cell as Cell).received += received
      ;(cell as Cell).sent += sent
      return
    }
    this.#metrics.add(slots.received, received)
    this.#metrics.add(slots.sent, sent)
  }

  #cell(source: string, service: string): Cell | null {
    return this.#cells.get(source)?.get(service) ?? this.#meet(source, service)
  }

  // Null: there are as many pairs as may be.
  #meet(source: string, service: string): Cell | null {
    if (this.#size >= MAX_IDENTITY_SERIES || source.length > MAX_IDENTITY_LENGTH) return null
    this.#size++
    const cell: Cell = { slots: null, waiting: statusClasses.map(() => 0), seconds: 0, connections: 0, received: 0, sent: 0 }
    const own = this.#cells.get(source)
    if (own === undefined) this.#cells.set(source, new Map([[service, cell]]))
    else own.set(service, cell)
    this.#ask(source, service)
    return cell
  }

  /** The main thread has given a pair its slots; the memory they are in is there. */
  settle(source: string, service: string, slots: IdentitySlots): void {
    const cell = this.#cells.get(source)?.get(service)
    if (cell === undefined || cell.slots !== null) return
    cell.slots = slots
    for (const [i, count] of cell.waiting.entries()) if (count > 0) this.#metrics.add(slots.requests + i, count)
    this.#metrics.add(slots.seconds, cell.seconds)
    this.#metrics.add(slots.connections, cell.connections)
    this.#metrics.add(slots.received, cell.received)
    this.#metrics.add(slots.sent, cell.sent)
  }

  /**
   * The slots of these pairs are somebody else's from now on. There is room then: who shares a series for want of it may ask again.
   * A pair that waits for slots stays: it gets them as of later.
   */
  forget(pairs: readonly IdentityPair[]): void {
    for (const { source, service } of pairs) this.#drop(source, service, (slots) => slots !== null)
    for (const [source, own] of this.#cells) {
      for (const service of own.keys()) this.#drop(source, service, (slots) => slots?.requests === this.#overflow.requests)
    }
  }

  #drop(source: string, service: string, gone: (slots: IdentitySlots | null) => boolean): void {
    const own = this.#cells.get(source)
    const cell = own?.get(service)
    if (own === undefined || cell === undefined || !gone(cell.slots)) return
    own.delete(service)
    if (own.size === 0) this.#cells.delete(source)
    this.#size--
  }
}
