// The dynamic table a peer's encoder fills (RFC 7541 §2.3.2): a ring, so that adding and evicting an entry moves no other. What was
// found out about a field is kept with it. It never holds more than `limit` octets by the count of RFC 7541 §4.1.

import { ENTRY_OVERHEAD } from "./hpack-static.ts"

export class DecoderTable {
  /** By slot, as {@link slotOf} gives it. */
  names: string[] = []
  values: string[] = []
  kinds: Int32Array = new Int32Array(0)
  /** Octets in use, and how many may be. */
  size = 0
  limit: number
  count = 0
  #mask = 0
  /** The slot the next entry takes. */
  #next = 0

  /** `room`: octets the limit may ever be set to, unless {@link makeRoom} says otherwise. */
  constructor(limit: number, room: number) {
    this.limit = limit
    this.makeRoom(room)
  }

  /** Makes place for the entries that `room` octets can hold. */
  makeRoom(room: number): void {
    let slots = 1
    while (slots * ENTRY_OVERHEAD < room) slots *= 2
    if (slots <= this.names.length) return
    const names = new Array<string>(slots).fill("")
    const values = new Array<string>(slots).fill("")
    const kinds = new Int32Array(slots)
    for (let i = 0; i < this.count; i++) {
      const from = this.slotOf(this.count - 1 - i)
      names[i] = this.names[from]
      values[i] = this.values[from]
      kinds[i] = this.kinds[from]
    }
    this.names = names
    this.values = values
    this.kinds = kinds
    this.#mask = slots - 1
    this.#next = this.count & this.#mask
  }

  /** The slot of the entry that `age` newer ones precede; −1 when there is none. */
  slotOf(age: number): number {
    return age < this.count ? (this.#next - 1 - age) & this.#mask : -1
  }

  /** Adds a field and evicts what that leaves no room for: everything, and the field too, when it is larger than the table (RFC 7541 §4.4). */
  add(name: string, value: string, kind: number): void {
    const size = name.length + value.length + ENTRY_OVERHEAD
    this.#shrinkTo(this.limit - size)
    if (size > this.limit) return
    const slot = this.#next
    this.names[slot] = name
    this.values[slot] = value
    this.kinds[slot] = kind
    this.#next = (slot + 1) & this.#mask
    this.count++
    this.size += size
  }

  /** Sets the limit, no higher than there is room for, and evicts what is over it. */
  resize(limit: number): void {
    this.limit = limit
    this.#shrinkTo(limit)
  }

  #shrinkTo(size: number): void {
    while (this.size > size && this.count > 0) {
      const slot = this.slotOf(this.count - 1)
      this.size -= this.names[slot].length + this.values[slot].length + ENTRY_OVERHEAD
      this.names[slot] = ""
      this.values[slot] = ""
      this.count--
    }
  }
}
