// The part of one recorded exchange in its trace: the ids it has, and those it gives to what it asks of others.

import type { Fields } from "../../http/fields.ts"
import type { AttemptStep, TraceContext } from "../trail.ts"
import type { Outgoing, Propagation } from "./propagation.ts"
import type { RemoteParent } from "./trace-context.ts"
import type { TraceIds } from "./trace-ids.ts"

export class ExchangeTrace implements TraceContext, Outgoing {
  readonly traceId: string
  readonly spanId: string
  readonly parentId: string
  readonly state: string
  readonly debug: boolean
  readonly random: boolean
  readonly sampled = true
  /** The trace of a client that isn't joined; null = there is none. */
  readonly link: RemoteParent | null
  /** Phases of filters get spans. */
  readonly filters: boolean
  readonly #propagation: Propagation
  readonly #ids: TraceIds

  constructor(
    propagation: Propagation,
    ids: TraceIds,
    of: Pick<ExchangeTrace, "traceId" | "parentId" | "state" | "debug" | "random" | "link" | "filters">,
  ) {
    this.#propagation = propagation
    this.#ids = ids
    this.traceId = of.traceId
    this.spanId = ids.span()
    this.parentId = of.parentId
    this.state = of.state
    this.debug = of.debug
    this.random = of.random
    this.link = of.link
    this.filters = of.filters
  }

  get fields(): readonly string[] {
    return this.#propagation.list(this)
  }

  attempt(fields: Fields, step: AttemptStep): void {
    step.spanId = this.#ids.span()
    this.#propagation.replace(fields, { ...this.#outgoing(step.spanId), sampled: true })
  }

  mirrored(fields: Fields): void {
    this.#propagation.replace(fields, { ...this.#outgoing(this.spanId), sampled: false, debug: false })
  }

  #outgoing(spanId: string): Omit<Outgoing, "sampled"> {
    return { traceId: this.traceId, spanId, debug: this.debug, random: this.random, state: this.state }
  }
}
