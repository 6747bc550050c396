// Reads metrics in Prometheus' text format, as far as commands want to know of them.

import { grpcCodes, serverFaults } from "../http/grpc-status.ts"

export interface Sample {
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

// An exemplar may follow.
const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{((?:[^"}]|"(?:[^"\\]|\\.)*")*)\})? (\S+)/
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g

/** Samples of the metrics of these names. */
export function readSamples(text: string, names: readonly string[]): ReadonlyMap<string, readonly Sample[]> {
  const found = new Map<string, Sample[]>(names.map((name) => [name, []]))
  for (const line of text.split("\n")) {
    if (line === "" || line.startsWith("#")) continue
    const match = LINE.exec(line)
    const samples = match === null ? undefined : found.get(match[1])
    if (match === null || samples === undefined) continue
    const labels: Record<string, string> = {}
    for (const [, name, value] of (match[2] ?? "").matchAll(LABEL)) {
      labels[name] = value.replace(/\\(.)/g, (_, c: string) => (c === "n" ? "\n" : c))
    }
    samples.push({ labels, value: Number(match[3]) })
  }
  return found
}

/** Traffic between two looks at the metrics. */
export interface TrafficFigures {
  readonly seconds: number
  /** Requests a second that have ended. */
  readonly rate: number
  /** Share of them that were answered, and not with a 5xx or a gRPC status that blames the server; null: there was none. */
  readonly success: number | null
  /** Milliseconds; null: there was none. */
  readonly p99: number | null
}

export const TRAFFIC_METRICS = ["sluice_requests_total", "sluice_grpc_requests_total", "sluice_request_duration_seconds_bucket"] as const

/** Names of the gRPC statuses that blame the server. */
const faults: ReadonlySet<string> = new Set(serverFaults.map((code) => grpcCodes[code]))

type Samples = ReturnType<typeof readSamples>

export function trafficBetween(before: Samples, after: Samples, seconds: number): TrafficFigures {
  const since = (name: (typeof TRAFFIC_METRICS)[number], wanted: (code: string) => boolean): number => {
    const count = (samples: Samples): number =>
      (samples.get(name) ?? []).reduce((sum, { labels, value }) => sum + (wanted(labels.code) ? value : 0), 0)
    return count(after) - count(before)
  }
  const all = since("sluice_requests_total", () => true)
  const failures =
    since("sluice_requests_total", (code) => code === "5xx" || code === "none") +
    since("sluice_grpc_requests_total", (code) => faults.has(code))
  // A gateway that has begun anew has counted less.
  if (all <= 0 || seconds <= 0) return { seconds, rate: 0, success: null, p99: null }
  return { seconds, rate: all / seconds, success: Math.max(0, 1 - failures / all), p99: quantileOf(before, after, 0.99) }
}

function quantileOf(before: Samples, after: Samples, share: number): number | null {
  const sums = new Map<number, number>()
  for (const [samples, sign] of [
    [before, -1],
    [after, 1],
  ] as const) {
    for (const { labels, value } of samples.get("sluice_request_duration_seconds_bucket") ?? []) {
      const bound = labels.le === "+Inf" ? Number.POSITIVE_INFINITY : Number(labels.le)
      sums.set(bound, (sums.get(bound) ?? 0) + sign * value)
    }
  }
  const bounds = [...sums.keys()].sort((a, b) => a - b)
  const total = sums.get(Number.POSITIVE_INFINITY) ?? 0
  if (total <= 0) return null
  const rank = share * total
  let low = 0
  let below = 0
  for (const bound of bounds) {
    const upTo = sums.get(bound) as number
    if (upTo >= rank) return 1000 * (Number.isFinite(bound) ? low + ((bound - low) * (rank - below)) / Math.max(1, upTo - below) : low)
    low = bound
    below = upTo
  }
  return null
}
