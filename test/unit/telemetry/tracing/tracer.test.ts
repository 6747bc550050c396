import { describe, expect, test } from "vitest"
import type { TracingConfig } from "../../../../gateway/config/tracing-model.ts"
import { Fields } from "../../../../gateway/http/fields.ts"
import { RequestHead } from "../../../../gateway/http/message.ts"
import type { FinishedTrace } from "../../../../gateway/telemetry/tracing/finished-trace.ts"
import { RouteTracing } from "../../../../gateway/telemetry/tracing/route-tracing.ts"
import { TraceIds } from "../../../../gateway/telemetry/tracing/trace-ids.ts"
import { TraceOutbox } from "../../../../gateway/telemetry/tracing/trace-outbox.ts"
import { Tracer } from "../../../../gateway/telemetry/tracing/tracer.ts"
import { Trail } from "../../../../gateway/telemetry/trail.ts"
import type { WatchedExchange } from "../../../../gateway/telemetry/watch.ts"

const TRACE = "0af7651916cd43dd8448eb211c80319c"
const SPAN = "b7ad6b7169203331"
/** Of a request that nobody sent a trace with: half of all ids are below it, and half above. */
const LOW = `${"1".repeat(16)}1${"f".repeat(15)}`
const HIGH = `${"1".repeat(16)}e${"f".repeat(15)}`

const config: TracingConfig = {
  otlp: { url: "http://127.0.0.1:4318", headers: {}, timeout: 1000 },
  sampling: 0.5,
  propagation: ["w3c"],
  trustParents: false,
  force: "",
  serviceName: "sluice",
}

interface Case {
  readonly config?: Partial<TracingConfig>
  readonly fields?: Readonly<Record<string, string>>
  readonly trusted?: boolean
  readonly requestId?: string
  /** Of the route; null = it isn't traced; undefined = half. */
  readonly sampling?: number | null
  readonly trail?: Trail
}

type Began = {
  trail: Trail | null
  exchange: WatchedExchange
  traces: FinishedTrace[]
  of(name: string): string | undefined
  tracer: Tracer
  outbox: TraceOutbox
}

function begin({ config: more = {}, fields = {}, trusted = false, requestId = LOW, sampling = 0.5, trail }: Case = {}): Began {
  const traces: FinishedTrace[] = []
  let digits = 0
  const ids = new TraceIds((octets) => String(++digits % 10).repeat(octets * 2))
  const outbox = new TraceOutbox({
    post: (batch) => traces.push(...(JSON.parse(batch) as FinishedTrace[])),
    onRecorded: () => {},
    onDrop: () => {},
  })
  const tracer = new Tracer({ ...config, ...more }, { ids, outbox, epoch: 1_000_000 })
  const head = new RequestHead()
  for (const [name, value] of Object.entries(fields)) head.fields.add(name, value)
  head.saysForwarded = "traceparent" in fields || "tracestate" in fields
  // As it has it by then.
  if (!head.saysForwarded) head.fields.set("traceparent", `00-${requestId}-${SPAN}-00`)
  const exchange = {
    head,
    trusted,
    requestId,
    tracing: new RouteTracing({ sampling, filters: false }),
    route: "r",
    path: "/a?b=c",
    protocol: "HTTP/1.1",
    startTime: 1_000_500,
    duration: 10,
    method: "GET",
    authority: "a",
    flagDetails: "",
    sourceAddress: "127.0.0.1",
    userAgent: "",
    security: null,
    grpcStatus: -1,
    trail: null as Trail | null,
  } as unknown as WatchedExchange & { trail: Trail | null }
  exchange.trail = tracer.begin(exchange, trail ?? null)
  tracer.end(exchange)
  outbox.flush()
  return { trail: exchange.trail, exchange, traces, of: (name) => head.fields.get(name), tracer, outbox }
}

describe("a request without a trace", () => {
  test("is recorded if its id says so, and its services are told", () => {
    const { trail, traces, of } = begin()
    expect(traces).toHaveLength(1)
    expect(trail?.context).toMatchObject({ traceId: LOW, parentId: "", state: "" })
    expect(of("traceparent")).toBe(`00-${LOW}-${trail?.context?.spanId}-01`)
  })

  test("isn't otherwise, and stays as it is", () => {
    const { trail, traces, of } = begin({ requestId: HIGH })
    expect([trail, traces]).toEqual([null, []])
    expect(of("traceparent")).toBe(`00-${HIGH}-${SPAN}-00`)
  })

  test.each([
    [1, HIGH, 1],
    [0, LOW, 0],
    [null, LOW, 0],
  ])("on a route with sampling %s", (sampling, requestId, expected) => {
    expect(begin({ sampling, requestId }).traces).toHaveLength(expected)
  })

  test("has a trace of its own in B3 too, recorded or not", () => {
    const b3 = { propagation: ["b3", "b3multi"] } as const
    const yes = begin({ config: b3 })
    expect(yes.of("b3")).toBe(`${LOW}-${yes.trail?.context?.spanId}-1`)
    expect(yes.of("x-b3-traceid")).toBe(LOW)
    const no = begin({ config: b3, requestId: HIGH })
    const [, , span] = (no.of("traceparent") as string).split("-")
    expect(no.of("b3")).toBe(`${HIGH}-${span}-0`)
    expect([no.of("x-b3-spanid"), no.of("x-b3-sampled")]).toEqual([span, "0"])
  })

  test("keeps the trail that somebody else wants", () => {
    const trail = new Trail()
    expect(begin({ trail }).trail).toBe(trail)
    expect(trail.context).not.toBeNull()
    const other = new Trail()
    expect(begin({ trail: other, requestId: HIGH }).trail).toBe(other)
    expect(other.context).toBeNull()
  })
})

describe("a request with a trace", () => {
  const sampled = { traceparent: `00-${TRACE}-${SPAN}-01`, tracestate: "a=1" }
  const unsampled = { traceparent: `00-${TRACE}-${SPAN}-00`, tracestate: "a=1" }

  test.each([
    ["from a trusted proxy", { trusted: true }],
    ["from anyone, where that is enough", { config: { trustParents: true } }],
  ])("%s is recorded as it says", (_, more) => {
    const yes = begin({ fields: sampled, sampling: 0, ...more })
    expect(yes.trail?.context).toMatchObject({ traceId: TRACE, parentId: SPAN, state: "a=1" })
    expect(yes.of("traceparent")).toBe(`00-${TRACE}-${yes.trail?.context?.spanId}-01`)
    expect(yes.of("tracestate")).toBe("a=1")
    const no = begin({ fields: unsampled, sampling: 1, ...more })
    expect(no.traces).toEqual([])
    expect([no.of("traceparent"), no.of("tracestate")]).toEqual([unsampled.traceparent, "a=1"])
  })

  test("of a client is linked, not joined", () => {
    const { traces, of } = begin({ fields: sampled })
    expect(traces[0]).toMatchObject({ traceId: LOW, parentId: "", state: "", linkTraceId: TRACE, linkSpanId: SPAN })
    expect(of("tracestate")).toBeUndefined()
    const no = begin({ fields: sampled, requestId: HIGH })
    expect(no.of("traceparent")).toMatch(new RegExp(`^00-${HIGH}-[0-9a-f]{16}-00$`))
    expect(no.of("traceparent")).not.toContain(SPAN)
  })

  test("of a later version goes on in this one if it is recorded, with what is said of its id", () => {
    const fields = { traceparent: `cc-${TRACE}-${SPAN}-03-more`, tracestate: "a=1,a=2" }
    const { trail, of } = begin({ fields, trusted: true })
    expect(of("traceparent")).toBe(`00-${TRACE}-${trail?.context?.spanId}-03`)
    expect(of("tracestate")).toBe("a=1")
  })

  test("that isn't recorded goes on as it came, in every word", () => {
    const fields = { traceparent: `cc-${TRACE}-${SPAN}-02-more`, tracestate: `a=1,a=2,${"b".repeat(600)}=3` }
    for (const sampling of [1, null]) {
      const { of, traces } = begin({ fields, trusted: true, sampling, config: { propagation: ["w3c", "b3"] } })
      expect([of("traceparent"), of("tracestate"), traces.length]).toEqual([fields.traceparent, fields.tracestate, 0])
      expect(of("b3")).toBe(`${TRACE}-${SPAN}-0`)
    }
  })

  test.each([
    ["malformed", { traceparent: `00-${TRACE}-${SPAN}-zz`, tracestate: "a=1" }],
    ["missing, but for its state", { tracestate: "a=1" }],
  ])("that is %s begins anew", (_, fields) => {
    const { trail, of } = begin({ fields, trusted: true, sampling: 1 })
    expect(trail?.context).toMatchObject({ parentId: "", state: "" })
    expect(trail?.context?.traceId).not.toBe(TRACE)
    expect(of("tracestate")).toBeUndefined()
  })

  test("on a route that isn't traced goes on as it came, with nothing decided", () => {
    expect(begin({ fields: sampled, trusted: true, sampling: null }).of("traceparent")).toBe(sampled.traceparent)
    const b3 = begin({ fields: { b3: `${TRACE}-${SPAN}` }, trusted: true, sampling: null, config: { propagation: ["b3"] } })
    expect([b3.of("b3"), b3.traces.length]).toEqual([`${TRACE}-${SPAN}`, 0])
  })
})

describe("B3", () => {
  const b3 = { propagation: ["b3"] } as const

  test("that leaves it open is decided by the trace's id", () => {
    const half = (id: string): number => begin({ fields: { b3: `${id}-${SPAN}` }, trusted: true, config: b3 }).traces.length
    expect([half(LOW), half(HIGH)]).toEqual([1, 0])
  })

  test("with a decision alone is obeyed", () => {
    expect(begin({ fields: { b3: "0" }, trusted: true, config: b3, sampling: 1 }).traces).toEqual([])
    expect(begin({ fields: { b3: "1" }, trusted: true, config: b3, sampling: 0 }).traces).toHaveLength(1)
    expect(begin({ fields: { b3: "d" }, config: b3, sampling: 0 }).traces).toEqual([])
  })

  test("in several fields is replaced in all of them", () => {
    const fields = { "x-b3-traceid": TRACE, "x-b3-spanid": SPAN, "x-b3-parentspanid": "1".repeat(16), "x-b3-flags": "1" }
    const { trail, of } = begin({ fields, trusted: true, config: { propagation: ["b3multi"] }, sampling: 0 })
    const span = trail?.context?.spanId
    expect([of("x-b3-traceid"), of("x-b3-spanid"), of("x-b3-parentspanid")]).toEqual([TRACE, span, undefined])
    expect([of("x-b3-flags"), of("x-b3-sampled")]).toEqual(["1", undefined])
    expect(trail?.context?.fields).toEqual([
      ...["traceparent", `00-${TRACE}-${span}-01`, "x-b3-traceid", TRACE, "x-b3-spanid", span, "x-b3-flags", "1"],
    ])
  })

  test("is believed in the order of the formats", () => {
    const fields = { traceparent: `00-${TRACE}-${SPAN}-00`, b3: `${"a".repeat(32)}-${SPAN}-1` }
    expect(begin({ fields, trusted: true, config: { propagation: ["w3c", "b3"] } }).traces).toEqual([])
    expect(begin({ fields, trusted: true, config: { propagation: ["b3", "w3c"] } }).traces[0].traceId).toBe("a".repeat(32))
  })

  test("that is repeated counts as none", () => {
    const head = new RequestHead()
    head.fields.assign(
      Fields.from([
        ["b3", `${TRACE}-${SPAN}-1`],
        ["b3", `${TRACE}-${SPAN}-1`],
      ]),
    )
    expect(head.fields.getAll("b3")).toHaveLength(2)
    const { tracer, exchange } = begin({ config: b3, trusted: true, sampling: 0 })
    expect(tracer.begin({ ...exchange, head }, null)).toBeNull()
  })
})

describe("who may force it", () => {
  const force = { force: "x-force" }

  test.each([
    ["1", true, 1],
    ["true", true, 1],
    ["0", true, 0],
    ["yes", true, 0],
    ["1", false, 0],
  ])("%s by a trusted proxy (%s)", (value, trusted, expected) => {
    const { traces, of } = begin({ config: force, fields: { "x-force": value }, trusted, sampling: 0, requestId: HIGH })
    expect(traces).toHaveLength(expected)
    expect(of("x-force")).toBe(trusted ? value : undefined)
  })

  test("can't, where nothing is traced", () => {
    expect(begin({ config: force, fields: { "x-force": "1" }, trusted: true, sampling: null }).traces).toEqual([])
  })
})

test("an exchange that never had a route is recorded as the share of all says", () => {
  const { tracer, exchange, traces, outbox } = begin({ requestId: HIGH })
  const failed = (requestId: string): void => tracer.end({ ...exchange, requestId, route: "", tracing: null })
  failed(LOW)
  failed(HIGH)
  outbox.flush()
  expect(traces).toHaveLength(1)
  expect(traces[0]).toMatchObject({ traceId: LOW, route: "", path: "/a", attempts: [] })
})
