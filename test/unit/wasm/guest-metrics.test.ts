import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { describe, expect, it } from "vitest"
import { createGuestMetrics, GuestMetricsTable, histogramBounds, MAX_METRIC_NAME } from "../../../gateway/wasm/guest-metrics.ts"

const [COUNTER, GAUGE, HISTOGRAM] = [0, 1, 2]

describe("guest metrics", () => {
  it("a series is one for its type and name, in every thread, and its id carries the type", () => {
    const buffer = createGuestMetrics()
    const [one, two] = [new GuestMetricsTable(buffer), new GuestMetricsTable(buffer)]
    const ids = [COUNTER, GAUGE, HISTOGRAM].map((type) => one.define(type, "x"))
    expect(new Set(ids).size).toBe(3)
    expect(ids.map((id) => id & 3)).toEqual([COUNTER, GAUGE, HISTOGRAM])
    expect([COUNTER, GAUGE, HISTOGRAM].map((type) => two.define(type, "x"))).toEqual(ids)
    one.increment(ids[0], 3n)
    two.increment(ids[0], 4n)
    expect([one.read(ids[0]), two.read(ids[0]), two.read(ids[1])]).toEqual([7n, 7n, 0n])
    expect(one.define(3, "x")).toBe(0)
    expect(one.define(-1, "x")).toBe(0)
  })

  it("a counter only grows, a gauge does what it is told, a histogram only records", () => {
    const table = new GuestMetricsTable(createGuestMetrics())
    const [counter, gauge, histogram] = [COUNTER, GAUGE, HISTOGRAM].map((type) => table.define(type, "x"))
    expect(table.increment(counter, 0n)).toBe("bad")
    expect(table.increment(counter, -1n)).toBe("bad")
    expect(table.increment(counter, 5n)).toBe("ok")
    expect(table.record(counter, 2n)).toBe("ok")
    expect(table.read(counter)).toBe(7n)
    expect(table.increment(gauge, 5n)).toBe("ok")
    expect(table.increment(gauge, -7n)).toBe("ok")
    expect(table.read(gauge)).toBe(2n ** 64n - 2n)
    expect(table.record(gauge, 40n)).toBe("ok")
    expect(table.read(gauge)).toBe(40n)
    expect(table.increment(histogram, 1n)).toBe("bad")
    expect(table.record(histogram, 1n)).toBe("ok")
    expect(table.read(histogram)).toBe("bad")
  })

  it("an id nobody was given is unknown", () => {
    const table = new GuestMetricsTable(createGuestMetrics())
    const id = table.define(COUNTER, "x")
    for (const unknown of [0, 1, 3, id ^ 1, id ^ 3, id + 4, -1, -id, 0x7ffffff0]) {
      expect(table.increment(unknown, 1n)).toBe("unknown")
      expect(table.record(unknown, 1n)).toBe("unknown")
      expect(table.read(unknown)).toBe("unknown")
    }
  })

  it("a histogram's values fall into buckets of 1, 2, 5 from 1 to 10^13", () => {
    const table = new GuestMetricsTable(createGuestMetrics())
    const id = table.define(HISTOGRAM, "h")
    // The last is -1 as a guest's i64 arrives: the largest unsigned one.
    for (const value of [0n, 1n, 2n, 3n, 1000n, 1001n, 3_600_000_000_000n, 10n ** 13n, -1n]) table.record(id, value)
    const [series] = table.all()
    const filled = series.buckets.flatMap((count, i) => (count === 0n ? [] : [[histogramBounds[i] ?? "more", Number(count)]]))
    expect(filled).toEqual([
      [1, 2],
      [2, 1],
      [5, 1],
      [1000, 1],
      [2000, 1],
      [5e12, 1],
      [1e13, 1],
      ["more", 1],
    ])
    const sum = 2007n + 3_600_000_000_000n + 10n ** 13n + (2n ** 64n - 1n)
    expect(series.sum).toBe(BigInt.asUintN(64, sum))
  })

  it("what is shown is what was defined, in that order, with values of their sign", () => {
    const table = new GuestMetricsTable(createGuestMetrics())
    table.record(table.define(GAUGE, "g"), -3n)
    table.record(table.define(COUNTER, "\xc3\xa4"), -1n)
    expect([...table.all()]).toEqual([
      { type: GAUGE, name: "g", value: -3n, buckets: [], sum: 0n },
      { type: COUNTER, name: "ä", value: 2n ** 64n - 1n, buckets: [], sum: 0n },
    ])
  })

  it("what there is no room for works and is not shown, and what was there before stays", () => {
    const table = new GuestMetricsTable(createGuestMetrics({ series: 3, histograms: 1 }))
    const early = table.define(COUNTER, "early")
    const histogram = table.define(HISTOGRAM, "h")
    const noMoreHistograms = table.define(HISTOGRAM, "h2")
    expect(table.refused).toBe(1)
    table.define(GAUGE, "g")
    const late = [COUNTER, GAUGE].map((type) => table.define(type, "late"))
    expect(table.refused).toBe(3)
    expect(table.define(COUNTER, "x".repeat(MAX_METRIC_NAME + 1))).toBe(late[0])
    expect(table.refused).toBe(4)
    expect(table.increment(late[0], 1n)).toBe("ok")
    expect(table.record(late[1], 9n)).toBe("ok")
    expect(table.record(noMoreHistograms, 9n)).toBe("ok")
    expect(table.increment(early, 1n)).toBe("ok")
    table.record(histogram, 10n ** 18n)
    expect([...table.all()].map(({ name, value, sum }) => [name, value, sum])).toEqual([
      ["early", 1n, 0n],
      ["h", 0n, 10n ** 18n],
      ["g", 0n, 0n],
    ])
    expect(table.define(COUNTER, "early")).toBe(early)
    expect(table.define(HISTOGRAM, "h")).toBe(histogram)
  })

  it("the room for names is bounded too, and 2048 series with long names fit", () => {
    const table = new GuestMetricsTable(createGuestMetrics())
    for (let i = 0; i < 2048; i++) table.define(i % 2, `${i}`.padEnd(256, "x"))
    expect(table.refused).toBe(0)
    const other = new GuestMetricsTable(createGuestMetrics({ series: 100 }))
    for (let i = 0; i < 100; i++) other.define(COUNTER, `${i}`.padEnd(MAX_METRIC_NAME, "x"))
    expect(other.refused).toBe(88)
    expect([...other.all()].length).toBe(12)
  })

  it("refuses memory that holds no metrics", () => {
    expect(() => new GuestMetricsTable(new SharedArrayBuffer(1024))).toThrow(TypeError)
  })
})

describe("guest metrics shared by threads", () => {
  it("are exact", async () => {
    const buffer = createGuestMetrics()
    const [threads, rounds] = [4, 6000]
    await Promise.all(
      Array.from({ length: threads }, async () => {
        const worker = new Worker(new URL("./guest-metrics-worker.ts", import.meta.url), { workerData: { buffer, rounds } })
        await once(worker, "message")
        await once(worker, "message")
        await worker.terminate()
      }),
    )
    const all = [...new GuestMetricsTable(buffer).all()]
    expect(all.length).toBe(7 + 3 + 1)
    const sum = (start: string): bigint => all.filter(({ name }) => name.startsWith(start)).reduce((total, { value }) => total + value, 0n)
    expect(sum("counter")).toBe(BigInt(threads * rounds * 2))
    expect(sum("gauge")).toBe(BigInt((threads * rounds) / 2))
    const histogram = all.find(({ type }) => type === HISTOGRAM)
    expect(histogram?.buckets.reduce((total, count) => total + count, 0n)).toBe(BigInt(threads * rounds))
    expect(histogram?.sum).toBe(BigInt((threads * rounds * 999) / 2))
  })

  it("outlive a thread that is ended while it defines, and go on from where it was", async () => {
    const buffer = createGuestMetrics()
    const table = new GuestMetricsTable(buffer)
    for (let i = 0; i < 3; i++) {
      const worker = new Worker(new URL("./guest-metrics-worker.ts", import.meta.url), { workerData: { buffer, rounds: 0 } })
      await once(worker, "message")
      for (let j = 0; j < 100; j++) table.define(COUNTER, `mine ${i} ${j}`)
      await worker.terminate()
      const id = table.define(COUNTER, "after")
      table.increment(id, 1n)
      expect(table.read(id)).toBe(BigInt(i + 1))
    }
    const names = [...table.all()].map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.filter((name) => name.startsWith("mine")).length).toBe(300)
  })
})
