import { describe, expect, it } from "vitest"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import { guestFamilies, guestMetricsText, queuesText } from "../../../gateway/wasm/guest-exposition.ts"
import { createGuestMetrics, GuestMetricsTable } from "../../../gateway/wasm/guest-metrics.ts"
import { createSharedQueues, SharedQueueStore } from "../../../gateway/wasm/shared-queues.ts"

const [COUNTER, GAUGE, HISTOGRAM] = [0, 1, 2]

type Defined = readonly [type: number, name: string, value?: number]

function shown(...defined: Defined[]): string[] {
  const table = new GuestMetricsTable(createGuestMetrics())
  // Names as guests give them: the octets of UTF-8.
  for (const [type, name, value] of defined) {
    table.record(table.define(type, Buffer.from(name).toString("latin1")), BigInt(value ?? 1))
  }
  return guestMetricsText(table).split("\n").slice(0, -4)
}

/** Without comments. */
const lines = (...defined: Defined[]): string[] => shown(...defined).filter((line) => !line.startsWith("#"))

describe("the exposition of guests' metrics", () => {
  it("a plain name is a family of its type", () => {
    expect(shown([COUNTER, "requests", 3], [GAUGE, "depth", -2], [COUNTER, "bytes_total", 7])).toEqual([
      "# HELP sluice_wasm_requests_total Defined by a filter",
      "# TYPE sluice_wasm_requests_total counter",
      "sluice_wasm_requests_total 3",
      "# HELP sluice_wasm_depth Defined by a filter",
      "# TYPE sluice_wasm_depth gauge",
      "sluice_wasm_depth -2",
      "# HELP sluice_wasm_bytes_total Defined by a filter",
      "# TYPE sluice_wasm_bytes_total counter",
      "sluice_wasm_bytes_total 7",
    ])
  })

  it("what a name can't hold goes into a label", () => {
    expect(lines([GAUGE, "my-filter.depth"], [GAUGE, "my_filter.depth"], [GAUGE, "größe"], [GAUGE, ""])).toEqual([
      'sluice_wasm_my_filter_depth{name="my-filter.depth"} 1',
      'sluice_wasm_my_filter_depth{name="my_filter.depth"} 1',
      'sluice_wasm_gr__e{name="größe"} 1',
      "sluice_wasm_ 1",
    ])
  })

  it("labels packed as Istio's filters do become labels", () => {
    expect(
      lines(
        [COUNTER, "reporter=.=source;.;source_app=.=a b;.;istio_requests_total", 2],
        [COUNTER, "reporter=.=dest;.;source_app=.=;.;istio_requests_total", 3],
        [COUNTER, "request.protocol=.=http;.;1st=.=x;.;__name__=.=y;.;my.requests", 4],
      ),
    ).toEqual([
      'sluice_wasm_istio_requests_total{reporter="source",source_app="a b"} 2',
      'sluice_wasm_istio_requests_total{reporter="dest",source_app=""} 3',
      'sluice_wasm_my_requests_total{request_protocol="http",_1st="x",_name__="y",name="my.requests"} 4',
    ])
  })

  it("labels that would make no valid set are left packed", () => {
    for (const name of ["a=.=1;.;a=.=2;.;x", "name=.=1;.;x", "a=.=1", "a=.=1;.;x;.;y", "=.=1;.;x"]) {
      const [line] = lines([GAUGE, name])
      expect(line).toContain(`{name="${name}"} 1`)
    }
    expect(lines([HISTOGRAM, "le=.=1;.;x"])[0]).toContain('{name="le=.=1;.;x",le="1"} 1')
  })

  it("no name breaks out of its line, and no two series are alike", () => {
    const evil = 'x"} 1\nevil_total 2\\ \r\0'
    expect(lines([COUNTER, evil])).toEqual(['sluice_wasm_x___1_evil_total_2_____total{name="x\\"} 1\\nevil_total 2\\\\ \ufffd\ufffd"} 1'])
    expect(
      lines(
        [COUNTER, "x"],
        [COUNTER, "x_total"],
        [GAUGE, "a=.=1;.;b=.=2;.;g"],
        [GAUGE, "b=.=2;.;a=.=1;.;g"],
        [GAUGE, "a=.=1;.;b=.=2;.;g;.;"],
      ),
    ).toEqual([
      "sluice_wasm_x_total 1",
      'sluice_wasm_x_total{name="x_total"} 1',
      'sluice_wasm_g{a="1",b="2"} 1',
      'sluice_wasm_g{b="2",a="1",name="b=.=2;.;a=.=1;.;g"} 1',
      expect.stringContaining('{name="a=.=1;.;b=.=2;.;g;.;"} 1'),
    ])
  })

  it("families of different types never share a name", () => {
    const all = shown(
      [HISTOGRAM, "x"],
      [GAUGE, "x"],
      [GAUGE, "x_count"],
      [GAUGE, "y_total"],
      [COUNTER, "y"],
      [GAUGE, "z_sum"],
      [HISTOGRAM, "z"],
    )
    expect(all.filter((line) => line.startsWith("# TYPE"))).toEqual([
      "# TYPE sluice_wasm_x histogram",
      "# TYPE sluice_wasm_x_gauge gauge",
      "# TYPE sluice_wasm_x_count_gauge gauge",
      "# TYPE sluice_wasm_y_total gauge",
      "# TYPE sluice_wasm_y_counter_total counter",
      "# TYPE sluice_wasm_z_sum gauge",
      "# TYPE sluice_wasm_z_histogram histogram",
    ])
  })

  it("a histogram has cumulative buckets, a sum and a count", () => {
    const out = lines([HISTOGRAM, "h", 3], [HISTOGRAM, "h", 1], [HISTOGRAM, "h", 2e13])
    expect(out[0]).toBe('sluice_wasm_h_bucket{le="1"} 1')
    expect(out[1]).toBe('sluice_wasm_h_bucket{le="2"} 1')
    expect(out[2]).toBe('sluice_wasm_h_bucket{le="5"} 2')
    expect(out.slice(-4)).toEqual([
      'sluice_wasm_h_bucket{le="10000000000000"} 2',
      'sluice_wasm_h_bucket{le="+Inf"} 3',
      "sluice_wasm_h_sum 20000000000004",
      "sluice_wasm_h_count 3",
    ])
  })

  it("definitions without room are counted", () => {
    const table = new GuestMetricsTable(createGuestMetrics({ series: 1 }))
    for (const name of ["a", "b", "c"]) table.define(COUNTER, name)
    expect(guestMetricsText(table)).toContain("\nsluice_filter_metrics_refused_total 2\n")
  })
})

describe("the exposition of queues", () => {
  it("shows how full each is", () => {
    const store = new SharedQueueStore(createSharedQueues({ threads: 1, queueBytes: 64 }), { thread: 0, wake: () => undefined })
    const queue = store.register("vm\n", "jobs", () => undefined)
    for (let i = 0; i < 10; i++) store.enqueue(queue?.id ?? 0, new Uint8Array(4))
    const out = queuesText(store).split("\n")
    expect(out.filter((line) => !line.startsWith("#") && line !== "")).toEqual([
      'sluice_filter_queue_items{vm="vm\\n",queue="jobs"} 8',
      'sluice_filter_queue_bytes{vm="vm\\n",queue="jobs"} 64',
      'sluice_filter_queue_refused_total{vm="vm\\n",queue="jobs"} 2',
    ])
  })

  it("is part of the registry's", async () => {
    const registry = new MetricsRegistry()
    const table = new GuestMetricsTable(createGuestMetrics())
    registry.include(() => guestMetricsText(table), guestFamilies)
    table.increment(table.define(COUNTER, "later"), 1n)
    const { body } = await registry.exposition()
    expect(body.split("\n")).toContain("sluice_wasm_later_total 1")
    // Every line but the last ends, and no family stands twice.
    expect(body.endsWith("\n")).toBe(true)
    const types = body.split("\n").filter((line) => line.startsWith("# TYPE"))
    expect(new Set(types).size).toBe(types.length)
  })
})
