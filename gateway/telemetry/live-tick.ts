// What one second of traffic was, by listener, route, service, endpoint, filter, and edge of the service graph: only what did
// something in it, and of that no more than {@link KEPT} of a kind. It reads nothing itself, and is on no request's path.

/** Things of one kind a second remembers; those with the most requests are kept. */
export const KEPT = 1000

/** A histogram with few buckets in use: bucket, count, bucket, count, … */
export type SparseCounts = number[]

/** Adds to a bucket. Few of them are in use at a time, so that a search is as good as an index. */
export function addCount(counts: SparseCounts, bucket: number, count: number): void {
  for (let i = counts.length - 2; i >= 0; i -= 2) {
    if (counts[i] !== bucket) continue
    counts[i + 1] += count
    return
  }
  counts.push(bucket, count)
}

/** Requests of one thing, or connections where it carries TCP. */
export class TrafficCell {
  requests = 0
  /** Answered with a 5xx, a gRPC status that blames the server, or not at all. */
  failures = 0
  /** Answered with a 4xx: the client's own fault. */
  rejected = 0
  /** Body octets from and to clients. */
  received = 0
  sent = 0
  /** Requests sent once more. Of services alone. */
  retries = 0
  readonly durations: SparseCounts = []
}

/** Calls of one filter. */
export class FilterCell {
  /** Exchanges it was given, and those of them in which it failed. */
  requests = 0
  failures = 0
  /** Phases run. */
  calls = 0
  traps = 0
  /** Seconds of CPU that its code used, by its budget: without what the host does for it. */
  busy = 0
  readonly durations: SparseCounts = []
}

/** Kinds of things that have a {@link TrafficCell} each. */
const trafficKinds = ["listeners", "routes", "services", "endpoints", "edges", "callers"] as const
export type TrafficKind = (typeof trafficKinds)[number]

export class LiveTick {
  /** ms of the clock when it ended, and how long it was. */
  readonly at: number
  readonly length: number
  readonly total: TrafficCell = new TrafficCell()
  readonly cells: Readonly<Record<TrafficKind, Map<string, TrafficCell>>> = {
    listeners: new Map(),
    routes: new Map(),
    services: new Map(),
    endpoints: new Map(),
    edges: new Map(),
    callers: new Map(),
  }
  readonly filters: Map<string, FilterCell> = new Map()
  /** Seconds of CPU the whole process used. */
  cpu = 0
  /** Things that did something and were left out, by kind. */
  readonly omitted: Partial<Record<TrafficKind, number>> = {}

  constructor(at: number, length: number) {
    this.at = at
    this.length = length
  }

  cell(kind: TrafficKind, name: string): TrafficCell {
    const cells = this.cells[kind]
    let cell = cells.get(name)
    if (cell === undefined) {
      cell = new TrafficCell()
      cells.set(name, cell)
    }
    return cell
  }

  filter(name: string): FilterCell {
    let cell = this.filters.get(name)
    if (cell === undefined) {
      cell = new FilterCell()
      this.filters.set(name, cell)
    }
    return cell
  }

  /** Forgets what exceeds the bound: nothing is added any more. */
  seal(): void {
    for (const kind of trafficKinds) {
      const cells = this.cells[kind]
      const excess = cells.size - KEPT
      if (excess <= 0) continue
      const least = [...cells].sort(([, a], [, b]) => a.requests - b.requests).slice(0, excess)
      for (const [name] of least) cells.delete(name)
      this.omitted[kind] = excess
    }
  }
}

/** Listener, route and service of an edge as one key: none of their names has a line feed. */
export function edgeKey(listener: string, route: string, service: string): string {
  return `${listener}\n${route}\n${service}`
}

/** The same of a service and the identity of its client, which may have any sign. */
export function callerKey(service: string, source: string): string {
  return `${service}\n${source}`
}
