import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { NO_STATUS, OTHER_STATUS } from "../../../gateway/http/grpc-status.ts"
import { RequestHead, ResponseHead } from "../../../gateway/http/message.ts"
import { connectionLine, exchangeLine, type TapEvent, type Tapped } from "../../../gateway/tap/event.ts"
import { shownTarget, shownValue } from "../../../gateway/tap/redact.ts"
import type { AccessEntry } from "../../../gateway/telemetry/access-log.ts"
import { Trail } from "../../../gateway/telemetry/trail.ts"
import { anyCharacter } from "../../support/any-character.ts"
import { accessEntry } from "../telemetry/support/access-entry.ts"

const EPOCH = 1_800_000_000_000
const entry: AccessEntry = accessEntry({
  startTime: EPOCH + 1000,
  path: "/api?q=1&access_token=s3cret",
  authority: "shop.example",
  duration: 30,
  timeToFirstByte: 20,
  responseBytes: 5,
  upstream: "10.0.0.1:80",
  source: "127.0.0.1:5000",
  requestId: "id-1",
})

function tapped(trail: Trail | null = null, requestFields: readonly string[] = []): Tapped {
  return { worker: 1, epoch: EPOCH, clientHead: 0, trail, requestFields }
}

function event(more: Partial<AccessEntry>, what: Tapped): TapEvent {
  const line = exchangeLine({ ...entry, ...more }, what)
  expect(line.endsWith("\n")).toBe(true)
  return JSON.parse(line) as TapEvent
}

describe("an event", () => {
  test("tells of each part of the time, of every attempt and why it failed", () => {
    const trail = new Trail()
    const first = Object.assign(trail.attempt("10.0.0.2:80", false), { began: 1002, endedAt: 1004 })
    first.failed("connectFailure", "ECONNREFUSED")
    Object.assign(trail.attempt("10.0.0.1:80", false), {
      began: 1005,
      sentAt: 1006,
      headAt: 1020,
      endedAt: 1030,
      status: 200,
      reused: true,
    })
    const told = event({}, { ...tapped(trail), clientHead: 7 })
    expect(told.phases).toEqual({ clientHead: 7, filters: 2, retries: 3, connection: 1, upstream: 14, body: 10, total: 30 })
    expect(told.attempts).toEqual([
      {
        endpoint: "10.0.0.2:80",
        start: 2,
        connection: -1,
        upstream: -1,
        took: 2,
        reused: false,
        hedged: false,
        status: 0,
        failed: "connectFailure",
        details: "ECONNREFUSED",
      },
      { endpoint: "10.0.0.1:80", start: 5, connection: 1, upstream: 14, took: 25, reused: true, hedged: false, status: 200, failed: "" },
    ])
    expect(told).toMatchObject({ time: new Date(EPOCH + 1000).toISOString(), worker: 1, id: "id-1", route: "api", endpoint: "10.0.0.1:80" })
  })

  test("tells what a filter did to a head, also while it held it back", () => {
    const trail = new Trail()
    trail.keepsEdits = true
    const head = new RequestHead()
    head.method = "GET"
    head.path = "/a"
    head.fields.add("x-old", "1")
    head.fields.add("x-gone", "1")
    trail.filterBegan("auth", "request headers", head)
    head.fields.set("x-old", "2")
    trail.filterEnded("continue", head)
    trail.filterPaused(head)
    head.fields.set("x-new", "1")
    head.fields.remove("x-gone")
    head.path = "/b"
    trail.filterResumed("auth", head)
    trail.filterBegan("idle", "response headers", new ResponseHead())
    trail.filterEnded("reply", new ResponseHead())
    const told = event({}, tapped(trail))
    expect(told.filters).toMatchObject([
      { name: "auth", outcome: "pause", added: ["x-new"], changed: ["x-old", ":path"], removed: ["x-gone"] },
      { name: "idle", phase: "response headers", outcome: "reply" },
    ])
    expect(told.filters?.[1]).not.toHaveProperty("added")
  })

  test("costs no copy of a head when nobody asks what filters did", () => {
    const trail = new Trail()
    const head = new RequestHead()
    trail.filterBegan("auth", "request headers", head)
    head.fields.set("x-new", "1")
    trail.filterEnded("continue", head)
    expect(trail.filters[0]).toMatchObject({ edits: null, before: null })
  })

  test("has no secrets", () => {
    const fields = ["cookie", "a=b", "x-user", "42", "x-other", "Bearer abc", "referer", "https://u:pw@h/?token=x&a=1#id_token=y"]
    const told = event({}, tapped(new Trail(), fields))
    expect(told.requestHeaders).toEqual([
      ["cookie", "[redacted]"],
      ["x-user", "42"],
      ["x-other", "[redacted]"],
      ["referer", "https://[redacted]@h/?token=[redacted]&a=1#id_token=[redacted]"],
    ])
    expect(told.path).toBe("/api?q=1&access_token=[redacted]")
    for (const name of ["authorization", "set-cookie", "proxy-authorization", "x-api-key", "x-auth-token", "x-csrf-token"])
      expect(shownValue(name, "value")).toBe("[redacted]")
    for (const name of ["jwt", "dpop", "x-session-id", "sid"]) expect(shownValue(name, "value")).toBe("[redacted]")
    expect(shownTarget("/cb?code=1&state=a&SAMLResponse=b&sig=c&codec=d")).toBe(
      "/cb?code=[redacted]&state=a&SAMLResponse=[redacted]&sig=[redacted]&codec=d",
    )
    expect(shownTarget("/a?%74oken=1")).toBe("/a?%74oken=[redacted]")
    expect(shownTarget("/a/token=1?b")).toBe("/a/token=1?b")
  })

  test("stays one line without a character that drives a terminal, and within its size, whatever comes", () => {
    const text = fc.string({ unit: anyCharacter, maxLength: 60 })
    fc.assert(
      fc.property(fc.array(text, { minLength: 6, maxLength: 6 }), fc.integer({ min: 0, max: 3000 }), (texts, size) => {
        const [path, name, value, flag, route, filter] = texts
        const trail = new Trail()
        const fields = Array.from({ length: 200 }, () => [name, value + "v".repeat(size)]).flat()
        trail.responseFields = `x-value: ${value.replaceAll("\r\n", "")}${"v".repeat(size)}\r\n`.repeat(200)
        for (let i = 0; i < 200; i++) {
          trail.attempt(name, false).failed("upstreamReset", value.repeat(9))
          trail.filterBegan(filter, "request headers")
          trail.filterEnded("continue")
          Object.assign(trail.filters[trail.filters.length - 1], {
            edits: { added: Array.from({ length: 32 }, () => filter.repeat(5)), changed: [], removed: [] },
          })
        }
        const line = exchangeLine(
          { ...entry, path: path + "p".repeat(size * 3), flag, route, authority: value.repeat(9), flagDetails: value },
          tapped(trail, fields),
        )
        JSON.parse(line)
        return line.length < 40_000 && !/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/u.test(line.slice(0, -1))
      }),
      { numRuns: 60 },
    )
  })

  test("of a TCP connection has what a connection has", () => {
    const line = connectionLine(
      {
        ...accessEntry({ route: "", requestId: "" }),
        startTime: EPOCH,
        flag: "UF",
        flagDetails: "refused",
        duration: 5,
        connectTime: 2,
        receivedBytes: 3,
        sentBytes: 4,
        listener: "db",
        requestedServerName: "db.example",
        requestId: "",
        service: "db",
        upstream: "10.0.0.9:5432",
        source: "127.0.0.1:5",
        security: null,
      },
      { worker: 0, epoch: EPOCH, trail: null },
    )
    expect(JSON.parse(line)).toMatchObject({
      protocol: "TCP",
      authority: "db.example",
      service: "db",
      endpoint: "10.0.0.9:5432",
      flag: "UF",
      requestBytes: 3,
      responseBytes: 4,
      phases: { connection: 2, total: 5 },
    })
  })

  test("of what isn't over says so, and how long it has lasted", () => {
    const trail = new Trail()
    Object.assign(trail.attempt("10.0.0.1:80", false), { began: 1002, sentAt: 1003 })
    const line = exchangeLine({ ...entry, status: 0, duration: 0 }, tapped(trail), 5000)
    const open = JSON.parse(line) as TapEvent
    expect(open).toMatchObject({ open: true, duration: 5000, phases: { connection: 1, upstream: 4997, total: 5000 } })
    expect(open.status).toBeUndefined()
    expect(event({}, tapped()).open).toBeUndefined()
  })

  test("of a call has its status when there is one", () => {
    const statuses = [-1, 0, 14, OTHER_STATUS, NO_STATUS].map((grpcStatus) => event({ grpcStatus }, tapped()).grpcStatus)
    expect(statuses).toEqual([undefined, 0, 14, OTHER_STATUS, undefined])
  })
})
