import { describe, expect, test } from "vitest"
import { requestBuckets } from "../../../gateway/telemetry/duration-buckets.ts"
import { wantsOpenMetrics } from "../../../gateway/telemetry/exposition.ts"
import { Instruments } from "../../../gateway/telemetry/instruments.ts"
import { MetricsRegistry } from "../../../gateway/telemetry/metrics-registry.ts"
import { toOpenMetrics } from "../../../gateway/telemetry/open-metrics.ts"

const OPEN = "application/openmetrics-text;version=1.0.0"
const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*",?)*\})? (\S+)( # \{trace_id="[0-9a-f]{32}"\} \S+ \S+)?$/
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ["_total"],
  gauge: [""],
  histogram: ["_bucket", "_sum", "_count"],
}

/** What breaks the rules of OpenMetrics 1.0 in a text, as far as ours could. */
function faults(text: string): string[] {
  const found: string[] = []
  if (!text.endsWith("\n# EOF\n")) found.push("no # EOF at the end")
  const families = new Map<string, string>()
  let family = ""
  for (const line of text.slice(0, -"# EOF\n".length).split("\n").slice(0, -1)) {
    const comment = /^# (HELP|TYPE) (\S+) (.*)$/.exec(line)
    if (comment !== null) {
      const [, what, name, rest] = comment
      if (what === "TYPE") {
        if (families.has(name)) found.push(`family ${name} stands twice`)
        if (SUFFIXES[rest] === undefined) found.push(`type ${rest}`)
        if (rest === "counter" && name.endsWith("_total")) found.push(`family of a counter: ${name}`)
        families.set(name, rest)
        family = name
      }
      continue
    }
    const sample = SAMPLE.exec(line)
    if (sample === null) found.push(`no line: ${line}`)
    else if (!(SUFFIXES[families.get(family) ?? ""] ?? []).some((suffix) => sample[1] === family + suffix))
      found.push(`${sample[1]} in the family ${family}`)
    else if (sample[3] !== undefined && !sample[1].endsWith("_bucket")) found.push(`an exemplar at ${sample[1]}`)
  }
  return found
}

function registry(): MetricsRegistry {
  const made = new MetricsRegistry()
  made.writer.add(made.counter({ name: "c_total", help: "c", labels: ["a"] }).slot('x"\\\ny'), 3)
  made.writer.set(made.gauge({ name: "g_active", help: "g" }).slot(), 2)
  made.include(
    () =>
      '# HELP t_total t\n# TYPE t_total counter\nt_total{a="b c"} 1\n# HELP odd o\n# TYPE odd counter\nodd 7\n# HELP u u\n# TYPE u gauge\nu 1\n',
    [],
  )
  return made
}

describe("OpenMetrics", () => {
  test("is well-formed, with metrics that are kept as text and those of the process", async () => {
    const { body, contentType } = await registry().exposition(OPEN)
    expect(contentType).toBe("application/openmetrics-text; version=1.0.0; charset=utf-8")
    expect(faults(body)).toEqual([])
    for (const line of ["# TYPE c counter", "# TYPE g_active gauge", "g_active 2", "# TYPE t counter", 't_total{a="b c"} 1', "odd_total 7"])
      expect(body.split("\n")).toContain(line)
    expect(body).toMatch(/^process_cpu_seconds_total \d/m)
  })

  test("leaves the text format as it is", async () => {
    const both = registry()
    const before = await both.exposition()
    const open = await both.exposition(OPEN)
    const after = await both.exposition()
    const names = (body: string): string[] => body.split("\n").filter((line) => line.startsWith("# TYPE"))
    expect(names(after.body)).toEqual(names(before.body))
    expect(names(after.body)).toContain("# TYPE c_total counter")
    expect(after.contentType).toMatch(/^text\/plain; version=0\.0\.4/)
    expect(after.body).not.toContain("# EOF")
    expect(names(open.body).length).toBe(names(after.body).length)
  })

  test("shows the newest trace of each bucket that is exposed, and forgets it with its series", async () => {
    const made = new MetricsRegistry()
    const metric = made.histogram({ name: "h_seconds", help: "h", labels: ["route"], buckets: requestBuckets })
    const slot = metric.slot("r")
    const trace = (digit: string): string => digit.repeat(32)
    for (const [digit, value, at] of [
      ["a", 0.0021, 1000],
      ["b", 0.0029, 2000],
      ["c", 0.00205, 1500],
      ["d", 100, 3000],
    ] as const) {
      made.writer.observe(slot, value, requestBuckets)
      made.exemplars.note(slot, requestBuckets, value, trace(digit), at)
    }
    const marked = async (): Promise<string[]> => {
      const { body } = await made.exposition(OPEN)
      expect(faults(body)).toEqual([])
      return body.split("\n").filter((line) => line.includes("trace_id"))
    }
    expect(await marked()).toEqual([
      `h_seconds_bucket{le="0.003",route="r"} 3 # {trace_id="${trace("b")}"} 0.0029 2`,
      `h_seconds_bucket{le="+Inf",route="r"} 4 # {trace_id="${trace("d")}"} 100 3`,
    ])
    made.fineHistograms = true
    expect((await marked()).map((line) => /le="([^"]*)"/.exec(line)?.[1])).toEqual(["0.00224", "0.003", "+Inf"])
    expect((await made.exposition()).body).not.toContain("trace_id")
    metric.forget("r")
    expect(metric.slot("s")).toBe(slot)
    expect(await marked()).toEqual([])
  })

  test("a request's trace is the exemplar of its route and service, if those have a series", async () => {
    const made = new MetricsRegistry()
    const instruments = new Instruments(made)
    made.writer.observe(instruments.route("edge", "api", "users").duration, 0.004, requestBuckets)
    instruments.exemplar("api", "users", 0.004, "e".repeat(32), 5000)
    instruments.exemplar("api", "others", 0.004, "f".repeat(32), 5000)
    const { body } = await made.exposition(OPEN)
    expect(faults(body)).toEqual([])
    expect(body.match(/trace_id="[^"]*"\} \S+ \S+/g)).toEqual([`trace_id="${"e".repeat(32)}"} 0.004 5`])
  })

  test("exemplars are bounded: the one that was noted longest ago makes room", () => {
    const { exemplars } = new MetricsRegistry()
    for (let i = 0; i < 5000; i++) exemplars.note(i * 200, requestBuckets, 0, `${i}`, i)
    expect(exemplars.newest(0, 1)).toBeUndefined()
    expect([...Array(5000).keys()].filter((i) => exemplars.newest(i * 200, i * 200 + 1) !== undefined).length).toBe(4096)
  })

  test.each([
    ["", false],
    ["*/*", false],
    ["text/plain", false],
    ["application/openmetrics-text", true],
    ["application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2", true],
    ["text/plain;version=0.0.4;q=0.6, application/openmetrics-text;version=1.0.0;q=0.5", false],
    ["application/openmetrics-text;q=0", false],
    ["application/openmetrics-text;q=x", false],
  ])("a scraper that accepts %j: %j", (accept, expected) => {
    expect(wantsOpenMetrics(accept)).toBe(expected)
  })

  test("values that look like comments or names stay what they are", () => {
    expect(toOpenMetrics('# TYPE a_total counter\na_total{x="# TYPE b counter"} 1\n')).toBe(
      '# TYPE a counter\na_total{x="# TYPE b counter"} 1\n',
    )
  })
})
