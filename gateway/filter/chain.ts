// One exchange's way through its filters: in order on the request, in reverse on the response. It is the stream filters
// act on; what they ask for takes effect when their callback has returned.

import type { ErrorCode } from "../errors.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import {
  type FilterAction,
  type FilterStream,
  type HttpFilter,
  type LocalReply,
  PAUSE,
  type StreamFilter,
  type StreamInfo,
} from "./filter.ts"

/** The exchange, as its chain reports to it. */
export interface ChainOwner {
  onRequestFiltered(): void
  onResponseFiltered(): void
  onFilterReply(reply: LocalReply): void
  onFilterFailed(code: ErrorCode, details: string): void
  onFilterReset(): void
}

const NOTHING = 0
const REPLY = 1
const FAIL = 2
const RESET = 3

export class ChainRun implements FilterStream {
  readonly info: StreamInfo
  readonly request: RequestHead
  response: ResponseHead | null = null
  readonly #filters: readonly HttpFilter[]
  readonly #owner: ChainOwner
  /** One for each filter the request has reached; null = it takes no part. */
  readonly #streams: (StreamFilter | null)[] = []
  /** Index of the filter whose turn it is on the way back; −1 = none. */
  #back = -1
  #end = false
  #calling = false
  #pausedRequest = false
  #pausedResponse = false
  #continued = false
  #asked = NOTHING
  #reply: LocalReply | null = null
  #code: ErrorCode = "filterTrap"
  #details = ""
  #answered = false
  #done = false

  constructor(filters: readonly HttpFilter[], info: StreamInfo, request: RequestHead, owner: ChainOwner) {
    this.#filters = filters
    this.info = info
    this.request = request
    this.#owner = owner
  }

  /** Runs the request through the filters; the owner is told when it is through. `end`: it has no body. */
  runRequest(end: boolean): void {
    this.#end = end
    this.#nextRequest()
  }

  #nextRequest(): void {
    const filters = this.#filters
    const streams = this.#streams
    while (streams.length < filters.length) {
      const stream = filters[streams.length].open(this)
      streams.push(stream)
      if (stream === null) continue
      this.#calling = true
      this.#continued = false
      const action = stream.onRequestHeaders(this.#end)
      this.#calling = false
      if (this.#takeAsked()) return
      if (action === PAUSE && !this.#continued) {
        this.#pausedRequest = true
        return
      }
    }
    this.#owner.onRequestFiltered()
  }

  /** Runs a response, upstream's or a local one, back through the filters the request has reached. */
  runResponse(response: ResponseHead, end: boolean): void {
    this.response = response
    this.#end = end
    this.#pausedRequest = false
    this.#pausedResponse = false
    this.#back = this.#streams.length
    this.#nextResponse()
  }

  #nextResponse(): void {
    while (this.#back > 0) {
      const stream = this.#streams[--this.#back]
      if (stream === null) continue
      this.#calling = true
      this.#continued = false
      const action: FilterAction = stream.onResponseHeaders(this.#end)
      this.#calling = false
      if (this.#takeAsked()) return
      if (action === PAUSE && !this.#continued) {
        this.#pausedResponse = true
        return
      }
    }
    this.#owner.onResponseFiltered()
  }

  // Does what a callback asked for; true when the phase is over by it.
  #takeAsked(): boolean {
    const asked = this.#asked
    if (asked === NOTHING) return false
    this.#asked = NOTHING
    if (asked === RESET) this.#owner.onFilterReset()
    else if (asked === FAIL) this.#owner.onFilterFailed(this.#code, this.#details)
    else this.#owner.onFilterReply(this.#reply as LocalReply)
    return true
  }

  sendLocalReply(reply: LocalReply): void {
    if (this.#answered || this.#done) return
    this.#answered = true
    this.#reply = reply
    this.#asked = REPLY
    if (!this.#calling) this.#takeAsked()
  }

  fail(code: ErrorCode, details: string): void {
    if (this.#answered || this.#done) return
    this.#answered = true
    this.#code = code
    this.#details = details
    this.#asked = FAIL
    if (!this.#calling) this.#takeAsked()
  }

  reset(): void {
    if (this.#done) return
    this.#answered = true
    this.#asked = RESET
    if (!this.#calling) this.#takeAsked()
  }

  continueRequest(): void {
    if (this.#calling && this.#back === -1) this.#continued = true
    else if (this.#pausedRequest && !this.#done) {
      this.#pausedRequest = false
      this.#nextRequest()
    }
  }

  continueResponse(): void {
    if (this.#calling && this.#back !== -1) this.#continued = true
    else if (this.#pausedResponse && !this.#done) {
      this.#pausedResponse = false
      this.#nextResponse()
    }
  }

  /** The exchange is over: every filter it reached is told, once. */
  done(): void {
    if (this.#done) return
    this.#done = true
    for (const stream of this.#streams) stream?.onDone()
  }
}
