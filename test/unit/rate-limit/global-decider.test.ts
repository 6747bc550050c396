import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import type { RateLimitAsk, RateLimitVerdict, RateLimitWaiter } from "../../../gateway/filter/native/rate-limit-decider.ts"
import { GlobalDecider, type GlobalDeciderOptions } from "../../../gateway/rate-limit/global-decider.ts"
import { MAX_PENDING } from "../../../gateway/rate-limit/pending-requests.ts"
import type { CountStore, StoreAsker } from "../../../gateway/rate-limit/store-link.ts"
import { undecided } from "../../../gateway/rate-limit/verdict.ts"

/** What Redis does, on the fake clock; answers after `delay` ms. Counts are shared by all that have the same `full`. */
class FakeStore implements CountStore {
  up = true
  delay = 1
  silent = false
  trips = 0
  underWay = 0
  readonly #full: Map<string, number>
  readonly #sent: number[] = []
  readonly #unanswered: (() => void)[] = []

  constructor(full: Map<string, number> = new Map()) {
    this.#full = full
  }

  isLate(now: number, limit: number): boolean {
    return this.#sent.length > 0 && now - this.#sent[0] > limit
  }

  ask(asker: StoreAsker, key: string, interval: number, tolerance: number, wanted: number, returned: number): boolean {
    if (!this.up) return false
    this.trips++
    this.underWay++
    this.#sent.push(performance.now())
    if (this.silent) return true
    const answer = (): void => {
      const now = performance.now() * 1000
      let full = Math.max(now, (this.#full.get(key) ?? now) - returned * interval)
      const room = Math.max(0, Math.floor((tolerance - (full - now)) / interval + 1e-6))
      const granted = Math.min(wanted, room)
      full += granted * interval
      this.#full.set(key, full)
      const left = room - granted
      this.underWay--
      this.#sent.shift()
      const after = Math.max(0, full - now + (left + 1) * interval - tolerance)
      asker.onStoreReply({ granted, left, retryAfter: Math.ceil(after / 1000), reset: Math.ceil((full - now) / 1000) }, wanted)
    }
    if (this.delay > 0) setTimeout(answer, this.delay)
    else this.#unanswered.push(answer)
    return true
  }

  /** Answers what was asked while `delay` was 0. */
  answer(): void {
    for (const answer of this.#unanswered.splice(0)) answer()
  }

  look(): void {}
  close(): void {}
}

const clock = (): number => performance.now()

function decider(store: CountStore, more: Partial<GlobalDeciderOptions> = {}): GlobalDecider {
  return new GlobalDecider({
    store,
    timeout: 50,
    lease: 0.1,
    holders: 1,
    prefix: "t:",
    withoutStore: () => undecided(true),
    clock,
    onLeased() {},
    onWithout() {},
    fault: (error) => {
      throw error
    },
    ...more,
  })
}

function limit(requests: number, per: number, burst: number, value = "", name = "route:a"): RateLimitAsk {
  return {
    rule: { name, requests, per, burst, by: value === "" ? [] : ["source"], descriptor: [] },
    values: value === "" ? [] : [value],
    requests,
    per,
    burst,
  }
}

class Requests implements RateLimitWaiter {
  passed = 0
  refused = 0
  undecided = 0
  waiting = 0
  last: RateLimitVerdict | null = null

  send(decider: GlobalDecider, ...asks: RateLimitAsk[]): void {
    const waiter = { onVerdict: (verdict: RateLimitVerdict) => this.onVerdict(verdict) }
    this.waiting++
    const verdict = decider.decide(asks, waiter)
    if (verdict !== null) this.onVerdict(verdict)
  }

  onVerdict(verdict: RateLimitVerdict): void {
    this.waiting--
    this.last = { ...verdict }
    if (!verdict.decided) this.undecided++
    else if (verdict.allowed) this.passed++
    else this.refused++
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "setInterval", "clearInterval", "performance"] })
  vi.advanceTimersByTime(10_000)
})
afterEach(() => {
  vi.useRealTimers()
})

describe("a small limit", () => {
  test("is exact, over two gateways, with a question for each request", () => {
    const full = new Map<string, number>()
    const stores = [new FakeStore(full), new FakeStore(full)]
    const deciders = stores.map((store) => decider(store))
    const requests = new Requests()
    for (let i = 0; i < 20; i++) {
      requests.send(deciders[i % 2], limit(5, 60_000, 5))
      vi.advanceTimersByTime(5)
    }
    expect([requests.passed, requests.refused, requests.waiting]).toEqual([5, 15, 0])
    // Once refused, a gateway knows until when.
    expect(stores[0].trips + stores[1].trips).toBe(5 + 2)
    expect(requests.last).toMatchObject({ limit: 5, remaining: 0, index: 0 })
    expect(requests.last?.retryAfter).toBeGreaterThan(11_000)
    vi.advanceTimersByTime(12_000)
    requests.send(deciders[0], limit(5, 60_000, 5))
    vi.advanceTimersByTime(5)
    expect(requests.passed).toBe(6)
  })

  test("asks for all that wait at once, and refuses those it has no room for", () => {
    const store = new FakeStore()
    const one = decider(store)
    const requests = new Requests()
    for (let i = 0; i < 12; i++) requests.send(one, limit(5, 60_000, 5))
    vi.advanceTimersByTime(1)
    expect([requests.passed, requests.refused]).toEqual([1, 0])
    vi.advanceTimersByTime(1)
    expect([requests.passed, requests.refused, requests.waiting]).toEqual([5, 7, 0])
    expect(store.trips).toBe(2)
  })

  test("tells keys apart by their values, however these are put together", () => {
    const one = decider(new FakeStore())
    const requests = new Requests()
    const ask = (...values: string[]): RateLimitAsk => ({ ...limit(1, 60_000, 1), values })
    for (const values of [["a", "b"], ["a\n1:b"], ["a\n1", "b"], ["", "ab"], ["ab", ""]]) requests.send(one, ask(...values))
    vi.advanceTimersByTime(5)
    expect(requests.passed).toBe(5)
    requests.send(one, ask("a", "b"))
    vi.advanceTimersByTime(5)
    expect(requests.refused).toBe(1)
  })
})

describe("a large limit", () => {
  /** `seconds` of `rate` requests a second over gateways of one limit of 1000/s. */
  function load(gateways: number, rate: number, seconds: number): { requests: Requests; trips: number } {
    const full = new Map<string, number>()
    const stores = Array.from({ length: gateways }, () => new FakeStore(full))
    const deciders = stores.map((store) => decider(store, { holders: gateways }))
    const requests = new Requests()
    const each = rate / 1000
    let due = 0
    for (let ms = 0; ms < seconds * 1000; ms++) {
      for (due += each; due >= 1; due--) requests.send(deciders[(ms * 7 + Math.floor(due)) % gateways], limit(1000, 1000, 1000, "k"))
      vi.advanceTimersByTime(1)
    }
    vi.advanceTimersByTime(100)
    return { requests, trips: stores.reduce((sum, store) => sum + store.trips, 0) }
  }

  test("lets everything pass below it, and asks for few of the requests", () => {
    const { requests, trips } = load(2, 800, 3)
    expect([requests.passed, requests.refused, requests.undecided]).toEqual([2400, 0, 0])
    expect(trips).toBeLessThan(2400 / 8)
  })

  test("holds above it, within what is on lease", () => {
    const { requests, trips } = load(2, 4000, 3)
    // The burst, three seconds' worth, and at most a tenth of the burst.
    expect(requests.passed).toBeGreaterThanOrEqual(4000 - 100)
    expect(requests.passed).toBeLessThanOrEqual(4000 + 100)
    expect(requests.undecided).toBe(0)
    expect(trips).toBeLessThan(12_000 / 8)
  })

  test("gives back what isn't used", () => {
    const full = new Map<string, number>()
    const store = new FakeStore(full)
    const first = decider(store)
    const requests = new Requests()
    const ask = limit(100, 3_600_000, 100)
    for (let i = 0; i < 20; i++) {
      requests.send(first, ask)
      vi.advanceTimersByTime(2)
    }
    expect(requests.passed).toBe(20)
    vi.advanceTimersByTime(400)
    const second = decider(new FakeStore(full), { lease: 0 })
    for (let i = 0; i < 100; i++) {
      requests.send(second, ask)
      vi.advanceTimersByTime(2)
    }
    expect(requests.passed).toBe(100)
  })
})

test("several limits: what one refuses costs the others nothing", () => {
  const one = decider(new FakeStore())
  const requests = new Requests()
  const small = limit(2, 3_600_000, 2, "u", "route:small")
  const large = limit(5, 3_600_000, 5, "v", "route:large")
  for (let i = 0; i < 6; i++) {
    requests.send(one, large, small)
    vi.advanceTimersByTime(2)
  }
  expect([requests.passed, requests.refused]).toEqual([2, 4])
  expect(requests.last).toMatchObject({ allowed: false, index: 1, limit: 2 })
  vi.advanceTimersByTime(1000)
  for (let i = 0; i < 6; i++) {
    requests.send(one, large)
    vi.advanceTimersByTime(2)
  }
  expect([requests.passed, requests.refused]).toEqual([5, 7])
})

describe("a store that is away", () => {
  test("is not waited for", () => {
    const store = new FakeStore()
    store.up = false
    const requests = new Requests()
    requests.send(decider(store), limit(5, 1000, 5))
    expect([requests.undecided, requests.waiting]).toEqual([1, 0])
  })

  test("that doesn't answer is waited for no longer than the timeout, and by nobody after that", () => {
    const store = new FakeStore()
    store.silent = true
    const one = decider(store)
    const requests = new Requests()
    requests.send(one, limit(5, 1000, 5))
    vi.advanceTimersByTime(49)
    expect(requests.waiting).toBe(1)
    vi.advanceTimersByTime(1)
    expect(requests.undecided).toBe(1)
    vi.advanceTimersByTime(1)
    requests.send(one, limit(5, 1000, 5, "other"))
    expect([requests.undecided, requests.waiting]).toEqual([2, 0])
  })

  test("leaves no more waiting than may", () => {
    const store = new FakeStore()
    store.silent = true
    const one = decider(store)
    const requests = new Requests()
    for (let i = 0; i < MAX_PENDING + 10; i++) requests.send(one, limit(5, 1000, 5))
    expect([requests.waiting, requests.undecided]).toEqual([MAX_PENDING, 10])
  })

  test("what has been granted passes all the same", () => {
    const store = new FakeStore()
    const one = decider(store, { timeout: 5000 })
    const requests = new Requests()
    const ask = limit(1000, 1000, 1000)
    for (let i = 0; i < 40; i++) {
      requests.send(one, ask)
      vi.advanceTimersByTime(1)
    }
    store.up = false
    for (let i = 0; i < 10; i++) requests.send(one, ask)
    expect([requests.passed, requests.undecided]).toEqual([50, 0])
  })
})

test("a request that is gone is not told, and what was granted for it is given back", () => {
  const full = new Map<string, number>()
  const one = decider(new FakeStore(full))
  const told: string[] = []
  const gone = { onVerdict: () => told.push("gone") }
  expect(one.decide([limit(2, 3_600_000, 2)], gone)).toBe(null)
  one.forget(gone)
  vi.advanceTimersByTime(500)
  expect(told).toEqual([])
  const requests = new Requests()
  for (let i = 0; i < 3; i++) {
    requests.send(one, limit(2, 3_600_000, 2))
    vi.advanceTimersByTime(2)
  }
  expect([requests.passed, requests.refused]).toEqual([2, 1])
})

test("a flood of keys is forgotten again, before it takes more than its room", () => {
  const store = new FakeStore()
  store.delay = 0
  const one = decider(store)
  const requests = new Requests()
  for (let i = 0; i < 17_000; i++) {
    requests.send(one, limit(1, 1000, 1, `client-${i}`))
    if (i % 1000 === 999) store.answer()
  }
  vi.advanceTimersByTime(2000)
  expect([requests.passed, requests.waiting]).toEqual([17_000, 0])
  expect(one.keys).toBeLessThanOrEqual(16_384)
})

test("a configuration with other figures counts on with them", () => {
  const one = decider(new FakeStore())
  const requests = new Requests()
  for (let i = 0; i < 3; i++) {
    requests.send(one, limit(2, 3_600_000, 2))
    vi.advanceTimersByTime(2)
  }
  expect([requests.passed, requests.refused]).toEqual([2, 1])
  for (let i = 0; i < 3; i++) {
    requests.send(one, limit(4, 7_200_000, 4))
    vi.advanceTimersByTime(2)
  }
  expect([requests.passed, requests.refused]).toEqual([4, 2])
})
