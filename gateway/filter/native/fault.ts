// Faults on purpose: a request waits, is answered with a failure, has its connection reset, or gets its response slowly. It
// keeps no more of a response than was read before its peer was held.

import type { FaultConfig } from "../../config/model.ts"
import { grpcStatusOfHttp, httpStatusOfGrpc } from "../../http/grpc-status.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../../http/timer-wheel.ts"
import { Bandwidth } from "../../resilience/bandwidth.ts"
import { drawFaults, type FaultRules, type Faults, grantFaults } from "../../resilience/faults.ts"
import type { FaultKind } from "../../telemetry/shaping-instruments.ts"
import type { BodyBuffer } from "../body-buffer.ts"
import {
  type BodyAction,
  CONTINUE,
  type FilterAction,
  type FilterStream,
  HOLD,
  type HttpFilter,
  PAUSE,
  RESPONSE_BODY,
  type StreamFilter,
} from "../filter.ts"
import { readFaultHeader } from "./fault-header.ts"

/** ms of a response's rate that are passed at a time, about. */
const STEP = 20
const EMPTY = Buffer.alloc(0)

/** The worker's part in it. */
export interface FaultMeans {
  readonly wheel: TimerWheel
  /** [0, 1). */
  readonly random: () => number
  count(kind: FaultKind): void
}

/** The faults of one route. */
export class FaultFilter implements HttpFilter {
  readonly name = "fault"
  readonly interests: number
  // It holds as soon as it keeps anything, so that what it keeps is bounded by what is read at a time.
  readonly bodyLimit = Number.POSITIVE_INFINITY
  readonly #rules: FaultRules
  readonly #header: string
  readonly #means: FaultMeans

  constructor(config: FaultConfig, means: FaultMeans) {
    const { abort } = config
    const status = abort === null || abort.status !== 0 ? 0 : httpStatusOfGrpc(abort.grpcStatus)
    this.#rules = abort === null || status === 0 ? config : { ...config, abort: { ...abort, status } }
    this.interests = config.bandwidth === null ? 0 : RESPONSE_BODY
    this.#header = config.header
    this.#means = means
  }

  open(stream: FilterStream): StreamFilter | null {
    const faults = this.#faultsOf(stream)
    return faults === null ? null : new FaultStream(stream, faults, this.#means)
  }

  #faultsOf(stream: FilterStream): Faults | null {
    const { random } = this.#means
    if (this.#header === "") return drawFaults(this.#rules, random)
    const value = stream.request.fields.getCombined(this.#header, ",")
    if (value === undefined) return null
    const asked = readFaultHeader(value)
    return asked === null ? drawFaults(this.#rules, random) : grantFaults(this.#rules, asked)
  }
}

class FaultStream implements StreamFilter, DeadlineOwner {
  readonly #stream: FilterStream
  readonly #faults: Faults
  readonly #means: FaultMeans
  /** Made when there is something to wait for. */
  #deadline: Deadline | null = null
  /** The request waits. */
  #delayed = false
  #bandwidth: Bandwidth | null = null
  /** What of the response hasn't been passed on; null = nothing waits. */
  #body: BodyBuffer | null = null

  constructor(stream: FilterStream, faults: Faults, means: FaultMeans) {
    this.#stream = stream
    this.#faults = faults
    this.#means = means
  }

  onRequestHeaders(): FilterAction {
    const { delay } = this.#faults
    if (delay === 0) {
      this.#strike()
      return CONTINUE
    }
    this.#means.count("delay")
    this.#stream.note("DI", "delayed")
    this.#delayed = true
    this.#wake(delay)
    return PAUSE
  }

  // Whether the request goes no further.
  #strike(): boolean {
    const { reset, status, grpcStatus } = this.#faults
    if (reset) {
      this.#means.count("reset")
      this.#stream.reset("FI")
      return true
    }
    if (status === 0) return false
    this.#means.count("abort")
    const code = grpcStatus === -1 ? grpcStatusOfHttp(status) : grpcStatus
    this.#stream.sendLocalReply({ status, grpcStatus: code, body: EMPTY, headers: [], details: "aborted", code: "faultInjected" })
    return true
  }

  #wake(ms: number): void {
    const { wheel } = this.#means
    this.#deadline ??= new Deadline(wheel, this)
    this.#deadline.set(wheel.refresh() + ms)
  }

  onDeadline(): void {
    if (this.#delayed) {
      this.#delayed = false
      if (!this.#strike()) this.#stream.continueRequest(this)
    } else if (this.#body !== null) this.#passOn(this.#body)
  }

  onRequestBody(): BodyAction {
    return CONTINUE
  }

  onRequestTrailers(): FilterAction {
    return CONTINUE
  }

  onResponseHeaders(): FilterAction {
    return CONTINUE
  }

  onResponseBody(body: BodyBuffer): BodyAction {
    const { rate } = this.#faults
    if (rate === 0) return CONTINUE
    const now = this.#means.wheel.refresh()
    if (this.#bandwidth === null) {
      this.#bandwidth = new Bandwidth(rate, now)
      this.#means.count("bandwidth")
      this.#stream.note("DI", "bandwidth")
    }
    const { length } = body
    if (this.#bandwidth.takeAll(length, now)) {
      this.#body = null
      return CONTINUE
    }
    if (this.#body === null) this.#wake(STEP)
    this.#body = body
    return HOLD
  }

  #passOn(body: BodyBuffer): void {
    const { length } = body
    const passed = this.#bandwidth?.take(length, this.#means.wheel.refresh()) ?? length
    if (passed === length) {
      // With it goes the end of the response, if this was all, or else more of it is read.
      this.#body = null
      this.#stream.continueResponse(this)
      return
    }
    this.#wake(STEP)
    if (passed > 0) this.#stream.passResponse(this, passed)
  }

  onResponseTrailers(): FilterAction {
    return CONTINUE
  }

  onDone(): void {
    this.#deadline?.release()
    this.#delayed = false
    this.#body = null
  }
}
