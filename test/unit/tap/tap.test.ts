import { describe, expect, test } from "vitest"
import { Wrong } from "../../../gateway/config/units.ts"
import { RequestHead } from "../../../gateway/http/message.ts"
import { MAX_TAPS, TapHub } from "../../../gateway/tap/hub.ts"
import type { TapOrder, TapReport } from "../../../gateway/tap/messages.ts"
import { parseTapQuery, type TapParameter, type TapQuery } from "../../../gateway/tap/query.ts"
import { MAX_RATE, OPEN_AFTER, Tap } from "../../../gateway/tap/tap.ts"
import { Watch, type WatchedConnection, type WatchedExchange } from "../../../gateway/telemetry/watch.ts"
import { accessEntry } from "../telemetry/support/access-entry.ts"

function query(given: Partial<Record<TapParameter, string>>): TapQuery {
  const parsed = parseTapQuery((name) => (given[name] === undefined ? [] : [given[name]]))
  if (parsed instanceof Wrong) throw new Error(parsed.message)
  return parsed
}

type Exchange = { -readonly [Key in keyof WatchedExchange]: WatchedExchange[Key] }

function exchange(more: Partial<WatchedExchange> = {}): Exchange {
  const head = new RequestHead()
  head.method = "GET"
  head.path = "/a"
  head.fields.add("x-user", "1")
  return {
    head,
    trail: null,
    headTook: 0,
    trusted: false,
    tracing: null,
    ...accessEntry({
      startTime: 0,
      authority: "h",
      duration: 1,
      responseBytes: 0,
      route: "r",
      service: "s",
      upstream: "1.2.3.4:5",
      source: "127.0.0.1:9",
      requestId: "",
    }),
    ...more,
  }
}

/** A worker's tap whose reports are kept, with a clock that stands still. */
function worker(): { tap: Tap; watch: Watch; reports: TapReport[]; clock: { now: number }; draw: { next: number } } {
  const watch = new Watch()
  const reports: TapReport[] = []
  const clock = { now: 0 }
  const draw = { next: 0 }
  const tap = new Tap({ worker: 0, watch, post: (report) => reports.push(report), now: () => clock.now, random: () => draw.next })
  return { tap, watch, reports, clock, draw }
}

let versions = 0
function subscribe(...queries: TapQuery[]): TapOrder {
  return { kind: "subscriptions", version: ++versions, subscriptions: queries.map((each, i) => ({ id: i + 1, query: each })) }
}

function carry(watch: Watch, one: Exchange): void {
  if (!watch.active) return
  one.trail = watch.begin(one)
  watch.end(one)
}

/** Has it tell what it has gathered: a change of subscriptions does. */
function told(tap: Tap, reports: TapReport[]): { ids: number[]; matched: number; dropped: number } {
  tap.receive(subscribe())
  const counts = reports.flatMap((report) => report.counts)
  return {
    ids: reports.flatMap((report) => report.lines.flatMap((line) => [...line.ids])),
    matched: counts.reduce((sum, { matched }) => sum + matched, 0),
    dropped: counts.reduce((sum, { dropped }) => sum + dropped, 0),
  }
}

describe("a worker's tap", () => {
  test("watches only while somebody taps", () => {
    const { tap, watch, reports } = worker()
    expect(watch.active).toBe(false)
    tap.receive(subscribe(query({})))
    expect(watch.active).toBe(true)
    tap.receive(subscribe())
    expect(watch.active).toBe(false)
    expect(reports.map(({ version }) => version)).toEqual([versions - 1, versions])
  })

  test("goes by the request as its client sent it, and by what became of it", () => {
    const { tap, watch, reports } = worker()
    tap.receive(subscribe(query({ path: "/a", status: "5xx" }), query({ path: "/b" })))
    const edited = exchange({ status: 503 })
    edited.trail = watch.begin(edited)
    // A filter rewrites it.
    edited.head.path = "/b"
    edited.head.fields.set("x-user", "2")
    watch.end(edited)
    carry(watch, exchange())
    const { ids } = told(tap, reports)
    expect(ids).toEqual([1])
    const [{ line }] = reports.flatMap((report) => report.lines)
    expect(JSON.parse(line)).toMatchObject({ status: 503, requestHeaders: [["x-user", "1"]] })
  })

  test("gives an exchange that nobody wants no trail, and leaves that of others alone", () => {
    const { tap, watch } = worker()
    tap.receive(subscribe(query({ method: "POST" })))
    expect(watch.begin(exchange())).toBeNull()
  })

  test("tells of what failed before it had a route", () => {
    const { tap, watch, reports } = worker()
    tap.receive(subscribe(query({ status: "404" })))
    watch.end(exchange({ route: "", status: 404, flag: "NR" }))
    expect(told(tap, reports).ids).toEqual([1])
  })

  test("tells of so many a second, and counts the others", () => {
    const { tap, watch, reports, clock } = worker()
    tap.receive(subscribe(query({}), query({ status: "200" })))
    for (let i = 0; i < MAX_RATE + 50; i++) carry(watch, exchange())
    // Nobody follows what can't be told anyway; whether a status fits is known at the end only.
    expect(watch.begin(exchange())).not.toBeNull()
    clock.now = 1000
    carry(watch, exchange())
    const { ids, matched, dropped } = told(tap, reports)
    expect(ids.filter((id) => id === 1)).toHaveLength(MAX_RATE + 1)
    expect(ids.filter((id) => id === 2)).toHaveLength(MAX_RATE + 1)
    expect(matched).toBe(2 * (MAX_RATE + 51) + 1)
    expect(dropped).toBe(101)
  })

  test("tells once of what has lasted for a while, as far as it matches by then", () => {
    const { tap, watch, reports, clock } = worker()
    tap.receive(subscribe(query({}), query({ status: "none" }), query({ slower: "1s" }), query({ slower: "1h" })))
    const lasting = exchange({ startTime: performance.timeOrigin, status: 0, duration: 0 })
    lasting.trail = watch.begin(lasting)
    const over = exchange({ startTime: performance.timeOrigin })
    carry(watch, over)
    clock.now = OPEN_AFTER - 1
    tap.look()
    clock.now++
    lasting.responseBytes = 7
    tap.look()
    tap.look()
    const open = (): unknown[] => reports.flatMap((report) => report.lines).filter(({ line }) => JSON.parse(line).open === true)
    tap.receive(subscribe(query({})))
    expect(open()).toMatchObject([{ ids: [1, 3] }])
    expect(JSON.parse((open() as { line: string }[])[0].line)).toMatchObject({ duration: OPEN_AFTER, responseBytes: 7 })
    watch.end(lasting)
    expect(told(tap, reports).ids.filter((id) => id === 1)).toHaveLength(3)
  })

  test("tells of a connection that was there before anybody tapped, and draws once for each", () => {
    const { tap, watch, reports, draw, clock } = worker()
    clock.now = 1000
    tap.receive(subscribe(query({ sample: "10%" })))
    const connection = (began: number): WatchedConnection & { trail: WatchedConnection["trail"] } => ({
      ...accessEntry({ protocol: "TCP", startTime: performance.timeOrigin + began }),
      connectTime: 1,
      receivedBytes: 0,
      sentBytes: 0,
      trail: null,
      tracing: null,
    })
    draw.next = 0.5
    const drawn = connection(2000)
    const trail = watch.beginConnection(drawn)
    draw.next = 0
    watch.endConnection({ ...drawn, trail })
    expect(reports.flatMap((report) => report.lines)).toEqual([])
    watch.endConnection(connection(0))
    expect(told(tap, reports).ids).toEqual([1])
  })

  test("tells everybody who taps of a connection's end, once, whenever they began to", () => {
    const { tap, watch, reports, clock } = worker()
    tap.receive(subscribe(query({})))
    const lasting = {
      ...accessEntry({ protocol: "TCP", startTime: performance.timeOrigin }),
      ...{ connectTime: 1, receivedBytes: 0, sentBytes: 0, tracing: null },
    }
    const trail = watch.beginConnection({ ...lasting, trail: null })
    clock.now = 1000
    tap.receive(subscribe(query({}), query({}), query({ listener: "another" })))
    watch.endConnection({ ...lasting, trail })
    expect(told(tap, reports).ids).toEqual([1, 2])
  })

  test("looks at a share of the exchanges", () => {
    const { tap, watch, reports, draw } = worker()
    tap.receive(subscribe(query({ sample: "10%" })))
    for (const next of [0.05, 0.1, 0.5, 0.09]) {
      draw.next = next
      carry(watch, exchange())
    }
    expect(told(tap, reports)).toMatchObject({ ids: [1, 1], matched: 2 })
  })

  test("holds little when the main thread has no time", () => {
    const { tap, watch, reports, clock } = worker()
    tap.receive(subscribe(query({})))
    const path = `/${"p".repeat(2000)}`
    for (let i = 0; i < 3000; i++) {
      clock.now += 50
      carry(watch, exchange({ path }))
    }
    const lines = reports.flatMap((report) => report.lines)
    const length = lines.reduce((sum, { line }) => sum + line.length, 0)
    expect(length).toBeLessThan(1_200_000)
    tap.receive({ kind: "taken", length })
    carry(watch, exchange({ path: "/last" }))
    const { ids, dropped } = told(tap, reports)
    expect(ids.length + dropped).toBe(3001)
    expect(reports.flatMap((report) => report.lines).at(-1)?.line).toContain("/last")
  })
})

/** A hub with one worker that takes what it is told at once, unless `silent`. */
function hub(silent = false): { hub: TapHub; orders: TapOrder[]; clock: { now: number } } {
  const orders: TapOrder[] = []
  const clock = { now: 0 }
  const made = new TapHub({
    now: () => clock.now,
    tell: (order) => {
      orders.push(order)
      return silent ? [0] : []
    },
  })
  return { hub: made, orders, clock }
}

const line = (n: number): { ids: number[]; line: string } => ({ ids: [n], line: `{"n":${n}}\n` })

describe("the hub of taps", () => {
  test("says that it is on when every worker looks", async () => {
    const { hub: taps, orders } = hub(true)
    const reader = taps.open(query({}))
    const first = reader?.next()
    const { version } = orders[0] as { version: number }
    taps.receive(0, { version: version - 1, lines: [line(1)], counts: [] })
    expect(await first).toBe('{"n":1}\n')
    const second = reader?.next()
    taps.receive(0, { version, lines: [], counts: [{ id: 1, matched: 3, dropped: 2 }] })
    expect(JSON.parse((await second) as string)).toMatchObject({ matched: 3, sent: 1, dropped: { rate: 2, reader: 0 } })
    taps.close()
  })

  test("doesn't wait for a worker that is gone", async () => {
    const { hub: taps } = hub(true)
    const reader = taps.open(query({}))
    taps.lost(0)
    expect(JSON.parse((await reader?.next()) as string)).toHaveProperty("alive")
    taps.close()
  })

  test("takes a tap from the workers when its reader goes, and gives a new worker those there are", () => {
    const { hub: taps, orders } = hub()
    expect(taps.order).toBeNull()
    const reader = taps.open(query({ route: "a" }))
    taps.open(query({ route: "b" }))
    expect(taps.order).toMatchObject({ subscriptions: [{ query: { routes: ["a"] } }, { query: { routes: ["b"] } }] })
    reader?.cancel()
    expect(orders.at(-1)).toMatchObject({ subscriptions: [{ query: { routes: ["b"] } }] })
    taps.close()
    expect(taps.order).toBeNull()
  })

  test("refuses more taps than it has room for", () => {
    const { hub: taps } = hub()
    const readers = Array.from({ length: MAX_TAPS }, () => taps.open(query({})))
    expect(readers).not.toContain(null)
    expect(taps.open(query({}))).toBeNull()
    readers[3]?.cancel()
    expect(taps.open(query({}))).not.toBeNull()
    taps.close()
  })

  test("ends a tap after so many events, and says why", async () => {
    const { hub: taps } = hub()
    const reader = taps.open(query({ max: "2" }))
    taps.receive(0, { version: 9, lines: [line(1), line(1), line(1)], counts: [] })
    const text = (await reader?.next()) as string
    const lines = text
      .trim()
      .split("\n")
      .map((each) => JSON.parse(each))
    expect(lines.slice(1, 3)).toEqual([{ n: 1 }, { n: 1 }])
    expect(lines[3]).toMatchObject({ end: "max", sent: 2 })
    expect(await reader?.next()).toBeNull()
    expect(taps.order).toBeNull()
  })

  test("keeps little for a slow reader, and counts what it lost", async () => {
    const { hub: taps } = hub()
    const reader = taps.open(query({}))
    const big = { ids: [1], line: `{"n":"${"x".repeat(9000)}"}\n` }
    for (let i = 0; i < 500; i++) taps.receive(0, { version: 9, lines: [big], counts: [] })
    taps.close()
    let length = 0
    let last = ""
    for (let piece = await reader?.next(); piece; piece = await reader?.next()) {
      expect(piece.length).toBeLessThanOrEqual(65_536)
      length += piece.length
      last = piece.trim().split("\n").at(-1) as string
    }
    expect(length).toBeLessThan(600_000)
    const { sent, dropped, end } = JSON.parse(last)
    expect(end).toBe("stopping")
    expect(sent + dropped.reader).toBe(500)
    expect(dropped.reader).toBeGreaterThan(400)
  })
})
