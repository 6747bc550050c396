// What is known of endpoints, as memory that the main thread and every worker share: whether probes find them well, whether they
// are ejected, and what they were sent. Records are handed out by service and address, and stay the same over configurations.

import type { ServiceConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import { EJECTION_WORDS, leave } from "../resilience/ejection.ts"

/** Words of a record: those of its ejection, of a service the number of ejected endpoints; and one for its health. */
const RECORD = 8
/** 1: probes find it unwell; of a service: all of its endpoints, so that any will have to do. */
const UNWELL = EJECTION_WORDS
/** Doubles of a record in a worker's column, which only that worker writes. One that replaces it goes on. */
const COLUMN = 7
/** Of those that may be ejected: requests that ended, those of them that went well, ms until the answers there were, and how many. */
export const REQUESTS = 0
export const SUCCESSES = 1
export const LATENCY = 2
export const ANSWERS = 3
/** Of all: attempts and connections under way, and ms until an answer, an average of late. */
export const ACTIVE = 4
export const CONNECTIONS = 5
export const AVERAGE = 6
/** What a worker that dies leaves behind of these is under way no more. */
const GAUGES = [ACTIVE, CONNECTIONS, AVERAGE]
/** Records of a segment, and segments there may be. Endpoints beyond are taken for well, and never ejected. */
const SEGMENT = 1024
const MAX_SEGMENTS = 64
/** Stands for the record of what has none. */
const NONE = -1

/** Where a service's records are. */
export interface ServiceRecords {
  readonly service: number
  /** In the order of its configuration. */
  readonly endpoints: readonly number[]
}

/** What workers are handed with a snapshot. */
export interface EndpointRecords {
  /** ms since the epoch at which the clock of the records was 0. */
  readonly start: number
  readonly segments: readonly SharedArrayBuffer[]
  readonly services: Readonly<Record<string, ServiceRecords>>
}

/** Words of one record. */
export interface RecordWords {
  readonly words: Int32Array
  readonly at: number
}

/** The records' memory, as any thread sees it. */
export class EndpointMemory {
  readonly #segments: readonly SharedArrayBuffer[]
  readonly #words: Int32Array[] = []
  readonly #columns: Float64Array[] = []
  readonly #start: number

  constructor({ segments, start }: Pick<EndpointRecords, "segments" | "start">) {
    this.#segments = segments
    this.#start = start
  }

  /**
   * ms as an Int32, that wraps after 24 days. It is the clock on the wall, since each thread of a runtime may count its own
   * `performance.now()` from another moment; who reads it must put up with steps.
   */
  readonly clock = (): number => (Date.now() - this.#start) | 0

  /** Null: it has none. */
  words(record: number): RecordWords | null {
    if (record === NONE) return null
    const segment = Math.floor(record / SEGMENT)
    this.#words[segment] ??= new Int32Array(this.#segments[segment], 0, SEGMENT * RECORD)
    return { words: this.#words[segment], at: (record % SEGMENT) * RECORD }
  }

  /** A worker's column of a segment, and where in it the record's begins. */
  column(record: number, worker: number): { column: Float64Array; at: number } {
    const segment = Math.floor(record / SEGMENT)
    this.#columns[segment] ??= new Float64Array(this.#segments[segment], SEGMENT * RECORD * 4)
    return { column: this.#columns[segment], at: (worker * SEGMENT + (record % SEGMENT)) * COLUMN }
  }
}

/** The main thread's side. */
export class EndpointTable {
  readonly #workers: number
  readonly #start = Date.now()
  readonly #segments: SharedArrayBuffer[] = []
  #memory: EndpointMemory = new EndpointMemory({ segments: [], start: this.#start })
  /** By service, then by address; "" = the service itself. */
  readonly #records = new Map<string, Map<string, number>>()
  readonly #free: number[] = []
  /** What workers had counted of records when they became free. */
  readonly #counted = new Map<number, readonly number[]>()
  #next = 0

  constructor(workers: number) {
    this.#workers = workers
  }

  get memory(): EndpointMemory {
    return this.#memory
  }

  get clock(): () => number {
    return this.#memory.clock
  }

  /** The records for a configuration; those that an earlier one has been given stay the same. */
  assign(services: Readonly<Record<string, ServiceConfig>>): EndpointRecords {
    const assigned: Record<string, ServiceRecords> = {}
    for (const [name, service] of Object.entries(services)) {
      let own = this.#records.get(name)
      if (own === undefined) {
        own = new Map()
        this.#records.set(name, own)
      }
      const records = own
      assigned[name] = {
        service: this.#record(records, ""),
        endpoints: service.endpoints.map(({ address }) => this.#record(records, formatAddress(address))),
      }
    }
    return { start: this.#start, segments: [...this.#segments], services: assigned }
  }

  #record(own: Map<string, number>, address: string): number {
    const known = own.get(address)
    if (known !== undefined) return known
    const record = this.#free.pop() ?? this.#grow()
    if (record !== NONE) own.set(address, record)
    return record
  }

  #grow(): number {
    if (this.#next === this.#segments.length * SEGMENT) {
      if (this.#segments.length === MAX_SEGMENTS) return NONE
      this.#segments.push(new SharedArrayBuffer(SEGMENT * (RECORD * 4 + this.#workers * COLUMN * 8)))
      this.#memory = new EndpointMemory({ segments: this.#segments, start: this.#start })
    }
    return this.#next++
  }

  /** The configuration is in force in all workers: what it doesn't have is given to others from now on, in use and well. */
  keepOnly(services: Readonly<Record<string, ServiceConfig>>): void {
    for (const [name, own] of this.#records) {
      const service = Object.hasOwn(services, name) ? services[name] : undefined
      if (service !== undefined) {
        const kept = new Set(service.endpoints.map(({ address }) => formatAddress(address)))
        for (const [address, record] of own) if (address !== "" && !kept.has(address)) this.#release(own, address, record)
      } else {
        for (const [address, record] of own) this.#release(own, address, record)
        this.#records.delete(name)
      }
    }
  }

  #release(own: Map<string, number>, address: string, record: number): void {
    own.delete(address)
    const { words, at } = this.#memory.words(record) as RecordWords
    const service = address === "" ? null : this.#memory.words(own.get("") ?? NONE)
    if (service !== null) leave(words, at, service.words, service.at)
    for (let i = 0; i < RECORD; i++) Atomics.store(words, at + i, 0)
    this.#free.push(record)
    this.#counted.set(record, this.#sum(record))
  }

  /** Of an endpoint; `address` "": of the service. Null: it has none. */
  words(service: string, address: string): RecordWords | null {
    return this.#memory.words(this.#records.get(service)?.get(address) ?? NONE)
  }

  /** `address` "": of the service, whether all its endpoints are. */
  setUnwell(service: string, address: string, unwell: boolean): void {
    const record = this.words(service, address)
    if (record !== null) Atomics.store(record.words, record.at + UNWELL, unwell ? 1 : 0)
  }

  /** None of the service's endpoints is ejected any more. */
  clearEjections(service: string): void {
    for (const record of this.#records.get(service)?.values() ?? []) {
      const { words, at } = this.#memory.words(record) as RecordWords
      for (let i = 0; i < EJECTION_WORDS; i++) Atomics.store(words, at + i, 0)
    }
  }

  /** A worker has died: it has nothing under way any more. */
  forget(worker: number): void {
    for (let record = 0; record < this.#next; record++) {
      const { column, at } = this.#memory.column(record, worker)
      for (const gauge of GAUGES) column[at + gauge] = 0
    }
  }

  /** ms until an answer of late, over all workers, each by the answers it has had (if those are counted); null: nothing is known. */
  average(service: string, address: string): number | null {
    const record = this.#records.get(service)?.get(address) ?? NONE
    if (record === NONE) return null
    let sum = 0
    let weights = 0
    for (let worker = 0; worker < this.#workers; worker++) {
      const { column, at } = this.#memory.column(record, worker)
      const average = column[at + AVERAGE]
      if (average === 0) continue
      const weight = Math.max(1, column[at + ANSWERS])
      sum += average * weight
      weights += weight
    }
    return weights === 0 ? null : sum / weights
  }

  /** What all workers counted of an endpoint since it is known, in the order of a column; null: it has no record. */
  counts(service: string, address: string): number[] | null {
    const record = this.#records.get(service)?.get(address)
    if (record === undefined) return null
    const before = this.#counted.get(record)
    const counts = this.#sum(record)
    return before === undefined ? counts : counts.map((count, i) => count - before[i])
  }

  #sum(record: number): number[] {
    const counts = Array.from({ length: COLUMN }, () => 0)
    for (let worker = 0; worker < this.#workers; worker++) {
      const { column, at } = this.#memory.column(record, worker)
      for (let i = 0; i < COLUMN; i++) counts[i] += column[at + i]
    }
    return counts
  }
}

/** One endpoint's health, as its worker reads it. */
export class EndpointHealthView {
  readonly #own: RecordWords
  readonly #service: RecordWords | null

  /** `service`: null = another service takes over when all endpoints are unwell, so that none has to do. */
  constructor(own: RecordWords, service: RecordWords | null) {
    this.#own = own
    this.#service = service
  }

  /** It should be avoided: it is unwell, and there are others. */
  get unwell(): boolean {
    const { words, at } = this.#own
    if (Atomics.load(words, at + UNWELL) === 0) return false
    const service = this.#service
    return service === null || Atomics.load(service.words, service.at + UNWELL) === 0
  }
}
