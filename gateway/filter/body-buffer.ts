// The octets of a body that a filter is shown: what has come and has not been passed on. It borrows the buffer they came
// in for as long as that is enough, and copies when it has to keep, join or edit them.

import { Buffer } from "node:buffer"

const EMPTY = Buffer.alloc(0)

export class BodyBuffer {
  #bytes: Buffer = EMPTY
  #start = 0
  #end = 0
  /** The storage is ours to write and to keep. */
  #owned = false

  get length(): number {
    return this.#end - this.#start
  }

  /** The octets; good until the next call of anything else here. */
  get bytes(): Buffer {
    return this.#start === 0 && this.#end === this.#bytes.length ? this.#bytes : this.#bytes.subarray(this.#start, this.#end)
  }

  /** Adds octets `[from, to)` of `buffer`. The first are only borrowed: {@link own} before the caller may reuse them. */
  append(buffer: Buffer, from: number, to: number): void {
    const length = this.#end - this.#start
    if (length === 0) {
      this.#bytes = buffer
      this.#start = from
      this.#end = to
      this.#owned = false
      return
    }
    this.#room(to - from)
    buffer.copy(this.#bytes, this.#end, from, to)
    this.#end += to - from
  }

  /** Takes over what `other` holds, behind what is here; `other` is empty afterwards. */
  take(other: BodyBuffer): void {
    if (other.length === 0) return
    if (this.length === 0) {
      this.#bytes = other.#bytes
      this.#start = other.#start
      this.#end = other.#end
      this.#owned = other.#owned
    } else {
      this.append(other.#bytes, other.#start, other.#end)
    }
    other.clear()
  }

  /** Lets go of the first `count` octets, or of all. */
  skip(count: number): void {
    if (count >= this.length) this.clear()
    else this.#start += count
  }

  /** Makes borrowed octets ours. */
  own(): void {
    if (!this.#owned && this.length > 0) this.#move(this.length)
  }

  /** Replaces `count` octets at `start` by `data`; both are cut to what is there. */
  splice(start: number, count: number, data: Uint8Array): void {
    const length = this.length
    const at = Math.min(start, length)
    const gone = Math.min(count, length - at)
    const grown = data.length - gone
    if (at === 0 && gone === length) {
      this.#bytes = Buffer.from(data)
      this.#start = 0
      this.#end = data.length
      this.#owned = true
      return
    }
    this.#room(Math.max(0, grown))
    const moved = this.#start + at + gone
    if (grown !== 0) this.#bytes.copyWithin(moved + grown, moved, this.#end)
    this.#bytes.set(data, this.#start + at)
    this.#end += grown
  }

  clear(): void {
    this.#bytes = EMPTY
    this.#start = 0
    this.#end = 0
    this.#owned = false
  }

  // Own storage with room for `more` octets behind what is here.
  #room(more: number): void {
    if (this.#owned && this.#end + more <= this.#bytes.length) return
    const length = this.length
    this.#move(Math.max(length + more, Math.min(length * 2, length + 1024 * 1024)))
  }

  #move(capacity: number): void {
    const length = this.length
    const bytes = Buffer.allocUnsafeSlow(capacity)
    this.#bytes.copy(bytes, 0, this.#start, this.#end)
    this.#bytes = bytes
    this.#start = 0
    this.#end = length
    this.#owned = true
  }
}
