// Decides for each exchange, and each TCP connection, whether it is recorded, as the trace it belongs to says, else by a share of them; sees to it that what goes on
// of its trace is right, recorded or not; and hands what was recorded to the main thread. Most exchanges cost a look at their id.

import type { TracingConfig } from "../../config/tracing-model.ts"
import { Trail } from "../trail.ts"
import type { WatchedConnection, WatchedExchange, Watcher } from "../watch.ts"
import { ExchangeTrace } from "./exchange-trace.ts"
import { finishedConnection } from "./finished-connection.ts"
import { finishedTrace } from "./finished-trace.ts"
import { Propagation } from "./propagation.ts"
import type { RouteTracing } from "./route-tracing.ts"
import { RatioSampler } from "./sampling.ts"
import type { TraceIds } from "./trace-ids.ts"
import type { TraceOutbox } from "./trace-outbox.ts"

export interface TracerMeans {
  readonly ids: TraceIds
  readonly outbox: TraceOutbox
  /** Zero of the clock of trails, in milliseconds since the epoch. */
  readonly epoch: number
}

export class Tracer implements Watcher {
  readonly #means: TracerMeans
  readonly #propagation: Propagation
  readonly #trustParents: boolean
  readonly #force: string
  /** Of exchanges that never had a route. */
  readonly #sampler: RatioSampler
  /** Codecs say whether a request has anything of a trace. */
  readonly #plain: boolean

  constructor(config: TracingConfig, means: TracerMeans) {
    this.#means = means
    this.#propagation = new Propagation(config.propagation)
    this.#trustParents = config.trustParents
    this.#force = config.force
    this.#sampler = new RatioSampler(config.sampling)
    this.#plain = !this.#propagation.readsOthers && config.force === ""
  }

  begin(exchange: WatchedExchange, trail: Trail | null): Trail | null {
    const { tracing, head } = exchange
    if (tracing === null) return trail
    if (head.saysForwarded || !this.#plain) {
      const trace = this.#judge(exchange, tracing.sampler, tracing.filters, true)
      return trace === null ? trail : recorded(trail, trace)
    }
    // Nothing of a trace came: the request has a new one already, which isn't recorded.
    if (tracing.sampler === null || !tracing.sampler.samples(exchange.requestId)) return trail
    const trace = this.#trace(exchange.requestId, tracing.filters)
    this.#propagation.write(head.fields, trace)
    return recorded(trail, trace)
  }

  #trace(traceId: string, filters: boolean): ExchangeTrace {
    const of = { traceId, parentId: "", state: "", debug: false, link: null, filters }
    return new ExchangeTrace(this.#propagation, this.#means.ids, of)
  }

  // By what the request says, as far as it is believed. `sampler`: null = nothing is recorded. `goes`: the request goes on, with what is right.
  #judge(exchange: WatchedExchange, sampler: RouteTracing["sampler"], filters: boolean, goes: boolean): ExchangeTrace | null {
    const { head } = exchange
    const propagation = this.#propagation
    const incoming = propagation.read(head.fields, head.saysForwarded)
    const forced = this.#forced(exchange)
    const believed = exchange.trusted || this.#trustParents
    const parent = believed ? incoming.parent : null
    const said = believed ? incoming.sampled : null
    const debug = believed && incoming.debug
    const state = parent === null ? "" : incoming.state
    const traceId = parent?.traceId ?? this.#newId(exchange)
    if (sampler !== null && (forced || (said ?? sampler.samples(traceId)))) {
      const link = believed ? null : incoming.parent
      const of = { traceId, parentId: parent?.spanId ?? "", state, debug, link, filters }
      const trace = new ExchangeTrace(propagation, this.#means.ids, of)
      if (goes) propagation.write(head.fields, trace)
      return trace
    }
    if (!goes) return null
    // Whoever sent it is the parent of whoever gets it. A route that isn't traced decides nothing.
    const sampled = sampler === null && parent !== null ? said : false
    const spanId = parent?.spanId ?? this.#means.ids.span()
    propagation.write(head.fields, { traceId, spanId, sampled, debug: debug && sampled === true, state })
    return null
  }

  // Only who is trusted may ask for it; what others wrote goes no further.
  #forced({ head, trusted }: WatchedExchange): boolean {
    if (this.#force === "") return false
    if (!trusted) {
      head.fields.remove(this.#force)
      return false
    }
    const asked = head.fields.get(this.#force)
    return asked === "1" || asked === "true"
  }

  // The request's own id, if it was made here: one that came may have come more than once.
  #newId({ head, trusted, requestId }: WatchedExchange): string {
    return requestId === "" || (head.saysForwarded && trusted) ? this.#means.ids.trace() : requestId
  }

  end(exchange: WatchedExchange): void {
    const { outbox, epoch, ids } = this.#means
    const trace = traceOf(exchange.trail) ?? this.#unrouted(exchange)
    if (trace === null) return
    if (outbox.admit()) outbox.add(finishedTrace(exchange, trace, epoch, ids))
  }

  beginConnection({ tracing }: WatchedConnection, trail: Trail | null): Trail | null {
    if (tracing === null || tracing.sampler === null) return trail
    const traceId = this.#means.ids.trace()
    return tracing.sampler.samples(traceId) ? recorded(trail, this.#trace(traceId, false)) : trail
  }

  endConnection(connection: WatchedConnection): void {
    const { outbox, epoch, ids } = this.#means
    const trace = traceOf(connection.trail)
    if (trace === null) return
    if (outbox.admit()) outbox.add(finishedConnection(connection, trace, epoch, ids))
  }

  // One that failed before it had a route was never asked about.
  #unrouted(exchange: WatchedExchange): ExchangeTrace | null {
    if (exchange.route !== "") return null
    if (exchange.head.saysForwarded || !this.#plain) return this.#judge(exchange, this.#sampler, false, false)
    const traceId = this.#newId(exchange)
    return this.#sampler.samples(traceId) ? this.#trace(traceId, false) : null
  }
}

function recorded(trail: Trail | null, trace: ExchangeTrace): Trail {
  const kept = trail ?? new Trail()
  kept.context = trace
  return kept
}

function traceOf(trail: Trail | null): ExchangeTrace | null {
  return trail !== null && trail.context instanceof ExchangeTrace ? trail.context : null
}
