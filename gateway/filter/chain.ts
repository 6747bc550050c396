// One exchange's way through its filters: in order on the request, in reverse on the response. It is the stream filters
// act on; what they ask for takes effect when their callback has returned.

import type { ErrorCode } from "../errors.ts"
import { Fields } from "../http/fields.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import type { FilterPhase, Trail } from "../telemetry/trail.ts"
import { BodyPipeline, type PipelineOwner } from "./body-pipeline.ts"
import {
  type FilterStream,
  type HttpFilter,
  type LocalReply,
  PAUSE,
  REQUEST_BODY,
  REQUEST_TRAILERS,
  RESPONSE_BODY,
  RESPONSE_TRAILERS,
  type StreamFilter,
  type StreamInfo,
} from "./filter.ts"
import { FilterTurns, NOTHING } from "./filter-turns.ts"
import { StoredProperties } from "./stored-properties.ts"

/** The exchange, as its chain reports to it. */
export interface ChainOwner {
  /** The head of the request, or of the response, has passed every filter. */
  onRequestFiltered(): void
  onResponseFiltered(): void
  /** Body octets have passed every filter; good until this returns. Only after {@link ChainRun.openRequestBody}. */
  onRequestBody(bytes: Buffer): void
  onRequestBodyEnd(trailers: Fields | null): void
  onResponseBody(bytes: Buffer): void
  onResponseBodyEnd(trailers: Fields | null): void
  /** A filter wants nothing more of this body to be read for now. */
  onRequestHold(hold: boolean): void
  onResponseHold(hold: boolean): void
  /** All that could move has moved: a moment to send it. */
  onBodiesMoved(): void
  onFilterReply(reply: LocalReply): void
  onFilterFailed(code: ErrorCode, details: string): void
  /** `flag`: its response flag. */
  onFilterReset(flag: string): void
  readonly requestSent: boolean
  readonly responseSent: boolean
  chooseService(name: string): boolean
  clearRoute(): void
}

const REPLY = 1
const FAIL = 2
const RESET = 3
/** What asking for it makes of a phase. */
const OUTCOMES = ["continue", "reply", "fail", "reset"] as const

export class ChainRun extends FilterTurns<StreamFilter> implements FilterStream, PipelineOwner {
  readonly info: StreamInfo
  readonly request: RequestHead
  response: ResponseHead | null = null
  /** What a filter noted: the exchange's response flag if it gets no other. */
  notedFlag = ""
  notedDetails = ""
  readonly #filters: readonly HttpFilter[]
  readonly #owner: ChainOwner
  /** Null: nobody wants to see its steps. */
  readonly #trail: Trail | null
  /** One for each filter the request has reached; null = it takes no part. */
  readonly #streams: (StreamFilter | null)[] = []
  #requestBody: BodyPipeline | null = null
  #responseBody: BodyPipeline | null = null
  /** Index of the filter whose turn it is on the way back; −1 = none. */
  #back = -1
  #end = false
  /** Where heads wait. */
  #pausedRequest: StreamFilter | null = null
  #pausedResponse: StreamFilter | null = null
  #reply: LocalReply | null = null
  #code: ErrorCode = "filterTrap"
  #details = ""
  #resetFlag = "LR"
  #answered = false
  #done = false
  #stored: StoredProperties | null = null

  constructor(filters: readonly HttpFilter[], info: StreamInfo, request: RequestHead, owner: ChainOwner, trail: Trail | null = null) {
    super()
    this.#filters = filters
    this.info = info
    this.request = request
    this.#owner = owner
    this.#trail = trail
  }

  // ------------------------------------------------------------------------------------------------------------- heads

  /** Runs the request through the filters; the owner is told when it is through. `end`: it has no body. */
  runRequest(end: boolean): void {
    this.#end = end
    this.work()
    this.#nextRequest()
    this.settle()
  }

  #nextRequest(): void {
    const filters = this.#filters
    const streams = this.#streams
    while (streams.length < filters.length) {
      const stream = filters[streams.length].open(this)
      streams.push(stream)
      if (stream === null) continue
      this.#beginPhase(stream, false, "request headers")
      const action = stream.onRequestHeaders(this.#end)
      if (this.endCall()) return
      if (action === PAUSE && !this.continued) {
        this.#pausedRequest = stream
        this.#trail?.filterPaused(this.request)
        return
      }
    }
    this.#owner.onRequestFiltered()
  }

  /** Runs a response, upstream's or a local one, back through the filters the request has reached. */
  runResponse(response: ResponseHead, end: boolean): void {
    this.response = response
    this.#end = end
    // A reply answered the request; this is another message, which filters may answer in their turn.
    this.#answered = false
    this.#pausedResponse = null
    this.#back = this.#streams.length
    this.work()
    this.#nextResponse()
    this.settle()
  }

  #nextResponse(): void {
    while (this.#back > 0) {
      const stream = this.#streams[--this.#back]
      if (stream === null) continue
      this.#beginPhase(stream, true, "response headers")
      const action = stream.onResponseHeaders(this.#end)
      if (this.endCall()) return
      if (action === PAUSE && !this.continued) {
        this.#pausedResponse = stream
        this.#trail?.filterPaused(this.response)
        return
      }
    }
    this.#owner.onResponseFiltered()
  }

  /** The request goes no further: it is answered without it. */
  stopRequest(): void {
    this.#pausedRequest = null
    this.#requestBody?.cancel()
  }

  /** The response that was under way goes no further: another takes its place, or none. */
  stopResponse(): void {
    this.#pausedResponse = null
    this.#responseBody?.cancel()
  }

  // ------------------------------------------------------------------------------------------------------------ bodies

  /** Whether a filter of this exchange wants to see the request's body or trailers; from then on all of it passes here. */
  openRequestBody(): boolean {
    const streams = this.#streams
    for (let i = 0; i < streams.length; i++) {
      const stream = streams[i]
      const { interests, bodyLimit } = this.#filters[i]
      if (stream === null || (interests & (REQUEST_BODY | REQUEST_TRAILERS)) === 0) continue
      this.#requestBody ??= new BodyPipeline(this, false)
      this.#requestBody.add(stream, (interests & REQUEST_BODY) !== 0, (interests & REQUEST_TRAILERS) !== 0, bodyLimit)
    }
    return this.#requestBody !== null
  }

  get wantsResponseBody(): boolean {
    const streams = this.#streams
    for (let i = 0; i < streams.length; i++) {
      if (streams[i] !== null && (this.#filters[i].interests & (RESPONSE_BODY | RESPONSE_TRAILERS)) !== 0) return true
    }
    return false
  }

  /** The same of the response. */
  openResponseBody(): boolean {
    const streams = this.#streams
    for (let i = streams.length - 1; i >= 0; i--) {
      const stream = streams[i]
      const { interests, bodyLimit } = this.#filters[i]
      if (stream === null || (interests & (RESPONSE_BODY | RESPONSE_TRAILERS)) === 0) continue
      this.#responseBody ??= new BodyPipeline(this, true)
      this.#responseBody.add(stream, (interests & RESPONSE_BODY) !== 0, (interests & RESPONSE_TRAILERS) !== 0, bodyLimit)
    }
    return this.#responseBody !== null
  }

  /** Octets `[from, to)` of `buffer` are the request's next; they move with {@link flushRequest} or {@link endRequest}. */
  feedRequest(buffer: Buffer, from: number, to: number): void {
    this.#requestBody?.feed(buffer, from, to)
  }

  flushRequest(): void {
    this.work()
    this.#requestBody?.flush()
    this.#moved()
  }

  endRequest(trailers: Fields | null): void {
    this.work()
    this.#requestBody?.end(trailers)
    this.#moved()
  }

  feedResponse(buffer: Buffer, from: number, to: number): void {
    this.#responseBody?.feed(buffer, from, to)
  }

  flushResponse(): void {
    this.work()
    this.#responseBody?.flush()
    this.#moved()
  }

  endResponse(trailers: Fields | null): void {
    this.work()
    this.#responseBody?.end(trailers)
    this.#moved()
  }

  #moved(): void {
    if (!this.#done) this.#owner.onBodiesMoved()
    this.settle()
  }

  onBody(response: boolean, bytes: Buffer): void {
    if (response) this.#owner.onResponseBody(bytes)
    else this.#owner.onRequestBody(bytes)
  }

  onBodyEnd(response: boolean, trailers: Fields | null): void {
    if (response) this.#owner.onResponseBodyEnd(trailers)
    else this.#owner.onRequestBodyEnd(trailers)
  }

  onHold(response: boolean, hold: boolean): void {
    if (response) this.#owner.onResponseHold(hold)
    else this.#owner.onRequestHold(hold)
  }

  onOverflow(response: boolean): void {
    this.#answered = true
    this.#owner.onFilterFailed(response ? "responseTooLarge" : "bodyTooLarge", "kept by a filter")
  }

  get requestTrailers(): Fields | null {
    return this.#requestBody?.trailers ?? null
  }

  get responseTrailers(): Fields | null {
    return this.#responseBody?.trailers ?? null
  }

  addRequestTrailers(): Fields | null {
    return this.#requestBody?.addTrailers(makeFields) ?? null
  }

  addResponseTrailers(): Fields | null {
    return this.#responseBody?.addTrailers(makeFields) ?? null
  }

  // --------------------------------------------------------------------------------------------------- calls and wishes

  beginCall(filter: StreamFilter, response: boolean): void {
    this.#beginPhase(filter, response, response ? "response body" : "request body")
  }

  #beginPhase(filter: StreamFilter, response: boolean, phase: FilterPhase): void {
    if (this.#trail !== null) this.#trail.filterBegan(this.#nameOf(filter), phase, response ? this.response : this.request)
    this.begin(filter, response)
  }

  #nameOf(filter: StreamFilter): string {
    return this.#filters[this.#streams.indexOf(filter)].name
  }

  endCall(): boolean {
    this.#trail?.filterEnded(OUTCOMES[this.asked], this.backwards ? this.response : this.request)
    return this.endTurn()
  }

  protected carryOut(asked: number): void {
    if (asked === RESET) this.#owner.onFilterReset(this.#resetFlag)
    else if (asked === FAIL) this.#owner.onFilterFailed(this.#code, this.#details)
    else this.#owner.onFilterReply(this.#reply as LocalReply)
  }

  sendLocalReply(reply: LocalReply): void {
    if (this.#answered || this.#done) return
    this.#answered = true
    this.#reply = reply
    this.ask(REPLY)
  }

  fail(code: ErrorCode, details: string): void {
    if (this.asked !== NOTHING || this.#done) return
    this.#answered = true
    this.#code = code
    this.#details = details
    this.ask(FAIL)
  }

  reset(flag = "LR"): void {
    if (this.#done) return
    this.#answered = true
    this.#resetFlag = flag
    this.ask(RESET)
  }

  continueRequest(filter: StreamFilter): void {
    this.goOn(filter, false)
  }

  continueResponse(filter: StreamFilter): void {
    this.goOn(filter, true)
  }

  passResponse(filter: StreamFilter, octets: number): void {
    if (this.#done || this.#responseBody === null) return
    this.work()
    this.#responseBody.passSome(filter, octets)
    this.#moved()
  }

  note(flag: string, details: string): void {
    this.notedFlag = flag
    this.notedDetails = details
  }

  protected get over(): boolean {
    return this.#done
  }

  protected resume(filter: StreamFilter, response: boolean): void {
    if (this.#trail !== null) this.#trail.filterResumed(this.#nameOf(filter), response ? this.response : this.request)
    if (response && this.#pausedResponse === filter) {
      this.#pausedResponse = null
      this.#nextResponse()
    } else if (!response && this.#pausedRequest === filter) {
      this.#pausedRequest = null
      this.#nextRequest()
    } else {
      const pipeline = response ? this.#responseBody : this.#requestBody
      if (pipeline === null) return
      pipeline.resume(filter)
      if (!this.#done) this.#owner.onBodiesMoved()
    }
  }

  // --------------------------------------------------------------------------------------------------------- the exchange

  get requestSent(): boolean {
    return this.#owner.requestSent
  }

  get responseSent(): boolean {
    return this.#owner.responseSent
  }

  chooseService(name: string): boolean {
    return !this.#done && this.#owner.chooseService(name)
  }

  clearRoute(): void {
    if (!this.#done) this.#owner.clearRoute()
  }

  property(path: string): Uint8Array | undefined {
    return this.#stored?.get(path)
  }

  setProperty(path: string, value: Uint8Array): boolean {
    this.#stored ??= new StoredProperties()
    return this.#stored.set(path, value)
  }

  /** The exchange is over: every filter it reached is told, once. */
  done(): void {
    if (this.#done) return
    this.#done = true
    this.#requestBody?.cancel()
    this.#responseBody?.cancel()
    for (const stream of this.#streams) stream?.onDone()
  }
}

function makeFields(): Fields {
  return new Fields()
}
