// Knows in a worker of all that may still count in slots of an epoch, and says which epochs that are. It is asked after every order
// of the main thread, and looks around now and then: what has ended needn't tell it.

import type { HeldEpochs } from "./slot-holds.ts"

/** Something that counts in slots of its epoch, for as long as it is `held`; once it isn't, it never is again. */
export interface SlotHolder {
  readonly epoch: number
  held(): boolean
  /** Its endpoints count in slots of its epoch too: it isn't in force, and so didn't take part in changes of endpoints since. */
  ownEndpoints?(): boolean
}

export class HeldSlots {
  readonly #post: (held: HeldEpochs) => void
  #holders: SlotHolder[] = []
  /** The epoch in whose slots endpoints in force count. */
  endpoints = 0
  #order = 0
  #told = ""

  constructor(post: (held: HeldEpochs) => void) {
    this.#post = post
  }

  add(holder: SlotHolder): void {
    this.#holders.push(holder)
  }

  /** An order of the main thread has been carried out. */
  done(order: number): void {
    this.#order = order
    this.look()
  }

  /** Tells what is held, if that is something else than it was. */
  look(): void {
    this.#holders = this.#holders.filter((holder) => holder.held())
    const snapshots = new Set(this.#holders.map(({ epoch }) => epoch))
    const endpoints = new Set(this.#holders.filter((holder) => holder.ownEndpoints?.() === true).map(({ epoch }) => epoch))
    if (this.endpoints > 0) endpoints.add(this.endpoints)
    const held = { order: this.#order, snapshots: [...snapshots], endpoints: [...endpoints] }
    const text = JSON.stringify(held)
    if (text === this.#told) return
    this.#told = text
    this.#post(held)
  }
}
