import { expect, test } from "vitest"
import type { ErrorCode } from "../../../gateway/errors.ts"
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
import type { ServiceLimits } from "../../../gateway/upstream/service-limits.ts"
import { circuitBreaker, limitsOf } from "../../support/limits.ts"

/** Numbers in [0, 1) that a seed decides (mulberry32). */
function draws(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const FAILURES: readonly ErrorCode[] = ["upstreamClosed", "upstreamReset", "upstreamRefused", "upstreamProtocol", "upstreamTruncated"]
const NO_CONNECTION: readonly ErrorCode[] = ["connectFailure", "connectFailure", "connectTimeout", "overflow", "queueTimeout"]
const STATUSES = [200, 200, 200, 204, 409, 500, 503, 503]
const MAY_FOLLOW: Readonly<Record<string, readonly string[]>> = {
  head: ["bytes", "complete", "failed", "over"],
  bytes: ["bytes", "complete", "failed", "over"],
  complete: ["end", "over"],
}

/** One exchange with endpoints that do what chance says. Throws where its attempts break their word. */
class Play {
  /** One request may be under way, and three retries. */
  readonly limits: ServiceLimits
  readonly endpoints: Endpoint[] = []
  /** Addresses of endpoints that have as much of others as they may. */
  readonly others = new Set<string>()
  readonly #random: () => number
  readonly #attempts: Attempts
  readonly #wheel: TimerWheel
  #now = 1000
  /** Of each connection in use, who drives it, and how far its answer is. */
  readonly #live = new Map<UpstreamStream, { handler: UpstreamHandler; state: string; body: number; sent: number; ended: boolean }>()
  readonly #waiting: ConnectionWaiter[] = []
  readonly #body: number
  #given = 0
  #wants = false
  #last = "none"
  #left = false
  /** An attempt has failed, and none was answered since. */
  #failed = false
  log: string[] = []

  constructor(seed: number) {
    const random = draws(seed)
    this.#random = random
    this.#wheel = new TimerWheel(() => this.#now)
    this.limits = limitsOf({ circuitBreaker: { ...circuitBreaker, maxRequests: 1, maxRetries: 3 } }, { wheel: this.#wheel })
    this.#body = random() < 0.5 ? 0 : 1 + Math.floor(random() * 5)
    for (let i = 0; i < 1 + Math.floor(random() * 3); i++) this.endpoints.push(this.#endpoint(`e${i}`))
    const head = new RequestHead()
    head.method = random() < 0.7 ? "GET" : "POST"
    head.body = this.#body === 0 ? "none" : "close"
    const next = (tried: readonly Endpoint[] | null): Endpoint | null => {
      if (random() < 0.05) return null
      return this.endpoints.find((each) => tried?.includes(each) !== true) ?? this.endpoints[0]
    }
    const hasOthers = (tried: readonly Endpoint[] | null): boolean => this.endpoints.some((each) => tried?.includes(each) !== true)
    const balancer = { next, hasOthers }
    const service = { name: "s", endpoints: this.endpoints, balancer, hashKey: null, limits: this.limits, mayBeHttp2: random() < 0.3 }
    const route = {
      retry: random() < 0.2 ? null : new RetryPolicy({ attempts: 3, on: ["connectFailure", "refused", "reset", "5xx", "retriable4xx"] }),
      mirrors: null,
      hedge: random() < 0.5 ? new HedgePolicy({ after: 50, percentile: 0 }) : null,
      keepsBodies: random() < 0.7,
      perTryTimeout: random() < 0.3 ? 200 : 0,
    }
    const plane = {
      means: { wheel: this.#wheel, random, metrics: { add() {} }, epoch: 0 },
      serviceSlots: () => undefined,
    }
    const owner = this.#owner()
    const backend = { name: "s", service } as unknown as Backend
    this.#attempts = new Attempts(owner, plane as unknown as Plane, route as unknown as Route, backend, head, "", false)
  }

  #endpoint(address: string): Endpoint {
    const { others } = this
    const cap = this.#random() < 0.2 ? 1 : 9
    // What others have under way there.
    if (this.#random() < 0.1) this.others.add(address)
    const endpoint = {
      address,
      weight: 1,
      active: 0,
      begin(): boolean {
        if (this.active >= cap || others.has(address)) return false
        this.active++
        return true
      },
      end(): void {
        this.active--
        if (this.active < 0) throw new Error("left twice")
      },
      answered: () => true,
      ended() {},
      cutShort() {},
      untold() {},
      failed() {},
      outpaced() {},
      acquire: (waiter: ConnectionWaiter) => {
        if (this.#random() < 0.4) this.#connect(waiter)
        else this.#waiting.push(waiter)
      },
      abandon: (waiter: ConnectionWaiter) => {
        const i = this.#waiting.indexOf(waiter)
        if (i < 0) throw new Error("gave up what it wasn't waiting for")
        this.#waiting.splice(i, 1)
      },
    }
    return endpoint as unknown as Endpoint
  }

  #connect(waiter: ConnectionWaiter): void {
    const connection = {
      uses: 0,
      writable: true,
      send: (handler: UpstreamHandler, head: RequestHead) => {
        this.#live.set(stream, { handler, state: "none", body: 0, sent: 0, ended: head.body === "none" })
        return head.body === "none" ? "none" : "plain"
      },
      sendBytes: (_: Buffer, from: number, to: number) => {
        this.#of(stream).sent += to - from
      },
      flush() {},
      sendEnd: () => {
        const of = this.#of(stream)
        if (of.sent !== this.#body) throw new Error(`request of ${of.sent} octets, not ${this.#body}`)
        of.ended = true
      },
      pauseResponse() {},
      resumeResponse() {},
      cancel: () => {
        this.#of(stream)
        this.#live.delete(stream)
      },
      endTunnel() {},
    }
    const stream = connection as unknown as UpstreamStream
    waiter.onConnection(stream)
  }

  #of(stream: UpstreamStream): { handler: UpstreamHandler; state: string; body: number; sent: number; ended: boolean } {
    const found = this.#live.get(stream)
    if (found === undefined) throw new Error("used a connection that is no longer its")
    return found
  }

  #says(what: string): void {
    this.log.push(what)
    const before = this.#last
    const fine = before === "none" ? what === "head" || what === "over" : (MAY_FOLLOW[before] ?? []).includes(what)
    if (!fine) throw new Error(`${what} after ${before}`)
    this.#last = what
  }

  #owner(): AttemptsOwner {
    return {
      endsAt: 60_000,
      sourceAddress: "192.0.2.1",
      trail: null,
      onConnected: (transfer) => {
        if (transfer !== "none") {
          if (this.#wants) throw new Error("the body was asked for twice")
          this.#wants = true
        }
      },
      onUpstreamWritable() {},
      onRetrying() {},
      onDueChanged() {},
      onAttempt() {},
      onInformational() {},
      onResponseHead: () => {
        this.#says("head")
        return false
      },
      onResponseBytes: () => this.#says("bytes"),
      onResponseFlush() {},
      onResponseComplete: () => this.#says("complete"),
      onResponseEnd: () => {
        this.#says("end")
        this.#attempts.end()
      },
      onTunnelEnd() {},
      onResponseFailed: () => {
        this.#says("failed")
        this.#attempts.end()
      },
      onUnanswered: (code) => {
        if (code === "overflow" && this.#failed) throw new Error("a limit hides why it failed")
        this.#says("over")
        this.#attempts.end()
      },
    }
  }

  get attempts(): number {
    return this.#attempts.count
  }

  get over(): boolean {
    return this.#last === "end" || this.#last === "failed" || this.#last === "over"
  }

  run(): void {
    this.#attempts.start()
    for (let i = 0; i < 400 && !this.over && !this.#left; i++) this.#step()
    // Whoever was given up has nobody left to tell.
    if (this.#left) this.#over()
    if (!this.over) this.#attempts.end()
    const active = this.endpoints.map((each) => each.active)
    if (active.some((n) => n !== 0)) throw new Error(`still active: ${active}`)
    if (!this.limits.admit()) throw new Error("still counted as a request")
    if (this.limits.admit()) throw new Error("given back twice")
    if (this.#live.size > 0 || this.#waiting.length > 0) throw new Error("still holds connections")
    // Three retries may be under way: none is now.
    const { limits } = this
    if (!(limits.admitRetry() && limits.admitRetry() && limits.admitRetry())) throw new Error("retries not given back")
    if (limits.admitRetry()) throw new Error("retries given back twice")
  }

  // No call may follow.
  #over(): void {
    if (this.#live.size > 0 || this.#waiting.length > 0) throw new Error("goes on after its end")
    if (this.#attempts.dueAt !== Number.POSITIVE_INFINITY) throw new Error("waits after its end")
    this.log.push("left")
  }

  #step(): void {
    const random = this.#random
    const dice = random()
    if (dice < 0.01) {
      // Its client leaves, or it is out of time, or a filter answers in its place and may hold that.
      const way = random()
      if (way < 0.3) this.#attempts.expire("responseTimeout")
      else if (way < 0.6) this.#attempts.cancel()
      else this.#attempts.end()
      this.#left = true
    } else if (dice < 0.05) {
      // Others come and go.
      const { address } = this.endpoints[Math.floor(random() * this.endpoints.length)]
      if (!this.others.delete(address)) this.others.add(address)
    } else if (dice < 0.25 && this.#waiting.length > 0) {
      const waiter = this.#waiting.splice(Math.floor(random() * this.#waiting.length), 1)[0]
      if (random() < 0.6) this.#connect(waiter)
      else this.#refuse(waiter)
    } else if (dice < 0.45 && this.#wants && this.#given < this.#body) {
      this.#given++
      this.#attempts.sendBytes(Buffer.from("x"), 0, 1)
      if (this.#given === this.#body) this.#attempts.sendEnd(null)
    } else if (dice < 0.6) {
      this.#now += random() < 0.5 ? 20 : 150
      this.#wheel.refresh()
      if (this.#attempts.dueAt <= this.#now) this.#attempts.onDeadline(this.#now)
    } else if (this.#live.size > 0) {
      const [stream, of] = [...this.#live][Math.floor(random() * this.#live.size)]
      this.#answer(stream, of)
    }
  }

  #refuse(waiter: ConnectionWaiter): void {
    const code = NO_CONNECTION[Math.floor(this.#random() * NO_CONNECTION.length)]
    waiter.onNoConnection(code, "")
  }

  #answer(stream: UpstreamStream, of: { handler: UpstreamHandler; state: string; body: number }): void {
    const random = this.#random
    if (random() < 0.2) {
      this.#live.delete(stream)
      this.#failed = true
      of.handler.onUpstreamFailed(FAILURES[Math.floor(random() * FAILURES.length)], "", of.state === "none")
    } else if (of.state === "none") {
      const head = new ResponseHead()
      head.status = STATUSES[Math.floor(random() * STATUSES.length)]
      head.body = random() < 0.5 ? "none" : "length"
      of.body = head.body === "none" ? 0 : 2
      of.state = "head"
      this.#failed = false
      of.handler.onResponseHead(head)
      if (this.#live.has(stream) && of.body === 0) this.#complete(stream, of.handler)
    } else if (of.body > 0) {
      of.body--
      of.handler.onResponseBytes(Buffer.from("y"), 0, 1)
      if (this.#live.has(stream) && of.body === 0) this.#complete(stream, of.handler)
    }
  }

  #complete(stream: UpstreamStream, handler: UpstreamHandler): void {
    this.#live.delete(stream)
    handler.onResponseComplete()
    handler.onResponseEnd(null)
  }
}

test("whatever endpoints do, there is one answer or none, and nothing is left behind", () => {
  const ends = new Map<string, number>()
  for (let seed = 1; seed <= 4000; seed++) {
    const play = new Play(seed)
    try {
      play.run()
    } catch (error) {
      throw new Error(`seed ${seed}: ${play.log.join(" ")}`, { cause: error })
    }
    const end = `${play.log.at(-1)} after ${Math.min(play.attempts, 3)}`
    ends.set(end, (ends.get(end) ?? 0) + 1)
  }
  // Chance has been everywhere.
  for (const end of [
    "end after 1",
    "end after 2",
    "end after 3",
    "failed after 1",
    "failed after 2",
    "over after 1",
    "over after 3",
    "left after 1",
    "left after 2",
  ])
    expect(ends.get(end), end).toBeGreaterThan(10)
})
