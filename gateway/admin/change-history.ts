// What was changed in a running gateway, by whom and when: the newest entries, in memory. It is for those who ask what happened
// before something broke; nothing depends on it. Orders that were turned away at the door have a small place of their own, so that
// whoever may give none can't push out those that were given.

import { LogLimit } from "../wasm/log-limit.ts"

export interface Change {
  /** ISO 8601. */
  readonly at: string
  /** As the guard of the admin API tells, or what of the gateway itself it was. */
  readonly who: string
  /** What was changed, in a word or two: `filter push`, `config`, `canary abort`. */
  readonly kind: string
  /** A few words more: the name of what was changed, and to what. */
  readonly what: string
  /** Of the configuration in force when it was over. */
  readonly generation: number
  /** Why it wasn't carried out; null: it was. */
  readonly refused: string | null
  /** How often in a row; more than once only what was turned away. `at` is the last time. */
  readonly times: number
}

interface NewChange {
  readonly who: string
  readonly kind: string
  readonly what: string
  readonly refused?: string | null
  /** Nobody looked at what it asks for: who asks may not, or it isn't written as it should be. */
  readonly turnedAway?: boolean
}

/** Takes note of a change, or of one that was refused. */
export interface Recorder {
  record(change: NewChange): void
}

export interface ChangeHistoryOptions {
  /** ms since the epoch. */
  now(): number
  /** Of the configuration in force. */
  generation(): number
  /** Entries that are kept; default 1000. */
  readonly limit?: number
  /** Hears of entries, for the log: of what was turned away so many a minute. `unsaid`: those before it that weren't told of. */
  onRecorded?(change: Change, unsaid: number): void
}

/** Characters of each text: they come from those who give orders. */
const MAX_TEXT = 500
/** Entries of orders that were turned away; of them the log hears of so many in so many ms. */
const TURNED_AWAY = 100
const SAID = 10
const WINDOW = 60_000

export class ChangeHistory implements Recorder {
  readonly #options: ChangeHistoryOptions
  readonly #carried: Newest
  readonly #turnedAway = new Newest(TURNED_AWAY)
  readonly #said = new LogLimit(SAID, WINDOW)
  #number = 0

  constructor(options: ChangeHistoryOptions) {
    this.#options = options
    this.#carried = new Newest(options.limit ?? 1000)
  }

  record({ who, kind, what, refused = null, turnedAway = false }: NewChange): void {
    const { now, generation, onRecorded } = this.#options
    const time = now()
    const change: Change = {
      at: new Date(time).toISOString(),
      who: short(who),
      kind: short(kind),
      what: short(what),
      generation: generation(),
      refused: refused === null ? null : short(refused),
      times: 1,
    }
    const entry = { number: this.#number++, change }
    if (!turnedAway) {
      this.#carried.add(entry)
      onRecorded?.(change, 0)
      return
    }
    const before = this.#turnedAway.newest?.change
    if (before !== undefined && isSame(before, change))
      this.#turnedAway.replace({ ...entry, change: { ...change, times: before.times + 1 } })
    else this.#turnedAway.add(entry)
    if (this.#said.allow(time)) onRecorded?.(change, this.#said.takeDropped())
  }

  /** Newest first. */
  get entries(): Change[] {
    return [...this.#carried.entries, ...this.#turnedAway.entries].sort((a, b) => b.number - a.number).map(({ change }) => change)
  }
}

interface Entry {
  /** Of its place among all. */
  readonly number: number
  readonly change: Change
}

/** The newest so many entries. */
class Newest {
  readonly #limit: number
  readonly #ring: Entry[] = []
  /** Where the next entry goes once the ring is full. */
  #next = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  add(entry: Entry): void {
    if (this.#ring.length < this.#limit) this.#ring.push(entry)
    else this.#ring[this.#next] = entry
    this.#next = (this.#next + 1) % this.#limit
  }

  get newest(): Entry | undefined {
    return this.#ring.at(this.#next - 1)
  }

  /** In the place of the newest. */
  replace(entry: Entry): void {
    this.#ring[(this.#next + this.#limit - 1) % this.#limit] = entry
  }

  /** In no order. */
  get entries(): readonly Entry[] {
    return this.#ring
  }
}

function isSame(a: Change, b: Change): boolean {
  return a.who === b.who && a.kind === b.kind && a.what === b.what && a.refused === b.refused && a.generation === b.generation
}

function short(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`
}
