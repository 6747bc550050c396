// The main thread's side of the limits of services: which cell of the shared memory is whose, what it shows, and what a worker
// that died gives back.

import type { ServiceConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import { limitsText } from "../telemetry/limit-instruments.ts"
import {
  createLimitsMemory,
  ENDPOINT_CELLS,
  endpointFigures,
  endpointWord,
  giveBack,
  NO_CELL,
  SERVICE_CELLS,
  type ServiceFigure,
  serviceFigures,
  serviceWord,
} from "./limits-memory.ts"

const SHOWN: readonly ServiceFigure[] = ["requests", "connections", "pending", "retries"]

/** Cells of one service. */
export interface ServiceLimitCells {
  readonly service: number
  /** Of its endpoints, in the order of the configuration; empty when they have no caps. */
  readonly endpoints: readonly number[]
}

/** What workers are handed with a snapshot, by the names of services. */
export type LimitCells = Readonly<Record<string, ServiceLimitCells>>

export class LimitsTable {
  readonly memory: SharedArrayBuffer
  readonly #words: Int32Array
  readonly #services: Cells
  readonly #endpoints: Cells

  constructor(workers: number) {
    this.memory = createLimitsMemory(workers)
    const words = new Int32Array(this.memory)
    this.#words = words
    const unused = (word: number): boolean => Atomics.load(words, word) === 0
    this.#services = new Cells(SERVICE_CELLS, (cell) => serviceFigures.every((figure) => unused(serviceWord(cell, figure))))
    this.#endpoints = new Cells(ENDPOINT_CELLS, (cell) => endpointFigures.every((figure) => unused(endpointWord(cell, figure))))
  }

  /** The cells for a configuration; those that an earlier one has given stay the same. */
  assign(services: Readonly<Record<string, ServiceConfig>>): LimitCells {
    const cells: Record<string, ServiceLimitCells> = {}
    for (const [name, { circuitBreaker, endpoints }] of Object.entries(services)) {
      const { maxConnections, maxRequests } = circuitBreaker.endpoint
      const capped = maxConnections > 0 || maxRequests > 0
      cells[name] = {
        service: this.#services.of(name),
        endpoints: capped ? endpoints.map(({ address }) => this.#endpoints.of(`${name}\0${formatAddress(address)}`)) : [],
      }
    }
    return cells
  }

  /** The configuration in force is this one: cells of nothing in it are free again once nobody holds anything in them. */
  keepOnly(services: Readonly<Record<string, ServiceConfig>>): void {
    this.#services.keepOnly((name) => Object.hasOwn(services, name))
    const addresses = new Set<string>()
    for (const [name, { endpoints }] of Object.entries(services))
      for (const { address } of endpoints) addresses.add(`${name}\0${formatAddress(address)}`)
    this.#endpoints.keepOnly((key) => addresses.has(key))
  }

  /** A worker has died. */
  forget(worker: number): void {
    giveBack(this.#words, worker)
  }

  /** How much of a service's figure is in use; 0 for one that has no cell. */
  used(service: string, figure: ServiceFigure): number {
    const cell = this.#services.find(service)
    return cell === undefined ? 0 : Atomics.load(this.#words, serviceWord(cell, figure))
  }

  /** How full all limits are, for `/metrics`. */
  get exposition(): string {
    return limitsText(this.#services.keys, SHOWN, (service, figure) => this.used(service, figure as ServiceFigure))
  }
}

/** Cells by name. One that is not used any more is given away again when it is empty: what was begun before is yet to end. */
class Cells {
  readonly #most: number
  readonly #empty: (cell: number) => boolean
  readonly #cells = new Map<string, number>()
  #leaving: number[] = []
  #next = 0

  constructor(most: number, empty: (cell: number) => boolean) {
    this.#most = most
    this.#empty = empty
  }

  get keys(): Iterable<string> {
    return this.#cells.keys()
  }

  find(key: string): number | undefined {
    return this.#cells.get(key)
  }

  of(key: string): number {
    const known = this.#cells.get(key)
    if (known !== undefined) return known
    const cell = this.#free()
    if (cell !== NO_CELL) this.#cells.set(key, cell)
    return cell
  }

  #free(): number {
    if (this.#next < this.#most) return this.#next++
    const i = this.#leaving.findIndex(this.#empty)
    return i < 0 ? NO_CELL : this.#leaving.splice(i, 1)[0]
  }

  keepOnly(kept: (key: string) => boolean): void {
    for (const [key, cell] of this.#cells) {
      if (kept(key)) continue
      this.#cells.delete(key)
      this.#leaving.push(cell)
    }
  }
}
