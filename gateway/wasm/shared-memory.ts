// What the stores in shared memory (data, queues, metrics of guests) have in common: a lock that survives the death of its
// holder, a hash that those who send the keys can't aim, and cheap copies of what is read.

/**
 * ms a lock may be seen in one and the same hold before its holder counts as dead. Holds last about a microsecond, but a
 * live holder can be off its core for a tenth of a second and more on a crowded machine, and an update would be lost. The
 * price is this long a wait after a thread was ended inside a hold.
 */
const STEAL_AFTER = 2000
const SPINS = 100

/** One thread's way to take locks in a buffer. A lock is two words: its holder, then the count of holds. */
export class SharedLock {
  readonly #words: Int32Array
  readonly #owner: number
  readonly #never: number
  #canSleep = true

  /** @param owner not 0, and no other thread's @param never index of a word nobody writes: threads that must wait sleep on it */
  constructor(words: Int32Array, owner: number, never: number) {
    this.#words = words
    this.#owner = owner
    this.#never = never
  }

  /** Takes the lock at word `at`, waiting as long as a live thread has it. */
  acquire(at: number): void {
    const words = this.#words
    if (Atomics.compareExchange(words, at, 0, this.#owner) !== 0) this.#wait(at)
    // Goes up with each hold, so that a waiting thread can tell a long hold from many short ones.
    words[at + 1]++
  }

  release(at: number): void {
    // Not a store: the lock may have been taken from this thread while it slept.
    Atomics.compareExchange(this.#words, at, this.#owner, 0)
  }

  #wait(at: number): void {
    const words = this.#words
    let seen = -1
    let since = 0
    for (let spins = 1; ; spins++) {
      const holder = Atomics.compareExchange(words, at, 0, this.#owner)
      if (holder === 0) return
      if (spins % SPINS !== 0) continue
      const holds = Atomics.load(words, at + 1)
      const now = performance.now()
      if (holds !== seen) {
        seen = holds
        since = now
      } else if (now - since > STEAL_AFTER) {
        if (Atomics.compareExchange(words, at, holder, this.#owner) === holder) return
        seen = -1
      }
      this.#sleep()
    }
  }

  /** Gives the holder, which may share this core, time to finish. */
  #sleep(): void {
    if (!this.#canSleep) return
    try {
      Atomics.wait(this.#words, this.#never, 0, 0.05)
    } catch {
      // A thread that may not block (some main threads) goes on spinning.
      this.#canSleep = false
    }
  }
}

/** Names come from clients; who doesn't know the seed can't aim them at one bucket. */
export function randomSeed(): number {
  return new DataView(crypto.getRandomValues(new Uint8Array(4)).buffer).getInt32(0)
}

/** Hash of a name in a namespace; latin1 texts, one character an octet. */
export function hashName(seed: number, namespace: string, name: string): number {
  let hash = seed ^ namespace.length
  for (let i = 0; i < namespace.length; i++) hash = Math.imul(hash ^ namespace.charCodeAt(i), 0x01000193)
  for (let i = 0; i < name.length; i++) {
    hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193)
    hash ^= hash >>> 15
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}

/** Whether the octets at `position` are `text`. */
export function sameOctets(bytes: Uint8Array, position: number, text: string): boolean {
  for (let i = 0; i < text.length; i++) if (bytes[position + i] !== (text.charCodeAt(i) & 0xff)) return false
  return true
}

export function writeOctets(bytes: Uint8Array, position: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[position + i] = text.charCodeAt(i)
}

/** Octets. */
const POOL = 16 * 1024

/** Copies octets out of shared memory. Small ones are cut from a common buffer: allocating one for each takes microseconds on Deno. */
export class PooledCopies {
  #pool = new Uint8Array(0)
  #used = POOL

  copy(bytes: Uint8Array, start: number, length: number): Uint8Array {
    if (length > POOL / 16) return new Uint8Array(bytes.subarray(start, start + length))
    if (this.#used + length > POOL) {
      this.#pool = new Uint8Array(POOL)
      this.#used = 0
    }
    const pool = this.#pool
    const from = this.#used
    for (let i = 0; i < length; i++) pool[from + i] = bytes[start + i]
    this.#used = from + length
    return pool.subarray(from, from + length)
  }
}
