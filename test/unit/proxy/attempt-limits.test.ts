// What limits do to attempts: one that can't begin leaves the failure of the one before to the client, and gives back what it took.

import { expect, test } from "vitest"
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
import { circuitBreaker, limitsOf } from "../../support/limits.ts"

const RETRY = new RetryPolicy({ attempts: 3, on: ["reset", "5xx", "connectFailure"], backoff: { base: 100, max: 100 } })

/** One exchange with endpoints whose connections come when the test says so. */
class Scene {
  now = 1000
  readonly heads: string[] = []
  readonly blamed: string[] = []
  /** What the exchange was told. */
  readonly said: string[] = []
  readonly waiting: { readonly name: string; readonly waiter: ConnectionWaiter }[] = []
  readonly full = new Set<string>()
  readonly handlers: UpstreamHandler[] = []
  readonly limits = limitsOf({ circuitBreaker: { ...circuitBreaker, maxRetries: 1 } })
  readonly attempts: Attempts
  readonly wheel = new TimerWheel(() => this.now)

  constructor(names: readonly string[], route: Partial<Route>, endsAt = 60_000) {
    const endpoints = names.map((name) => this.#endpoint(name))
    const next = (tried: readonly Endpoint[] | null): Endpoint => endpoints.find((each) => tried?.includes(each) !== true) ?? endpoints[0]
    const hasOthers = (tried: readonly Endpoint[] | null): boolean => endpoints.some((each) => tried?.includes(each) !== true)
    const service = { name: "s", endpoints, balancer: { next, hasOthers }, hashKey: null, limits: this.limits, mayBeHttp2: false }
    const all = { retry: null, hedge: null, mirrors: null, keepsBodies: false, perTryTimeout: 0, ...route }
    const plane = { means: { wheel: this.wheel, random: () => 1, metrics: { add() {} }, epoch: 0 }, serviceSlots: () => undefined }
    const head = new RequestHead()
    head.method = "GET"
    head.body = "none"
    const owner: Partial<AttemptsOwner> = {
      endsAt,
      sourceAddress: "192.0.2.1",
      trail: null,
      onConnected() {},
      onDueChanged() {},
      onAttempt: (head) => head.fields.set("left", String(endsAt - this.now)),
      onResponseHead: ({ status }) => {
        this.said.push(String(status))
        return false
      },
      onUnanswered: (code) => {
        this.said.push(code)
        this.attempts.end()
      },
    }
    const backend = { name: "s", service } as unknown as Backend
    this.attempts = new Attempts(owner as AttemptsOwner, plane as unknown as Plane, all as unknown as Route, backend, head, "", false)
    this.attempts.start()
  }

  #endpoint(name: string): Endpoint {
    const endpoint = {
      address: name,
      begin: () => !this.full.has(name),
      end() {},
      answered() {},
      outpaced() {},
      untold() {},
      ended() {},
      cutShort() {},
      failed: (code: string) => this.blamed.push(`${name} ${code}`),
      acquire: (waiter: ConnectionWaiter) => this.waiting.push({ name, waiter }),
      abandon() {},
    }
    return endpoint as unknown as Endpoint
  }

  /** Gives a connection to whoever has waited longest. */
  connect(): UpstreamHandler {
    let handler: UpstreamHandler | null = null
    const send = (of: UpstreamHandler, head: RequestHead): string => {
      handler = of
      this.heads.push(head.fields.get("left") ?? "")
      return "none"
    }
    const stream = { uses: 0, writable: true, send, flush() {}, cancel() {}, pauseResponse() {}, resumeResponse() {} }
    this.waiting.shift()?.waiter.onConnection(stream as unknown as UpstreamStream)
    if (handler === null) throw new Error("nothing was sent")
    return handler
  }

  pass(ms: number): void {
    this.now += ms
    this.wheel.refresh()
    if (this.attempts.dueAt <= this.now) this.attempts.onDeadline(this.now)
  }
}

function answer(handler: UpstreamHandler, status: number): void {
  const head = new ResponseHead()
  head.status = status
  head.body = "none"
  handler.onResponseHead(head)
}

test("a retry that no endpoint has room for leaves the client the failure of the attempt before", () => {
  const scene = new Scene(["a", "b"], { retry: RETRY })
  const handler = scene.connect()
  scene.full.add("a").add("b")
  handler.onUpstreamFailed("upstreamReset", "", true)
  scene.pass(200)
  expect(scene.said).toEqual(["upstreamReset"])
})

test("a first attempt that no endpoint has room for is one too many", () => {
  const scene = new Scene(["a"], {})
  scene.waiting.shift()?.waiter.onNoConnection("overflow", "pool queue full")
  expect(scene.said).toEqual(["overflow"])
})

test("a retry that finds the queue full, or waits too long in it, leaves the client the failure before", () => {
  for (const code of ["overflow", "queueTimeout"] as const) {
    const scene = new Scene(["a", "b"], { retry: RETRY })
    scene.connect().onUpstreamFailed("upstreamReset", "", true)
    scene.pass(200)
    scene.waiting.shift()?.waiter.onNoConnection(code, "pool queue")
    expect(scene.said, code).toEqual(["upstreamReset"])
  }
})

test("whoever has waited too long for a connection doesn't wait again elsewhere, and no endpoint is to blame", () => {
  const scene = new Scene(["a", "b", "c"], { retry: RETRY })
  scene.waiting.shift()?.waiter.onNoConnection("queueTimeout", "pool queue")
  expect([scene.said, scene.waiting.length, scene.blamed]).toEqual([["queueTimeout"], 0, []])
})

test("a rival that finds no room, or fails, gives back its retry", () => {
  const hedge = new HedgePolicy({ after: 50, percentile: 0 })
  const full = new Scene(["a", "b"], { hedge })
  full.connect()
  full.full.add("b")
  full.pass(60)
  expect(full.attempts.count).toBe(1)
  expect(full.limits.admitRetry()).toBe(true)

  const failed = new Scene(["a", "b"], { hedge })
  failed.connect()
  failed.pass(60)
  expect(failed.limits.admitRetry(), "counts against maxRetries while it runs").toBe(false)
  failed.connect().onUpstreamFailed("upstreamReset", "", true)
  expect(failed.said).toEqual([])
  expect(failed.limits.admitRetry()).toBe(true)
})

test("how long an answer is wanted is told as it is when a connection has been waited for", () => {
  const scene = new Scene(["a"], {}, 11_000)
  scene.pass(4000)
  scene.connect()
  expect(scene.heads).toEqual(["6000"])
})

test("a retry whose pause would outlast the exchange isn't taken: the client has the answer there is", () => {
  const answered = new Scene(["a"], { retry: RETRY }, 1080)
  answer(answered.connect(), 503)
  expect(answered.said).toEqual(["503"])
  const failed = new Scene(["a"], { retry: RETRY }, 1080)
  failed.connect().onUpstreamFailed("upstreamReset", "", true)
  // What may be repeated is, once, without a pause.
  failed.connect().onUpstreamFailed("upstreamReset", "", true)
  expect(failed.said).toEqual(["upstreamReset"])
})

test("who was given up while a pool tells others that there is nothing for them begins nothing more", () => {
  const scene = new Scene(["a", "b"], { retry: RETRY })
  const [{ waiter }] = scene.waiting.splice(0)
  scene.attempts.end()
  waiter.onNoConnection("connectFailure", "")
  expect([scene.said, scene.waiting.length]).toEqual([[], 0])
})
