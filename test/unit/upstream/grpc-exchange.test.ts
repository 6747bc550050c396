import { Buffer } from "node:buffer"
import { beforeEach, describe, expect, test } from "vitest"
import type { ErrorCode } from "../../../gateway/errors.ts"
import type { GrpcCallout, GrpcHandler } from "../../../gateway/filter/grpc-callout.ts"
import type { UpstreamHandler, UpstreamStream } from "../../../gateway/http/exchange.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import { type BodyKind, type RequestHead, ResponseHead } from "../../../gateway/http/message.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { GrpcExchange, type GrpcOwner } from "../../../gateway/upstream/grpc-exchange.ts"
import type { ConnectionWaiter } from "../../../gateway/upstream/pool.ts"
import type { Service } from "../../../gateway/upstream/services.ts"
import { frame, messagesOf } from "../../support/grpc-messages.ts"
import { limitsOf } from "../../support/limits.ts"

/** A service of two endpoints whose connections the test plays. */
class Play implements UpstreamStream {
  readonly version = "2"
  uses = 0
  writable = true
  readonly endpoints = [0, 1].map((i) => ({
    address: `e${i}`,
    weight: 1,
    active: 0,
    acquire: (waiter: ConnectionWaiter) => this.waiters.push(waiter),
    abandon: () => this.log.push("abandon"),
    begin(): boolean {
      this.active++
      return true
    },
    end(): void {
      this.active--
    },
    answered: () => true,
    ended() {},
    cutShort() {},
    untold() {},
    failed() {},
  }))
  readonly waiters: ConnectionWaiter[] = []
  readonly log: string[] = []
  handler: UpstreamHandler | null = null
  head: RequestHead | null = null
  sent = Buffer.alloc(0)

  get service(): Service {
    let turn = 0
    const { endpoints } = this
    const next = (tried: readonly unknown[] | null): unknown =>
      endpoints.find((each) => tried === null || !tried.includes(each)) ?? endpoints[turn++ % 2]
    const hasOthers = (tried: readonly unknown[]): boolean => endpoints.some((each) => !tried.includes(each))
    return { name: "api", endpoints, hashKey: null, balancer: { next, hasOthers }, limits: limitsOf() } as unknown as Service
  }

  /** The newest attempt gets its connection. */
  connect(): void {
    ;(this.waiters.at(-1) as ConnectionWaiter).onConnection(this)
  }

  refuse(code: ErrorCode): void {
    ;(this.waiters.at(-1) as ConnectionWaiter).onNoConnection(code, "")
  }

  send(handler: UpstreamHandler, head: RequestHead): "encode" {
    this.handler = handler
    this.head = head
    return "encode"
  }
  sendBytes(buffer: Buffer, from: number, to: number): void {
    this.sent = Buffer.concat([this.sent, buffer.subarray(from, to)])
  }
  flush(): void {}
  sendEnd(): void {
    this.log.push("end")
  }
  pauseResponse(): void {
    this.log.push("pause")
  }
  resumeResponse(): void {
    this.log.push("resume")
  }
  cancel(): void {
    this.log.push("cancel")
  }
  endTunnel(): void {}

  answerHead(
    fields: readonly (readonly [string, string])[] = [["content-type", "application/grpc"]],
    status = 200,
    body: BodyKind = "close",
  ): void {
    const head = new ResponseHead()
    head.status = status
    head.body = body
    for (const [name, value] of fields) head.fields.add(name, value)
    this.handler?.onResponseHead(head)
  }

  answerBytes(bytes: Buffer): void {
    this.handler?.onResponseBytes(bytes, 0, bytes.length)
  }

  answerEnd(fields: readonly (readonly [string, string])[] | null = [["grpc-status", "0"]]): void {
    this.handler?.onResponseComplete()
    this.handler?.onResponseEnd(fields === null ? null : Fields.from(fields))
  }
}

let play: Play
let events: string[]
let held: number
let room: number
let over: number
let counted: string[]
let now: number
let wheel: TimerWheel

const handler: GrpcHandler = {
  onGrpcHead: (metadata) => events.push(`head ${metadata.join(" ")}`),
  onGrpcMessage: (message) => events.push(`message ${Buffer.from(message.subarray(0, 20)).toString()}`),
  onGrpcTrailers: (metadata) => events.push(`trailers ${metadata.join(" ")}`),
  onGrpcEnd: (status, message) => events.push(`end ${status} ${message}`),
}

beforeEach(() => {
  play = new Play()
  events = []
  held = 0
  room = 4 * 1024 * 1024
  over = 0
  counted = []
  now = 1000
  wheel = new TimerWheel(() => now, 20)
})

function open(parts: Partial<GrpcCallout> = {}): GrpcExchange {
  const owner: GrpcOwner = {
    wheel,
    hold: (octets) => {
      if (held + octets > room) return false
      held += octets
      return true
    },
    release: (octets) => {
      held -= octets
    },
    ended: (octets) => {
      held -= octets
      over++
    },
    count: (service, what) => counted.push(`${service} ${what}`),
    guard: (run) => run(),
  }
  const callout = { service: "api", path: "/s/M", metadata: [], timeout: 0, unary: false, filter: "f", ...parts }
  const exchange = new GrpcExchange(owner, play.service, callout, handler)
  expect(exchange.start()).toBe(true)
  return exchange
}

test("a call is sent as gRPC, and what comes back is told in order", () => {
  const call = open({ metadata: ["x-a", "b"], timeout: 250, unary: true })
  call.send(Buffer.from("ask"), true)
  play.connect()
  expect([play.head?.method, play.head?.path, play.head?.authority, play.head?.acceptsTrailers]).toEqual(["POST", "/s/M", "api", true])
  expect(play.head?.fields.entries()).toEqual(["content-type", "application/grpc", "grpc-timeout", "250m", "x-a", "b"])
  expect([messagesOf(play.sent), play.log]).toEqual([["ask"], ["end"]])
  play.answerHead()
  play.answerBytes(frame("one"))
  play.answerEnd([
    ["grpc-status", "0"],
    ["x-end", "e"],
  ])
  expect(events).toEqual(["head content-type application/grpc", "message one", "trailers grpc-status 0 x-end e", "end 0 "])
  expect([held, over, play.endpoints.map(({ active }) => active)]).toEqual([0, 1, [0, 0]])
})

test("messages are sent as they come, before and after there is a connection", () => {
  const call = open()
  call.send(Buffer.from("a"), false)
  play.connect()
  call.send(Buffer.from("b"), false)
  expect([messagesOf(play.sent), play.log]).toEqual([["a", "b"], []])
  call.end()
  call.send(Buffer.from("late"), false)
  expect([messagesOf(play.sent), play.log]).toEqual([["a", "b"], ["end"]])
})

describe("a service that is slow to read", () => {
  test("gets the rest when it can take it", () => {
    const call = open()
    play.connect()
    play.writable = false
    call.send(Buffer.from("a"), true)
    expect([play.sent.length, held]).toEqual([0, 6 + 256])
    play.writable = true
    play.handler?.onUpstreamWritable()
    expect([messagesOf(play.sent), held, play.log]).toEqual([["a"], 0, ["end"]])
  })

  test("is not sent empty messages without end", () => {
    const call = open()
    play.connect()
    play.writable = false
    for (let i = 0; i < 10_000; i++) call.send(Buffer.alloc(0), false)
    now += 60
    wheel.advance()
    expect(events).toEqual(["end 8 too much waits to be sent"])
  })

  test("ends the call when too much waits, on a later turn", () => {
    const call = open()
    play.connect()
    play.writable = false
    const message = Buffer.alloc(1024 * 1024 - 5)
    for (let i = 0; i < 3; i++) call.send(message, false)
    expect(events).toEqual([])
    now += 60
    wheel.advance()
    expect(events).toEqual(["end 8 too much waits to be sent"])
    expect([held, play.log]).toEqual([0, ["cancel"]])
  })

  test("counts against the filter's share", () => {
    room = 270
    const call = open()
    call.send(Buffer.alloc(20), false)
    now += 60
    wheel.advance()
    expect(events).toEqual(["end 8 too much waits to be sent"])
  })
})

describe("a filter that is slow to take", () => {
  test("pauses the service until it has", () => {
    const call = open()
    play.connect()
    play.answerHead()
    play.answerBytes(frame("x".repeat(65_000)))
    expect(play.log).toEqual([])
    play.answerBytes(frame("x".repeat(1000)))
    expect([play.log, held]).toEqual([["pause"], 66_000 + 2 * 256])
    call.taken(65_000)
    expect([play.log, held]).toEqual([["pause", "resume"], 1000 + 256])
    call.taken(1000)
    expect(held).toBe(0)
  })

  test("pauses it for empty messages as well", () => {
    const call = open()
    play.connect()
    play.answerHead()
    play.answerBytes(Buffer.alloc(257 * 5))
    expect([play.log, held]).toEqual([["pause"], 257 * 256])
    for (let i = 0; i < 257; i++) call.taken(0)
    expect([play.log, held]).toEqual([["pause", "resume"], 0])
  })

  test("doesn't keep the status of a call with one message from coming", () => {
    open({ unary: true })
    play.connect()
    play.answerHead()
    play.answerBytes(frame("x".repeat(100_000)))
    expect(play.log).toEqual([])
  })

  test("ends the call when its share is used up, before a message is whole as well", () => {
    room = 100
    open()
    play.connect()
    play.answerHead()
    play.answerBytes(frame("x".repeat(200)).subarray(0, 20))
    expect(events.at(-1)).toBe("end 8 too much waits to be taken")
    expect([held, play.log]).toEqual([0, ["cancel"]])
  })
})

describe("an answer that is none", () => {
  test.each<[string, () => void, string]>([
    ["of HTTP alone", () => play.answerHead([["content-type", "text/html"]], 503), "end 14 answered with HTTP status 503 and no gRPC"],
    ["of HTTP that looks well", () => play.answerHead([], 200), "end 2 answered with HTTP status 200 and no gRPC"],
    [
      "without a status",
      () => {
        play.answerHead()
        play.answerEnd(null)
      },
      "end 2 no status came",
    ],
    [
      "with a status nobody knows",
      () => {
        play.answerHead()
        play.answerEnd([["grpc-status", "99"]])
      },
      "end 2 ",
    ],
    [
      "cut short inside a message",
      () => {
        play.answerHead()
        play.answerBytes(frame("abc").subarray(0, 6))
        play.answerEnd()
      },
      "end 13 message cut short",
    ],
    [
      "with a message too large",
      () => {
        play.answerHead()
        play.answerBytes(Buffer.from([0, 0, 16, 0, 1]))
      },
      "end 8 message too large",
    ],
    [
      "with a compressed message",
      () => {
        play.answerHead()
        play.answerBytes(frame("x", 1))
      },
      "end 12 message is compressed",
    ],
    [
      "with malformed frames",
      () => {
        play.answerHead()
        play.answerBytes(frame("x", 7))
      },
      "end 13 malformed message",
    ],
  ])("%s ends the call", (_, run, expected) => {
    open()
    play.connect()
    run()
    expect(events.at(-1)).toBe(expected)
    expect([over, held]).toEqual([1, 0])
  })
})

describe("an answer of its head alone", () => {
  test("is told as trailers, and leaves its connection to others", () => {
    open()
    play.connect()
    const fields = [
      ["content-type", "application/grpc"],
      ["grpc-status", "5"],
      ["grpc-message", "none%20here"],
    ] as const
    play.answerHead(fields, 200, "none")
    play.answerEnd(null)
    expect(events).toEqual(["trailers content-type application/grpc grpc-status 5 grpc-message none%20here", "end 5 none here"])
    expect([play.log, over]).toEqual([[], 1])
  })

  test("is as good when its stream is reset in place of its end", () => {
    open()
    play.connect()
    const fields = [
      ["content-type", "application/grpc"],
      ["grpc-status", "5"],
    ] as const
    play.answerHead(fields, 200, "none")
    play.handler?.onUpstreamFailed("upstreamReset", "", false)
    expect([events.at(-1), over]).toEqual(["end 5 ", 1])
  })

  test("is told as a failure when it is no gRPC", () => {
    open()
    play.connect()
    play.answerHead([], 503, "none")
    play.answerEnd(null)
    expect([events, play.log]).toEqual([["end 14 answered with HTTP status 503 and no gRPC"], []])
  })
})

describe("a failure", () => {
  test("to connect is tried on the other endpoint, and ends as UNAVAILABLE", () => {
    open()
    play.refuse("connectFailure")
    expect(counted).toEqual(["api retries"])
    play.refuse("connectFailure")
    expect(events).toEqual(["end 14 connectFailure"])
  })

  test("of a call that was refused unseen is tried once more, with its message", () => {
    const call = open({ unary: true })
    play.connect()
    call.send(Buffer.from("ask"), true)
    play.handler?.onUpstreamFailed("upstreamRefused", "", true)
    expect([play.waiters.length, counted, events]).toEqual([2, ["api retries"], []])
    play.sent = Buffer.alloc(0)
    play.connect()
    expect([messagesOf(play.sent), play.log]).toEqual([["ask"], ["end", "end"]])
    play.handler?.onUpstreamFailed("upstreamRefused", "", true)
    expect([events, over, held]).toEqual([["end 14 upstreamRefused"], 1, 0])
  })

  test("of a stream that was refused is none that could be tried again", () => {
    open()
    play.connect()
    play.handler?.onUpstreamFailed("upstreamRefused", "", true)
    expect([events, play.waiters.length]).toEqual([["end 14 upstreamRefused"], 1])
  })

  test("under way ends with the status of its row", () => {
    open()
    play.connect()
    play.handler?.onUpstreamFailed("upstreamClosed", "", true)
    expect([events, over]).toEqual([["end 14 upstreamClosed"], 1])
  })

  test("to answer in time ends with DEADLINE_EXCEEDED", () => {
    open({ timeout: 100 })
    play.connect()
    now += 150
    wheel.advance()
    expect([events, play.log]).toEqual([["end 4 responseTimeout"], ["cancel"]])
  })
})

test("a cancelled call is told of nothing, with a connection or without", () => {
  const waiting = open()
  waiting.cancel()
  expect(play.log).toEqual(["abandon"])
  const call = open()
  play.connect()
  call.cancel()
  call.cancel()
  expect([events, over, play.log]).toEqual([[], 2, ["abandon", "cancel"]])
})
