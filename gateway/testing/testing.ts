// `sluice/testing`: filters in the gateway's own host, in process and without a network, for any test runner.
//
//   import { loadFilter } from "sluice/testing"
//
//   const filter = await loadFilter("./filters/api-key", { config: { keys: { "k-1": "alice" } } })
//   const exchange = await filter.request({ path: "/orders", headers: { "x-api-key": "k-1" } })
//   expect(exchange.upstream?.headers.get("x-client")).toBe("alice")
//   filter.close()

import type { LogLevel } from "../telemetry/log.ts"
import { grantsOf } from "../wasm/manifest.ts"
import { DEFAULT_BODY_LIMIT, type PluginSpec } from "../wasm/plugin.ts"
import type { ExchangeRun } from "./exchange.ts"
import type { ClientResponse, TestRequest, Upstream, UpstreamRequest } from "./exchange-parts.ts"
import { FilterHost, type LogLine } from "./host.ts"
import { DEFAULT_MEMORY, FilterLoadError, FilterLoader, type FilterPlace, findFilter, type LoadedModule } from "./loader.ts"
import type { ObservedCallout, ServiceFake } from "./services.ts"
import { type MetricValue, SharedState } from "./shared-state.ts"

export type { ClientResponse, Peer, TestRequest, TestResponse, Upstream, UpstreamRequest } from "./exchange-parts.ts"
export type { LogLine } from "./host.ts"
export { FilterLoadError } from "./loader.ts"
export type { HeaderValues, MessageContent, ObservedBody, ObservedHeaders } from "./messages.ts"
export type { ObservedCallout, ServiceAnswer, ServiceFailure, ServiceFake, ServiceResponse } from "./services.ts"
export { type MetricValue, SharedState } from "./shared-state.ts"

/** Limits of a filter, with the configuration's defaults. */
export interface FilterLimits {
  /** ms of CPU one call into the filter may use, of a machine that gets through 1 million budget units in one; default 5. */
  readonly cpu?: number
  /** Octets of its memory; default 16 MiB. */
  readonly memory?: number
  /** Octets of one body it may keep back; default 1 MiB. */
  readonly body?: number
}

/** How one filter is configured. */
export interface FilterSettings {
  /** Handed to the filter's `configure`: a text as it is, anything else as JSON. */
  readonly config?: unknown
  /** Handed to the module when it starts, in the same way. */
  readonly vmConfig?: unknown
  readonly limits?: FilterLimits
  /** What happens to exchanges when the filter fails; default `deny`. */
  readonly onError?: "deny" | "skip"
  /** The filter's name in logs; default: the manifest's, or the file's. */
  readonly name?: string
  /** Names its shared data and queues; default: the filter's name. Filters with the same one share them. */
  readonly vmId?: string
  /** Which of the roots a module registers; default "". */
  readonly rootId?: string
}

/** What surrounds the filters of a test. */
export interface TestSettings {
  /** The services filters may call, by name. One that is not here does not exist. */
  readonly services?: Readonly<Record<string, ServiceFake>>
  /** When the test takes place: a date, an ISO text or milliseconds since the epoch; default 2026-01-01T00:00:00Z. */
  readonly clock?: Date | string | number
  /** Data the filters find, by key: texts as UTF-8. */
  readonly shared?: Readonly<Record<string, string | Uint8Array>>
  /** Data, queues and metrics to use together with another filter; default: some of its own. */
  readonly state?: SharedState
  /** Services that requests can be sent to, the route's own first; default: any, and `upstream` is the route's. */
  readonly backends?: readonly string[]
  /** Name of the route; default `test`. */
  readonly route?: string
  /** What filters log below this level is left out; default `trace`: nothing is. */
  readonly logLevel?: LogLevel
}

/** A filter of a chain: its path, or that with its settings. */
export type ChainMember = string | (FilterSettings & { readonly module: string })

/** One exchange and what the filters made of it. Live: one that waits goes on with later calls. */
export class Exchange {
  readonly #run: ExchangeRun
  readonly #filter: TestFilter
  readonly #logs: number
  readonly #calls: number

  /** @internal */
  constructor(run: ExchangeRun, filter: TestFilter, logs: number, calls: number) {
    this.#run = run
    this.#filter = filter
    this.#logs = logs
    this.#calls = calls
  }

  /** What went to the upstream; null when nothing did. */
  get upstream(): UpstreamRequest | null {
    return this.#run.upstream
  }
  /** What the client got; null when it got nothing (yet). */
  get response(): ClientResponse | null {
    return this.#run.client
  }
  /** The response was made by a filter, or by the gateway because a filter failed. */
  get reply(): boolean {
    return this.#run.reply
  }
  /** It waits, for a filter that holds it back. */
  get pending(): boolean {
    return !this.#run.over
  }
  /** The client was cut off: a reset, or a failure after its response had begun. */
  get aborted(): boolean {
    return this.#run.aborted
  }
  /** A filter asked for the route to be looked up anew. */
  get rerouted(): boolean {
    return this.#run.rerouted
  }
  /** Response flag of the access log: "" when all is well, `LR` for a filter's reply, `FT`, `FB` … for its failures. */
  get flag(): string {
    return this.#run.responseFlag
  }
  /** What is behind the flag. */
  get details(): string {
    return this.#run.responseDetails
  }
  /** What filters have logged since it began. */
  get logs(): readonly LogLine[] {
    return this.#filter.logs.slice(this.#logs)
  }
  /** Callouts filters have made since it began. */
  get calls(): readonly ObservedCallout[] {
    return this.#filter.calls.slice(this.#calls)
  }
}

/** A filter, or a chain of them, under test. */
export class TestFilter {
  readonly #host: FilterHost
  readonly #vmIds: readonly string[]

  /** @internal */
  constructor(host: FilterHost, vmIds: readonly string[]) {
    this.#host = host
    this.#vmIds = vmIds
  }

  /** Sends a request through the filters to `upstream` (default: 200 without a body) and back. */
  async request(request: TestRequest = {}, options: { readonly upstream?: Upstream } = {}): Promise<Exchange> {
    const logs = this.#host.logs.length
    const calls = this.#host.services.calls.length
    const run = await this.#host.exchange(request, options.upstream ?? {})
    return new Exchange(run, this, logs, calls)
  }

  /** Lets time pass: ticks run, callouts are answered or time out, in their order. */
  advance(ms: number): Promise<void> {
    return this.#host.advance(ms)
  }

  /** Milliseconds since the epoch. */
  get now(): number {
    return this.#host.clock.now()
  }
  /** Everything logged so far. */
  get logs(): readonly LogLine[] {
    return this.#host.logs
  }
  /** Every callout so far. */
  get calls(): readonly ObservedCallout[] {
    return this.#host.services.calls
  }
  /** Metrics the filters have defined, by name. */
  get metrics(): Readonly<Record<string, MetricValue>> {
    return this.#host.state.metrics
  }
  /** What the test should know: services asked for that don't exist, answers that ran out. */
  get problems(): readonly string[] {
    return this.#host.services.problems
  }
  get state(): SharedState {
    return this.#host.state
  }

  /** Shared data under `key`, as octets; undefined = nothing. Of the first filter, unless `vmId` names another's. */
  shared(key: string, vmId: string = this.#vmIds[0]): Uint8Array | undefined {
    return this.#host.state.get(vmId, key)
  }

  /** Plays a service from now on. */
  setService(service: string, fake: ServiceFake): void {
    this.#host.services.set(service, fake)
  }

  /** @internal */
  get host(): FilterHost {
    return this.#host
  }

  /** Ends exchanges that still wait, and lets go of the filters. */
  close(): void {
    this.#host.close()
  }
}

/** The text a filter is configured with. */
export function configText(config: unknown): string {
  return config === undefined ? "" : typeof config === "string" ? config : JSON.stringify(config)
}

/** @internal */
export function specOf(place: FilterPlace, module: LoadedModule, settings: FilterSettings): PluginSpec {
  const name = settings.name ?? place.name
  return {
    name,
    module: module.module,
    abi: module.abi,
    digest: module.digest,
    generation: 1,
    vmKey: settings.vmId ?? name,
    vmConfig: configText(settings.vmConfig),
    rootId: settings.rootId ?? "",
    config: configText(settings.config),
    onError: settings.onError ?? "deny",
    grants: place.manifest === null ? null : grantsOf(place.manifest),
    cpuMs: settings.limits?.cpu ?? 5,
    memory: settings.limits?.memory ?? DEFAULT_MEMORY,
    bodyLimit: settings.limits?.body ?? DEFAULT_BODY_LIMIT,
  }
}

/** @internal Starts filters that are loaded. @throws FilterLoadError when one refuses its configuration */
export async function startFilters(specs: readonly PluginSpec[], settings: TestSettings): Promise<TestFilter> {
  const state = settings.state ?? new SharedState()
  const vmIds = specs.map((spec) => spec.vmKey ?? spec.digest)
  for (const [key, value] of Object.entries(settings.shared ?? {})) for (const vmId of new Set(vmIds)) state.set(vmId, key, value)
  const start = new Date(settings.clock ?? "2026-01-01T00:00:00Z").getTime()
  if (!Number.isFinite(start))
    throw new TypeError(`clock: ${JSON.stringify(settings.clock)} is no time; write one such as 2026-01-01T00:00:00Z`)
  const host = new FilterHost({
    start,
    services: settings.services ?? {},
    state,
    backends: settings.backends ?? null,
    routeName: settings.route ?? "test",
    logLevel: settings.logLevel ?? "trace",
  })
  for (const spec of specs) {
    const reason = await host.add(spec)
    if (reason === null) continue
    host.close()
    throw new FilterLoadError(`filter ${spec.name}: ${reason}`)
  }
  return new TestFilter(host, vmIds)
}

/**
 * Loads a filter into the host that runs it in production. `path`: a filter's folder, its source (`filter.ts`) or a module
 * (`.wasm`), relative to the working directory.
 *
 * @throws FilterLoadError when it doesn't compile, can't be accepted, or refuses its configuration; the message says why.
 */
export function loadFilter(path: string, settings: FilterSettings & TestSettings = {}): Promise<TestFilter> {
  return loadFilters([{ ...settings, module: path }], settings)
}

/** As {@link loadFilter}, for several filters in the order of a route's chain. */
export async function loadFilters(members: readonly ChainMember[], settings: TestSettings = {}): Promise<TestFilter> {
  const specs: PluginSpec[] = []
  const loader = new FilterLoader()
  try {
    for (const member of members) {
      const own: FilterSettings = typeof member === "string" ? {} : member
      const place = findFilter(pathOf(member))
      const { module } = await loader.load(place, own.limits?.memory)
      specs.push(specOf(place, module, own))
    }
  } finally {
    loader.close()
  }
  return startFilters(specs, settings)
}

function pathOf(member: ChainMember): string {
  return typeof member === "string" ? member : member.module
}
