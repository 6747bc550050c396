// Access to a guest's linear memory for host calls. Every pointer and length comes from the guest: callers check with
// `inside` before they read or write, and ask again after each call into the guest, which may have grown its memory.

import { Buffer } from "node:buffer"

/** Below this length a byte loop beats the runtimes' native decoders. */
const SHORT = 32

/** A view of one instance's memory that follows its growth. Pointers and lengths are taken modulo 2^32. */
export class GuestMemory {
  #memory: WebAssembly.Memory | null = null
  #buffer: ArrayBuffer = new ArrayBuffer(0)
  bytes: Buffer = Buffer.alloc(0)
  view: DataView = new DataView(new ArrayBuffer(0))

  /** Before this, as in a module's start section, every access is out of bounds. */
  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory
    this.#renew()
  }

  /** Lets go of the memory, so that a dead instance can be collected. */
  detach(): void {
    this.#memory = null
    this.#buffer = new ArrayBuffer(0)
    this.bytes = Buffer.alloc(0)
    this.view = new DataView(this.#buffer)
  }

  /** Follows growth of the memory, which empties old views: first thing in a host call and after the allocator. */
  refresh(): void {
    if (this.bytes.length === 0) this.#renew()
  }

  #renew(): void {
    if (this.#memory === null) return
    this.#buffer = this.#memory.buffer
    this.bytes = Buffer.from(this.#buffer)
    this.view = new DataView(this.#buffer)
  }

  /** Octets of the memory now. */
  get size(): number {
    this.refresh()
    return this.bytes.length
  }

  /** Whether `length` octets at `pointer` lie in the memory. Nothing at address 0 always does. */
  inside(pointer: number, length: number): boolean {
    return (pointer >>> 0) + (length >>> 0) <= this.bytes.length
  }

  /** One character an octet. */
  latin1(pointer: number, length: number): string {
    const start = pointer >>> 0
    const n = length >>> 0
    if (n > SHORT) return this.bytes.toString("latin1", start, start + n)
    const bytes = this.bytes
    const end = start + n
    let text = ""
    let i = start
    for (; i + 4 <= end; i += 4) text += String.fromCharCode(bytes[i], bytes[i + 1], bytes[i + 2], bytes[i + 3])
    for (; i < end; i++) text += String.fromCharCode(bytes[i])
    return text
  }

  /** For people: malformed sequences become U+FFFD. */
  utf8(pointer: number, length: number): string {
    const start = pointer >>> 0
    return this.bytes.toString("utf8", start, start + (length >>> 0))
  }

  /** The octets themselves: good until the next call into the guest. */
  octets(pointer: number, length: number): Uint8Array {
    const start = pointer >>> 0
    return this.bytes.subarray(start, start + (length >>> 0))
  }

  /** A copy that later writes of the guest don't reach. */
  copy(pointer: number, length: number): Uint8Array {
    const start = pointer >>> 0
    return new Uint8Array(this.#buffer.slice(start, start + (length >>> 0)))
  }

  writeLatin1(pointer: number, text: string): void {
    const n = text.length
    if (n > SHORT) {
      this.bytes.write(text, pointer, "latin1")
      return
    }
    const bytes = this.bytes
    for (let i = 0; i < n; i++) bytes[pointer + i] = text.charCodeAt(i)
  }

  writeBytes(pointer: number, bytes: Uint8Array): void {
    this.bytes.set(bytes, pointer)
  }

  /** A little-endian u32; the address must be inside. */
  writeWord(pointer: number, value: number): void {
    this.view.setUint32(pointer >>> 0, value, true)
  }

  /** Whole nanoseconds of `ms` milliseconds (at most 2^50 ms, with fraction) as a little-endian u64. */
  writeNanoseconds(pointer: number, ms: number): void {
    const whole = Math.floor(ms)
    const fraction = Math.floor((ms - whole) * 1e6)
    // A double holds neither the product nor the sum exactly, so it is made in two parts: high · 2^16 + low.
    const high = Math.floor(whole / 65536) * 1e6
    const low = (high % 65536) * 65536 + (whole % 65536) * 1e6 + fraction
    this.view.setUint32(pointer >>> 0, low % 4294967296, true)
    this.view.setUint32((pointer >>> 0) + 4, Math.floor(high / 65536) + Math.floor(low / 4294967296), true)
  }
}
