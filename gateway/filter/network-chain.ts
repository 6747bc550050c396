// One connection's way through its filters: what the client sends passes them in order, what the service sends in reverse.
// It is the stream filters act on; what they ask for takes effect when their callback has returned.

import type { ErrorCode } from "../errors.ts"
import type { BodyBuffer } from "./body-buffer.ts"
import { type BodyFilter, BodyPipeline, type PipelineOwner } from "./body-pipeline.ts"
import { type BodyAction, CONTINUE, type FilterAction, HOLD, PAUSE, type StreamInfo } from "./filter.ts"
import { FilterTurns, NOTHING } from "./filter-turns.ts"
import {
  type CloseType,
  type ConnectionFilter,
  type ConnectionStream,
  DOWNSTREAM_DATA,
  type NetworkFilter,
  UPSTREAM_DATA,
} from "./network-filter.ts"
import { StoredProperties } from "./stored-properties.ts"

/** The connection, as its chain reports to it. `response`: octets from the service, not from the client. */
export interface NetworkChainOwner {
  /** Every filter has let the new connection pass. */
  onAccepted(): void
  /** `bytes` have passed every filter; good until this returns. */
  onFilteredBytes(response: boolean, bytes: Buffer): void
  onFilteredEnd(response: boolean): void
  /** Nothing more of this direction is to be read, until it is called with false. */
  onFilterHold(response: boolean, hold: boolean): void
  onFilterClose(): void
  onFilterFailed(code: ErrorCode, details: string): void
  chooseService(name: string): boolean
}

const CLOSE = 1
const FAIL = 2

// A filter in a pipeline: the two directions of a connection move as the bodies of a request and its response do.
class Part implements BodyFilter {
  readonly filter: ConnectionFilter
  readonly #limit: number

  constructor(filter: ConnectionFilter, limit: number) {
    this.filter = filter
    this.#limit = limit
  }

  onRequestBody(data: BodyBuffer, end: boolean): BodyAction {
    return this.#bounded(this.filter.onDownstreamData(data, end), data)
  }

  onResponseBody(data: BodyBuffer, end: boolean): BodyAction {
    return this.#bounded(this.filter.onUpstreamData(data, end), data)
  }

  #bounded(action: FilterAction, data: BodyBuffer): BodyAction {
    return action === PAUSE && data.length >= this.#limit ? HOLD : action
  }

  onRequestTrailers(): FilterAction {
    return CONTINUE
  }

  onResponseTrailers(): FilterAction {
    return CONTINUE
  }
}

export class NetworkChain extends FilterTurns<ConnectionFilter> implements ConnectionStream, PipelineOwner {
  readonly info: StreamInfo
  readonly #filters: readonly NetworkFilter[]
  readonly #owner: NetworkChainOwner
  /** One for each filter the connection has reached; null = it takes no part. */
  readonly #parts: (Part | null)[] = []
  #downstream: BodyPipeline | null = null
  #upstream: BodyPipeline | null = null
  /** Where the new connection waits. */
  #paused: Part | null = null
  #code: ErrorCode = "filterTrap"
  #details = ""
  /** The connection is being closed: no octets move any more. */
  #stopped = false
  #done = false
  #stored: StoredProperties | null = null

  constructor(filters: readonly NetworkFilter[], info: StreamInfo, owner: NetworkChainOwner) {
    super()
    this.#filters = filters
    this.info = info
    this.#owner = owner
  }

  /** Shows the connection to the filters; the owner is told when all have let it pass. */
  run(): void {
    this.work()
    this.#next()
    this.settle()
  }

  #next(): void {
    const filters = this.#filters
    const parts = this.#parts
    while (parts.length < filters.length) {
      const { bodyLimit } = filters[parts.length]
      const filter = filters[parts.length].openConnection(this)
      const part = filter === null ? null : new Part(filter, bodyLimit)
      parts.push(part)
      if (filter === null || part === null) continue
      this.begin(filter, false)
      const action = filter.onNewConnection()
      if (this.endCall()) return
      if (action === PAUSE && !this.continued) {
        this.#paused = part
        return
      }
    }
    this.#pipe()
    this.#owner.onAccepted()
  }

  // A pipeline has no limits of its own here: a filter that keeps too much has its direction held.
  #pipe(): void {
    const parts = this.#parts
    for (let i = 0; i < parts.length; i++) {
      const part = parts[i]
      if (part === null || (this.#filters[i].dataInterests & DOWNSTREAM_DATA) === 0) continue
      this.#downstream ??= new BodyPipeline(this, false)
      this.#downstream.add(part, true, false, Number.POSITIVE_INFINITY)
    }
    for (let i = parts.length - 1; i >= 0; i--) {
      const part = parts[i]
      if (part === null || (this.#filters[i].dataInterests & UPSTREAM_DATA) === 0) continue
      this.#upstream ??= new BodyPipeline(this, true)
      this.#upstream.add(part, true, false, Number.POSITIVE_INFINITY)
    }
  }

  /** Whether a filter wants to see this direction; if so all of it passes here. */
  wants(response: boolean): boolean {
    return (response ? this.#upstream : this.#downstream) !== null
  }

  /** Octets `[from, to)` of `buffer` have come; they are not needed any more when this returns. */
  feed(response: boolean, buffer: Buffer, from: number, to: number): void {
    const pipeline = response ? this.#upstream : this.#downstream
    if (pipeline === null || this.#stopped) return
    this.work()
    pipeline.feed(buffer, from, to)
    pipeline.flush()
    this.settle()
  }

  end(response: boolean): void {
    if (this.#stopped) return
    this.work()
    const pipeline = response ? this.#upstream : this.#downstream
    pipeline?.end(null)
    this.settle()
  }

  onBody(response: boolean, bytes: Buffer): void {
    this.#owner.onFilteredBytes(response, bytes)
  }

  onBodyEnd(response: boolean): void {
    this.#owner.onFilteredEnd(response)
  }

  onHold(response: boolean, hold: boolean): void {
    this.#owner.onFilterHold(response, hold)
  }

  // No pipeline here has a limit.
  onOverflow(): void {}

  // --------------------------------------------------------------------------------------------------- calls and wishes

  beginCall(part: BodyFilter, response: boolean): void {
    this.begin((part as Part).filter, response)
  }

  endCall(): boolean {
    return this.endTurn() || this.#stopped
  }

  protected carryOut(asked: number): void {
    this.stop()
    if (asked === FAIL) this.#owner.onFilterFailed(this.#code, this.#details)
    else this.#owner.onFilterClose()
  }

  close(): void {
    if (this.asked === NOTHING && !this.#stopped) this.ask(CLOSE)
  }

  fail(code: ErrorCode, details: string): void {
    if (this.asked !== NOTHING || this.#stopped) return
    this.#code = code
    this.#details = details
    this.ask(FAIL)
  }

  continueDownstream(filter: ConnectionFilter): void {
    this.goOn(filter, false)
  }

  continueUpstream(filter: ConnectionFilter): void {
    this.goOn(filter, true)
  }

  protected get over(): boolean {
    return this.#stopped
  }

  protected resume(filter: ConnectionFilter, response: boolean): void {
    if (!response && this.#paused?.filter === filter) {
      this.#paused = null
      this.#next()
      return
    }
    const pipeline = response ? this.#upstream : this.#downstream
    if (pipeline === null) return
    for (const part of this.#parts) if (part?.filter === filter) pipeline.resume(part)
  }

  // -------------------------------------------------------------------------------------------------------- the connection

  chooseService(name: string): boolean {
    return !this.#stopped && this.#owner.chooseService(name)
  }

  property(path: string): Uint8Array | undefined {
    return this.#stored?.get(path)
  }

  setProperty(path: string, value: Uint8Array): boolean {
    this.#stored ??= new StoredProperties()
    return this.#stored.set(path, value)
  }

  /** No octets move any more: the connection is being closed. */
  stop(): void {
    if (this.#stopped) return
    this.#stopped = true
    this.#paused = null
    this.#downstream?.cancel()
    this.#upstream?.cancel()
  }

  /** One side has ended. */
  closed(upstream: boolean, type: CloseType): void {
    for (const part of this.#parts) {
      if (part === null) continue
      this.begin(part.filter, upstream)
      if (upstream) part.filter.onUpstreamClose(type)
      else part.filter.onDownstreamClose(type)
      this.endCall()
    }
  }

  /** The connection is over: every filter it reached is told, once. */
  done(): void {
    if (this.#done) return
    this.#done = true
    this.stop()
    for (const part of this.#parts) part?.filter.onDone()
  }
}
