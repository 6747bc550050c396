// What was changed in a running gateway, by whom and when: the newest entries, in memory. It is for those who ask what happened
// before something broke; nothing depends on it.

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
}

/** Takes note of a change, or of one that was refused. */
export interface Recorder {
  record(change: { readonly who: string; readonly kind: string; readonly what: string; readonly refused?: string | null }): void
}

export interface ChangeHistoryOptions {
  /** ms since the epoch. */
  now(): number
  /** Of the configuration in force. */
  generation(): number
  /** Entries that are kept; default 1000. */
  readonly limit?: number
  /** Hears of every entry: for the log. */
  onRecorded?(change: Change): void
}

/** Characters of each text: they come from those who give orders. */
const MAX_TEXT = 500

export class ChangeHistory implements Recorder {
  readonly #options: ChangeHistoryOptions
  readonly #limit: number
  readonly #ring: Change[] = []
  /** Where the next entry goes once the ring is full. */
  #next = 0

  constructor(options: ChangeHistoryOptions) {
    this.#options = options
    this.#limit = options.limit ?? 1000
  }

  record(change: Parameters<Recorder["record"]>[0]): void {
    const { now, generation, onRecorded } = this.#options
    const entry: Change = {
      at: new Date(now()).toISOString(),
      who: short(change.who),
      kind: short(change.kind),
      what: short(change.what),
      generation: generation(),
      refused: change.refused === undefined || change.refused === null ? null : short(change.refused),
    }
    if (this.#ring.length < this.#limit) this.#ring.push(entry)
    else this.#ring[this.#next] = entry
    this.#next = (this.#next + 1) % this.#limit
    onRecorded?.(entry)
  }

  /** Newest first. */
  get entries(): Change[] {
    if (this.#ring.length < this.#limit) return this.#ring.toReversed()
    return [...this.#ring.slice(this.#next), ...this.#ring.slice(0, this.#next)].reverse()
  }
}

function short(text: string): string {
  return text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT - 1)}…`
}
