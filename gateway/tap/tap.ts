// A worker's side of the tap: looks which exchanges somebody wants to see, and tells the main thread of them in batches. While nobody
// taps it is told of none; while someone does it never waits: what is too much is dropped and counted.

import { isConnection, type TcpAccessEntry } from "../telemetry/access-entry.ts"
import { Trail } from "../telemetry/trail.ts"
import type { Watch, WatchedConnection, WatchedExchange, Watcher } from "../telemetry/watch.ts"
import { connectionLine, exchangeLine, type Tapped } from "./event.ts"
import { fieldPairs } from "./field-pairs.ts"
import type { TapCount, TapLine, TapOrder, TapReport, TapSubscription } from "./messages.ts"
import { Predicate, type TappedEnd, type TappedRequest } from "./predicate.ts"

/** Events a second that one subscription gets of one worker. */
export const MAX_RATE = 100
const SECOND = 1000
/** ms after which an exchange or a connection that isn't over is told of as open, and between two looks for such. */
export const OPEN_AFTER = 2000
const LOOK_TIME = 500
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
  /** ms, monotonic: what began before it has no note. */
  readonly since: number
  matched = 0
  dropped = 0
  #second = Number.NEGATIVE_INFINITY
  #used = 0

  constructor({ id, query }: TapSubscription, now: number) {
    this.id = id
    this.since = now
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
/** A status that is neither any nor none. */
const UNKNOWN = -1

/** What is kept of an exchange or a connection between its beginning and its end. Its fields stay text until it is told of. */
class Note {
  readonly of: WatchedExchange | WatchedConnection
  readonly wanted: readonly Wanted[]
  readonly fields: string

  constructor(of: Note["of"], wanted: readonly Wanted[], fields: string) {
    this.of = of
    this.wanted = wanted
    this.fields = fields
  }
}

export class Tap implements Watcher {
  readonly first = true
  readonly #options: TapOptions
  #version = 0
  #wanted: readonly Wanted[] = []
  /** What is under way, and nobody was told of yet, the oldest first. */
  readonly #young = new Set<Note>()
  #looks: ReturnType<typeof setInterval> | null = null
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
    this.#wanted = order.subscriptions.map((each) => before.get(each.id) ?? new Wanted(each, this.#options.now()))
    if (this.#wanted.length > 0) this.#begin()
    else this.#end()
    this.#options.post({ version: this.#version, lines: [], counts: [] })
  }

  #begin(): void {
    this.#options.watch.add(this)
    this.#looks ??= setInterval(() => this.look(), LOOK_TIME)
    this.#looks.unref()
  }

  #end(): void {
    this.#options.watch.remove(this)
    this.#young.clear()
    if (this.#looks !== null) clearInterval(this.#looks)
    this.#looks = null
  }

  begin(exchange: WatchedExchange, trail: Trail | null): Trail | null {
    const wanted = this.#askedFor(this.#wanted, requestOf(exchange))
    if (wanted.length === 0) return trail
    const kept = this.#note(new Note(exchange, wanted, exchange.head.fields.serialize()), trail)
    kept.keepsResponse = true
    kept.keepsEdits = true
    return kept
  }

  #note(note: Note, trail: Trail | null): Trail {
    const kept = trail ?? new Trail()
    kept.tapped = note
    this.#young.add(note)
    return kept
  }

  // It is over.
  #noteOf(trail: Trail | null): Note | null {
    const note = trail !== null && trail.tapped instanceof Note ? trail.tapped : null
    if (note !== null) this.#young.delete(note)
    return note
  }

  end(exchange: WatchedExchange): void {
    const { trail } = exchange
    const note = this.#noteOf(trail)
    // One that has a route has begun, and nobody wanted it then.
    if (note === null && exchange.route !== "") return
    const ids = this.#endOf(exchange, note?.wanted ?? this.#askedFor(this.#wanted, requestOf(exchange)), trail?.responseFields ?? null)
    if (ids.length === 0) return
    this.#add(
      ids,
      exchangeLine(exchange, {
        ...this.#whereabouts(note === null ? null : trail),
        clientHead: exchange.headTook,
        requestFields: note === null ? exchange.head.fields.entries() : fieldPairs(note.fields),
      }),
    )
  }

  beginConnection(connection: WatchedConnection, trail: Trail | null): Trail | null {
    const wanted = this.#askedFor(this.#wanted, clientOf(connection))
    return wanted.length === 0 ? trail : this.#note(new Note(connection, wanted, ""), trail)
  }

  // One that has been there for longer than somebody taps is told of too: it may have been there for months.
  endConnection(connection: WatchedConnection): void {
    const note = this.#noteOf(connection.trail)
    const asked = note === null ? NOBODY : note.wanted
    const began = connection.startTime - performance.timeOrigin
    const late = this.#wanted.filter((each) => each.since > began && !asked.includes(each))
    this.#tellConnection(connection, [...asked, ...this.#askedFor(late, clientOf(connection))], note === null ? null : connection.trail)
  }

  refusedConnection(entry: TcpAccessEntry): void {
    this.#tellConnection(entry, this.#askedFor(this.#wanted, clientOf(entry)), null)
  }

  #tellConnection(entry: TcpAccessEntry, asked: readonly Wanted[], trail: Trail | null): void {
    const ids = this.#endOf(connectionEnd(entry, entry.duration), asked, null)
    if (ids.length > 0) this.#add(ids, connectionLine(entry, this.#whereabouts(trail)))
  }

  #whereabouts(trail: Trail | null): Pick<Tapped, "worker" | "epoch" | "trail"> {
    return { worker: this.#options.worker, epoch: performance.timeOrigin, trail }
  }

  /** Tells of what has lasted for a while: it may go on for hours. @internal */
  look(): void {
    const now = performance.timeOrigin + this.#options.now()
    for (const note of this.#young) {
      const age = now - note.of.startTime
      if (age < OPEN_AFTER) return
      this.#young.delete(note)
      this.#tellOpen(note, age)
    }
  }

  #tellOpen({ of, wanted, fields }: Note, age: number): void {
    const whereabouts = this.#whereabouts(of.trail)
    if (isConnection(of)) {
      const ids = this.#endOf(connectionEnd(of, age), wanted, null)
      if (ids.length > 0) this.#add(ids, connectionLine(of, whereabouts, age))
      return
    }
    const { route, service, flag, headTook: clientHead } = of
    // Whether it gets a response isn't known.
    const status = of.status === 0 ? UNKNOWN : of.status
    const ids = this.#endOf({ route, service, status, flag, duration: age }, wanted, of.trail?.responseFields ?? null)
    if (ids.length > 0) this.#add(ids, exchangeLine(of, { ...whereabouts, clientHead, requestFields: fieldPairs(fields) }, age))
  }

  /** Who of `wanted` wants to see an exchange, as far as its request tells. */
  #askedFor(wanted: readonly Wanted[], request: TappedRequest): readonly Wanted[] {
    let asked: Wanted[] = NOBODY
    for (const each of wanted) {
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

function clientOf({ sourceAddress, listener }: TcpAccessEntry): TappedRequest {
  return { method: "", path: "", fields: null, sourceAddress, listener }
}

function connectionEnd({ service, flag }: TcpAccessEntry, duration: number): TappedEnd {
  return { route: "", service, status: UNKNOWN, flag, duration }
}
