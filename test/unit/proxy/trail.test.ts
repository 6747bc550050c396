import { describe, expect, it } from "vitest"
import { ResponseHead } from "../../../gateway/http/message.ts"
import { Trail } from "../../../gateway/telemetry/trail.ts"
import { Watch, type WatchedConnection, type WatchedExchange, type Watcher } from "../../../gateway/telemetry/watch.ts"

describe("the trail of an exchange", () => {
  it("keeps the first reason of an attempt's failure", () => {
    const trail = new Trail()
    const step = trail.attempt("127.0.0.1:1", false)
    step.failed("connectFailure", "refused")
    step.failed("perTryTimeout", "")
    expect(trail.attempts).toEqual([step])
    expect(step).toMatchObject({ code: "connectFailure", details: "refused", status: 0 })
  })

  it("keeps so many steps, and takes part in what comes after them", () => {
    const trail = new Trail()
    for (let i = 0; i < 200; i++) {
      trail.attempt("127.0.0.1:1", false).failed("upstreamClosed", "")
      trail.filterBegan("f", "request body")
      trail.filterEnded("continue")
    }
    expect(trail.attempts.length).toBe(32)
    expect(trail.filters.length).toBe(128)
  })

  it("says of no other step that it paused when the one that did isn't kept", () => {
    const trail = new Trail()
    for (let i = 0; i < 129; i++) {
      trail.filterBegan("f", "request body")
      trail.filterEnded("continue")
    }
    trail.filterPaused()
    expect(trail.filters.filter(({ outcome }) => outcome !== "continue")).toEqual([])
  })

  it("knows how long a filter held a message back", () => {
    const trail = new Trail()
    trail.filterBegan("auth", "request headers")
    trail.filterEnded("continue")
    trail.filterPaused()
    trail.filterBegan("other", "request headers")
    trail.filterEnded("reply")
    trail.filterResumed("auth")
    expect(trail.filters.map(({ name, outcome }) => [name, outcome])).toEqual([
      ["auth", "pause"],
      ["other", "reply"],
    ])
    expect(trail.filters[0].resumedAt).toBeGreaterThanOrEqual(trail.filters[0].began)
    expect(trail.filters[1].resumedAt).toBe(0)
  })

  it("keeps the fields of the response for those who ask for them alone", () => {
    const head = new ResponseHead()
    head.fields.set("x-a", "1")
    const trail = new Trail()
    trail.responded(head)
    expect(trail.responseFields).toBeNull()
    trail.keepsResponse = true
    trail.responded(head)
    expect(trail.responseFields).toBe("x-a: 1\r\n")
  })
})

describe("who watches exchanges", () => {
  it("share one trail", () => {
    const seen: (Trail | null)[] = []
    const wanting: Watcher = { begin: (_, trail) => trail ?? new Trail(), end: ({ trail }) => seen.push(trail) }
    const indifferent: Watcher = { begin: (_, trail) => trail, end: ({ trail }) => seen.push(trail) }
    const watch = new Watch()
    expect(watch.active).toBe(false)
    watch.add(indifferent)
    expect(watch.active).toBe(true)
    expect(watch.begin({} as WatchedExchange)).toBeNull()
    watch.add(wanting)
    watch.add(wanting)
    const trail = watch.begin({} as WatchedExchange)
    expect(trail).toBeInstanceOf(Trail)
    watch.end({ trail } as WatchedExchange)
    expect(seen).toEqual([trail, trail])
    watch.remove(wanting)
    watch.remove(indifferent)
    expect(watch.active).toBe(false)
  })
  it("are told in one order, whichever of them come anew with a reload", () => {
    const told: string[] = []
    const watcher = (name: string, first?: true): Watcher => ({
      ...(first ? { first } : {}),
      begin: (_, trail) => {
        told.push(name)
        return trail
      },
      end: () => {},
    })
    const watch = new Watch()
    const tracer = watcher("tracer")
    const tap = watcher("tap", true)
    watch.add(tracer)
    watch.add(tap)
    watch.begin({} as WatchedExchange)
    watch.remove(tracer)
    watch.add(watcher("next tracer"))
    watch.begin({} as WatchedExchange)
    expect(told).toEqual(["tap", "tracer", "tap", "next tracer"])
  })
  it("can't break an exchange, nor keep it from the others", () => {
    const told: unknown[] = []
    const faults: unknown[] = []
    const fault = new Error("a fault")
    const raise = (): never => {
      throw fault
    }
    const watch = new Watch((error) => faults.push(error))
    watch.add({ begin: (_, trail) => trail ?? new Trail(), end: () => told.push("end"), endConnection: () => told.push("connection") })
    watch.add({ begin: raise, end: raise, endConnection: raise })
    watch.add({ begin: (_, trail) => trail, end: () => told.push("end"), endConnection: () => told.push("connection") })
    expect(watch.begin({} as WatchedExchange)).toBeInstanceOf(Trail)
    watch.end({} as WatchedExchange)
    watch.endConnection({} as WatchedConnection)
    expect(told).toEqual(["end", "end", "connection", "connection"])
    expect(faults).toEqual([fault, fault, fault])
  })
})
