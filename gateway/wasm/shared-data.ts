// Shared data of filters: one key-value store for the whole process, in one SharedArrayBuffer that every thread maps, with
// compare-and-swap. It never grows: when room runs out, the entries written longest ago make way.
//
// The buffer is cut into stripes by hash of the key. Each has a lock, a hash table and a ring of records. New records are
// written at the ring's head; eviction takes them at its tail, but sends those updated since they were placed round again
// (second chance), so a counter in use survives a million one-off keys. When a thread dies with a lock in hand, another takes
// it over; if it was in the middle of a write, its stripe is emptied, since nothing in it can be trusted.

import { hashName, PooledCopies, randomSeed, SharedLock, sameOctets, writeOctets } from "./shared-memory.ts"

/** Octets. */
export const MAX_SHARED_KEY = 1024
export const MAX_SHARED_VALUE = 64 * 1024
const DEFAULT_SHARED_BYTES = 4 * 1024 * 1024
/** Each stripe holds a few of the largest values. */
const STRIPE_BYTES = 256 * 1024
const MAX_STRIPES = 256
/** Octets of ring for each bucket of the hash table. */
const BYTES_PER_BUCKET = 128

const MAGIC = 0x534c4453
const HEADER_WORDS = 16
const H_MAGIC = 0
const H_STRIPES = 1
const H_OWNERS = 2
const H_SEED = 3
/** Never written: threads that must wait sleep on it. */
const H_NEVER = 4

const STRIPE_WORDS = 16
/** Two words. */
const S_LOCK = 0
const S_DIRTY = 2
const S_CAS = 3
/** Octets from the ring's start. */
const S_HEAD = 4
const S_TAIL = 5
const S_USED = 6
const S_ENTRIES = 7
const S_EVICTIONS = 8
const S_RESETS = 9

/** Record: these words, then namespace, key, value; padded to words. */
const R_SIZE = 0
const R_STATE = 1
const R_NEXT = 2
const R_HASH = 3
const R_CAS = 4
const R_NAMES = 5
const R_VALUE = 6
const RECORD_WORDS = 7
const RECORD_BYTES = RECORD_WORDS * 4

const DEAD = 0
const PLACED = 1
const UPDATED = 2

export interface SharedEntry {
  readonly value: Uint8Array
  /** Changes with every write of the entry; never 0. */
  readonly cas: number
}

/** `full`: the key or the value is larger than the store takes. Room as such never runs out. */
export type SharedSetResult = "ok" | "cas-mismatch" | "full"

export interface SharedStoreStats {
  readonly entries: number
  /** Octets taken of `capacity`, what is about to be reused included. */
  readonly used: number
  readonly capacity: number
  readonly evictions: number
  /** Times a stripe was emptied because a thread died while it wrote there. */
  readonly resets: number
}

/** Makes an empty store of about this many octets (at least 256 KiB, at most 64 MiB). Threads open it with {@link SharedStore}. */
export function createSharedStore(bytes: number = DEFAULT_SHARED_BYTES): SharedArrayBuffer {
  const stripes = Math.min(Math.max(Math.floor(bytes / STRIPE_BYTES), 1), MAX_STRIPES)
  const buffer = new SharedArrayBuffer(HEADER_WORDS * 4 + stripes * STRIPE_BYTES)
  const words = new Int32Array(buffer)
  words[H_MAGIC] = MAGIC
  words[H_STRIPES] = stripes
  words[H_SEED] = randomSeed()
  return buffer
}

const BUCKETS = STRIPE_BYTES / BYTES_PER_BUCKET
const RING_OFFSET = (STRIPE_WORDS + BUCKETS) * 4
const RING_BYTES = STRIPE_BYTES - RING_OFFSET
const MAX_CHAIN = RING_BYTES / RECORD_BYTES
/** What one write may move out of eviction's way; less than the ring, so that it can't drive itself out. */
const MAX_MOVED_BYTES = RING_BYTES / 4

/** One thread's view of the store. Namespaces and keys are byte strings: one latin1 character an octet. */
export class SharedStore {
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #stripes: number
  readonly #seed: number
  readonly #locks: SharedLock
  readonly #copies = new PooledCopies()
  /** Records taken from the tail that get their second chance when the current write is done. */
  readonly #moving: Int32Array[] = []
  #movingBytes = 0

  // Found by #find, valid while the stripe is locked; word indices, 0 = none.
  #stripe = 0
  #ring = 0
  #found = 0

  constructor(buffer: SharedArrayBuffer) {
    this.#words = new Int32Array(buffer)
    this.#bytes = new Uint8Array(buffer)
    if (this.#words[H_MAGIC] !== MAGIC) throw new TypeError("not a shared store; make one with createSharedStore()")
    this.#stripes = this.#words[H_STRIPES]
    this.#seed = this.#words[H_SEED]
    this.#locks = new SharedLock(this.#words, Atomics.add(this.#words, H_OWNERS, 1) + 1, H_NEVER)
  }

  /** The entry, its value copied; undefined when it was never set or has been evicted. */
  get(namespace: string, key: string): SharedEntry | undefined {
    const hash = hashName(this.#seed, namespace, key)
    this.#lock(hash)
    this.#find(namespace, key, hash)
    let entry: SharedEntry | undefined
    const at = this.#found
    if (at !== 0) {
      const start = at * 4 + RECORD_BYTES + namespace.length + key.length
      const value = this.#copies.copy(this.#bytes, start, Math.min(this.#words[at + R_VALUE], MAX_SHARED_VALUE))
      entry = { value, cas: this.#words[at + R_CAS] >>> 0 }
    }
    this.#unlock()
    return entry
  }

  /** Writes the entry if `cas` is 0, is the entry's, or there is no such entry (Proxy-Wasm's rule). */
  set(namespace: string, key: string, value: Uint8Array, cas: number): SharedSetResult {
    if (key.length > MAX_SHARED_KEY || namespace.length > MAX_SHARED_KEY || value.length > MAX_SHARED_VALUE) return "full"
    const hash = hashName(this.#seed, namespace, key)
    this.#lock(hash)
    this.#find(namespace, key, hash)
    const words = this.#words
    const at = this.#found
    if (at !== 0 && cas !== 0 && words[at + R_CAS] !== (cas | 0)) {
      this.#unlock()
      return "cas-mismatch"
    }
    words[this.#stripe + S_DIRTY] = 1
    const names = namespace.length + key.length
    if (at !== 0 && RECORD_BYTES + names + value.length <= words[at + R_SIZE]) {
      words[at + R_STATE] = UPDATED
      words[at + R_CAS] = this.#nextCas()
      words[at + R_VALUE] = value.length
      this.#bytes.set(value, at * 4 + RECORD_BYTES + names)
    } else {
      if (at !== 0) this.#remove(at)
      this.#append(namespace, key, value, hash)
      if (this.#moving.length > 0) this.#replaceMoved()
    }
    words[this.#stripe + S_DIRTY] = 0
    this.#unlock()
    return "ok"
  }

  stats(): SharedStoreStats {
    let [entries, used, evictions, resets] = [0, 0, 0, 0]
    for (let i = 0; i < this.#stripes; i++) {
      const stripe = HEADER_WORDS + i * (STRIPE_BYTES / 4)
      entries += Atomics.load(this.#words, stripe + S_ENTRIES)
      used += Atomics.load(this.#words, stripe + S_USED)
      evictions += Atomics.load(this.#words, stripe + S_EVICTIONS) >>> 0
      resets += Atomics.load(this.#words, stripe + S_RESETS)
    }
    return { entries, used, capacity: this.#stripes * RING_BYTES, evictions, resets }
  }

  #lock(hash: number): void {
    const words = this.#words
    const stripe = HEADER_WORDS + ((hash >>> 0) % this.#stripes) * (STRIPE_BYTES / 4)
    this.#stripe = stripe
    this.#ring = stripe + RING_OFFSET / 4
    this.#locks.acquire(stripe + S_LOCK)
    if (words[stripe + S_DIRTY] !== 0) this.#reset()
  }

  #unlock(): void {
    this.#locks.release(this.#stripe + S_LOCK)
  }

  /** Looks for the key's record; leaves its word index, or 0, in `#found`. */
  #find(namespace: string, key: string, hash: number): void {
    const words = this.#words
    const names = (namespace.length << 16) | key.length
    let at = words[this.#bucket(hash)]
    for (let steps = 0; at !== 0; steps++) {
      // A thread that slept through the loss of its lock could have written here late.
      if (steps === MAX_CHAIN || !this.#inRing(at)) {
        this.#reset()
        at = 0
        break
      }
      if (words[at + R_HASH] === hash && words[at + R_NAMES] === names && this.#sameNames(at, namespace, key)) break
      at = words[at + R_NEXT]
    }
    if (at !== 0 && !this.#wellFormed(at, namespace.length + key.length)) {
      this.#reset()
      at = 0
    }
    this.#found = at
  }

  /** The record ends within the ring, and its contents within the record. */
  #wellFormed(at: number, names: number): boolean {
    const size = this.#words[at + R_SIZE]
    return size <= RING_BYTES - (at - this.#ring) * 4 && RECORD_BYTES + names + (this.#words[at + R_VALUE] >>> 0) <= size
  }

  #bucket(hash: number): number {
    // The low bits chose the stripe already.
    return this.#stripe + STRIPE_WORDS + ((hash >>> 8) % BUCKETS)
  }

  #sameNames(at: number, namespace: string, key: string): boolean {
    const position = at * 4 + RECORD_BYTES
    return sameOctets(this.#bytes, position, namespace) && sameOctets(this.#bytes, position + namespace.length, key)
  }

  #nextCas(): number {
    const words = this.#words
    const next = (words[this.#stripe + S_CAS] + 1) | 0 || 1
    words[this.#stripe + S_CAS] = next
    return next
  }

  #append(namespace: string, key: string, value: Uint8Array, hash: number): void {
    const size = (RECORD_BYTES + namespace.length + key.length + value.length + 3) & ~3
    const at = this.#place(size, hash)
    const words = this.#words
    words[at + R_CAS] = this.#nextCas()
    words[at + R_NAMES] = (namespace.length << 16) | key.length
    words[at + R_VALUE] = value.length
    const bytes = this.#bytes
    const position = at * 4 + RECORD_BYTES
    writeOctets(bytes, position, namespace)
    writeOctets(bytes, position + namespace.length, key)
    bytes.set(value, position + namespace.length + key.length)
  }

  /** Makes room at the ring's head and links an otherwise empty record there. */
  #place(size: number, hash: number): number {
    const words = this.#words
    const stripe = this.#stripe
    for (;;) {
      const head = words[stripe + S_HEAD]
      const left = RING_BYTES - head
      // A record is never split: when it doesn't fit before the ring's end, what is left there is skipped.
      if (RING_BYTES - words[stripe + S_USED] < Math.min(left, size)) {
        this.#evict()
        continue
      }
      const at = this.#ring + head / 4
      if (left < size) {
        if (left > 0) words[at + R_SIZE] = left
        if (left > 4) words[at + R_STATE] = DEAD
        words[stripe + S_USED] += left
        words[stripe + S_HEAD] = 0
        continue
      }
      words[stripe + S_HEAD] = head + size
      words[stripe + S_USED] += size
      words[stripe + S_ENTRIES]++
      const bucket = this.#bucket(hash)
      words[at + R_SIZE] = size
      words[at + R_STATE] = PLACED
      words[at + R_NEXT] = words[bucket]
      words[at + R_HASH] = hash
      words[bucket] = at
      return at
    }
  }

  /** Frees the oldest record, or the gap, at the ring's tail. */
  #evict(): void {
    const words = this.#words
    const stripe = this.#stripe
    const tail = words[stripe + S_TAIL]
    const at = this.#ring + tail / 4
    const size = words[at + R_SIZE]
    if (size < 4 || size > words[stripe + S_USED] || (size & 3) !== 0 || tail + size > RING_BYTES) {
      this.#reset()
      return
    }
    if (size >= RECORD_BYTES && words[at + R_STATE] !== DEAD) {
      if (words[at + R_STATE] === UPDATED && this.#movingBytes + size <= MAX_MOVED_BYTES) {
        this.#movingBytes += size
        this.#moving.push(words.slice(at, at + size / 4))
      } else {
        words[stripe + S_EVICTIONS]++
      }
      this.#remove(at)
    }
    words[stripe + S_TAIL] = tail + size === RING_BYTES ? 0 : tail + size
    words[stripe + S_USED] -= size
  }

  /** Puts what was spared from eviction back at the head, where it no longer counts as updated. */
  #replaceMoved(): void {
    const words = this.#words
    for (let i = 0; i < this.#moving.length; i++) {
      const record = this.#moving[i]
      const at = this.#place(record.length * 4, record[R_HASH])
      words.set(record.subarray(R_CAS), at + R_CAS)
    }
    this.#moving.length = 0
    this.#movingBytes = 0
  }

  /** Takes a record out of its bucket. */
  #remove(at: number): void {
    const words = this.#words
    words[at + R_STATE] = DEAD
    words[this.#stripe + S_ENTRIES]--
    let link = this.#bucket(words[at + R_HASH])
    for (let steps = 0; steps < MAX_CHAIN; steps++) {
      const next = words[link]
      if (next === at) {
        words[link] = words[at + R_NEXT]
        return
      }
      if (!this.#inRing(next)) return
      link = next + R_NEXT
    }
  }

  #inRing(at: number): boolean {
    return at >= this.#ring && at <= this.#ring + (RING_BYTES - RECORD_BYTES) / 4
  }

  /** Empties the stripe. */
  #reset(): void {
    const words = this.#words
    const stripe = this.#stripe
    words.fill(0, stripe + STRIPE_WORDS, stripe + STRIPE_WORDS + BUCKETS)
    words[stripe + S_HEAD] = 0
    words[stripe + S_TAIL] = 0
    words[stripe + S_USED] = 0
    words[stripe + S_ENTRIES] = 0
    words[stripe + S_RESETS]++
    words[stripe + S_DIRTY] = 0
  }
}
