// Reads the metric slots of what is in force and tells how far each has come since the last look. Reading is all it does: workers
// neither know nor pay. What did nothing costs a few additions.

import { serverFaults } from "../http/grpc-status.ts"
import type { Buckets } from "./buckets.ts"
import { filterBuckets, requestBuckets } from "./duration-buckets.ts"
import { EXCHANGE_ERROR, EXCHANGE_FAILED, EXCHANGE_OK, type FilterSlots, trapReasons } from "./filter-instruments.ts"
import type { CountedPair } from "./identity-instruments.ts"
import { type ListenerSlots, type RouteSlots, type ServiceSlots, statusClasses, type TcpSlots } from "./instruments.ts"
import { addCount, callerKey, edgeKey, type FilterCell, LiveTick, type SparseCounts, type TrafficCell } from "./live-tick.ts"

/** Metric slots by the names of what they count: a part of those of a snapshot. */
export interface LiveSlots {
  readonly listeners: Readonly<Record<string, Pick<ListenerSlots, "requestsActive" | "connections">>>
  /** By listener, route and service. */
  readonly routes: Readonly<Record<string, Readonly<Record<string, Readonly<Record<string, RouteSlots>>>>>>
  /** By listener and service. */
  readonly tcp: Readonly<Record<string, Readonly<Record<string, TcpSlots>>>>
  readonly services: Readonly<Record<string, Pick<ServiceSlots, "retries" | "pending">>>
  /** By filter and version. */
  readonly filters: Readonly<Record<string, Readonly<Record<string, FilterSlots>>>>
}

/** Requests an endpoint has ended with, and those that went well. */
export interface EndpointCount {
  readonly service: string
  readonly address: string
  readonly requests: number
  readonly successes: number
}

export interface LiveSources {
  /** The same object as long as the same snapshot is in force; null before the first. */
  slots(): LiveSlots | null
  /** Value of a slot, over all threads. */
  read(slot: number): number
  /** Values of as many slots from this one on as there is room for: all of one series. */
  readAll(slot: number, into: Float64Array): void
  /** Of clients that are known by a certificate: a bounded number of them. */
  identities(): Iterable<CountedPair>
  /** Of endpoints that are counted one by one: a bounded number of them. */
  endpoints(): Iterable<EndpointCount>
  /** Units of budget that a filter's code uses in a millisecond. */
  readonly unitsPerMs: number
  /** Seconds of CPU the process has used. */
  cpu(): number
}

const NONE_CLASS: number = statusClasses.indexOf("none")
const CLASS_4XX: number = statusClasses.indexOf("4xx")
const CLASS_5XX: number = statusClasses.indexOf("5xx")

/** The exchanges of one listener that took one route to one service. */
interface RequestRow {
  listener: string
  route: string
  service: string
  readonly slots: RouteSlots
}

export class LiveSampler {
  readonly #sources: LiveSources
  #slots: LiveSlots | null = null
  #requests: RequestRow[] = []
  /** Values of slots at the last look. Those that are zero have none. */
  #before = new Map<number, number>()
  /** The same of histograms, by their first slot: of thousands of busy ones, looked at as one. */
  #counts = new Map<number, Float64Array>()
  readonly #now = new Float64Array(256)
  #endpoints = new Map<string, { requests: number; successes: number }>()
  #cpu: number
  #at: number

  /** What happened before `now` (ms) is not told. */
  constructor(sources: LiveSources, now: number) {
    this.#sources = sources
    this.#at = now
    this.#cpu = sources.cpu()
    // A look that nobody sees: from it on there is a difference.
    this.sample(now)
  }

  /** What has happened since the last look. */
  sample(now: number): LiveTick {
    const tick = new LiveTick(now, Math.max(1, now - this.#at))
    this.#at = now
    const slots = this.#sources.slots()
    if (slots !== this.#slots) this.#follow(slots)
    const cpu = this.#sources.cpu()
    tick.cpu = Math.max(0, cpu - this.#cpu)
    this.#cpu = cpu
    if (slots !== null) {
      for (const row of this.#requests) this.#sampleRequests(tick, row)
      this.#sampleTcp(tick, slots)
      for (const service in slots.services) {
        const retries = this.#since(slots.services[service].retries)
        if (retries > 0) tick.cell("services", service).retries += retries
      }
      for (const filter in slots.filters) {
        for (const version in slots.filters[filter]) this.#sampleFilter(tick.filter(filter), slots.filters[filter][version])
      }
    }
    for (const pair of this.#sources.identities()) this.#sampleCaller(tick, pair)
    this.#sampleEndpoints(tick)
    tick.seal()
    return tick
  }

  /** Another snapshot is in force: names may have come and gone. */
  #follow(slots: LiveSlots | null): void {
    this.#slots = slots
    const rows = new Map<number, RequestRow>()
    for (const listener in slots?.routes ?? {}) {
      const routes = slots?.routes[listener] ?? {}
      for (const route in routes) {
        for (const service in routes[route]) {
          const own = routes[route][service]
          const row = rows.get(own.requests)
          if (row === undefined) rows.set(own.requests, { listener, route, service, slots: own })
          // More series than there is room for share one.
          else row.listener = row.route = row.service = "overflow"
        }
      }
    }
    this.#requests = [...rows.values()]
  }

  #sampleRequests(tick: LiveTick, { listener, route, service, slots }: RequestRow): void {
    let requests = 0
    let failures = 0
    let rejected = 0
    for (let i = 0; i < statusClasses.length; i++) {
      const n = this.#since(slots.requests + i)
      if (n === 0) continue
      requests += n
      if (i === CLASS_5XX || i === NONE_CLASS) failures += n
      else if (i === CLASS_4XX) rejected += n
    }
    // Octets of what lasts come before its end.
    const received = this.#since(slots.requestBytes)
    const sent = this.#since(slots.responseBytes)
    if (requests + received + sent === 0) return
    if (requests > 0) for (const code of serverFaults) failures += this.#since(slots.grpc + code)
    if (failures > requests) failures = requests
    const cells = [
      tick.total,
      tick.cell("listeners", listener),
      tick.cell("routes", route),
      tick.cell("edges", edgeKey(listener, route, service)),
    ]
    if (service !== "-") cells.push(tick.cell("services", service))
    for (const cell of cells) {
      cell.requests += requests
      cell.failures += failures
      cell.rejected += rejected
    }
    this.#octets(cells, received, sent)
    if (requests === 0) return
    // Listeners share the histogram of a route and a service: it tells nothing of one of them.
    const timed = [tick.total, tick.cell("routes", route)]
    if (service !== "-") timed.push(tick.cell("services", service))
    this.#sampleDurations(
      timed.map((cell) => cell.durations),
      slots.duration,
      requestBuckets,
    )
  }

  #sampleTcp(tick: LiveTick, { tcp }: LiveSlots): void {
    for (const listener in tcp) {
      for (const service in tcp[listener]) {
        const slots = tcp[listener][service]
        const ended = this.#since(slots.ended)
        const received = this.#since(slots.received)
        const sent = this.#since(slots.sent)
        if (ended + received + sent === 0) continue
        const cells = [tick.total, tick.cell("listeners", listener), tick.cell("edges", edgeKey(listener, "", service))]
        if (service !== "-") cells.push(tick.cell("services", service))
        // A connection is no request: it takes part in octets, and on edges in number.
        cells[2].requests += ended
        this.#octets(cells, received, sent)
      }
    }
  }

  #sampleCaller(tick: LiveTick, { source, service, requests, connections }: CountedPair): void {
    // As on edges, connections that have ended take part in number.
    const ended = connections < 0 ? 0 : this.#since(connections)
    if (ended > 0) tick.cell("callers", callerKey(service, source)).requests += ended

    for (let i = 0; i < statusClasses.length; i++) {
      const n = this.#since(requests + i)
      if (n === 0) continue
      const cell = tick.cell("callers", callerKey(service, source))
      cell.requests += n
      if (i === CLASS_5XX || i === NONE_CLASS) cell.failures += n
    }
  }

  #octets(cells: readonly TrafficCell[], received: number, sent: number): void {
    if (received + sent === 0) return
    for (const cell of cells) {
      cell.received += received
      cell.sent += sent
    }
  }

  #sampleFilter(cell: FilterCell, slots: FilterSlots): void {
    const calls = this.#since(slots.calls)
    const failed = this.#since(slots.exchanges + EXCHANGE_FAILED)
    cell.calls += calls
    cell.failures += failed
    cell.requests += failed + this.#since(slots.exchanges + EXCHANGE_OK) + this.#since(slots.exchanges + EXCHANGE_ERROR)
    for (let i = 0; i < trapReasons.length; i++) cell.traps += this.#since(slots.traps + i)
    if (calls === 0) return
    this.#sampleDurations([cell.durations], slots.duration, filterBuckets)
    cell.busy += this.#since(slots.budget) / this.#sources.unitsPerMs / 1000
  }

  #sampleDurations(into: readonly SparseCounts[], slot: number, buckets: Buckets): void {
    let before = this.#counts.get(slot)
    if (before === undefined) {
      before = new Float64Array(buckets.bounds.length + 1)
      this.#counts.set(slot, before)
    }
    const now = this.#now.subarray(0, before.length)
    this.#sources.readAll(slot, now)
    for (let i = 0; i < now.length; i++) {
      const value = now[i]
      if (value === before[i]) continue
      // One that is less than before has begun anew.
      const n = value > before[i] ? value - before[i] : value
      before[i] = value
      if (n > 0) for (const counts of into) addCount(counts, i, n)
    }
  }

  #sampleEndpoints(tick: LiveTick): void {
    const seen = new Map<string, { requests: number; successes: number }>()
    for (const { service, address, requests, successes } of this.#sources.endpoints()) {
      const key = `${service}\n${address}`
      const before = this.#endpoints.get(key)
      seen.set(key, { requests, successes })
      // One that has just come has a past that isn't of this second.
      if (before === undefined || requests <= before.requests) continue
      const cell = tick.cell("endpoints", key)
      cell.requests = requests - before.requests
      cell.failures = Math.max(0, cell.requests - Math.max(0, successes - before.successes))
    }
    this.#endpoints = seen
  }

  /** How far a counter has come. One that is less than before has begun anew: its slot has another owner. */
  #since(slot: number): number {
    const value = this.#sources.read(slot)
    const before = this.#before.get(slot) ?? 0
    if (value === before) return 0
    this.#before.set(slot, value)
    return value > before ? value - before : value
  }
}
