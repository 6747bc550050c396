// The bench's numbers as Markdown.

import { spawnSync } from "node:child_process"
import { cpus } from "node:os"
import { findProgram, proxyCore } from "./processes.ts"
import { featureOf, type Scenario } from "./scenarios.ts"

/** One measured run of one proxy. */
export interface Sample {
  /** Microseconds of CPU for one of the scenario's units. */
  readonly cpu: number
  readonly perSecond: number
  readonly errors: number
  /** Microseconds; null where a unit's time says nothing. */
  readonly latency: { readonly p50: number; readonly p99: number } | null
  /** Resident octets after the run. */
  readonly memory: number
}

export interface Series {
  readonly name: string
  /** Has the scenario's filter or routes; the series of the same contender without them is its twin. */
  readonly featured: boolean
  readonly contender: string
  /** One a round, in order. */
  readonly samples: readonly Sample[]
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return Number.NaN
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Median over the rounds of one series' CPU a unit divided by the other's in the same round: what drifts touches both. */
export function ratio(series: Series, base: Series): number {
  return median(series.samples.map((sample, round) => sample.cpu / base.samples[round].cpu))
}

function difference(series: Series, base: Series): number {
  return median(series.samples.map((sample, round) => sample.cpu - base.samples[round].cpu))
}

/** One run in a line, while the bench runs. */
export function describeSample({ unit }: Scenario, { cpu, perSecond, errors }: Sample): string {
  const [name, size] = unit === "octet" ? ["MB", 1e6] : [unit, 1]
  const busy = Math.round((cpu * perSecond) / 1e4)
  return `${(cpu * size).toFixed(1)} µs/${name}, ${Math.round(perSecond / size)}/s, core ${busy} % busy, ${errors} errors`
}

/** A column: its title, and a cell of it for each series. */
type Column = readonly [title: string, cell: (series: Series) => string]

function pick(series: Series, value: (sample: Sample) => number): number {
  return median(series.samples.map(value))
}

/** What isn't there (a proxy, where there is none) is an empty cell. */
function cell(value: number, digits: number): string {
  return Number.isFinite(value) && value !== 0 ? value.toFixed(digits) : ""
}

function versus(name: string, all: readonly Series[], inverse: boolean): Column {
  return [
    `× ${name}`,
    (series) => {
      const base = all.find((other) => other.contender === name && other.featured === series.featured)
      if (base === undefined) return ""
      return cell(inverse ? ratio(base, series) : ratio(series, base), 2)
    },
  ]
}

/** Smaller is better: what one request costs. */
function costColumns(scenario: Scenario, all: readonly Series[]): Column[] {
  const columns: Column[] = [
    [
      `CPU µs/${scenario.unit}`,
      (series) =>
        cell(
          pick(series, (sample) => sample.cpu),
          1,
        ),
    ],
    versus("nginx", all, false),
    [
      `${scenario.unit}s/s`,
      (series) =>
        cell(
          pick(series, (sample) => sample.perSecond),
          0,
        ),
    ],
    [
      "p50 ms",
      (series) =>
        cell(
          pick(series, (sample) => (sample.latency?.p50 ?? Number.NaN) / 1000),
          2,
        ),
    ],
    [
      "p99 ms",
      (series) =>
        cell(
          pick(series, (sample) => (sample.latency?.p99 ?? Number.NaN) / 1000),
          2,
        ),
    ],
  ]
  if (!all.some((series) => series.featured)) return columns
  const costs: Column = [
    `${featureOf(scenario)} costs`,
    (series) => {
      const twin = series.featured ? all.find((other) => other.contender === series.contender && !other.featured) : undefined
      return twin === undefined ? "" : `${signed(difference(series, twin))} µs, ${signed((ratio(series, twin) - 1) * 100)} %`
    },
  ]
  return columns.toSpliced(2, 0, costs)
}

/** Larger is better: what a second of CPU is good for. */
function yieldColumns(scenario: Scenario, all: readonly Series[]): Column[] {
  if (scenario.unit === "handshake") {
    return [
      ["handshakes/CPU s", (series) => cell(1e6 / pick(series, (sample) => sample.cpu), 0)],
      versus("nginx", all, true),
      [
        "handshakes/s",
        (series) =>
          cell(
            pick(series, (sample) => sample.perSecond),
            0,
          ),
      ],
    ]
  }
  return [
    // An octet in a microsecond is a megabyte in a second.
    ["MB/CPU s", (series) => cell(1 / pick(series, (sample) => sample.cpu), 0)],
    versus("nginx", all, true),
    versus("haproxy", all, true),
    ["MB/s", (series) => cell(pick(series, (sample) => sample.perSecond) / 1e6, 0)],
  ]
}

export function scenarioTable(scenario: Scenario, all: readonly Series[]): string {
  const costs = scenario.unit === "request" || scenario.unit === "call"
  const columns: Column[] = [
    ["proxy", (series) => series.name],
    ...(costs ? costColumns(scenario, all) : yieldColumns(scenario, all)),
    ["RSS MB", (series) => cell((series.samples.at(-1)?.memory ?? Number.NaN) / 1e6, 0)],
    ["errors", (series) => series.samples.reduce((sum, sample) => sum + sample.errors, 0).toString()],
  ]
  const rows = all.map((series) => columns.map(([, text]) => text(series)))
  const header = columns.map(([title]) => title)
  return [`### ${scenario.title}`, "", markdownTable(header, rows), ""].join("\n")
}

function signed(value: number): string {
  return `${value >= 0 ? "+" : "−"}${Math.abs(value).toFixed(1)}`
}

export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, 3, ...rows.map((row) => row[column].length)))
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]) : cell.padStart(widths[column]))).join(" | ")} |`
  const rule = `| ${widths.map((width, column) => (column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`)).join(" | ")} |`
  return [line(header), rule, ...rows.map(line)].join("\n")
}

function firstLine(program: string, args: readonly string[]): string {
  const path = findProgram(program)
  if (path === null) return `${program}: none`
  const { stdout, stderr } = spawnSync(path, args, { encoding: "utf8" })
  return (stdout + stderr).trim().split("\n")[0].trim()
}

export function environment(runtimes: readonly (readonly [name: string, version: string])[]): string {
  const lines = [
    `${cpus()[0]?.model ?? "unknown CPU"}, ${cpus().length} cores; Linux ${firstLine("uname", ["-r"])}; the proxy has core ${proxyCore}, load and origin the other`,
    firstLine("nginx", ["-v"]),
    firstLine("haproxy", ["-v"]),
    ...runtimes.map(([name, version]) => `${name} ${version}`),
  ]
  return lines.map((line) => `- ${line}`).join("\n")
}
