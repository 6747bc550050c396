// What is told of one exchange to those who tap: the shape, and how it is made of an exchange that has ended. Bounded in every part;
// without secrets, and without a character that could drive a terminal.

import type { ErrorCode } from "../errors.ts"
import { NO_STATUS } from "../http/grpc-status.ts"
import type { AccessEntry, TcpAccessEntry } from "../telemetry/access-log.ts"
import type { AttemptStep, FilterOutcome, FilterPhase, FilterStep, Trail } from "../telemetry/trail.ts"
import { fieldPairs } from "./field-pairs.ts"
import { shownTarget, shownValue } from "./redact.ts"

/** Milliseconds each part of it took; a part that it didn't come to is left out. */
export interface TapPhases {
  /** From the first octet of the request to the end of its head. */
  readonly clientHead?: number
  /** Up to the first attempt: the route, and the filters of the request. */
  readonly filters: number
  /** What attempts took that failed, and pauses behind them. */
  readonly retries?: number
  /** Of the attempt that was answered, or else of the last: until it had a connection. */
  readonly connection?: number
  /** From there to the head of its response. */
  readonly upstream?: number
  /** From there to the end: filters of the response, and its body. */
  readonly body?: number
  readonly total: number
}

/** Times in ms; `start` from the beginning of the exchange. */
export interface TapAttempt {
  readonly endpoint: string
  readonly start: number
  /** Until it had a connection; −1: it never had one. */
  readonly connection: number
  /** From there to the head of the response; −1: none came. */
  readonly upstream: number
  readonly took: number
  readonly reused: boolean
  readonly hedged: boolean
  /** 0 = not answered. */
  readonly status: number
  readonly grpcStatus?: number
  /** Row of errors.ts; "" = it didn't fail. */
  readonly failed: ErrorCode | ""
  readonly details?: string
}

export interface TapFilter {
  readonly name: string
  readonly phase: FilterPhase
  readonly start: number
  readonly took: number
  /** How long it held the message back. */
  readonly waited?: number
  readonly outcome: FilterOutcome
  /** Names of fields. */
  readonly added?: readonly string[]
  readonly changed?: readonly string[]
  readonly removed?: readonly string[]
}

export interface TapEvent {
  /** It isn't over, and is told of because it has lasted for a while; another event tells of its end. */
  readonly open?: true
  /** Start, ISO 8601. */
  readonly time: string
  readonly worker: number
  readonly listener: string
  /** `TCP`: a connection. It has no method, path, status and headers. */
  readonly protocol: string
  readonly method?: string
  /** The target, as the client sent it. */
  readonly path?: string
  readonly authority?: string
  /** The client, and the name in its certificate. */
  readonly source: string
  readonly peer?: string
  readonly id: string
  readonly trace?: string
  /** Names; "" = none. */
  readonly route: string
  readonly service: string
  readonly endpoint: string
  /** 0: no response. */
  readonly status?: number
  /** Absent also of a call that has got none, or none yet. */
  readonly grpcStatus?: number
  readonly flag: string
  readonly flagDetails: string
  /** Milliseconds; of one that is open, so far, as everything that can be counted. */
  readonly duration: number
  readonly requestBytes: number
  readonly responseBytes: number
  readonly phases?: TapPhases
  readonly attempts?: readonly TapAttempt[]
  readonly filters?: readonly TapFilter[]
  readonly requestHeaders?: readonly (readonly [string, string])[]
  readonly responseHeaders?: readonly (readonly [string, string])[]
  /** Something was left out for its size. */
  readonly cut?: true
}

/** Characters of an event, and of its parts. */
const MAX_EVENT = 16_384
const MAX_PATH = 2048
const MAX_TEXT = 256
const MAX_VALUE = 512
const MAX_FIELDS = 64
const MAX_HEADERS = 5000
const MAX_ATTEMPTS = 16
const MAX_FILTERS = 40
const MAX_NAMES = 16

// What JSON.stringify leaves and a terminal or a line splitter would act on. None of it stands outside of a string.
const LEFT_BY_JSON = /[\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g

/** What is known besides the entry for the access log. */
export interface Tapped {
  readonly worker: number
  /** Milliseconds since the epoch at the zero of the steps' clock. */
  readonly epoch: number
  /** Milliseconds the request's head took to arrive. */
  readonly clientHead: number
  readonly trail: Trail | null
  /** Of the request, as its client sent it: name, value, name, value … */
  readonly requestFields: readonly string[]
}

/** In place of an age. */
export const ENDED = -1

/** The line of an exchange, with its newline. `age`: ms so far, if it isn't over; else {@link ENDED}. */
export function exchangeLine(entry: AccessEntry, tapped: Tapped, age = ENDED): string {
  const event = eventOf(entry, tapped, age)
  const line = lineOf(event)
  if (line.length <= MAX_EVENT) return line
  const { requestHeaders: _, responseHeaders: __, ...rest } = event
  return lineOf({ ...rest, filters: rest.filters?.map(({ added: _, changed: __, removed: ___, ...filter }) => filter), cut: true })
}

/** The line of a TCP connection. `age`: as in {@link exchangeLine}. */
export function connectionLine(
  entry: TcpAccessEntry,
  { worker, epoch, trail }: Pick<Tapped, "worker" | "epoch" | "trail">,
  age = ENDED,
): string {
  const duration = age === ENDED ? entry.duration : age
  const event: TapEvent = {
    ...(age === ENDED ? {} : { open: true }),
    time: isoTime(entry.startTime),
    worker,
    listener: text(entry.listener),
    protocol: "TCP",
    ...(entry.requestedServerName === "" ? {} : { authority: text(entry.requestedServerName) }),
    source: entry.source,
    ...peerOf(entry),
    id: text(entry.requestId),
    route: "",
    service: text(entry.service),
    endpoint: entry.upstream,
    flag: entry.flag,
    flagDetails: text(entry.flagDetails),
    duration: ms(duration),
    requestBytes: entry.receivedBytes,
    responseBytes: entry.sentBytes,
    ...(trail === null || trail.context === null ? {} : { trace: trail.context.traceId }),
    ...connectionPhases(entry, trail, epoch, duration),
  }
  return lineOf(event)
}

function connectionPhases({ startTime, connectTime }: TcpAccessEntry, trail: Trail | null, epoch: number, duration: number): object {
  const began = startTime - epoch
  if (trail !== null) {
    const phases = phasesOf(trail.attempts, began, duration, 0)
    return { phases, attempts: trail.attempts.slice(0, MAX_ATTEMPTS).map((step) => attemptOf(step, began, duration)) }
  }
  return connectTime < 0 ? {} : { phases: { filters: 0, connection: ms(connectTime), total: ms(duration) } }
}

function lineOf(event: TapEvent): string {
  return `${JSON.stringify(event).replace(LEFT_BY_JSON, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)}\n`
}

function eventOf(entry: AccessEntry, { worker, epoch, clientHead, trail, requestFields }: Tapped, age: number): TapEvent {
  const duration = age === ENDED ? entry.duration : age
  const began = entry.startTime - epoch
  const request = headersOf(requestFields)
  const response = trail === null || trail.responseFields === null ? null : headersOf(fieldPairs(trail.responseFields))
  const cut = request.cut || (response?.cut ?? false) || (trail !== null && trail.filters.length > MAX_FILTERS)
  return {
    ...(age === ENDED ? {} : { open: true }),
    time: isoTime(entry.startTime),
    worker,
    listener: text(entry.listener),
    protocol: entry.protocol,
    method: text(entry.method),
    path: clip(shownTarget(clip(entry.path, 2 * MAX_PATH)), MAX_PATH),
    authority: text(entry.authority),
    source: entry.source,
    ...peerOf(entry),
    id: text(entry.requestId),
    ...(trail === null || trail.context === null ? {} : { trace: trail.context.traceId }),
    route: text(entry.route),
    service: text(entry.service),
    endpoint: entry.upstream,
    // Of one that is open it may yet come.
    ...(age !== ENDED && entry.status === 0 ? {} : { status: entry.status }),
    ...(entry.grpcStatus < 0 || entry.grpcStatus === NO_STATUS ? {} : { grpcStatus: entry.grpcStatus }),
    flag: entry.flag,
    flagDetails: text(entry.flagDetails),
    duration: ms(duration),
    requestBytes: entry.requestBytes,
    responseBytes: entry.responseBytes,
    ...(trail === null
      ? {}
      : {
          phases: phasesOf(trail.attempts, began, duration, clientHead),
          attempts: trail.attempts.slice(0, MAX_ATTEMPTS).map((step) => attemptOf(step, began, duration)),
          filters: trail.filters.slice(0, MAX_FILTERS).map((step) => filterOf(step, began)),
        }),
    requestHeaders: request.headers,
    ...(response === null ? {} : { responseHeaders: response.headers }),
    ...(cut ? { cut: true } : {}),
  }
}

function phasesOf(attempts: readonly AttemptStep[], began: number, duration: number, clientHead: number): TapPhases {
  const head = clientHead > 0 ? { clientHead: ms(clientHead) } : {}
  const chosen = attempts.findLast((step) => step.headAt > 0 && step.code === "") ?? attempts.at(-1)
  if (chosen === undefined) return { ...head, filters: ms(duration), total: ms(duration) }
  const retries = chosen.began - attempts[0].began
  const end = began + duration
  return {
    ...head,
    filters: ms(attempts[0].began - began),
    ...(retries > 0 ? { retries: ms(retries) } : {}),
    connection: ms((chosen.sentAt || end) - chosen.began),
    ...(chosen.sentAt === 0 ? {} : { upstream: ms((chosen.headAt || end) - chosen.sentAt) }),
    ...(chosen.headAt === 0 ? {} : { body: ms(end - chosen.headAt) }),
    total: ms(duration),
  }
}

function attemptOf(step: AttemptStep, began: number, duration: number): TapAttempt {
  return {
    endpoint: step.endpoint,
    start: ms(step.began - began),
    connection: step.sentAt === 0 ? -1 : ms(step.sentAt - step.began),
    upstream: step.headAt === 0 ? -1 : ms(step.headAt - step.sentAt),
    took: ms((step.endedAt || began + duration) - step.began),
    reused: step.reused,
    hedged: step.hedged,
    status: step.status,
    ...(step.grpcStatus < 0 ? {} : { grpcStatus: step.grpcStatus }),
    failed: step.code,
    ...(step.details === "" ? {} : { details: text(step.details) }),
  }
}

function filterOf(step: FilterStep, began: number): TapFilter {
  const names = (key: string, list: readonly string[] | undefined): object =>
    list === undefined || list.length === 0 ? {} : { [key]: list.slice(0, MAX_NAMES).map((name) => clip(name, 64)) }
  return {
    name: text(step.name),
    phase: step.phase,
    start: ms(step.began - began),
    took: ms(step.took),
    ...(step.resumedAt === 0 ? {} : { waited: ms(step.resumedAt - step.began - step.took) }),
    outcome: step.outcome,
    ...names("added", step.edits?.added),
    ...names("changed", step.edits?.changed),
    ...names("removed", step.edits?.removed),
  }
}

function headersOf(pairs: readonly string[]): { headers: [string, string][]; cut: boolean } {
  const headers: [string, string][] = []
  let left = MAX_HEADERS
  for (let i = 0; i < pairs.length; i += 2) {
    const name = clip(pairs[i], MAX_TEXT)
    // Cut first, so that no work is done on what isn't shown; a cut value of a URL still has its parameters' names.
    const value = clip(shownValue(pairs[i], clip(pairs[i + 1], 2 * MAX_VALUE)), MAX_VALUE)
    left -= name.length + value.length
    if (headers.length === MAX_FIELDS || left < 0) return { headers, cut: true }
    headers.push([name, value])
  }
  return { headers, cut: false }
}

function peerOf({ security }: AccessEntry | TcpAccessEntry): { peer?: string } {
  return security === null || security.peerIdentity === "" ? {} : { peer: text(security.peerIdentity) }
}

function clip(value: string, limit: number): string {
  return value.length > limit ? `${value.slice(0, limit - 1)}…` : value
}

function text(value: string): string {
  return clip(value, MAX_TEXT)
}

/** With microseconds; finite whatever comes. */
function ms(value: number): number {
  return value > 0 && value < 1e15 ? Math.round(value * 1000) / 1000 : 0
}

function isoTime(time: number): string {
  const date = new Date(time)
  return Number.isNaN(date.getTime()) ? "1970-01-01T00:00:00.000Z" : date.toISOString()
}
