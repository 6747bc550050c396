// Decides on requests of limits that several gateways share: at once where requests have been granted ahead or are known to be
// refused, else by asking the store. Nobody waits longer than the configured time; then, and while the store is away, it is as
// `onFailure` says.

import type { RateLimitAsk, RateLimitDecider, RateLimitVerdict, RateLimitWaiter } from "../filter/native/rate-limit-decider.ts"
import { HELD, REFUSED } from "../resilience/leased-bucket.ts"
import { CountedKey, keyOf } from "./counted-key.ts"
import type { GcraReply } from "./gcra-script.ts"
import { type PendingRequest, PendingRequests } from "./pending-requests.ts"
import type { CountStore } from "./store-link.ts"
import { Verdict } from "./verdict.ts"

/** Keys a worker knows of; over it those that weren't used for longest are forgotten. */
const MAX_KEYS = 16_384
/** Keys looked at for one to be forgotten, and in one round. */
const LOOK_AT = 64
/** ms between two rounds that give back what wasn't used. */
const ROUND = 50

export interface GlobalDeciderOptions {
  readonly store: CountStore
  /** ms a request waits at most. */
  readonly timeout: number
  /** Share of a burst that may be on lease, and workers, of all gateways, that may have one. */
  readonly lease: number
  readonly holders: number
  readonly prefix: string
  /** What is decided when the store isn't there. */
  readonly withoutStore: (asks: readonly RateLimitAsk[]) => RateLimitVerdict
  /** ms, monotonic. */
  readonly clock: () => number
  /** So many requests were granted ahead. */
  onLeased(requests: number): void
  /** One was decided without the store. */
  onWithout(): void
  /** A programming error showed in what a verdict led to. */
  fault(error: unknown): void
}

export class GlobalDecider implements RateLimitDecider {
  readonly #options: GlobalDeciderOptions
  readonly #store: CountStore
  readonly #pending: PendingRequests
  /** Those added or looked at last are at the end. */
  readonly #keys = new Map<string, CountedKey>()
  /** Those of which something is held. */
  readonly #leased = new Set<CountedKey>()
  readonly #verdict = new Verdict()
  #rounds: ReturnType<typeof setInterval> | null = null

  constructor(options: GlobalDeciderOptions) {
    this.#options = options
    this.#store = options.store
    this.#pending = new PendingRequests(options.timeout, options.clock, (request) => {
      this.#tell(request.waiter, this.#without(request.keys))
    })
  }

  /** Keys it knows of. */
  get keys(): number {
    return this.#keys.size
  }

  decide(asks: readonly RateLimitAsk[], waiter: RateLimitWaiter): RateLimitVerdict | null {
    const { clock, timeout } = this.#options
    const now = clock()
    const keys: CountedKey[] = []
    let known = true
    for (const ask of asks) {
      const key = this.#key(ask)
      const standing = key.bucket.standing(now)
      if (standing === REFUSED) return this.#refuse(key, keys.length, now)
      if (standing !== HELD) known = false
      keys.push(key)
    }
    if (known) {
      const verdict = this.#pass(keys, now)
      for (const key of keys) this.#ask(key, now)
      return verdict
    }
    const store = this.#store
    if (!store.up || this.#pending.full || store.isLate(now, timeout)) return this.#without(keys)
    if (this.#askFor(this.#pending.add(waiter, keys), now)) return null
    this.#pending.remove(waiter)
    return this.#without(keys)
  }

  forget(waiter: RateLimitWaiter): void {
    this.#pending.remove(waiter)
  }

  #key(ask: RateLimitAsk): CountedKey {
    const id = keyOf(ask)
    const known = this.#keys.get(id)
    if (known?.fits(ask)) return known
    if (known !== undefined) this.#drop(id, known)
    if (this.#keys.size >= MAX_KEYS) this.#makeRoom()
    const key = new CountedKey(ask, this.#options.lease, this.#options.holders)
    this.#keys.set(id, key)
    return key
  }

  #makeRoom(): void {
    if (this.#dropIdle() > 0) return
    for (const [id, key] of this.#keys) return this.#drop(id, key)
  }

  /** Forgets some of those not used for long; how many. */
  #dropIdle(): number {
    const now = this.#options.clock()
    let left = Math.min(LOOK_AT, this.#keys.size)
    let dropped = 0
    for (const [id, key] of this.#keys) {
      if (left-- === 0) break
      this.#keys.delete(id)
      if (key.bucket.idle(now) && !key.asking && key.waiting.length === 0) dropped++
      else this.#keys.set(id, key)
    }
    return dropped
  }

  // Requests that wait for it are told all the same: they know the key.
  #drop(id: string, key: CountedKey): void {
    this.#keys.delete(id)
    key.owed += key.bucket.surrender()
    if (key.owed > 0) this.#send(key, 0)
  }

  #pass(keys: readonly CountedKey[], now: number): RateLimitVerdict {
    let least = 0
    for (let i = 0; i < keys.length; i++) {
      keys[i].bucket.take(now)
      if (keys[i].bucket.remaining < keys[least].bucket.remaining) least = i
    }
    return this.#verdict.of(true, least, keys[least], now)
  }

  #refuse(key: CountedKey, index: number, now: number): RateLimitVerdict {
    return this.#verdict.of(false, index, key, now)
  }

  #without(asks: readonly RateLimitAsk[]): RateLimitVerdict {
    this.#options.onWithout()
    return this.#options.withoutStore(asks)
  }

  // --------------------------------------------------------------------------------------------------------------- asking

  /** Asks the store about it if there is something to ask; false when that can't be done. */
  #ask(key: CountedKey, now: number): boolean {
    if (key.asking) return true
    const wanted = key.bucket.wanted(now, key.waiting.length)
    return wanted === 0 || this.#send(key, wanted)
  }

  #askFor({ keys }: PendingRequest, now: number): boolean {
    for (const key of keys) if (!this.#ask(key, now)) return false
    return true
  }

  #send(key: CountedKey, wanted: number): boolean {
    const { owed } = key
    const asker = wanted === 0 ? NOBODY : { onStoreReply: (reply: GcraReply | null, count: number) => this.#onReply(key, reply, count) }
    if (!this.#store.ask(asker, key.name(this.#options.prefix), key.interval, key.tolerance, wanted, owed)) return false
    key.owed = 0
    if (wanted > 0) key.asking = true
    this.#rounds ??= setInterval(() => this.#round(), ROUND)
    return true
  }

  #onReply(key: CountedKey, reply: GcraReply | null, wanted: number): void {
    key.asking = false
    const waiting = [...key.waiting]
    if (reply === null) {
      for (const request of waiting) this.#settleWithout(request)
      return
    }
    const now = this.#options.clock()
    const ahead = reply.granted - waiting.length
    if (ahead > 0) this.#options.onLeased(ahead)
    key.bucket.answered(now, wanted, reply.granted, reply.left, reply.retryAfter, reply.reset)
    for (const request of waiting) this.#settle(request, now)
    if (key.bucket.held > 0) this.#leased.add(key)
    // More have come meanwhile than were asked for, or others took what they need of another key.
    for (const request of [...key.waiting]) if (!this.#askFor(request, now)) this.#settleWithout(request)
  }

  #settle(request: PendingRequest, now: number): void {
    const { keys, waiter } = request
    let known = true
    for (let i = 0; i < keys.length; i++) {
      const standing = keys[i].bucket.standing(now)
      if (standing === REFUSED) {
        this.#pending.remove(waiter)
        return this.#tell(waiter, this.#refuse(keys[i], i, now))
      }
      if (standing !== HELD) known = false
    }
    if (!known) return
    this.#pending.remove(waiter)
    this.#tell(waiter, this.#pass(keys, now))
  }

  #settleWithout({ waiter, keys }: PendingRequest): void {
    this.#pending.remove(waiter)
    this.#tell(waiter, this.#without(keys))
  }

  #tell(waiter: RateLimitWaiter, verdict: RateLimitVerdict): void {
    try {
      waiter.onVerdict(verdict)
    } catch (error) {
      this.#options.fault(error)
    }
  }

  // Gives back what wasn't used, and sees whether the store still answers. Ends when there is nothing more to do.
  #round(): void {
    this.#store.look()
    this.#dropIdle()
    const now = this.#options.clock()
    for (const key of this.#leased) {
      key.owed += key.bucket.overdue(now)
      if (key.bucket.held === 0) this.#leased.delete(key)
      // What can't be given back is lost with the lease: the store takes it for used.
      if (key.owed > 0 && !this.#send(key, 0)) key.owed = 0
    }
    if (this.#leased.size > 0 || this.#store.underWay > 0 || this.#rounds === null) return
    clearInterval(this.#rounds)
    this.#rounds = null
  }

  /** Gives back what it can; requests that wait are decided without the store. */
  close(): void {
    for (const key of this.#leased) {
      key.owed += key.bucket.surrender()
      if (key.owed > 0) this.#send(key, 0)
    }
    this.#keys.clear()
    for (const request of this.#pending.takeAll()) this.#settleWithout(request)
    this.#store.close()
    if (this.#rounds !== null) clearInterval(this.#rounds)
  }
}

/** Nobody waits for what is given back. */
const NOBODY = { onStoreReply(): void {} }
