// Maglev: a table of 65537 entries that endpoints fill in turns, each in an order of its own, as often as they weigh. Shares are
// as exact as the table is fine; a look-up is one step; when an endpoint comes or goes a few keys of others move too.

import { hashText, mixBits } from "../../http/text-hash.ts"
import type { HashTable } from "./hashed.ts"

/** A prime, so that every step size leads past all entries. */
export const TABLE_SIZE = 65_537

export class MaglevTable implements HashTable {
  readonly #table: Uint8Array | Uint16Array | Uint32Array

  constructor(endpoints: readonly { readonly address: string }[], weights: Float64Array) {
    const { length } = endpoints
    const table = length < 0xff ? new Uint8Array(TABLE_SIZE) : length < 0xffff ? new Uint16Array(TABLE_SIZE) : new Uint32Array(TABLE_SIZE)
    const free = 2 ** (8 * table.BYTES_PER_ELEMENT) - 1
    table.fill(free)
    // Every gateway has to come to the same table, in whatever order it was told of the endpoints.
    const order = endpoints.map((_, i) => i).sort((a, b) => (endpoints[a].address < endpoints[b].address ? -1 : 1))
    const position = new Uint32Array(length)
    const stride = new Uint32Array(length)
    let heaviest = 0
    for (let i = 0; i < length; i++) {
      const hash = hashText(endpoints[i].address)
      position[i] = hash % TABLE_SIZE
      stride[i] = (mixBits(hash ^ 0x9e3779b9) % (TABLE_SIZE - 1)) + 1
      heaviest = Math.max(heaviest, weights[i])
    }
    const earned = new Float64Array(length)
    for (let filled = 0; filled < TABLE_SIZE; ) {
      for (let turn = 0; turn < length && filled < TABLE_SIZE; turn++) {
        const i = order[turn]
        earned[i] += weights[i]
        if (earned[i] < heaviest) continue
        earned[i] -= heaviest
        let at = position[i]
        while (table[at] !== free) {
          at += stride[i]
          if (at >= TABLE_SIZE) at -= TABLE_SIZE
        }
        table[at] = i
        position[i] = at
        filled++
      }
    }
    this.#table = table
  }

  at(key: number, step: number): number {
    return this.#table[(step === 0 ? key : mixBits(key ^ mixBits(step))) % TABLE_SIZE]
  }
}
