import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import type { FinishedTrace } from "../../../../gateway/telemetry/tracing/finished-trace.ts"
import { TraceOutbox } from "../../../../gateway/telemetry/tracing/trace-outbox.ts"
import { attempt, trace } from "./support.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

class Worker {
  readonly posted: string[] = []
  recorded = 0
  dropped = 0
  counted = 0
  readonly outbox: TraceOutbox = new TraceOutbox({
    post: (traces, count) => {
      this.posted.push(traces)
      this.counted += count
    },
    onRecorded: () => {
      this.recorded++
    },
    onDrop: () => {
      this.dropped++
    },
  })

  record(count: number, what: FinishedTrace = trace): void {
    for (let i = 0; i < count; i++) if (this.outbox.admit()) this.outbox.add(what)
  }

  get length(): number {
    return this.posted.reduce((sum, { length }) => sum + length, 0)
  }
}

/** One of the largest there are. */
const large = {
  ...trace,
  path: "p".repeat(1024),
  details: "d".repeat(1024),
  attempts: Array.from({ length: 32 }, () => ({ ...attempt, details: "d".repeat(1024) })),
}

describe("a worker's traces", () => {
  test("leave together, as lists that hold all of them", () => {
    const worker = new Worker()
    worker.record(3)
    expect(worker.posted).toEqual([])
    vi.advanceTimersByTime(200)
    expect(worker.posted.map((each) => JSON.parse(each))).toEqual([[trace, trace, trace]])
    worker.record(1)
    worker.outbox.flush()
    worker.outbox.flush()
    expect(worker.posted.slice(1).map((each) => JSON.parse(each))).toEqual([[trace]])
    expect([worker.recorded, worker.counted]).toEqual([4, 4])
    vi.advanceTimersByTime(1000)
    expect(worker.posted).toHaveLength(2)
  })

  test.each([
    ["small", trace, 10_000],
    ["large", large, 300],
  ])("that the main thread doesn't take hold so much memory and no more: %s ones", (_, what, count) => {
    const worker = new Worker()
    worker.record(count, what)
    worker.outbox.flush()
    // What waits is measured by a guess.
    expect(worker.length).toBeGreaterThan(1_700_000)
    expect(worker.length).toBeLessThan(2_200_000)
    expect(Math.max(...worker.posted.map(({ length }) => length))).toBeLessThan(120_000)
    expect([worker.recorded, worker.counted + worker.dropped]).toEqual([count, count])
    const [first] = worker.posted
    worker.outbox.taken(first.length)
    const { counted } = worker
    worker.record(1, what)
    worker.outbox.flush()
    expect(worker.counted).toBe(counted + 1)
  })
})
