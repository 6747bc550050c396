// A request whose client is paused while a retry of it is about to be sent: exchanges between a codec and an endpoint that
// the test plays, on a clock of its own.

import { Buffer } from "node:buffer"
import { beforeEach, expect, test } from "vitest"
import { HOLD, type HttpFilter } from "../../../gateway/filter/filter.ts"
import type { DownstreamHandler, DownstreamStream, UpstreamHandler, UpstreamStream } from "../../../gateway/http/exchange.ts"
import { RequestHead, ResponseHead } from "../../../gateway/http/message.ts"
import { Deadline, TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { Exchanges } from "../../../gateway/proxy/exchange.ts"
import { LocalReplies } from "../../../gateway/proxy/local-reply.ts"
import type { Plane } from "../../../gateway/proxy/plane.ts"
import { RetryPolicy } from "../../../gateway/resilience/retry.ts"
import { Watch } from "../../../gateway/telemetry/watch.ts"
import type { ConnectionWaiter } from "../../../gateway/upstream/pool.ts"
import { actingFilter } from "../../support/acting-filter.ts"
import { limitsOf } from "../../support/limits.ts"

let now: number
let wheel: TimerWheel
let log: string[]
let waiter: ConnectionWaiter | null
let upstream: UpstreamHandler
let handler: DownstreamHandler
let complete: boolean

beforeEach(() => {
  now = 1000
  wheel = new TimerWheel(() => now, 20)
  log = []
  waiter = null
  complete = false
})

/** Begins a POST on a route that retries 503. */
function begin(filters: readonly HttpFilter[] = []): void {
  const stream = {
    security: null,
    writable: true,
    takesChunks: true,
    requestSkippable: true,
    get requestComplete() {
      return complete
    },
    deadline: new Deadline(wheel, { onDeadline: () => handler.onDeadline() }),
    startRequestBody() {},
    pauseRequest: () => log.push("pause"),
    resumeRequest: () => log.push("resume"),
    sendHead: (head: ResponseHead) => log.push(`status ${head.status}`),
    sendBytes() {},
    flush() {},
    sendEnd() {},
  } as unknown as DownstreamStream
  const endpoint = {
    address: "e",
    weight: 1,
    active: 0,
    acquire: (waiting: ConnectionWaiter) => {
      waiter = waiting
    },
    abandon() {},
    begin: () => true,
    end() {},
    answered: () => true,
    ended() {},
    cutShort() {},
    untold() {},
    failed() {},
  }
  const none = { empty: true }
  const service = {
    endpoints: [endpoint],
    hashKey: null,
    balancer: { next: () => endpoint, hasOthers: () => false },
    limits: limitsOf(),
  }
  const backend = { name: "api", service, slots: {}, request: none, response: none }
  const route = {
    filters,
    forwards: true,
    redirect: null,
    direct: null,
    sticky: null,
    mirrors: null,
    draw: () => 0,
    backends: [backend],
    request: none,
    response: none,
    retry: new RetryPolicy({ attempts: 1, on: [503] }),
    hedge: null,
    keepsBodies: true,
    propagatesTimeout: false,
    perTryTimeout: 0,
    requestTimeout: 15_000,
    idleTimeout: 0,
  }
  const plane = {
    means: {
      wheel,
      metrics: { add() {}, observe() {} },
      accessLog: { wants: () => false, noteRequest: () => null, noteResponse: () => null, noteTrailers: () => null },
      replies: new LocalReplies(),
      random: () => 0.5,
      overload: { sheds: () => false },
      watch: new Watch(),
      forwarded: { complete: () => "id" },
    },
    snapshot: { pin() {}, unpin() {} },
    config: { timeouts: {} },
    listenerSlots: {},
    serviceSlots: () => undefined,
    router: { match: () => ({ target: route, matchedPrefix: "" }) },
  } as unknown as Plane
  const head = new RequestHead()
  head.method = "POST"
  head.target = "/"
  head.authority = "a"
  head.body = "close"
  handler = new Exchanges(plane).begin(stream, head)
}

/** The attempt under way gets its connection. */
function connect(): void {
  const connection = {
    uses: 0,
    writable: true,
    send: (made: UpstreamHandler) => {
      upstream = made
      return "encode"
    },
    sendBytes: (bytes: Buffer, from: number, to: number) => log.push(bytes.toString("latin1", from, to)),
    sendEnd: () => log.push("end"),
    flush() {},
    cancel() {},
    pauseResponse() {},
    resumeResponse() {},
  } as unknown as UpstreamStream
  waiter?.onConnection(connection)
}

function answer(status: number): void {
  const head = new ResponseHead()
  head.status = status
  upstream.onResponseHead(head)
  upstream.onResponseComplete()
  upstream.onResponseEnd(null)
}

function send(text: string): void {
  handler.onRequestBytes(Buffer.from(text), 0, text.length)
  handler.onRequestFlush()
}

/** The pause before a retry is over. */
function wait(): void {
  waiter = null
  now += 100
  wheel.advance()
  expect(waiter).not.toBeNull()
}

test("it goes on with the retry", () => {
  begin()
  connect()
  send("ab")
  answer(503)
  expect(log.splice(0)).toEqual(["ab", "pause"])
  wait()
  connect()
  expect(log).toEqual(["ab", "resume"])
})

test("it goes on also when its end had come before it was paused", () => {
  begin()
  connect()
  send("ab")
  answer(503)
  complete = true
  handler.onRequestEnd(null)
  wait()
  connect()
  expect(log).toEqual(["ab", "pause", "ab", "end", "resume"])
  answer(200)
  expect(log.at(-1)).toBe("status 200")
})

test("it stays paused when a filter lets go of the body meanwhile", () => {
  let goOn = (): void => {}
  const filter = actingFilter({
    requestBody: (stream, body, _, self) => {
      goOn = () => stream.continueRequest(self)
      return body.bytes.includes("hold") ? HOLD : 0
    },
  })
  begin([filter])
  send("ab")
  connect()
  send("hold")
  answer(503)
  log = []
  goOn()
  expect(log).toEqual([])
  wait()
  connect()
  expect(log).toEqual(["abhold", "resume"])
})

test("an exchange that is over while a retry waits begins none", () => {
  begin()
  connect()
  answer(503)
  waiter = null
  handler.onDownstreamGone()
  now += 100
  wheel.advance()
  expect(waiter).toBeNull()
})
