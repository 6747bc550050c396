// The bench's numbers as Markdown.

import { spawnSync } from "node:child_process"
import { cpus } from "node:os"
import { findProgram, proxyCore } from "./processes.ts"
import { featureOf, type Scenario } from "./scenarios.ts"

/** One measured run of one proxy. */
export interface Sample {
  /** Microseconds of CPU for one request. */
  readonly cpu: number
  readonly requestsPerSecond: number
  readonly requests: number
  readonly errors: number
  /** Microseconds. */
  readonly p50: number
  readonly p99: number
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

/** Median over the rounds of one series' CPU divided by the other's in the same round: what drifts touches both. */
export function ratio(series: Series, base: Series): number {
  return median(series.samples.map((sample, round) => sample.cpu / base.samples[round].cpu))
}

function difference(series: Series, base: Series): number {
  return median(series.samples.map((sample, round) => sample.cpu - base.samples[round].cpu))
}

export function scenarioTable(scenario: Scenario, all: readonly Series[]): string {
  const pick = (series: Series, value: (sample: Sample) => number): number => median(series.samples.map(value))
  const hasFeature = all.some((series) => series.featured)
  const header = [
    "proxy",
    "CPU µs/request",
    "× nginx",
    ...(hasFeature ? [`${featureOf(scenario)} costs`] : []),
    "requests/s",
    "p50 ms",
    "p99 ms",
    "RSS MB",
    "errors",
  ]
  const rows = all.map((series) => {
    const base = all.find((other) => other.contender === "nginx" && other.featured === series.featured)
    const twin = series.featured ? all.find((other) => other.contender === series.contender && !other.featured) : undefined
    const cost = twin === undefined ? "" : `${signed(difference(series, twin))} µs, ${signed((ratio(series, twin) - 1) * 100)} %`
    return [
      series.name,
      pick(series, (sample) => sample.cpu).toFixed(1),
      base === undefined ? "" : ratio(series, base).toFixed(2),
      ...(hasFeature ? [cost] : []),
      Math.round(pick(series, (sample) => sample.requestsPerSecond)).toString(),
      (pick(series, (sample) => sample.p50) / 1000).toFixed(2),
      (pick(series, (sample) => sample.p99) / 1000).toFixed(2),
      ((series.samples.at(-1)?.memory ?? Number.NaN) / 1e6).toFixed(0),
      series.samples.reduce((sum, sample) => sum + sample.errors, 0).toString(),
    ]
  })
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
