// The parts of the host under test that stand in for a gateway's: time, turns, and what workers share.

import { describe, expect, test } from "vitest"
import { FakeClock } from "../../../gateway/testing/fake-clock.ts"
import { SharedState } from "../../../gateway/testing/shared-state.ts"
import { fromWire, toWire } from "../../../gateway/testing/text.ts"
import { Turns } from "../../../gateway/testing/turns.ts"

const settle = (): Promise<void> => Promise.resolve()

describe("the fake clock", () => {
  test("runs what is due in its order, and what that sets off", async () => {
    const clock = new FakeClock(1000)
    const ran: string[] = []
    const note = (text: string) => () => {
      ran.push(`${text} ${clock.monotonic()}`)
    }
    clock.schedule(20, note("b"))
    clock.schedule(10, () => {
      note("a")()
      clock.schedule(5, note("c"))
      clock.schedule(100, note("late"))
    })
    clock.schedule(20, note("b2"))
    clock.schedule(15, note("cancelled"))()
    expect(clock.untilNext).toBe(10)
    await clock.advance(30, settle)
    expect(ran).toEqual(["a 10", "c 15", "b 20", "b2 20"])
    expect([clock.now(), clock.monotonic(), clock.untilNext]).toEqual([1030, 30, 80])
    await clock.advance(100, settle)
    expect([ran.at(-1), clock.untilNext]).toEqual(["late 110", Number.POSITIVE_INFINITY])
  })

  test("ends what arms itself for ever", async () => {
    const clock = new FakeClock(0)
    const again = (): void => {
      clock.schedule(0, again)
    }
    again()
    await expect(clock.advance(1, settle)).rejects.toThrow("more than 1000000 timers")
  })
})

describe("turns", () => {
  test("wait for answers that are being made, and for what they set off", async () => {
    const turns = new Turns()
    const ran: string[] = []
    turns.track(
      Promise.resolve().then(() => {
        ran.push("promise")
        turns.later(() => ran.push("after it"))
      }),
    )
    turns.later(() => ran.push("first"))
    await turns.settle()
    expect(ran).toEqual(["first", "promise", "after it"])
  })

  test("end what keeps itself busy", async () => {
    const turns = new Turns()
    const again = (): void => turns.later(again)
    again()
    await expect(turns.settle()).rejects.toThrow("keeps itself busy")
  })
})

describe("shared state", () => {
  test("compares and swaps, each namespace for itself", () => {
    const { data } = new SharedState()
    expect(data.set("a", "k", Buffer.from("1"), 7)).toBe("ok")
    const first = data.get("a", "k")?.cas ?? 0
    expect([data.set("a", "k", Buffer.from("2"), first + 1), data.set("a", "k", Buffer.from("2"), first)]).toEqual(["cas-mismatch", "ok"])
    expect([data.get("a", "k")?.cas === first, data.get("b", "k")]).toEqual([false, undefined])
    expect(data.set("a", "k".repeat(2000), Buffer.from(""), 0)).toBe("full")
  })

  test("tells the last receiver of each item, on a later turn", async () => {
    const turns = new Turns()
    const state = new SharedState()
    const queues = state.queues(turns)
    const ready: string[] = []
    const first = queues.register("vm", "q", () => ready.push("first"))
    const other = state.queues(turns).register("vm", "q", () => ready.push("second"))
    expect(first?.id).toBe(other?.id)
    const id = first?.id ?? 0
    expect([queues.resolve("vm", "q"), queues.resolve("vm", "other"), queues.enqueue(99, Buffer.from(""))]).toEqual([id, 0, "unknown"])
    queues.enqueue(id, Buffer.from("a"))
    expect(ready).toEqual([])
    await turns.settle()
    expect(ready).toEqual(["second"])
    expect([Buffer.from(queues.dequeue(id)).toString(), queues.dequeue(id), queues.dequeue(99)]).toEqual(["a", "empty", "unknown"])
    other?.release()
    queues.enqueue(id, Buffer.from("b"))
    await turns.settle()
    expect(ready).toEqual(["second"])
  })

  test("keeps one series for each type and name of a metric", () => {
    const state = new SharedState()
    const metrics = state.guestMetrics
    const [counter, gauge, histogram] = [metrics.define(0, "c"), metrics.define(1, "g"), metrics.define(2, "h")]
    expect([metrics.define(0, "c"), new Set([counter, gauge, histogram]).size]).toEqual([counter, 3])
    expect([
      metrics.increment(counter, 2n),
      metrics.increment(counter, 0n),
      metrics.increment(gauge, -3n),
      metrics.increment(histogram, 1n),
    ]).toEqual(["ok", "bad", "ok", "bad"])
    metrics.record(histogram, 5n)
    metrics.record(histogram, 7n)
    metrics.record(gauge, 9n)
    expect([metrics.read(counter), metrics.read(gauge), metrics.read(histogram), metrics.read(99)]).toEqual([2n, 9n, "bad", "unknown"])
    expect(state.metrics).toEqual({ c: 2, g: 9, h: { count: 2, sum: 12 } })
  })
})

test("texts of tests are UTF-8 on the wire, and come back as they were", () => {
  for (const text of ["plain", "ü€😀"]) expect(fromWire(toWire(text))).toBe(text)
  expect([toWire("ü"), fromWire("\xff"), fromWire("€")]).toEqual(["Ã¼", "\xff", "€"])
})
