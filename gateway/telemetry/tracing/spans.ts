// Makes OpenTelemetry's spans of what workers recorded: one of the exchange or connection, one of each attempt, one of each phase of a filter.

import type { HrTime, Link, SpanContext, SpanStatus, TraceState } from "@opentelemetry/api"
import type { Resource } from "@opentelemetry/resources"
import type { ReadableSpan, TimedEvent } from "@opentelemetry/sdk-trace-base"
import { connectionSpan, connectSpan } from "./connection-attributes.ts"
import type { FinishedTrace } from "./finished-trace.ts"
import { clientSpan, filterSpan, type SpanContent, serverSpan } from "./span-attributes.ts"

const INTERNAL = 0
const SERVER = 1
const CLIENT = 2
const SAMPLED = 1
const UNSET: SpanStatus = { code: 0 }
const ERROR = 2

export interface SpanOrigin {
  readonly resource: Resource
  /** Of the gateway. */
  readonly version: string
  /** A service is spoken to with TLS. */
  secure(service: string): boolean
}

/** Spans a trace becomes. */
export function spanCount({ attempts, phases }: FinishedTrace): number {
  return 1 + attempts.length + phases.length
}

export function spansOf(trace: FinishedTrace, origin: SpanOrigin, randomId: () => string): ReadableSpan[] {
  const context = contextOf(trace, trace.spanId)
  const parent = trace.parentId === "" ? undefined : { ...contextOf(trace, trace.parentId), isRemote: true }
  const links = trace.linkTraceId === "" ? [] : [linkTo(trace)]
  const ended = trace.began + trace.duration
  const { connection, attempts } = trace
  const whole = connection === undefined ? serverSpan(trace) : connectionSpan(trace, connection)
  const spans = [span(whole, SERVER, context, parent, trace.began, ended, [], links, origin)]
  const secure = origin.secure(trace.service)
  for (const [i, attempt] of attempts.entries()) {
    const sent = connection === undefined ? "sluice.request_sent" : "sluice.connected"
    const events = [event(sent, attempt.sentAt), event("sluice.response_head", attempt.headAt)].flat()
    const own = contextOf(trace, attempt.spanId)
    const content =
      connection === undefined ? clientSpan(trace, attempt, i, secure) : connectSpan(trace, connection, attempt, i === attempts.length - 1)
    spans.push(span(content, CLIENT, own, context, attempt.began, attempt.endedAt, events, [], origin))
  }
  for (const phase of trace.phases) {
    const own = contextOf(trace, randomId())
    spans.push(span(filterSpan(phase), INTERNAL, own, context, phase.began, phase.endedAt, [], [], origin))
  }
  return spans
}

function span(
  { name, attributes, error }: SpanContent,
  kind: ReadableSpan["kind"],
  context: SpanContext,
  parentSpanContext: SpanContext | undefined,
  began: number,
  ended: number,
  events: TimedEvent[],
  links: Link[],
  { resource, version }: SpanOrigin,
): ReadableSpan {
  const status = error === null ? UNSET : error.message === "" ? { code: ERROR } : { code: ERROR, message: error.message }
  return {
    name,
    kind,
    spanContext: () => context,
    ...(parentSpanContext === undefined ? {} : { parentSpanContext }),
    startTime: time(began),
    endTime: time(Math.max(began, ended)),
    duration: time(Math.max(0, ended - began)),
    ended: true,
    status,
    attributes,
    links,
    events,
    resource,
    instrumentationScope: { name: "sluice", version },
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  }
}

/** Seconds and nanoseconds of milliseconds. */
function time(ms: number): HrTime {
  const seconds = Math.floor(ms / 1000)
  return [seconds, Math.min(999_999_999, Math.round((ms - seconds * 1000) * 1e6))]
}

function event(name: string, at: number): TimedEvent[] {
  return at === 0 ? [] : [{ name, time: time(at) }]
}

function contextOf({ traceId, state }: FinishedTrace, spanId: string): SpanContext {
  return { traceId, spanId, traceFlags: SAMPLED, ...(state === "" ? {} : { traceState: new PlainState(state) }) }
}

function linkTo({ linkTraceId, linkSpanId }: FinishedTrace): Link {
  return { context: { traceId: linkTraceId, spanId: linkSpanId, traceFlags: 0, isRemote: true } }
}

/** `tracestate` as it is: nobody edits it here. */
class PlainState implements TraceState {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  serialize(): string {
    return this.#text
  }

  get(key: string): string | undefined {
    const member = this.#text.split(",").find((each) => each.startsWith(`${key}=`))
    return member?.slice(key.length + 1)
  }

  set(): TraceState {
    return this
  }

  unset(): TraceState {
    return this
  }
}
