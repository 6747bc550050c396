// A worker's side of the tap: looks which exchanges somebody wants to see, and tells the main thread of them in batches. While nobody
// taps it is told of none; while someone does it never waits: what is too much is dropped and counted.

import type { TcpAccessEntry } from "../telemetry/access-log.ts"
import { Trail } from "../telemetry/trail.ts"
import type { Watch, WatchedExchange, Watcher } from "../telemetry/watch.ts"
import { connectionLine, exchangeLine } from "./event.ts"
import { fieldPairs } from "./field-pairs.ts"
import type { TapCount, TapLine, TapOrder, TapReport, TapSubscription } from "./messages.ts"
import { Predicate, type TappedEnd, type TappedRequest } from "./predicate.ts"

/** Events a second that one subscription gets of one worker. */
export const MAX_RATE = 100
const SECOND = 1000
/** ms an event may wait for others. */
const BATCH_TIME = 50
/** Characters of a batch, and those that the main thread may have to deal with at once. */
const BATCH = 65_536
const MAX_UNREAD = 1_048_576

export interface TapOptions {
  readonly worker: number
  readonly watch: Pick<Watch, "add" | "remove">
  post(report: TapReport): void
  /** ms, monotonic. */
  now(): number
  /** [0, 1). */
  random(): number
}

/** What one subscription wants, and has had. */
class Wanted {
  readonly id: number
  readonly predicate: Predicate
  readonly sample: number
  matched = 0
  dropped = 0
  #second = Number.NEGATIVE_INFINITY
  #used = 0

  constructor({ id, query }: TapSubscription) {
    this.id = id
    this.predicate = new Predicate(query)
    this.sample = query.sample
  }

  /** Whether it may have an event more in this second. */
  hasRoom(now: number): boolean {
    if (now - this.#second >= SECOND) {
      this.#second = now
      this.#used = 0
    }
    return this.#used < MAX_RATE
  }

  /** Has it; false when it may not. */
  take(now: number): boolean {
    if (!this.hasRoom(now)) return false
    this.#used++
    return true
  }
}

const NOBODY: Wanted[] = []

/** What is kept of an exchange between its beginning and its end. Its fields stay text until it is told of. */
class Note {
  readonly wanted: readonly Wanted[]
  readonly fields: string

  constructor(wanted: readonly Wanted[], fields: string) {
    this.wanted = wanted
    this.fields = fields
  }
}

export class Tap implements Watcher {
  readonly first = true
  readonly #options: TapOptions
  #version = 0
  #wanted: readonly Wanted[] = []
  #lines: TapLine[] = []
  #length = 0
  #unread = 0
  #timer: ReturnType<typeof setTimeout> | null = null
  readonly #onTimer = (): void => {
    this.#timer = null
    this.#flush()
  }

  constructor(options: TapOptions) {
    this.#options = options
  }

  receive(order: TapOrder): void {
    if (order.kind === "taken") {
      this.#unread = Math.max(0, this.#unread - order.length)
      return
    }
    // Counts of those that end are told with it.
    this.#flush()
    const before = new Map(this.#wanted.map((each) => [each.id, each]))
    this.#version = order.version
    this.#wanted = order.subscriptions.map((each) => before.get(each.id) ?? new Wanted(each))
    if (this.#wanted.length > 0) this.#options.watch.add(this)
    else this.#options.watch.remove(this)
    this.#options.post({ version: this.#version, lines: [], counts: [] })
  }

  begin(exchange: WatchedExchange, trail: Trail | null): Trail | null {
    const wanted = this.#askedFor(requestOf(exchange))
    if (wanted.length === 0) return trail
    const kept = trail ?? new Trail()
    kept.keepsResponse = true
    kept.keepsEdits = true
    kept.tapped = new Note(wanted, exchange.head.fields.serialize())
    return kept
  }

  end(exchange: WatchedExchange): void {
    const { trail } = exchange
    const note = trail !== null && trail.tapped instanceof Note ? trail.tapped : null
    // One that has a route has begun, and nobody wanted it then.
    if (note === null && exchange.route !== "") return
    const ids = this.#endOf(exchange, note?.wanted ?? this.#askedFor(requestOf(exchange)), trail?.responseFields ?? null)
    if (ids.length === 0) return
    this.#add(
      ids,
      exchangeLine(exchange, {
        worker: this.#options.worker,
        epoch: performance.timeOrigin,
        clientHead: exchange.headTook,
        trail: note === null ? null : trail,
        requestFields: note === null ? exchange.head.fields.entries() : fieldPairs(note.fields),
      }),
    )
  }

  endConnection(entry: TcpAccessEntry): void {
    const { flag, duration, service } = entry
    const request = { method: "", path: "", fields: null, sourceAddress: entry.sourceAddress, listener: entry.listener }
    // It is neither any status nor none.
    const ids = this.#endOf({ route: "", service, status: -1, flag, duration }, this.#askedFor(request), null)
    if (ids.length > 0) this.#add(ids, connectionLine(entry, this.#options.worker))
  }

  /** Who wants to see an exchange, as far as its request tells. */
  #askedFor(request: TappedRequest): readonly Wanted[] {
    let asked: Wanted[] = NOBODY
    for (const each of this.#wanted) {
      if (each.sample < 1 && this.#options.random() >= each.sample) continue
      if (!each.predicate.matchesRequest(request)) continue
      // There is no use in following it.
      if (!each.predicate.asksEnd && !each.hasRoom(this.#options.now())) {
        this.#drop(each)
        continue
      }
      if (asked === NOBODY) asked = [each]
      else asked.push(each)
    }
    return asked
  }

  /** Who of them is to be told of it, now that it is over. */
  #endOf(end: TappedEnd, asked: readonly Wanted[], response: string | null): number[] {
    const ids: number[] = []
    for (const each of asked) {
      if (!each.predicate.matchesEnd(end, response)) continue
      const room = this.#unread + this.#length < MAX_UNREAD
      if (!room || !each.take(this.#options.now())) {
        this.#drop(each)
        continue
      }
      each.matched++
      ids.push(each.id)
    }
    return ids
  }

  #drop(wanted: Wanted): void {
    wanted.matched++
    wanted.dropped++
    this.#schedule()
  }

  #add(ids: readonly number[], line: string): void {
    this.#lines.push({ ids, line })
    this.#length += line.length
    if (this.#length >= BATCH) this.#flush()
    else this.#schedule()
  }

  #schedule(): void {
    if (this.#timer !== null) return
    this.#timer = setTimeout(this.#onTimer, BATCH_TIME)
    this.#timer.unref()
  }

  #flush(): void {
    if (this.#timer !== null) {
      clearTimeout(this.#timer)
      this.#timer = null
    }
    const counts: TapCount[] = []
    for (const each of this.#wanted) {
      if (each.matched === 0) continue
      counts.push({ id: each.id, matched: each.matched, dropped: each.dropped })
      each.matched = 0
      each.dropped = 0
    }
    if (this.#lines.length === 0 && counts.length === 0) return
    this.#unread += this.#length
    this.#options.post({ version: this.#version, lines: this.#lines, counts })
    this.#lines = []
    this.#length = 0
  }
}

function requestOf({ head, listener, sourceAddress }: WatchedExchange): TappedRequest {
  return { method: head.method, path: head.path, fields: head.fields, sourceAddress, listener }
}
