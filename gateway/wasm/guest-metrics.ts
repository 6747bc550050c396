// Metrics that filters define: one table for the process, in one SharedArrayBuffer that every thread maps. A series is there
// for good: it survives the filter that defined it, its instances and its worker. Values are 64-bit and touched atomically.
//
// Series are found through a hash table whose places are written once and read without a lock; only making one takes it. A
// thread that dies while it makes a series leaves a gap, never half a series.

import { Buffer } from "node:buffer"
import { MetricType } from "./proxy-wasm/enums.ts"
import type { GuestMetrics } from "./proxy-wasm/host.ts"
import { hashName, randomSeed, SharedLock, sameOctets, writeOctets } from "./shared-memory.ts"

const { COUNTER, GAUGE, HISTOGRAM } = MetricType

const DEFAULT_SERIES = 2048
/** Of the series, so many histograms at most: each takes as much room, and lines of the exposition, as forty others. */
const DEFAULT_HISTOGRAMS = 256
/** Octets of one name; labels that filters pack into names make them long. */
export const MAX_METRIC_NAME = 2048
/** Octets of names there is room for, per series. */
const NAME_BYTES = 256

/**
 * Bounds of all histograms: 1, 2, 5, 10 … 10^13. Guests name no unit; these reach from nanoseconds to hours in any, and from
 * octets to terabytes.
 */
export const histogramBounds: readonly number[] = (() => {
  const bounds: number[] = []
  for (let decade = 1; decade < 1e13; decade *= 10) bounds.push(decade, decade * 2, decade * 5)
  bounds.push(1e13)
  return bounds
})()
/** Cells of a histogram: one for each bound, one for what is above, the sum. */
const SUM = histogramBounds.length + 1
const HISTOGRAM_CELLS = SUM + 1

const MAGIC = 0x534c4d54
const HEADER_WORDS = 16
const H_MAGIC = 0
const H_SERIES = 1
const H_HISTOGRAMS = 2
const H_SEED = 3
const H_OWNERS = 4
const H_NEVER = 5
/** Two words. */
const H_LOCK = 6
/** Series made so far, gaps included; the first three are the ones there is too much for. */
const H_NEXT = 8
const H_NEXT_CELL = 9
const H_NEXT_NAME = 10
const H_HISTOGRAMS_MADE = 11
/** Definitions that found no room. */
const H_REFUSED = 12

/** A series: its hash, type, cell, and name. */
const S_HASH = 0
const S_TYPE = 1
const S_CELL = 2
const S_NAME = 3
const S_LENGTH = 4
/** 1 once all of it is written; the series is there once the table has it as well. */
const S_MADE = 5
const SERIES_WORDS = 6

/** One for each type, with index = type: what has no place of its own goes there, and is not shown. */
const OVERFLOW = 3

/** Ids carry their type in these low bits, as in Envoy; above them is the series' number, from 1. */
const TYPE_BITS = 2
const TYPE_MASK = 3

export interface GuestMetricsSize {
  /** At most 65536. */
  readonly series?: number
  readonly histograms?: number
}

export interface GuestSeries {
  readonly type: number
  /** UTF-8 as the guest gave it. */
  readonly name: string
  /** A counter is unsigned, a gauge signed; 0 for a histogram. */
  readonly value: bigint
  /** Of a histogram: for each bound, and for what is above. Empty otherwise. */
  readonly buckets: readonly bigint[]
  readonly sum: bigint
}

interface Layout {
  /** Words of the hash table, a power of two. */
  readonly places: number
  /** Word indices. */
  readonly table: number
  readonly series: number
  /** Index in 64-bit cells. */
  readonly cells: number
  /** Octet index and octets. */
  readonly names: number
  readonly nameBytes: number
  readonly total: number
}

function layout(series: number, histograms: number): Layout {
  const all = series + OVERFLOW
  // At most half of it is taken.
  const places = 1 << (32 - Math.clz32(all * 2 - 1))
  const table = HEADER_WORDS
  const list = table + places
  const cells = Math.ceil((list + all * SERIES_WORDS) / 2)
  const names = (cells + all - histograms + histograms * HISTOGRAM_CELLS + HISTOGRAM_CELLS) * 8
  const nameBytes = Math.max(series * NAME_BYTES, MAX_METRIC_NAME)
  return { places, table, series: list, cells, names, nameBytes, total: (names + nameBytes + 7) & ~7 }
}

/** Memory for metrics, none defined. Threads open it with {@link GuestMetricsTable}. */
export function createGuestMetrics(size: GuestMetricsSize = {}): SharedArrayBuffer {
  const series = Math.min(Math.max(size.series ?? DEFAULT_SERIES, 1), 65536)
  const histograms = Math.min(size.histograms ?? DEFAULT_HISTOGRAMS, series)
  const buffer = new SharedArrayBuffer(layout(series, histograms).total)
  const words = new Int32Array(buffer)
  words[H_SERIES] = series
  words[H_HISTOGRAMS] = histograms
  words[H_SEED] = randomSeed()
  words[H_MAGIC] = MAGIC
  const { series: list } = layout(series, histograms)
  words[list + GAUGE * SERIES_WORDS + S_CELL] = 1
  words[list + HISTOGRAM * SERIES_WORDS + S_CELL] = 2
  words[H_NEXT] = OVERFLOW
  words[H_NEXT_CELL] = 2 + HISTOGRAM_CELLS
  return buffer
}

/** One thread's view of the metrics. */
export class GuestMetricsTable implements GuestMetrics {
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #cells: BigInt64Array
  readonly #locks: SharedLock
  readonly #layout: Layout

  constructor(buffer: SharedArrayBuffer) {
    const words = new Int32Array(buffer)
    if (words[H_MAGIC] !== MAGIC) throw new TypeError("no guest metrics; make them with createGuestMetrics()")
    this.#words = words
    this.#bytes = new Uint8Array(buffer)
    this.#cells = new BigInt64Array(buffer)
    this.#layout = layout(words[H_SERIES], words[H_HISTOGRAMS])
    this.#locks = new SharedLock(words, Atomics.add(words, H_OWNERS, 1) + 1, H_NEVER)
  }

  /**
   * Id of the series of that type (0–2) and name, made when there is none. What there is no room for, a name over
   * {@link MAX_METRIC_NAME} included, shares one series that nobody reads: a guest whose labels come from clients must not
   * fail over it. 0 only for a type that is none.
   */
  define(type: number, name: string): number {
    if (type !== COUNTER && type !== GAUGE && type !== HISTOGRAM) return 0
    if (name.length > MAX_METRIC_NAME) {
      Atomics.add(this.#words, H_REFUSED, 1)
      return idOf(type, type)
    }
    const hash = hashName(this.#words[H_SEED] ^ type, "", name)
    let index = this.#find(type, name, hash)
    if (index === -1) {
      this.#locks.acquire(H_LOCK)
      // Another thread may have made it.
      index = this.#find(type, name, hash)
      if (index === -1) index = this.#make(type, name, hash)
      this.#locks.release(H_LOCK)
    }
    return idOf(index, type)
  }

  #find(type: number, name: string, hash: number): number {
    const words = this.#words
    const { places, table, series } = this.#layout
    for (let i = 0; i < places; i++) {
      const index = Atomics.load(words, table + ((hash + i) & (places - 1))) - 1
      if (index === -1) return -1
      const at = series + index * SERIES_WORDS
      if (words[at + S_HASH] !== hash || words[at + S_TYPE] !== type || words[at + S_LENGTH] !== name.length) continue
      if (sameOctets(this.#bytes, words[at + S_NAME], name)) return index
    }
    return -1
  }

  /** The new series' index, or that of the one for what has no room. With the lock. */
  #make(type: number, name: string, hash: number): number {
    const words = this.#words
    const { places, table, series, names, nameBytes } = this.#layout
    const index = words[H_NEXT]
    const histogram = type === HISTOGRAM
    const full = index >= words[H_SERIES] + OVERFLOW || (histogram && words[H_HISTOGRAMS_MADE] >= words[H_HISTOGRAMS])
    if (full || words[H_NEXT_NAME] + name.length > nameBytes) {
      Atomics.add(words, H_REFUSED, 1)
      return type
    }
    const start = names + words[H_NEXT_NAME]
    const cell = words[H_NEXT_CELL]
    // Taken first: a thread that dies from here on leaves a gap.
    words[H_NEXT] = index + 1
    words[H_NEXT_NAME] += name.length
    words[H_NEXT_CELL] = cell + (histogram ? HISTOGRAM_CELLS : 1)
    if (histogram) words[H_HISTOGRAMS_MADE]++
    writeOctets(this.#bytes, start, name)
    const at = series + index * SERIES_WORDS
    words[at + S_HASH] = hash
    words[at + S_TYPE] = type
    words[at + S_CELL] = cell
    words[at + S_NAME] = start
    words[at + S_LENGTH] = name.length
    Atomics.store(words, at + S_MADE, 1)
    let place = hash & (places - 1)
    while (words[table + place] !== 0) place = (place + 1) & (places - 1)
    Atomics.store(words, table + place, index + 1)
    return index
  }

  /** First cell of the series; -1 = there is none of that id. */
  #cell(id: number): number {
    const index = (id >>> TYPE_BITS) - 1
    if (index < 0 || index >= Atomics.load(this.#words, H_NEXT)) return -1
    const at = this.#layout.series + index * SERIES_WORDS
    if (index < OVERFLOW ? index !== (id & TYPE_MASK) : this.#words[at + S_MADE] === 0 || this.#words[at + S_TYPE] !== (id & TYPE_MASK))
      return -1
    return this.#layout.cells + this.#words[at + S_CELL]
  }

  increment(id: number, by: bigint): "ok" | "unknown" | "bad" {
    const cell = this.#cell(id)
    if (cell === -1) return "unknown"
    const type = id & TYPE_MASK
    if (type === HISTOGRAM || (type === COUNTER && by <= 0n)) return "bad"
    Atomics.add(this.#cells, cell, by)
    return "ok"
  }

  record(id: number, value: bigint): "ok" | "unknown" | "bad" {
    const cell = this.#cell(id)
    if (cell === -1) return "unknown"
    const type = id & TYPE_MASK
    if (type === COUNTER) Atomics.add(this.#cells, cell, value)
    else if (type === GAUGE) Atomics.store(this.#cells, cell, value)
    else {
      const unsigned = BigInt.asUintN(64, value)
      const n = Number(unsigned)
      let bucket = 0
      while (bucket < histogramBounds.length && n > histogramBounds[bucket]) bucket++
      Atomics.add(this.#cells, cell + bucket, 1n)
      Atomics.add(this.#cells, cell + SUM, unsigned)
    }
    return "ok"
  }

  /** The value's 64 bits, unsigned. */
  read(id: number): bigint | "unknown" | "bad" {
    const cell = this.#cell(id)
    if (cell === -1) return "unknown"
    if ((id & TYPE_MASK) === HISTOGRAM) return "bad"
    return BigInt.asUintN(64, Atomics.load(this.#cells, cell))
  }

  /** Definitions that found no room so far, repeated ones included. */
  get refused(): number {
    return Atomics.load(this.#words, H_REFUSED) >>> 0
  }

  /** Every series as it is now, in the order they were made. */
  *all(): Generator<GuestSeries> {
    const words = this.#words
    const { places, table } = this.#layout
    const made: number[] = []
    for (let i = 0; i < places; i++) {
      const index = Atomics.load(words, table + i) - 1
      if (index !== -1) made.push(index)
    }
    made.sort((a, b) => a - b)
    for (const index of made) {
      const at = this.#layout.series + index * SERIES_WORDS
      const type = words[at + S_TYPE]
      const cell = this.#layout.cells + words[at + S_CELL]
      const name = Buffer.from(this.#bytes.slice(words[at + S_NAME], words[at + S_NAME] + words[at + S_LENGTH])).toString()
      if (type === HISTOGRAM) {
        const buckets: bigint[] = []
        for (let i = 0; i < SUM; i++) buckets.push(BigInt.asUintN(64, Atomics.load(this.#cells, cell + i)))
        yield { type, name, value: 0n, buckets, sum: BigInt.asUintN(64, Atomics.load(this.#cells, cell + SUM)) }
      } else {
        const value = Atomics.load(this.#cells, cell)
        yield { type, name, value: type === GAUGE ? value : BigInt.asUintN(64, value), buckets: [], sum: 0n }
      }
    }
  }
}

function idOf(index: number, type: number): number {
  return ((index + 1) << TYPE_BITS) | type
}
