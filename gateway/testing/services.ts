// The services a filter calls out to, played by a test: each answers as it was told, after as much of the fake clock's time as
// it was told, and writes down what it was asked.

import { Buffer } from "node:buffer"
import type { ErrorCode } from "../errors.ts"
import type { Callout, CalloutHandler, CalloutResponse, ServiceCaller } from "../filter/filter.ts"
import type { GrpcCallout, GrpcHandler, GrpcStream } from "../filter/grpc-callout.ts"
import type { FakeClock } from "./fake-clock.ts"
import { FakeGrpcCall } from "./grpc-call.ts"
import { contentOf, type MessageContent, ObservedBody, ObservedHeaders } from "./messages.ts"
import { fromWire } from "./text.ts"
import type { Turns } from "./turns.ts"

/** ms; what a callout without a deadline of its own gets. */
const DEFAULT_TIMEOUT = 15_000

/** What a service answers. */
export interface ServiceResponse extends MessageContent {
  /** Default 200. */
  readonly status?: number
  /** ms of the fake clock until it comes; default 0. */
  readonly after?: number
}

/** How a service fails: it never answers, or it cuts the connection off. */
export interface ServiceFailure {
  readonly fail: "timeout" | "reset"
  /** ms until it does; a time-out is due at the callout's deadline whatever stands here. */
  readonly after?: number
}

export type ServiceAnswer = ServiceResponse | ServiceFailure

/** A request a filter made to a service. */
export interface ObservedCallout {
  readonly service: string
  readonly method: string
  /** Path and query. */
  readonly path: string
  readonly authority: string
  readonly headers: ObservedHeaders
  readonly body: ObservedBody
  readonly trailers: ObservedHeaders
  /** ms; 0 = none was set. */
  readonly timeout: number
  /** "" while it runs, then what became of it: `200`, `timeout`, `reset`, `cancelled`. */
  readonly outcome: string
}

/** One answer for every request, answers for the first, second … request, a function of the request, or null: there is no such service. */
export type ServiceFake =
  | null
  | ServiceAnswer
  | readonly ServiceAnswer[]
  | ((request: ObservedCallout) => ServiceAnswer | Promise<ServiceAnswer>)

interface Call extends ObservedCallout {
  outcome: string
  over: boolean
  readonly timers: (() => void)[]
}

export class FakeServices implements ServiceCaller {
  readonly #clock: FakeClock
  readonly #turns: Turns
  readonly #fakes = new Map<string, ServiceFake>()
  readonly #asked = new Map<string, number>()
  readonly #calls: Call[] = []
  /** What the test should know: services that no one plays, answers that ran out. */
  readonly problems: string[] = []
  #running = 0
  /** Brackets what a filter does with an answer: for measurements. */
  around: (run: () => void) => void = (run) => run()

  constructor(fakes: Readonly<Record<string, ServiceFake>>, clock: FakeClock, turns: Turns) {
    this.#clock = clock
    this.#turns = turns
    for (const [name, fake] of Object.entries(fakes)) this.#fakes.set(name, fake)
  }

  /** Every callout so far, oldest first. */
  get calls(): readonly ObservedCallout[] {
    return this.#calls
  }

  /** Callouts that are not answered yet. */
  get running(): number {
    return this.#running
  }

  /** Forgets the callouts so far. */
  forget(): void {
    this.#calls.length = 0
  }

  /** Plays `service` from now on. */
  set(service: string, fake: ServiceFake): void {
    this.#fakes.set(service, fake)
    this.#asked.delete(service)
  }

  /** Answers to `service` that were told beforehand and that nobody has asked for. */
  unused(service: string): number {
    const fake = this.#fakes.get(service)
    return Array.isArray(fake) ? Math.max(0, fake.length - (this.#asked.get(service) ?? 0)) : 0
  }

  has(service: string): boolean {
    const fake = this.#fakes.get(service)
    // Most often a service that the test forgot.
    if (fake === undefined) this.#problem(`the filter called service ${JSON.stringify(service)}, which is not among the test's services`)
    return fake !== undefined && fake !== null
  }

  #problem(text: string): void {
    if (!this.problems.includes(text)) this.problems.push(text)
  }

  call(callout: Callout, handler: CalloutHandler): (() => void) | null {
    const fake = this.#fakes.get(callout.service) ?? null
    if (fake === null || !this.has(callout.service)) return null
    const call = observed(callout)
    this.#calls.push(call)
    this.#running++
    const timeout = callout.timeout > 0 ? callout.timeout : DEFAULT_TIMEOUT
    call.timers.push(this.#clock.schedule(timeout, () => this.#fail(call, handler, "timeout")))
    // Taken now: answers in order are for requests in order.
    const answer = this.#answer(fake, call)
    if (answer instanceof Promise) {
      this.#turns.track(
        answer.then(
          (answered) => this.#play(call, handler, answered),
          (error: unknown) => {
            this.problems.push(`service ${callout.service}: ${error instanceof Error ? error.message : String(error)}`)
            this.#fail(call, handler, "reset")
          },
        ),
      )
    } else {
      this.#turns.later(() => this.#play(call, handler, answer))
    }
    return () => {
      if (!this.#end(call)) return
      call.outcome = "cancelled"
    }
  }

  openGrpc(callout: GrpcCallout, handler: GrpcHandler): GrpcStream | null {
    return this.has(callout.service) ? new FakeGrpcCall(this, callout, handler) : null
  }

  #answer(fake: NonNullable<ServiceFake>, call: Call): ServiceAnswer | Promise<ServiceAnswer> {
    if (typeof fake === "function") {
      try {
        return fake(call)
      } catch (error) {
        return Promise.reject(error)
      }
    }
    if (!Array.isArray(fake)) return fake as ServiceAnswer
    const asked = this.#asked.get(call.service) ?? 0
    this.#asked.set(call.service, asked + 1)
    if (asked < fake.length) return fake[asked] as ServiceAnswer
    this.problems.push(`service ${call.service} was asked ${asked + 1} times, and there are ${fake.length} answers`)
    return { fail: "reset" }
  }

  #play(call: Call, handler: CalloutHandler, answer: ServiceAnswer): void {
    if (call.over) return
    if ("fail" in answer) {
      if (answer.fail === "timeout") return
      this.#after(call, answer.after, () => this.#fail(call, handler, "reset"))
      return
    }
    let response: CalloutResponse
    try {
      response = responseOf(answer)
    } catch (error) {
      this.problems.push(`the answer of service ${call.service}: ${error instanceof Error ? error.message : String(error)}`)
      this.#fail(call, handler, "reset")
      return
    }
    this.#after(call, answer.after, () => {
      if (!this.#end(call)) return
      call.outcome = String(response.status)
      this.around(() => handler.onCalloutResponse(response))
    })
  }

  #after(call: Call, ms: number | undefined, run: () => void): void {
    if (ms === undefined || ms <= 0) run()
    else call.timers.push(this.#clock.schedule(ms, run))
  }

  #fail(call: Call, handler: CalloutHandler, how: "timeout" | "reset"): void {
    if (!this.#end(call)) return
    call.outcome = how
    const code: ErrorCode = how === "timeout" ? "responseTimeout" : "upstreamClosed"
    this.around(() => handler.onCalloutFailed(code, how))
  }

  // False when it was over before.
  #end(call: Call): boolean {
    if (call.over) return false
    call.over = true
    this.#running--
    for (const cancel of call.timers) cancel()
    return true
  }
}

function observed(callout: Callout): Call {
  const list = (pairs: readonly string[]): ObservedHeaders => new ObservedHeaders(pairs.map(fromWire))
  return {
    service: callout.service,
    method: callout.method,
    path: fromWire(callout.path),
    authority: fromWire(callout.authority),
    headers: list(callout.headers),
    body: new ObservedBody([Buffer.from(callout.body)]),
    trailers: list(callout.trailers),
    timeout: callout.timeout,
    outcome: "",
    over: false,
    timers: [],
  }
}

function responseOf(answer: ServiceResponse): CalloutResponse {
  const { headers, chunks, length, trailers } = contentOf(answer)
  const status = answer.status ?? 200
  if (!Number.isInteger(status) || status < 200 || status > 999) throw new Error(`${status} is no status; use 200 to 999`)
  if (length >= 0 && !headers.includes("content-length")) headers.push("content-length", String(length))
  return { status, headers, body: Buffer.concat(chunks), trailers: trailers ?? [] }
}
