// What happened within one exchange, step by step: its attempts, and the phases of its filters. Kept only for an exchange that
// someone wants to see; the others have none, which costs them a comparison a step.

import type { ErrorCode } from "../errors.ts"
import type { Fields } from "../http/fields.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import { type HeadEdits, headEdits, headPairs, joinEdits } from "./head-edits.ts"

/** Steps that are kept of one exchange; what comes later is not. */
const MAX_ATTEMPTS = 32
const MAX_PHASES = 128

/** One attempt. Times are ms of the worker's clock, `performance.now()`; 0 = it didn't come to that. */
export class AttemptStep {
  /** `host:port`. */
  readonly endpoint: string
  readonly began: number
  /** It ran beside another one. */
  readonly hedged: boolean
  /** It had a connection, and its request left. */
  sentAt = 0
  /** The head of its response came. */
  headAt = 0
  endedAt = 0
  /** Its connection had served others before, and speaks this version of HTTP; "" = it had none. */
  reused = false
  version: "" | "1.1" | "2" = ""
  /** 0 = it wasn't answered. */
  status = 0
  /** −1 = none is known. */
  grpcStatus = -1
  /** Why it failed; "" = it didn't, or was given up. */
  code: ErrorCode | "" = ""
  details = ""
  /** 16 hex digits, by which the service knows it; "" = none. */
  spanId = ""

  constructor(endpoint: string, now: number, hedged: boolean) {
    this.endpoint = endpoint
    this.began = now
    this.hedged = hedged
  }

  /** The first reason is what counts. */
  failed(code: ErrorCode, details: string): void {
    if (this.code !== "") return
    this.code = code
    this.details = details
  }
}

export type FilterPhase = "request headers" | "request body" | "response headers" | "response body"
/** `pause`: it holds the message back for now. `reply`, `fail`, `reset`: it ended the exchange. */
export type FilterOutcome = "continue" | "pause" | "reply" | "fail" | "reset"

/** One phase of one filter. Times as in an {@link AttemptStep}. */
export interface FilterStep {
  readonly name: string
  readonly phase: FilterPhase
  readonly began: number
  /** ms it ran. */
  took: number
  outcome: FilterOutcome
  /** When it let go on what it held back; 0 = it didn't, or held nothing. */
  resumedAt: number
  /** What it did to the head, also while it held it back; null = nothing, or nobody asked. */
  edits: HeadEdits | null
  /** Only while it is looked at, or held back: the head as it was before. */
  before: readonly string[] | null
}

/** Who the exchange is in a trace (W3C Trace Context §2, in lower-case hex digits). */
export interface TraceContext {
  /** 32 digits. */
  readonly traceId: string
  /** 16 digits: the span of the exchange. */
  readonly spanId: string
  /** The span of who sent it; "" = it begins here. */
  readonly parentId: string
  /** `tracestate` as it goes on; "" = none. */
  readonly state: string
  /** What goes with requests that filters make on its behalf: name, value, name, value … */
  readonly fields: readonly string[]
  /** An attempt is about to be sent with these fields: it gets a span of its own. */
  attempt(fields: Fields, step: AttemptStep): void
  /** A copy of the request has these fields: it isn't recorded, for its service would look as if it had answered. */
  mirrored(fields: Fields): void
}

export class Trail {
  readonly attempts: AttemptStep[] = []
  readonly filters: FilterStep[] = []
  /** Null: no trace of it is wanted. */
  context: TraceContext | null = null
  /** The head of its response is kept too. */
  keepsResponse = false
  /** What filters do to heads is found out, at the price of a copy of the head for each. */
  keepsEdits = false
  /** As the client was sent them, a line `name: value CRLF` each; null = none was, or they aren't kept. */
  responseFields: string | null = null
  /** Whatever the tap keeps of the exchange until it ends. */
  tapped: unknown = null
  #running: FilterStep | null = null
  /** The one whose turn ended last, also when it isn't kept. */
  #last: FilterStep | null = null

  attempt(endpoint: string, hedged: boolean): AttemptStep {
    const step = new AttemptStep(endpoint, performance.now(), hedged)
    if (this.attempts.length < MAX_ATTEMPTS) this.attempts.push(step)
    return step
  }

  /** A filter's turn begins. `head`: the one that it may edit; null = there is none. */
  filterBegan(name: string, phase: FilterPhase, head: RequestHead | ResponseHead | null = null): void {
    const before = this.keepsEdits && head !== null ? headPairs(head) : null
    const step: FilterStep = { name, phase, began: performance.now(), took: 0, outcome: "continue", resumedAt: 0, edits: null, before }
    this.#running = step
    if (this.filters.length < MAX_PHASES) this.filters.push(step)
  }

  /** It ends. `head`: as it is now. */
  filterEnded(outcome: FilterOutcome, head: RequestHead | ResponseHead | null = null): void {
    const step = this.#running
    if (step === null) return
    this.#running = null
    this.#last = step
    step.took = performance.now() - step.began
    step.outcome = outcome
    noteEdits(step, head)
  }

  /** The filter whose turn ended last holds the message back. `head`: the message's. */
  filterPaused(head: RequestHead | ResponseHead | null = null): void {
    const last = this.#last
    if (last === null) return
    last.outcome = "pause"
    if (this.keepsEdits && head !== null) last.before = headPairs(head)
  }

  filterResumed(name: string, head: RequestHead | ResponseHead | null = null): void {
    const step = this.filters.findLast((each) => each.name === name && each.outcome === "pause" && each.resumedAt === 0)
    if (step === undefined) return
    step.resumedAt = performance.now()
    noteEdits(step, head)
  }

  /** The head of the response is about to be sent. */
  responded(head: ResponseHead): void {
    if (!this.keepsResponse) return
    this.responseFields = head.fields.serialize()
  }
}

function noteEdits(step: FilterStep, head: RequestHead | ResponseHead | null): void {
  const { before } = step
  step.before = null
  if (before !== null && head !== null) step.edits = joinEdits(step.edits, headEdits(before, headPairs(head)))
}
