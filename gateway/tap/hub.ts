// The main thread's side of the tap: who taps, what workers are told of it, and to whom each event goes. It keeps little for anyone:
// a reader that is slow loses events, one that reads nothing, or taps for too long, is ended.

import type { TapOrder, TapReport } from "./messages.ts"
import type { TapQuery } from "./query.ts"
import { TapReader } from "./reader.ts"

/** Taps at a time. */
export const MAX_TAPS = 8
/** ms one may last, and may go on without anything being read of it. */
const MAX_TIME = 3_600_000
const MAX_STALL = 60_000
/** ms between two looks at all of them, and between two signs of life. */
const LOOK = 1000
const HEARTBEAT = 5000
/** ms the first sign of life waits for workers that haven't said that they look. */
const MAX_START = 1000

export interface TapHubOptions {
  /** Tells all workers, and says which there are. */
  tell(order: TapOrder): readonly number[]
  /** ms, monotonic. */
  now(): number
}

interface Tap {
  readonly id: number
  readonly query: TapQuery
  readonly reader: TapReader
  readonly began: number
  /** Version of the subscriptions that it came with, and workers that don't go by it yet. */
  readonly version: number
  readonly waiting: Set<number>
  toldAt: number
}

export class TapHub {
  readonly #options: TapHubOptions
  readonly #taps = new Map<number, Tap>()
  #last = 0
  #version = 0
  #timer: ReturnType<typeof setInterval> | null = null
  #closed = false

  constructor(options: TapHubOptions) {
    this.#options = options
  }

  /** What a worker that starts has to be told; null: nobody taps. */
  get order(): TapOrder | null {
    return this.#taps.size === 0 ? null : this.#subscriptions()
  }

  /** Null: too many tap already, or it is over with all of it. */
  open(query: TapQuery): TapReader | null {
    if (this.#closed || this.#taps.size >= MAX_TAPS) return null
    const id = ++this.#last
    const now = this.#options.now()
    const reader = new TapReader({ now: this.#options.now, onEnd: () => this.#end(id) })
    const waiting = new Set<number>()
    const tap: Tap = { id, query, reader, began: now, version: ++this.#version, waiting, toldAt: Number.NEGATIVE_INFINITY }
    this.#taps.set(id, tap)
    for (const worker of this.#options.tell(this.#subscriptions())) waiting.add(worker)
    if (waiting.size === 0) this.#sign(tap, now)
    this.#timer ??= setInterval(() => this.#look(), LOOK)
    this.#timer.unref()
    return reader
  }

  /** A worker tells of events. */
  receive(worker: number, report: TapReport): void {
    for (const { id, matched, dropped } of report.counts) this.#taps.get(id)?.reader.count(matched, dropped)
    for (const tap of this.#taps.values()) {
      if (report.version >= tap.version && tap.waiting.delete(worker) && tap.waiting.size === 0) this.#sign(tap, this.#options.now())
    }
    for (const { ids, line } of report.lines) {
      for (const id of ids) {
        const tap = this.#taps.get(id)
        if (tap === undefined || !tap.reader.add(line)) continue
        if (tap.query.max > 0 && tap.reader.sent >= tap.query.max) tap.reader.finish("max")
      }
    }
  }

  /** A worker is gone, and with it what it hasn't told. */
  lost(worker: number): void {
    for (const tap of this.#taps.values()) if (tap.waiting.delete(worker) && tap.waiting.size === 0) this.#sign(tap, this.#options.now())
  }

  /** Ends all of them: the gateway ends. */
  close(): void {
    this.#closed = true
    for (const { reader } of [...this.#taps.values()]) reader.finish("stopping")
  }

  #subscriptions(): TapOrder {
    const subscriptions = [...this.#taps.values()].map(({ id, query }) => ({ id, query }))
    return { kind: "subscriptions", version: this.#version, subscriptions }
  }

  #sign(tap: Tap, now: number): void {
    if (tap.reader.alive()) tap.toldAt = now
  }

  #look(): void {
    const now = this.#options.now()
    for (const tap of [...this.#taps.values()]) {
      const { reader } = tap
      if (tap.waiting.size > 0) {
        if (now - tap.began < MAX_START) continue
        tap.waiting.clear()
      }
      if (now - tap.began >= MAX_TIME) reader.finish("time")
      else if (now - reader.readAt >= MAX_STALL) reader.finish("unread")
      else if (now - tap.toldAt >= HEARTBEAT || reader.hasNews) this.#sign(tap, now)
    }
  }

  #end(id: number): void {
    if (!this.#taps.delete(id)) return
    this.#version++
    this.#options.tell(this.#subscriptions())
    if (this.#taps.size > 0 || this.#timer === null) return
    clearInterval(this.#timer)
    this.#timer = null
  }
}
