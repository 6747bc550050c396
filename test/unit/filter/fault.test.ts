import { describe, expect, test } from "vitest"
import type { FaultConfig } from "../../../gateway/config/model.ts"
import { grpcFailures } from "../../../gateway/config/shaping-schema.ts"
import type { ErrorCode } from "../../../gateway/errors.ts"
import { type ChainOwner, ChainRun } from "../../../gateway/filter/chain.ts"
import type { LocalReply, StreamInfo } from "../../../gateway/filter/filter.ts"
import { FaultFilter } from "../../../gateway/filter/native/fault.ts"
import { readFaultHeader } from "../../../gateway/filter/native/fault-header.ts"
import { grpcCodes } from "../../../gateway/http/grpc-status.ts"
import { RequestHead, ResponseHead } from "../../../gateway/http/message.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"

const nothing: FaultConfig = { share: 1, delay: null, abort: null, reset: null, bandwidth: null, header: "" }
const delayed: FaultConfig = { ...nothing, delay: { kind: "fixed", fixed: 500, share: 1 } }

/** One exchange through the filter alone, by a clock that stands still until it is moved. */
class Passage implements ChainOwner {
  readonly events: string[] = []
  readonly counts: string[] = []
  readonly request = new RequestHead()
  readonly chain: ChainRun
  reply: LocalReply | null = null
  requestSent = false
  responseSent = false
  passed = ""
  #now = 1000
  readonly #wheel = new TimerWheel(() => this.#now)

  constructor(config: FaultConfig, fields: Readonly<Record<string, string>> = {}) {
    for (const [name, value] of Object.entries(fields)) this.request.fields.add(name, value)
    const filter = new FaultFilter(config, { wheel: this.#wheel, random: () => 0.5, count: (kind) => this.counts.push(kind) })
    this.chain = new ChainRun([filter], {} as StreamInfo, this.request, this)
    this.chain.runRequest(true)
  }

  /** Lets time go by, as the wheel's own timer would. */
  pass(ms: number): void {
    for (let left = ms; left > 0; left -= 20) {
      this.#now += Math.min(20, left)
      this.#wheel.advance()
    }
  }

  respond(text: string, end: boolean): void {
    const head = new ResponseHead()
    head.body = "close"
    this.chain.runResponse(head, false)
    this.chain.openResponseBody()
    this.body(text, end)
  }

  body(text: string, end: boolean): void {
    const bytes = Buffer.from(text)
    this.chain.feedResponse(bytes, 0, bytes.length)
    this.chain.flushResponse()
    if (end) this.chain.endResponse(null)
  }

  onRequestFiltered(): void {
    this.events.push("request")
  }
  onResponseFiltered(): void {
    this.events.push("response")
  }
  onRequestBody(): void {}
  onRequestBodyEnd(): void {}
  onResponseBody(bytes: Buffer): void {
    this.passed += bytes.toString()
  }
  onResponseBodyEnd(): void {
    this.events.push("end")
  }
  onRequestHold(): void {}
  onResponseHold(hold: boolean): void {
    this.events.push(hold ? "hold" : "go on")
  }
  onBodiesMoved(): void {}
  onFilterReply(reply: LocalReply): void {
    this.reply = reply
    this.events.push(`reply ${reply.status} ${reply.grpcStatus} ${reply.code}`)
  }
  onFilterFailed(code: ErrorCode): void {
    this.events.push(code)
  }
  onFilterReset(flag: string): void {
    this.events.push(`reset ${flag}`)
  }
  chooseService(): boolean {
    return false
  }
  clearRoute(): void {}
}

describe("a fault", () => {
  test("that is drawn for nobody leaves a request alone", () => {
    const passage = new Passage({ ...delayed, share: 0.4 })
    expect([passage.events, passage.counts]).toEqual([["request"], []])
  })

  test("delays a request by what is written, and no more", () => {
    const passage = new Passage(delayed)
    passage.pass(480)
    expect(passage.events).toEqual([])
    passage.pass(60)
    expect([passage.events, passage.counts, passage.chain.notedFlag]).toEqual([["request"], ["delay"], "DI"])
  })

  test("of a client that has gone is forgotten", () => {
    const passage = new Passage(delayed)
    passage.chain.done()
    passage.pass(1000)
    expect(passage.events).toEqual([])
  })

  test("aborts at once, or after its delay", () => {
    const abort = { status: 503, grpcStatus: -1, share: 1 }
    expect(new Passage({ ...nothing, abort }).events).toEqual(["reply 503 14 faultInjected"])
    const passage = new Passage({ ...delayed, abort })
    passage.pass(600)
    expect([passage.events, passage.counts]).toEqual([["reply 503 14 faultInjected"], ["delay", "abort"]])
  })

  test("of a gRPC status has the HTTP status that stands for it", () => {
    expect(new Passage({ ...nothing, abort: { status: 0, grpcStatus: 14, share: 1 } }).events).toEqual(["reply 503 14 faultInjected"])
  })

  test("resets, before it would abort", () => {
    const passage = new Passage({ ...nothing, reset: { share: 1 }, abort: { status: 503, grpcStatus: -1, share: 1 } })
    expect([passage.events, passage.counts]).toEqual([["reset FI"], ["reset"]])
  })
})

describe("a bandwidth", () => {
  const config: FaultConfig = { ...nothing, bandwidth: { rate: 1000, share: 1 } }

  test("lets a response pass at its rate, and holds its peer meanwhile", () => {
    const passage = new Passage(config)
    passage.respond("x".repeat(1000), true)
    expect(passage.events).toEqual(["request", "response", "hold"])
    passage.pass(400)
    expect(passage.passed.length).toBeGreaterThanOrEqual(440)
    expect(passage.passed.length).toBeLessThanOrEqual(500)
    passage.pass(600)
    expect(passage.passed).toBe("x".repeat(1000))
    expect(passage.events).toEqual(["request", "response", "hold", "end", "go on"])
    expect(passage.counts).toEqual(["bandwidth"])
  })

  test("keeps pieces in order, whenever they come", () => {
    const passage = new Passage(config)
    passage.respond("a".repeat(150), false)
    passage.pass(20)
    passage.body("b".repeat(150), false)
    passage.pass(40)
    passage.body("c".repeat(50), true)
    passage.pass(1000)
    expect(passage.passed).toBe("a".repeat(150) + "b".repeat(150) + "c".repeat(50))
    expect(passage.events.at(-2)).toBe("end")
  })

  test("doesn't touch what is slower", () => {
    const passage = new Passage(config)
    passage.respond("a".repeat(10), false)
    for (let i = 0; i < 20; i++) {
      passage.pass(20)
      passage.body("b".repeat(10), false)
    }
    passage.body("", true)
    expect(passage.events).toEqual(["request", "response", "end"])
    expect(passage.passed.length).toBe(210)
  })

  test("keeps nothing of an exchange that has ended", () => {
    const passage = new Passage(config)
    passage.respond("a".repeat(1000), false)
    passage.chain.done()
    const before = passage.passed.length
    passage.pass(1000)
    expect(passage.passed.length).toBe(before)
  })
})

describe("a fault of requests with a header", () => {
  const config: FaultConfig = {
    ...delayed,
    abort: { status: 503, grpcStatus: -1, share: 1 },
    header: "x-fault",
  }

  test("leaves others alone", () => {
    expect(new Passage(config).events).toEqual(["request"])
  })

  test.each(["", "1", "true", " On "])("is all of it for %j", (value) => {
    const passage = new Passage(config, { "x-fault": value })
    passage.pass(600)
    expect(passage.counts).toEqual(["delay", "abort"])
  })

  test("is what it asks for", () => {
    expect(new Passage(config, { "x-fault": "abort=404" }).events).toEqual(["reply 404 12 faultInjected"])
    const passage = new Passage(config, { "x-fault": "delay=100ms, reset, bandwidth=1KiB" })
    passage.pass(140)
    expect([passage.events, passage.counts]).toEqual([["request"], ["delay"]])
  })

  test("is none where nothing is understood", () => {
    expect(new Passage(config, { "x-fault": "delay=5, abort=200, abort=OK, boom" }).events).toEqual(["request"])
  })
})

test("what a header asks for is read strictly", () => {
  const none = { delay: 0, status: 0, grpcStatus: -1, reset: false, rate: 0 }
  expect(readFaultHeader("delay=1.5s,abort=UNAVAILABLE,bandwidth=64KiB,reset")).toEqual({
    delay: 1500,
    status: 503,
    grpcStatus: 14,
    reset: true,
    rate: 65_536,
  })
  for (const value of ["delay=-1s", "delay", "abort=600", "abort=5xx", "reset=1", "bandwidth=0", "delay=1s".padEnd(257)])
    expect(readFaultHeader(value)).toEqual(none)
})

test("names of gRPC's failures are the same in the configuration as in the protocol", () => {
  expect(["OK", ...grpcFailures]).toEqual([...grpcCodes])
})
