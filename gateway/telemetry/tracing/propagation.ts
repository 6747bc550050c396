// How a trace is read from a request's fields, and written into those that go on: in the formats that are configured. `traceparent`
// is always written, as it always has been; B3 where it is asked for. What is repeated, or malformed, counts as if it weren't there.

import type { PropagationFormat } from "../../config/tracing-model.ts"
import type { Fields } from "../../http/fields.ts"
import { type B3Context, formatB3, parseB3, parseB3Multi } from "./b3.ts"
import { formatTraceparent, parseTraceparent, type RemoteParent } from "./trace-context.ts"
import { parseTracestate } from "./trace-state.ts"

const B3_FIELDS = ["x-b3-traceid", "x-b3-spanid", "x-b3-parentspanid", "x-b3-sampled", "x-b3-flags"] as const
const ALL: readonly string[] = ["traceparent", "tracestate", "b3", ...B3_FIELDS]

/** What a request says of its trace. */
export interface Incoming {
  /** Null: no ids. */
  readonly parent: RemoteParent | null
  /** Of a decision without ids (B3): null = there is none. */
  readonly sampled: boolean | null
  readonly debug: boolean
  readonly state: string
  /** It is `traceparent` that says so. */
  readonly w3c: boolean
}

/** What goes on of a trace. */
export interface Outgoing {
  readonly traceId: string
  readonly spanId: string
  /** Null: whoever is asked next decides, where the format can say so. */
  readonly sampled: boolean | null
  readonly debug: boolean
  readonly random: boolean
  readonly state: string
}

const NOTHING: Incoming = { parent: null, sampled: null, debug: false, state: "", w3c: false }

export class Propagation {
  readonly #formats: readonly PropagationFormat[]
  readonly #single: boolean
  readonly #multi: boolean

  /** The first format that says something is believed. */
  constructor(formats: readonly PropagationFormat[]) {
    this.#formats = formats
    this.#single = formats.includes("b3")
    this.#multi = formats.includes("b3multi")
  }

  /** There is a format whose fields codecs don't look out for. */
  get readsOthers(): boolean {
    return this.#single || this.#multi
  }

  /** `w3c`: the fields of that format are the sender's, if they are there, and not our own. */
  read(fields: Fields, w3c: boolean): Incoming {
    for (const format of this.#formats) {
      if (format === "w3c" && !w3c) continue
      const incoming = format === "w3c" ? readW3c(fields) : b3(format === "b3" ? readSingle(fields) : readMulti(fields))
      if (incoming !== null) return incoming
    }
    return NOTHING
  }

  /** Nothing else of a trace is left in the fields of these formats. */
  write(fields: Fields, outgoing: Outgoing): void {
    const { traceId, spanId, sampled, random, state } = outgoing
    fields.set("traceparent", formatTraceparent(traceId, spanId, sampled === true, random))
    if (state === "") fields.remove("tracestate")
    else fields.set("tracestate", state)
    this.writeB3(fields, outgoing)
  }

  /** The same for B3 alone: what came in `traceparent` goes on untouched, and so does its state (§3.4). */
  writeB3(fields: Fields, { traceId, spanId, sampled, debug }: Outgoing): void {
    if (this.#single) fields.set("b3", formatB3(traceId, spanId, sampled, debug))
    if (!this.#multi) return
    fields.set("x-b3-traceid", traceId)
    fields.set("x-b3-spanid", spanId)
    fields.remove("x-b3-parentspanid")
    this.#decide(fields, sampled, debug)
  }

  #decide(fields: Fields, sampled: boolean | null, debug: boolean): void {
    if (debug) fields.set("x-b3-flags", "1")
    else fields.remove("x-b3-flags")
    if (debug || sampled === null) fields.remove("x-b3-sampled")
    else fields.set("x-b3-sampled", sampled ? "1" : "0")
  }

  /** Other ids in the fields that are still there: a route may have taken them out, for a service that isn't to see them. */
  replace(fields: Fields, { traceId, spanId, sampled, debug, random }: Outgoing): void {
    if (fields.has("traceparent")) fields.set("traceparent", formatTraceparent(traceId, spanId, sampled === true, random))
    if (this.#single && fields.has("b3")) fields.set("b3", formatB3(traceId, spanId, sampled, debug))
    if (!this.#multi || !fields.has("x-b3-traceid")) return
    fields.set("x-b3-traceid", traceId)
    fields.set("x-b3-spanid", spanId)
    this.#decide(fields, sampled, debug)
  }

  /** The same for a request that has no fields of a trace: name, value, name, value … */
  list({ traceId, spanId, sampled, debug, random, state }: Outgoing): string[] {
    const list = ["traceparent", formatTraceparent(traceId, spanId, sampled === true, random)]
    if (state !== "") list.push("tracestate", state)
    if (this.#single) list.push("b3", formatB3(traceId, spanId, sampled, debug))
    if (this.#multi) list.push("x-b3-traceid", traceId, "x-b3-spanid", spanId, debug ? "x-b3-flags" : "x-b3-sampled", sampled ? "1" : "0")
    return list
  }
}

/** What a head that has passed the tracer says of its trace, in whatever format: name, value, name, value … */
export function traceFieldsOf(fields: Fields): string[] {
  const list: string[] = []
  for (const name of ALL) {
    const value = fields.get(name)
    if (value !== undefined) list.push(name, value)
  }
  return list
}

/** Undefined: it isn't there. Null: it is there more than once. */
function only(fields: Fields, name: string): string | undefined | null {
  const values = fields.getAll(name)
  return values.length > 1 ? null : values[0]
}

function readW3c(fields: Fields): Incoming | null {
  const text = only(fields, "traceparent")
  if (text === undefined || text === null) return null
  const parent = parseTraceparent(text)
  if (parent === null) return null
  const state = fields.getCombined("tracestate", ",")
  return { parent, sampled: parent.sampled, debug: false, state: state === undefined ? "" : parseTracestate(state), w3c: true }
}

function readSingle(fields: Fields): B3Context | null {
  const text = only(fields, "b3")
  return text === undefined || text === null ? null : parseB3(text)
}

function readMulti(fields: Fields): B3Context | null {
  const [traceId, spanId, parent, sampled, flags] = B3_FIELDS.map((name) => only(fields, name))
  if (traceId === null || spanId === null || parent === null || sampled === null || flags === null) return null
  return parseB3Multi(traceId, spanId, sampled, flags)
}

function b3(context: B3Context | null): Incoming | null {
  if (context === null) return null
  const { traceId, sampled, debug } = context
  return { parent: traceId === "" ? null : { ...context, random: false }, sampled, debug, state: "", w3c: false }
}
