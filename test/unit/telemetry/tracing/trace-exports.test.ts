import { resourceFromAttributes } from "@opentelemetry/resources"
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base"
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest"
import type { Config } from "../../../../gateway/config/model.ts"
import { MetricsRegistry } from "../../../../gateway/telemetry/metrics-registry.ts"
import type { FinishedTrace } from "../../../../gateway/telemetry/tracing/finished-trace.ts"
import type { ExportFailure } from "../../../../gateway/telemetry/tracing/otlp-traces.ts"
import { TraceExports } from "../../../../gateway/telemetry/tracing/trace-exports.ts"
import { Metrics } from "../../../support/metrics.ts"
import { trace } from "./support.ts"

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

interface Sent {
  readonly url: string
  readonly spans: ReadableSpan[]
  answer(failure: ExportFailure | null): void
}

class Place {
  readonly sent: Sent[] = []
  readonly logged: unknown[][] = []
  readonly seen: FinishedTrace[] = []
  /** Null: whoever is asked waits. */
  answer: (() => ExportFailure | null) | null = () => null
  opened = 0
  now = 0
  readonly registry = new MetricsRegistry()
  readonly exports = new TraceExports({
    registry: this.registry,
    log: (...event) => {
      this.logged.push(event)
    },
    environment: {},
    now: () => this.now,
    onTrace: (each) => this.seen.push(each),
    open: async ({ url }) => {
      this.opened++
      return {
        resource: resourceFromAttributes({}),
        send: (spans) =>
          new Promise((resolve) => {
            this.sent.push({ url, spans, answer: resolve })
            if (this.answer !== null) resolve(this.answer())
          }),
      }
    },
  })

  constructor() {
    this.registry.begin()
    this.use("http://a")
  }

  use(url: string): void {
    const tracing = { otlp: { url, headers: {}, timeout: 1000 }, serviceName: "sluice" }
    this.exports.use({ tracing, services: { s: { tls: null } } } as unknown as Config)
  }

  take(count: number): void {
    this.exports.take(Array.from({ length: count }, () => trace))
  }

  async counted(name: string, result: string): Promise<number> {
    return new Metrics((await this.registry.exposition()).body).sum(name, { result })
  }
}

describe("traces", () => {
  test("wait a second for others, and leave together", async () => {
    const place = new Place()
    place.take(2)
    await vi.advanceTimersByTimeAsync(900)
    place.take(1)
    expect(place.sent).toEqual([])
    await vi.advanceTimersByTimeAsync(100)
    expect(place.sent.map(({ spans }) => spans.length)).toEqual([6])
    expect(place.seen).toHaveLength(3)
    expect(await place.counted("sluice_traces_total", "exported")).toBe(3)
  })

  test("leave at once when there are many, so many at a time, one batch after the other", async () => {
    const place = new Place()
    place.answer = null
    place.take(600)
    await vi.advanceTimersByTimeAsync(0)
    expect(place.sent.map(({ spans }) => spans.length)).toEqual([512])
    place.sent[0].answer(null)
    await vi.advanceTimersByTimeAsync(0)
    expect(place.sent.map(({ spans }) => spans.length)).toEqual([512, 512])
    place.sent[1].answer(null)
    await vi.advanceTimersByTimeAsync(1000)
    expect(place.sent.map(({ spans }) => spans.length)).toEqual([512, 512, 176])
  })

  test("that find no room are dropped and counted, and the log says so once a minute", async () => {
    const place = new Place()
    place.answer = null
    place.take(9000)
    await vi.advanceTimersByTimeAsync(0)
    expect(await place.counted("sluice_traces_total", "dropped")).toBe(9000 - 8192)
    expect(place.logged).toHaveLength(1)
    expect(place.logged[0]).toMatchObject(["warn", "traces can't be exported", { url: "http://a", lost: 1 }])
    place.now = 59_000
    place.take(10)
    expect(place.logged).toHaveLength(1)
    place.now = 61_000
    place.take(1)
    expect(place.logged).toHaveLength(2)
    expect(place.logged[1]).toMatchObject(["warn", expect.any(String), { lost: 9000 - 8192 + 10 }])
  })
})

describe("a collector that is away", () => {
  test("is asked again, later each time, with the same spans", async () => {
    const place = new Place()
    const at: number[] = []
    const began = Date.now()
    place.answer = () => {
      at.push(Date.now() - began)
      return at.length < 4 ? { reason: "refused", passing: true } : null
    }
    place.take(1)
    await vi.advanceTimersByTimeAsync(20_000)
    expect(at).toEqual([1000, 2000, 4000, 8000])
    expect(new Set(place.sent.map(({ spans }) => spans[0].spanContext().spanId)).size).toBe(1)
    expect(await place.counted("sluice_traces_total", "exported")).toBe(1)
    expect(await place.counted("sluice_trace_exports_total", "failed")).toBe(3)
    expect(place.logged).toHaveLength(1)
  })

  test("for too long loses a batch, and the next one is tried", async () => {
    const place = new Place()
    let tries = 0
    place.answer = () => (++tries <= 6 ? { reason: "refused", passing: true } : null)
    place.take(1)
    await vi.advanceTimersByTimeAsync(1000)
    place.take(1)
    await vi.advanceTimersByTimeAsync(70_000)
    expect(await place.counted("sluice_traces_total", "failed")).toBe(1)
    expect(await place.counted("sluice_traces_total", "exported")).toBe(1)
  })

  test("doesn't get again what it has refused for good", async () => {
    const place = new Place()
    place.answer = () => ({ reason: "400 Bad Request", passing: false })
    place.take(1)
    await vi.advanceTimersByTimeAsync(60_000)
    expect(place.sent).toHaveLength(1)
    expect(await place.counted("sluice_traces_total", "failed")).toBe(1)
    expect(place.logged[0]).toMatchObject(["warn", expect.any(String), { reason: "400 Bad Request" }])
  })
})

test("another collector gets what comes after a reload; the same one stays", async () => {
  const place = new Place()
  place.use("http://a")
  expect(place.opened).toBe(1)
  place.use("http://b")
  expect(place.opened).toBe(2)
  place.take(1)
  await vi.advanceTimersByTimeAsync(1000)
  expect(place.sent.map(({ url }) => url)).toEqual(["http://b"])
})

describe("the end", () => {
  test("sends what waits", async () => {
    const place = new Place()
    place.take(700)
    await place.exports.close(1000)
    expect(place.sent.reduce((sum, { spans }) => sum + spans.length, 0)).toBe(1400)
    expect(await place.counted("sluice_traces_total", "exported")).toBe(700)
  })

  test("waits no longer than it may, and counts what is lost", async () => {
    const place = new Place()
    place.answer = null
    place.take(300)
    const closed = place.exports.close(1000)
    await vi.advanceTimersByTimeAsync(1000)
    await closed
    expect(await place.counted("sluice_traces_total", "dropped")).toBe(300 - 256)
    place.take(1)
    expect(await place.counted("sluice_traces_total", "dropped")).toBe(300 - 256 + 1)
  })

  test("doesn't wait for a collector that is away", async () => {
    const place = new Place()
    place.answer = () => ({ reason: "refused", passing: true })
    place.take(1)
    await vi.advanceTimersByTimeAsync(1000)
    expect(place.sent).toHaveLength(1)
    await place.exports.close(60_000)
    expect(place.sent).toHaveLength(2)
    expect(await place.counted("sluice_traces_total", "failed")).toBe(1)
  })
})
