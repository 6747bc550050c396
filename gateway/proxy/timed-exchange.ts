// How far an exchange has come, and when it has to have come further: of its limits whichever is due first is its deadline. What
// becomes of it then is decided elsewhere.

import type { ErrorCode } from "../errors.ts"
import type { DownstreamStream } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import { formatRequestTimeout, parseRequestTimeout, REQUEST_TIMEOUT } from "../http/request-timeout.ts"
import type { AttemptStep } from "../telemetry/trail.ts"
import { ExchangeRecord } from "./exchange-record.ts"
import type { Plane } from "./plane.ts"
import type { Route } from "./route.ts"

const NOT_ASKED = -1
const NEVER = Number.POSITIVE_INFINITY

// How far it has come.
export const FILTERING = 0
export const SENDING = 1
/** The response head is in a filter's hands. */
export const HOLDING = 2
export const RESPONDING = 3
export const TUNNEL = 4
export const ENDED = 5

export abstract class TimedExchange extends ExchangeRecord {
  protected phase: number = FILTERING
  protected lastActivity: number
  #goneAt: number = NEVER
  /** ms that a trusted proxy in front gives it, in place of its route. */
  #asked: number = NOT_ASKED

  constructor(plane: Plane, stream: DownstreamStream, head: RequestHead) {
    super(plane, stream, head)
    this.lastActivity = this.started
  }

  /** It has failed before its response began. */
  protected abstract fail(code: ErrorCode, details: string): void
  /** A limit is over. */
  protected abstract timeOut(code: ErrorCode): void
  /** The client is taken for gone. */
  protected abstract cancel(): void

  /** Takes what a trusted proxy in front says of the time there is; false when it makes no sense, or there is none. */
  protected admitTimeout(head: RequestHead): boolean {
    const text = head.fields.getCombined(REQUEST_TIMEOUT, ",")
    if (text === undefined) return true
    this.#asked = parseRequestTimeout(text)
    if (this.#asked > 0) return true
    this.fail(this.#asked === 0 ? "responseTimeout" : "badRequest", `${REQUEST_TIMEOUT} ${this.#asked === 0 ? "of 0" : ""}`.trim())
    return false
  }

  // Attempts say which span they are, and how long an answer is wanted.
  onAttempt(head: RequestHead, step: AttemptStep | null): void {
    if (step !== null) this.trail?.context?.attempt(head.fields, step)
    if (this.grpc !== null) this.grpc.announce(head, this.endsAt, this.plane.means.wheel.refresh())
    if (this.#asked === NOT_ASKED && !(this.matched as Route).propagatesTimeout) return
    const { endsAt } = this
    if (endsAt !== NEVER) head.fields.set(REQUEST_TIMEOUT, formatRequestTimeout(endsAt - this.plane.means.wheel.refresh()))
  }

  onDownstreamHalfClosed(): void {
    const { wheel } = this.plane.means
    const grace = this.plane.config.timeouts.halfClose
    if (this.phase >= RESPONDING) return
    if (grace === 0) return this.cancel()
    this.#goneAt = wheel.refresh() + grace
    this.arm()
  }

  /** Sets the deadline to whichever limit is due first. */
  protected arm(): void {
    const route = this.matched
    if (route === null) return
    let at = this.phase < TUNNEL ? this.endsAt : NEVER
    if (this.sending !== null && this.sending.dueAt < at) at = this.sending.dueAt
    if (this.#goneAt < at && this.phase < RESPONDING) at = this.#goneAt
    const idle = this.#idleAt(route)
    if (idle < at) at = idle
    if (at === NEVER) this.stream.deadline.clear()
    else this.stream.deadline.set(at)
  }

  /** When the whole exchange has to be over, on the wheel's clock. */
  get endsAt(): number {
    const route = this.matched as Route
    const asked = this.#asked
    if (this.grpc !== null) return this.grpc.endsAt(this.started, asked === NOT_ASKED ? route.grpcTimeout : asked)
    const limit = asked === NOT_ASKED ? route.requestTimeout : asked
    return limit > 0 ? this.started + limit : NEVER
  }

  #idleAt(route: Route): number {
    const idle = this.phase === TUNNEL ? this.plane.config.timeouts.tunnelIdle : route.idleTimeout
    return idle > 0 ? this.lastActivity + idle : NEVER
  }

  onDeadline(): void {
    const now = this.plane.means.wheel.now
    const route = this.matched as Route
    if (this.phase !== TUNNEL && now >= this.endsAt) {
      // Both sides of a call may speak at once, so that nobody's request was late.
      return this.timeOut(this.stream.requestComplete || this.grpc !== null ? "responseTimeout" : "requestTimeout")
    }
    if (now >= this.#goneAt && this.phase < RESPONDING) return this.cancel()
    if (now >= this.#idleAt(route)) return this.timeOut("streamIdle")
    this.sending?.onDeadline(now)
    if (this.phase !== ENDED) this.arm()
  }
}
