// Says which metric slots some thread may still count in. Slots are given out in epochs: each configuration, and each change of
// endpoints, begins one. Workers tell which epochs they hold; one that hasn't answered for all it was sent holds everything.

/** Who lets go of the slots of a series: what a snapshot named, while anything of it runs; endpoints, with the next ones. */
export type HeldBy = "snapshots" | "endpoints"

/** What a worker tells. */
export interface HeldEpochs {
  /** The last order it has carried out: {@link SlotHolds.send}. */
  readonly order: number
  readonly snapshots: readonly number[]
  readonly endpoints: readonly number[]
}

interface Holder {
  /** The last order that it was sent. */
  order: number
  /** Null: that isn't known. */
  held: Readonly<Record<HeldBy, readonly number[]>> | null
}

const NOTHING = { snapshots: [], endpoints: [] }

export class SlotHolds {
  readonly #workers = new Map<number, Holder>()
  /** Begun, and neither in force nor given up: any worker may be sent them. */
  readonly #begun = new Set<number>()
  /** In force: a worker that starts is sent them. 0 = none yet. */
  readonly #inForce: Record<HeldBy, number> = { snapshots: 0, endpoints: 0 }
  #epoch = 0

  /** The one that slots are given out in. */
  get epoch(): number {
    return this.#epoch
  }

  /** Slots are about to be given out. Followed by {@link settle} or {@link abandon}. */
  begin(): number {
    this.#begun.add(++this.#epoch)
    return this.#epoch
  }

  /** In force from now on; what was in force before is sent to no worker any more. */
  settle(epoch: number, ...kinds: readonly HeldBy[]): void {
    this.#begun.delete(epoch)
    for (const kind of kinds) this.#inForce[kind] = epoch
  }

  /** It never came into force. Workers that were sent it let go of it, and say so. */
  abandon(epoch: number): void {
    this.#begun.delete(epoch)
  }

  /** A worker is about to start: it holds nothing yet. */
  attach(worker: number): void {
    this.#workers.set(worker, { order: 0, held: NOTHING })
  }

  /** Its thread has ended. */
  detach(worker: number): void {
    this.#workers.delete(worker)
  }

  /** A worker is being sent slots, or told to let go of some; the order it answers with. */
  send(worker: number): number {
    const holder = this.#workers.get(worker)
    if (holder === undefined) throw new RangeError(`worker ${worker} is not attached`)
    holder.held = null
    return ++holder.order
  }

  /** What a worker holds. An answer from before something else was sent to it says nothing. */
  told(worker: number, { order, ...held }: HeldEpochs): void {
    const holder = this.#workers.get(worker)
    if (holder?.order === order) holder.held = held
  }

  /** Whether all workers have answered for everything they were sent. */
  get known(): boolean {
    for (const { held } of this.#workers.values()) if (held === null) return false
    return true
  }

  /** Epochs in whose slots somebody may count, ascending; null: that isn't known now. */
  held(kind: HeldBy): number[] | null {
    const epochs = new Set(this.#begun).add(this.#inForce[kind])
    for (const { held } of this.#workers.values()) {
      if (held === null) return null
      for (const epoch of held[kind]) epochs.add(epoch)
    }
    return [...epochs].sort((a, b) => a - b)
  }
}
