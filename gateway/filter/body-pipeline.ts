// One direction of an exchange's body on its way through the filters that want to see it. Each has a buffer of what it was
// shown and has not passed on; a filter that pauses keeps it, bounded, and what it lets go flows to the next one.

import type { Fields } from "../http/fields.ts"
import { BodyBuffer } from "./body-buffer.ts"
import { type BodyAction, CONTINUE, DROP, HOLD, type StreamFilter } from "./filter.ts"

/** What a pipeline shows a body to. */
export type BodyFilter = Pick<StreamFilter, "onRequestBody" | "onRequestTrailers" | "onResponseBody" | "onResponseTrailers">

/** The chain, as its pipelines use it. */
export interface PipelineOwner {
  /** Brackets every callback. The second says whether the exchange takes another course by what the filter asked for. */
  beginCall(filter: BodyFilter, response: boolean): void
  endCall(): boolean
  /** The filter has continued this direction in the callback that just ended. */
  readonly continued: boolean
  /** `bytes` have passed every filter; they are good until this returns. */
  onBody(response: boolean, bytes: Buffer): void
  onBodyEnd(response: boolean, trailers: Fields | null): void
  /** Nothing more is to be read from the peer, until it is called with false. */
  onHold(response: boolean, hold: boolean): void
  /** A filter keeps back more than it may. */
  onOverflow(response: boolean): void
}

class Stage {
  readonly filter: BodyFilter
  readonly body: boolean
  readonly trailers: boolean
  readonly limit: number
  readonly buffer = new BodyBuffer()
  paused = false
  held = false
  /** It has let octets pass that were not all. */
  passes = false
  /** The message's end has come to it. */
  ended = false

  constructor(filter: BodyFilter, body: boolean, trailers: boolean, limit: number) {
    this.filter = filter
    this.body = body
    this.trailers = trailers
    this.limit = limit
  }
}

export class BodyPipeline {
  readonly #owner: PipelineOwner
  readonly #response: boolean
  readonly #stages: Stage[] = []
  readonly #incoming = new BodyBuffer()
  /** The message's, once its end is known, or a filter's. */
  trailers: Fields | null = null
  /** A filter is being shown the end of a message without trailers. */
  #mayAdd = false
  /** Filters that want nothing more to be read. */
  #holds = 0
  /** The owner was told of it. */
  #told = false
  #over = false

  constructor(owner: PipelineOwner, response: boolean) {
    this.#owner = owner
    this.#response = response
  }

  /** Adds a filter behind those there are. `limit`: octets it may keep back. */
  add(filter: BodyFilter, body: boolean, trailers: boolean, limit: number): void {
    this.#stages.push(new Stage(filter, body, trailers, limit))
  }

  /** Octets `[from, to)` of `buffer` have come; they move at {@link flush} or {@link end}, before the buffer is reused. */
  feed(buffer: Buffer, from: number, to: number): void {
    if (!this.#over) this.#incoming.append(buffer, from, to)
  }

  flush(): void {
    if (this.#incoming.length === 0) return
    this.#pass(0, this.#incoming, false)
    this.#tell()
  }

  end(trailers: Fields | null): void {
    if (this.#over) return
    this.trailers = trailers
    this.#pass(0, this.#incoming, true)
    this.#tell()
  }

  /** What `filter` keeps goes on, if it has paused here. */
  resume(filter: BodyFilter): void {
    if (this.#over) return
    for (let i = 0; i < this.#stages.length; i++) {
      const stage = this.#stages[i]
      if (stage.filter !== filter) continue
      if (!stage.paused) return
      this.#release(stage)
      this.#pass(i + 1, stage.buffer, stage.ended)
      this.#tell()
      return
    }
  }

  /** The first `count` octets of what `filter` keeps go on; the rest, and the message's end, stay with it. */
  passSome(filter: BodyFilter, count: number): void {
    if (this.#over) return
    for (let i = 0; i < this.#stages.length; i++) {
      const stage = this.#stages[i]
      if (stage.filter !== filter) continue
      if (!stage.paused || stage.buffer.length === 0) return
      const bytes = stage.buffer.bytes
      const some = new BodyBuffer()
      some.append(bytes, 0, Math.min(count, bytes.length))
      stage.passes = true
      this.#pass(i + 1, some, false)
      // Nothing is added to a buffer while another's filter runs, so that its octets were still where they had been.
      if (!this.#over) stage.buffer.skip(count)
      this.#tell()
      return
    }
  }

  /** Trailers for a message that ends without; null at any other time. */
  addTrailers(make: () => Fields): Fields | null {
    if (this.#mayAdd) this.trailers ??= make()
    return this.#mayAdd ? this.trailers : null
  }

  /** Nothing goes on. */
  cancel(): void {
    this.#holds = 0
    this.#told = false
    if (this.#over) return
    this.#over = true
    this.#incoming.clear()
    for (const { buffer } of this.#stages) buffer.clear()
  }

  // Hands what `from` holds, and the end if this is it, to stage `i` and on as far as it gets.
  #pass(i: number, from: BodyBuffer, end: boolean): void {
    const stages = this.#stages
    for (; i < stages.length; i++) {
      const stage = stages[i]
      stage.ended = end
      const trailers = end ? this.trailers : null
      if (stage.body) {
        const fresh = from.length > 0
        if (from !== stage.buffer) stage.buffer.take(from)
        // A whole body over the limit is refused whether it comes in pieces or at once. A filter that lets pieces pass keeps none.
        if (fresh && end && !stage.passes && stage.buffer.length > stage.limit) return this.#overflow()
        // A filter that isn't called with trailers must see the end here, or it would wait for it with what it keeps.
        const last = end && (trailers === null || !stage.trailers)
        if ((fresh || last) && !this.#show(stage, last, last && trailers === null)) return
        if (!stage.paused && !end) stage.passes = true
        if (stage.paused && (!end || trailers === null || !stage.trailers)) return
      } else if (stage.paused) {
        return
      }
      if (trailers !== null && stage.trailers) {
        // What came with the end waits with it.
        if (!stage.body) stage.buffer.take(from)
        if (!this.#showTrailers(stage, trailers)) return
        from = stage.buffer
      } else if (stage.body) from = stage.buffer
    }
    if (this.#over) return
    if (from.length > 0) {
      this.#owner.onBody(this.#response, from.bytes)
      from.clear()
    }
    if (!end || this.#over) return
    this.#over = true
    this.#owner.onBodyEnd(this.#response, this.trailers)
  }

  // Shows a filter its buffer; false when the exchange is no longer this pipeline's.
  #show(stage: Stage, last: boolean, mayAdd: boolean): boolean {
    const { filter, buffer } = stage
    const owner = this.#owner
    owner.beginCall(filter, this.#response)
    this.#mayAdd = mayAdd
    const action: BodyAction = this.#response ? filter.onResponseBody(buffer, last) : filter.onRequestBody(buffer, last)
    this.#mayAdd = false
    if (owner.endCall() || this.#over) return false
    if (action === CONTINUE || owner.continued) {
      this.#release(stage)
      return true
    }
    stage.paused = true
    if (action === DROP) buffer.clear()
    else if (buffer.length > stage.limit) {
      this.#overflow()
      return false
    }
    buffer.own()
    if (action === HOLD && !stage.held) {
      stage.held = true
      this.#holds++
    }
    return true
  }

  #overflow(): void {
    this.cancel()
    this.#owner.onOverflow(this.#response)
  }

  #showTrailers(stage: Stage, trailers: Fields): boolean {
    const { filter } = stage
    const owner = this.#owner
    owner.beginCall(filter, this.#response)
    const action = this.#response ? filter.onResponseTrailers(trailers) : filter.onRequestTrailers(trailers)
    if (owner.endCall() || this.#over) return false
    if (action === CONTINUE || owner.continued) {
      this.#release(stage)
      return true
    }
    stage.paused = true
    stage.buffer.own()
    return false
  }

  #release(stage: Stage): void {
    stage.paused = false
    if (!stage.held) return
    stage.held = false
    this.#holds--
  }

  // Only once all that could move has moved: a peer that is no longer held may send more before this returns.
  #tell(): void {
    const hold = this.#holds > 0
    if (hold === this.#told) return
    this.#told = hold
    this.#owner.onHold(this.#response, hold)
  }
}
