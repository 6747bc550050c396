// Queues of filters: items that one guest leaves for another, in whatever worker it runs. All queues live in one
// SharedArrayBuffer; an item is in it once and leaves it once. Nothing here blocks for longer than a copy.
//
// Each queue has a lock and a ring. Whoever registered last hears of items, one call each; the calls owed are counted in the
// queue, and when a receiver ends the next one is owed a call for each item left. Threads wake each other through `wake`;
// should that fail, any poll finds what is owed.

import { Buffer } from "node:buffer"
import { setImmediate } from "node:timers"
import type { SharedQueues } from "./proxy-wasm/host.ts"
import { hashName, randomSeed, SharedLock, sameOctets, writeOctets } from "./shared-memory.ts"
import { ringWords, SharedRings } from "./shared-ring.ts"

/** Octets of one item. */
export const MAX_QUEUE_ITEM = 64 * 1024
/** Octets of a queue's name and its namespace together. */
export const MAX_QUEUE_NAMES = 1024
const DEFAULT_QUEUES = 128
/** Octets of the ring of one queue; each item takes its length and up to 7 octets of it. Memory never used is never mapped. */
const DEFAULT_QUEUE_BYTES = 256 * 1024
/** Calls one queue makes of its receiver before others have their turn. */
const BATCH = 32

const MAGIC = 0x534c5155
const HEADER_WORDS = 16
const H_MAGIC = 0
const H_QUEUES = 1
const H_THREADS = 2
const H_RING = 3
const H_SEED = 4
const H_OWNERS = 5
const H_NEVER = 6
/** Two words: the lock of the directory, held to find, make and take over queues. */
const H_LOCK = 8
/** Goes up with every registration. */
const H_SEQUENCE = 10
// After the header: a word for each thread, 1 while it is being woken; then the hash of each place's name, 0 while it has none.

/** Two words. */
const Q_LOCK = 0
/** 0 = the place is free. */
const Q_ID = 2
const Q_NAMES = 3
/** Items the receiver has not been called for. */
const Q_OWED = 4
/** Thread + 1; 0 = nobody is registered. */
const Q_RECEIVER = 5
/** Items refused. */
const Q_REFUSED = 6
/** Sequence of the last registration. */
const Q_USED = 7
const Q_EPOCH = 8
const QUEUE_WORDS = 9

/** Ids are a place's number in the low bits, and above them how often it was given away: old ids become unknown. */
const PLACE_BITS = 8
const MAX_QUEUES = 1 << PLACE_BITS
const MAX_EPOCH = 0x7fffff

export interface SharedQueuesSize {
  /** Threads that may receive; they are numbered from 0. */
  readonly threads: number
  /** At most 256. */
  readonly queues?: number
  /** Rounded up to a power of two. */
  readonly queueBytes?: number
}

export interface SharedQueueStats {
  /** UTF-8 of the namespace and the name. */
  readonly namespace: string
  readonly name: string
  readonly items: number
  /** Octets taken of the ring. */
  readonly bytes: number
  /** Items refused because the queue was full or they were too large. */
  readonly refused: number
  /** Whether anyone would hear of an item. */
  readonly received: boolean
}

/** Memory for queues, all of them empty. Threads open it with {@link SharedQueueStore}. */
export function createSharedQueues(size: SharedQueuesSize): SharedArrayBuffer {
  const queues = Math.min(Math.max(size.queues ?? DEFAULT_QUEUES, 1), MAX_QUEUES)
  const bytes = Math.min(Math.max(size.queueBytes ?? DEFAULT_QUEUE_BYTES, 64), 1 << 24)
  const ring = 1 << (32 - Math.clz32(bytes - 1))
  const buffer = new SharedArrayBuffer((HEADER_WORDS + size.threads + queues + queues * placeWords(size.threads, ring)) * 4)
  const words = new Int32Array(buffer)
  words[H_MAGIC] = MAGIC
  words[H_QUEUES] = queues
  words[H_THREADS] = size.threads
  words[H_RING] = ring
  words[H_SEED] = randomSeed()
  return buffer
}

/** Words of one place: its own, a registration for each thread, its names, its ring. */
function placeWords(threads: number, ring: number): number {
  return QUEUE_WORDS + threads + MAX_QUEUE_NAMES / 4 + ringWords(ring)
}

export interface SharedQueueOptions {
  /** Number of the calling thread; −1 = it never registers. */
  readonly thread: number
  /** Has that thread call {@link SharedQueueStore.poll} soon. */
  wake(thread: number): void
}

class Registration {
  readonly id: number
  readonly sequence: number
  readonly ready: () => void

  constructor(id: number, sequence: number, ready: () => void) {
    this.id = id
    this.sequence = sequence
    this.ready = ready
  }
}

/** One thread's view of the queues. */
export class SharedQueueStore implements SharedQueues {
  readonly #words: Int32Array
  readonly #bytes: Uint8Array
  readonly #locks: SharedLock
  readonly #rings: SharedRings
  readonly #thread: number
  readonly #threads: number
  readonly #queues: number
  /** Word index of the first place's hash, and of the first place; words from one place to the next. */
  readonly #hashes: number
  readonly #places: number
  readonly #stride: number
  readonly #seed: number
  readonly #wake: (thread: number) => void
  /** Of this thread, by id; the newest, last, is the one that is called. */
  readonly #registered = new Map<number, Registration[]>()
  #scheduled = false

  constructor(buffer: SharedArrayBuffer, options: SharedQueueOptions) {
    this.#words = new Int32Array(buffer)
    this.#bytes = new Uint8Array(buffer)
    const words = this.#words
    if (words[H_MAGIC] !== MAGIC) throw new TypeError("not shared queues; make them with createSharedQueues()")
    this.#threads = words[H_THREADS]
    if (options.thread >= this.#threads) throw new RangeError(`thread ${options.thread} of ${this.#threads}`)
    this.#thread = options.thread
    this.#queues = words[H_QUEUES]
    this.#rings = new SharedRings(buffer, words[H_RING], MAX_QUEUE_ITEM)
    this.#hashes = HEADER_WORDS + this.#threads
    this.#places = this.#hashes + this.#queues
    this.#stride = placeWords(this.#threads, words[H_RING])
    this.#seed = words[H_SEED]
    this.#wake = options.wake
    this.#locks = new SharedLock(words, Atomics.add(words, H_OWNERS, 1) + 1, H_NEVER)
  }

  /**
   * Makes a queue or joins it. Items it holds that nobody was registered for count as enqueued now. Null when the names are
   * too long, or every place is taken by a queue that has a receiver; one without gives way, the longest unused first.
   */
  register(namespace: string, name: string, ready: () => void): { readonly id: number; release(): void } | null {
    if (this.#thread < 0) throw new Error("this thread can't receive")
    if (namespace.length + name.length > MAX_QUEUE_NAMES) return null
    const words = this.#words
    this.#locks.acquire(H_LOCK)
    const hash = this.#hash(namespace, name)
    const at = this.#find(namespace, name, hash) || this.#make(namespace, name, hash)
    if (at === 0) {
      this.#locks.release(H_LOCK)
      return null
    }
    words[H_SEQUENCE]++
    const registration = new Registration(words[at + Q_ID], words[H_SEQUENCE], ready)
    this.#locks.acquire(at + Q_LOCK)
    if (words[at + Q_RECEIVER] === 0) words[at + Q_OWED] = this.#rings.items(this.#ringOf(at))
    words[at + Q_USED] = registration.sequence
    words[at + QUEUE_WORDS + this.#thread] = registration.sequence
    words[at + Q_RECEIVER] = this.#thread + 1
    const owed = words[at + Q_OWED]
    this.#locks.release(at + Q_LOCK)
    this.#locks.release(H_LOCK)
    const { id } = registration
    const others = this.#registered.get(id)
    if (others === undefined) this.#registered.set(id, [registration])
    else others.push(registration)
    if (owed > 0) this.#schedule()
    return { id, release: () => this.#release(registration) }
  }

  #release(registration: Registration): void {
    const { id } = registration
    const own = this.#registered.get(id)
    const index = own === undefined ? -1 : own.indexOf(registration)
    if (own === undefined || index === -1) return
    own.splice(index, 1)
    if (own.length === 0) this.#registered.delete(id)
    const at = this.#place(id)
    if (at !== 0) this.#unregister(at, id, this.#thread, own.length === 0 ? 0 : own[own.length - 1].sequence)
  }

  /** Sets what a thread has registered still, 0 = nothing. The newest registration of all receives from here on. */
  #unregister(at: number, id: number, thread: number, sequence: number): void {
    const words = this.#words
    this.#locks.acquire(at + Q_LOCK)
    let receiver = 0
    if (words[at + Q_ID] === id) {
      words[at + QUEUE_WORDS + thread] = sequence
      let newest = 0
      for (let i = 0; i < this.#threads; i++) {
        if (words[at + QUEUE_WORDS + i] <= newest) continue
        newest = words[at + QUEUE_WORDS + i]
        receiver = i + 1
      }
      words[at + Q_RECEIVER] = receiver
      // Who ends may have been called for items it had no time to take.
      words[at + Q_OWED] = Math.max(words[at + Q_OWED], this.#rings.items(this.#ringOf(at)))
      if (words[at + Q_OWED] === 0) receiver = 0
    }
    this.#locks.release(at + Q_LOCK)
    if (receiver !== 0) this.#tell(receiver - 1)
  }

  resolve(namespace: string, name: string): number {
    if (namespace.length + name.length > MAX_QUEUE_NAMES) return 0
    this.#locks.acquire(H_LOCK)
    const at = this.#find(namespace, name, this.#hash(namespace, name))
    const id = at === 0 ? 0 : this.#words[at + Q_ID]
    this.#locks.release(H_LOCK)
    return id
  }

  enqueue(id: number, value: Uint8Array): "ok" | "unknown" | "full" {
    const at = this.#place(id)
    if (at === 0) return "unknown"
    const words = this.#words
    let receiver = 0
    let outcome: "ok" | "unknown" | "full" = "unknown"
    this.#locks.acquire(at + Q_LOCK)
    // The place may have been given away meanwhile.
    if (words[at + Q_ID] === id) {
      if (this.#rings.push(this.#ringOf(at), value)) {
        words[at + Q_OWED]++
        receiver = words[at + Q_RECEIVER]
        outcome = "ok"
      } else {
        words[at + Q_REFUSED]++
        outcome = "full"
      }
    }
    this.#locks.release(at + Q_LOCK)
    if (receiver !== 0) this.#tell(receiver - 1)
    return outcome
  }

  dequeue(id: number): Uint8Array | "unknown" | "empty" {
    const at = this.#place(id)
    if (at === 0) return "unknown"
    this.#locks.acquire(at + Q_LOCK)
    const value = this.#words[at + Q_ID] === id ? (this.#rings.take(this.#ringOf(at)) ?? "empty") : "unknown"
    this.#locks.release(at + Q_LOCK)
    return value
  }

  /** Calls receivers of this thread that are owed a call: when it is woken, and now and then in case it was not. */
  poll(): void {
    // Before the look: who enqueues from here on wakes it again.
    Atomics.store(this.#words, HEADER_WORDS + this.#thread, 0)
    this.#deliver()
  }

  /** Ends what a thread that is gone had registered; its number may be given to another from then on. */
  forget(thread: number): void {
    Atomics.store(this.#words, HEADER_WORDS + thread, 0)
    for (let i = 0; i < this.#queues; i++) {
      const at = this.#at(i)
      if (this.#words[at + QUEUE_WORDS + thread] !== 0) this.#unregister(at, this.#words[at + Q_ID], thread, 0)
    }
  }

  stats(): SharedQueueStats[] {
    const words = this.#words
    const all: SharedQueueStats[] = []
    this.#locks.acquire(H_LOCK)
    for (let i = 0; i < this.#queues; i++) {
      const at = this.#at(i)
      if (words[at + Q_ID] === 0) continue
      const names = this.#namesOf(at)
      const split = names + (words[at + Q_NAMES] >>> 16)
      all.push({
        namespace: Buffer.from(this.#bytes.slice(names, split)).toString(),
        name: Buffer.from(this.#bytes.slice(split, split + (words[at + Q_NAMES] & 0xffff))).toString(),
        items: this.#rings.items(this.#ringOf(at)),
        bytes: this.#rings.bytes(this.#ringOf(at)),
        refused: words[at + Q_REFUSED] >>> 0,
        received: words[at + Q_RECEIVER] !== 0,
      })
    }
    this.#locks.release(H_LOCK)
    return all
  }

  #tell(thread: number): void {
    if (thread === this.#thread) this.#schedule()
    else if (Atomics.exchange(this.#words, HEADER_WORDS + thread, 1) === 0) this.#wake(thread)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      this.#deliver()
    })
  }

  #deliver(): void {
    for (const id of this.#registered.keys()) {
      let calls = 0
      while (calls < BATCH && this.#claim(id)) {
        calls++
        // Of what is registered now: a call may release and register.
        const own = this.#registered.get(id) as Registration[]
        own[own.length - 1].ready()
      }
      if (calls === BATCH) this.#schedule()
    }
  }

  /** Takes one of the calls this thread owes for a queue. */
  #claim(id: number): boolean {
    const words = this.#words
    const at = this.#place(id)
    if (at === 0 || words[at + Q_OWED] <= 0) return false
    this.#locks.acquire(at + Q_LOCK)
    const owed = words[at + Q_ID] === id && words[at + Q_RECEIVER] === this.#thread + 1 && words[at + Q_OWED] > 0
    if (owed) words[at + Q_OWED]--
    this.#locks.release(at + Q_LOCK)
    return owed
  }

  /** Word index of the queue; 0 = there is none of that id. */
  #place(id: number): number {
    const i = id & (MAX_QUEUES - 1)
    if (i >= this.#queues) return 0
    const at = this.#at(i)
    return id !== 0 && this.#words[at + Q_ID] === id ? at : 0
  }

  #at(i: number): number {
    return this.#places + i * this.#stride
  }

  /** Octet index. */
  #namesOf(at: number): number {
    return (at + QUEUE_WORDS + this.#threads) * 4
  }

  /** Word index. */
  #ringOf(at: number): number {
    return at + QUEUE_WORDS + this.#threads + MAX_QUEUE_NAMES / 4
  }

  /** Never 0. */
  #hash(namespace: string, name: string): number {
    return hashName(this.#seed, namespace, name) | 1
  }

  /** With the directory locked. */
  #find(namespace: string, name: string, hash: number): number {
    const words = this.#words
    const names = (namespace.length << 16) | name.length
    for (let i = 0; i < this.#queues; i++) {
      if (words[this.#hashes + i] !== hash) continue
      const at = this.#at(i)
      if (words[at + Q_NAMES] !== names || words[at + Q_ID] === 0) continue
      const start = this.#namesOf(at)
      if (sameOctets(this.#bytes, start, namespace) && sameOctets(this.#bytes, start + namespace.length, name)) return at
    }
    return 0
  }

  /** Makes a queue in a free place or in that of one nobody receives from; 0 when there is none. With the directory locked. */
  #make(namespace: string, name: string, hash: number): number {
    const words = this.#words
    let at = 0
    for (let i = 0; i < this.#queues; i++) {
      const other = this.#at(i)
      if (words[other + Q_ID] === 0) {
        at = other
        break
      }
      if (words[other + Q_RECEIVER] !== 0) continue
      if (at === 0 || this.#givesWayBefore(other, at)) at = other
    }
    if (at === 0) return 0
    this.#locks.acquire(at + Q_LOCK)
    words[at + Q_ID] = 0
    const names = this.#namesOf(at)
    writeOctets(this.#bytes, names, namespace)
    writeOctets(this.#bytes, names + namespace.length, name)
    words[at + Q_NAMES] = (namespace.length << 16) | name.length
    this.#rings.reset(this.#ringOf(at))
    words[at + Q_OWED] = 0
    words[at + Q_RECEIVER] = 0
    words[at + Q_REFUSED] = 0
    words.fill(0, at + QUEUE_WORDS, at + QUEUE_WORDS + this.#threads)
    words[at + Q_EPOCH] = words[at + Q_EPOCH] === MAX_EPOCH ? 1 : words[at + Q_EPOCH] + 1
    const place = (at - this.#places) / this.#stride
    words[this.#hashes + place] = hash
    // Last: from here on the queue is there.
    Atomics.store(words, at + Q_ID, (words[at + Q_EPOCH] << PLACE_BITS) | place)
    this.#locks.release(at + Q_LOCK)
    return at
  }

  #givesWayBefore(a: number, b: number): boolean {
    const empty = this.#rings.items(this.#ringOf(a)) === 0
    if (empty !== (this.#rings.items(this.#ringOf(b)) === 0)) return empty
    return this.#words[a + Q_USED] < this.#words[b + Q_USED]
  }
}
