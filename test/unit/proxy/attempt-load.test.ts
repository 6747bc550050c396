// How much more attempts send to a service than its clients do: exchanges with endpoints that all do the same, on a clock of its own.

import { describe, expect, test } from "vitest"
import type { UpstreamHandler, UpstreamStream } from "../../../gateway/http/exchange.ts"
import { RequestHead, ResponseHead } from "../../../gateway/http/message.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import type { AttemptsOwner } from "../../../gateway/proxy/attempt.ts"
import { Attempts } from "../../../gateway/proxy/attempts.ts"
import type { Plane } from "../../../gateway/proxy/plane.ts"
import type { Backend, Route } from "../../../gateway/proxy/route.ts"
import { HedgePolicy } from "../../../gateway/resilience/hedge.ts"
import { RetryPolicy } from "../../../gateway/resilience/retry.ts"
import type { Endpoint } from "../../../gateway/upstream/endpoint.ts"
import type { ConnectionWaiter } from "../../../gateway/upstream/pool.ts"
import { limitsOf } from "../../support/limits.ts"

type Answer = (handler: UpstreamHandler) => void

const status: Answer = (handler) => {
  const head = new ResponseHead()
  head.status = 503
  head.body = "none"
  handler.onResponseHead(head)
  handler.onResponseComplete()
  handler.onResponseEnd(null)
}
const reset: Answer = (handler) => handler.onUpstreamFailed("upstreamReset", "", true)
const closed: Answer = (handler) => handler.onUpstreamFailed("upstreamClosed", "", true)
const refused: Answer = (handler) => handler.onUpstreamFailed("upstreamRefused", "", true)
const silence: Answer = () => {}

class Bench {
  now = 1000
  sent = 0
  readonly limits: ReturnType<typeof limitsOf>
  readonly #wheel = new TimerWheel(() => this.now)
  readonly #endpoints: readonly Endpoint[]
  readonly #running = new Set<Attempts>()
  readonly #answer: Answer
  readonly #route: Partial<Route>
  /** Endpoints a balancer gives, of three. */
  readonly #usable: number

  constructor(answer: Answer, route: Partial<Route>, usable = 3) {
    this.#answer = answer
    this.#route = route
    this.#usable = usable
    this.limits = limitsOf({}, { wheel: this.#wheel })
    this.#endpoints = Array.from({ length: 3 }, (_, i) => this.#endpoint(`e${i}`))
  }

  #endpoint(address: string): Endpoint {
    const endpoint = {
      address,
      begin: () => true,
      end() {},
      answered: () => false,
      ended() {},
      cutShort() {},
      untold() {},
      failed() {},
      outpaced() {},
      abandon() {},
      acquire: (waiter: ConnectionWaiter) => waiter.onConnection(this.#connection()),
    }
    return endpoint as unknown as Endpoint
  }

  #connection(): UpstreamStream {
    const connection = {
      uses: 0,
      writable: true,
      send: (handler: UpstreamHandler) => {
        this.sent++
        this.#due.push(() => this.#answer(handler))
        return "none"
      },
      flush() {},
      cancel() {},
    }
    return connection as unknown as UpstreamStream
  }

  #due: (() => void)[] = []

  begin(): void {
    const head = new RequestHead()
    head.method = "GET"
    const end = (): void => {
      this.#running.delete(attempts)
      attempts.end()
    }
    const owner = {
      endsAt: Number.POSITIVE_INFINITY,
      onConnected() {},
      onDueChanged() {},
      onAttempt() {},
      onResponseHead: () => false,
      onResponseComplete() {},
      onResponseEnd: end,
      onResponseFailed: end,
      onUnanswered: end,
    }
    const usable = this.#endpoints.slice(0, this.#usable)
    const balancer = {
      next: (tried: readonly Endpoint[] | null) => usable.find((each) => tried?.includes(each) !== true) ?? usable[0],
      hasOthers: (tried: readonly Endpoint[] | null) => this.#endpoints.some((each) => tried?.includes(each) !== true),
    }
    const service = { name: "s", endpoints: this.#endpoints, balancer, hashKey: null, limits: this.limits, mayBeHttp2: true }
    const route = { retry: null, mirrors: null, hedge: null, keepsBodies: false, perTryTimeout: 0, ...this.#route }
    const plane = { means: { wheel: this.#wheel, random: () => 0.5, metrics: { add() {} }, epoch: 0 }, serviceSlots: () => undefined }
    const backend = { name: "s", service } as unknown as Backend
    const attempts: Attempts = new Attempts(
      owner as unknown as AttemptsOwner,
      plane as unknown as Plane,
      route as unknown as Route,
      backend,
      head,
      "",
      false,
    )
    this.#running.add(attempts)
    attempts.start()
  }

  /** Time passes; what was sent before is answered, and what is due done. */
  pass(ms: number): void {
    this.now += ms
    this.#wheel.refresh()
    for (const answer of this.#due.splice(0)) answer()
    for (const attempts of [...this.#running]) if (attempts.dueAt <= this.now) attempts.onDeadline(this.now)
  }
}

const retry = new RetryPolicy({ attempts: 3, on: ["connectFailure", "refused", "reset", "5xx", 504] })

describe("a service of which everything fails", () => {
  test.each([
    ["with a status", status, {}],
    ["by resets", reset, {}],
    ["by connections that end", closed, {}],
    ["by silence", silence, { perTryTimeout: 50 }],
    ["by silence, raced", silence, { perTryTimeout: 50, hedge: new HedgePolicy({ after: 20, percentile: 0 }) }],
  ] as const)("%s gets 1.2 times what clients send, and 10/s", (_, answer, route) => {
    const bench = new Bench(answer, { retry, ...route })
    const seconds = 30
    let asked = 0
    for (let i = 0; i < seconds * 100; i++) {
      for (let n = 0; n < 5; n++, asked++) bench.begin()
      bench.pass(10)
    }
    expect(bench.sent).toBeLessThanOrEqual(1.2 * asked + 10 * (seconds + 10))
    expect(bench.sent).toBeGreaterThan(1.1 * asked)
  })
})

test("what is refused unseen is sent again as often as its route says and once beside, whatever the budget", () => {
  const bench = new Bench(refused, { retry })
  bench.begin()
  for (let i = 0; i < 200; i++) bench.pass(10)
  expect(bench.sent).toBe(5)
})

test("a race with nobody to run against costs none of the budget", () => {
  const bench = new Bench(silence, { hedge: new HedgePolicy({ after: 20, percentile: 0 }) }, 1)
  // Others are ejected.
  for (let i = 0; i < 300; i++) bench.begin()
  for (let i = 0; i < 5; i++) bench.pass(10)
  expect(bench.sent).toBe(300)
  let left = 0
  while (left < 1000 && bench.limits.admitRetry()) left++
  expect(left).toBe(160)
})
