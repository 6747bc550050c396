// What a worker tells the main thread of an exchange that was recorded: plain data, each text of it bounded, out of which spans are
// made there. Times are milliseconds since the epoch, with fraction.

import { NO_STATUS } from "../../http/grpc-status.ts"
import type { AttemptStep, FilterStep, Trail } from "../trail.ts"
import type { WatchedExchange } from "../watch.ts"
import type { ExchangeTrace } from "./exchange-trace.ts"
import type { TraceIds } from "./trace-ids.ts"

/** Characters of a text from outside that are kept; of a user agent. */
export const MAX_TEXT = 1024
export const MAX_AGENT = 256
const MAX_METHOD = 64

export interface FinishedAttempt {
  readonly spanId: string
  /** `host:port`. */
  readonly endpoint: string
  readonly began: number
  /** 0 = it didn't come to that. */
  readonly sentAt: number
  readonly headAt: number
  readonly endedAt: number
  readonly hedged: boolean
  readonly reused: boolean
  /** 0 = it wasn't answered. */
  readonly status: number
  /** −1 = none is known. */
  readonly grpcStatus: number
  /** Why it failed; "" = it didn't, or was given up. */
  readonly code: string
  readonly details: string
}

export interface FinishedPhase {
  readonly name: string
  readonly phase: string
  readonly began: number
  readonly endedAt: number
  readonly outcome: string
}

export interface FinishedConnection {
  /** Octets. */
  readonly received: number
  readonly sent: number
  /** "" = none. */
  readonly serverName: string
  /** Where the client connected to. */
  readonly localAddress: string
  readonly localPort: number
}

export interface FinishedTrace {
  readonly traceId: string
  readonly spanId: string
  /** "" = it begins here. */
  readonly parentId: string
  readonly state: string
  /** The trace of a client that isn't joined, and its span; "" = none. */
  readonly linkTraceId: string
  readonly linkSpanId: string
  readonly began: number
  /** ms. */
  readonly duration: number
  readonly method: string
  /** Without its query, which may hold secrets. */
  readonly path: string
  /** As it went on, after rewrites. */
  readonly sentPath: string
  readonly scheme: string
  readonly authority: string
  /** `1.0`, `1.1`, `2`. */
  readonly version: string
  readonly status: number
  /** Over 16: it ended without one that is known; −1: it is no call. */
  readonly grpcStatus: number
  readonly flag: string
  readonly details: string
  readonly listener: string
  /** "" = none. */
  readonly route: string
  readonly service: string
  readonly clientAddress: string
  readonly peerAddress: string
  readonly peerPort: number
  readonly identity: string
  readonly userAgent: string
  readonly requestId: string
  /** Of a TCP connection, which has nothing of a request; absent = it is a request. */
  readonly connection?: FinishedConnection
  readonly attempts: readonly FinishedAttempt[]
  /** Empty unless they were asked for. */
  readonly phases: readonly FinishedPhase[]
}

/** Where the exchange's times are those of its last read, steps may be a moment later: they are put within it. */
export class TraceClock {
  readonly began: number
  readonly ended: number
  readonly #epoch: number

  constructor(began: number, duration: number, epoch: number) {
    this.began = began
    this.ended = began + duration
    this.#epoch = epoch
  }

  /** 0 = it didn't come to that, and stays 0. */
  at(time: number): number {
    return time === 0 ? 0 : this.within(this.#epoch + time)
  }

  end(time: number): number {
    return time === 0 ? this.ended : this.at(time)
  }

  within(time: number): number {
    return Math.min(this.ended, Math.max(this.began, time))
  }
}

/** `epoch`: zero of the steps' clock, in milliseconds since the epoch. */
export function finishedTrace(exchange: WatchedExchange, trace: ExchangeTrace, epoch: number, ids: TraceIds): FinishedTrace {
  const { trail } = exchange
  const clock = new TraceClock(exchange.startTime, exchange.duration, epoch)
  const query = exchange.path.indexOf("?")
  return {
    traceId: trace.traceId,
    spanId: trace.spanId,
    parentId: trace.parentId,
    state: trace.state,
    linkTraceId: trace.link?.traceId ?? "",
    linkSpanId: trace.link?.spanId ?? "",
    began: clock.began,
    duration: exchange.duration,
    method: exchange.method.slice(0, MAX_METHOD),
    path: exchange.path.slice(0, query === -1 ? MAX_TEXT : Math.min(query, MAX_TEXT)),
    sentPath: exchange.head.path.slice(0, MAX_TEXT),
    scheme: exchange.head.scheme,
    authority: exchange.authority.slice(0, MAX_TEXT),
    version: exchange.protocol.slice("HTTP/".length),
    status: exchange.status,
    grpcStatus: exchange.grpcStatus,
    flag: exchange.flag,
    details: exchange.flagDetails.slice(0, MAX_TEXT),
    listener: exchange.listener,
    route: exchange.route,
    service: exchange.service,
    clientAddress: exchange.sourceAddress.slice(0, MAX_AGENT),
    peerAddress: exchange.peerAddress,
    peerPort: exchange.sourcePort,
    identity: exchange.security?.peerIdentity.slice(0, MAX_TEXT) ?? "",
    userAgent: exchange.userAgent.slice(0, MAX_AGENT),
    requestId: exchange.requestId,
    attempts: trail === null ? [] : attemptsOf(trail, exchange, clock, ids),
    phases: trail === null || !trace.filters ? [] : trail.filters.map((step) => phaseOf(step, clock)),
  }
}

function attemptsOf({ attempts }: Trail, { grpcStatus }: WatchedExchange, clock: TraceClock, ids: TraceIds): FinishedAttempt[] {
  // A call's status is in its trailers, and those of one attempt alone are taken.
  const chosen = grpcStatus >= 0 && grpcStatus < NO_STATUS ? attempts.findLast(({ status }) => status > 0) : undefined
  return attempts.map((step) => finishedAttempt(step, step === chosen && step.grpcStatus === -1 ? grpcStatus : step.grpcStatus, clock, ids))
}

/** One attempt, as it is told. */
export function finishedAttempt(step: AttemptStep, grpcStatus: number, clock: TraceClock, ids: TraceIds): FinishedAttempt {
  return {
    spanId: step.spanId === "" ? ids.span() : step.spanId,
    endpoint: step.endpoint,
    began: clock.at(step.began),
    sentAt: clock.at(step.sentAt),
    headAt: clock.at(step.headAt),
    endedAt: clock.end(step.endedAt),
    hedged: step.hedged,
    reused: step.reused,
    status: step.status,
    grpcStatus,
    code: step.code,
    details: step.details.slice(0, MAX_TEXT),
  }
}

// A phase that was paused lasts until it let go, or to the end.
function phaseOf({ name, phase, began, took, outcome, resumedAt }: FilterStep, clock: TraceClock): FinishedPhase {
  const endedAt = outcome === "pause" ? clock.end(resumedAt) : clock.at(began + took)
  return { name, phase, began: clock.at(began), endedAt, outcome }
}
