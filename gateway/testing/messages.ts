// Messages as tests write them, and as the harness hands them on: fields as name, value, name, value …, bodies as pieces.

import { Buffer } from "node:buffer"
import type { Fields } from "../http/fields.ts"
import { isFieldValue, isToken } from "../http/fields.ts"
import { toWire, utf8 } from "./text.ts"

/** By name: one value, or several fields of that name. */
export type HeaderValues = Readonly<Record<string, string | readonly string[]>>

/** Headers, body and trailers of a message. At most one of `body`, `json` and `chunks`. */
export interface MessageContent {
  readonly headers?: HeaderValues
  /** Texts are sent as UTF-8. */
  readonly body?: string | Uint8Array
  /** Sent as JSON text, with `content-type: application/json` unless `headers` says otherwise. */
  readonly json?: unknown
  /**
   * A body that comes in these pieces, without a content-length. Its end comes with the last one; with an empty text as the
   * last piece, after it.
   */
  readonly chunks?: readonly (string | Uint8Array)[]
  readonly trailers?: HeaderValues
}

/** A message's content, ready to be handed over. */
export interface Content {
  /** Name, value, name, value …; names lower case, values as the gateway holds them. */
  readonly headers: string[]
  readonly chunks: readonly Buffer[]
  /** Octets of the body when its length is known beforehand; −1 = it comes in chunks. */
  readonly length: number
  /** The body's end comes after its last piece, not with it. */
  readonly lateEnd: boolean
  readonly trailers: string[] | null
}

export function contentOf(message: MessageContent): Content {
  const headers = fieldList(message.headers ?? {})
  const trailers = message.trailers === undefined ? null : fieldList(message.trailers)
  const given = [message.body, message.json, message.chunks].filter((each) => each !== undefined)
  if (given.length > 1) throw new Error("a message has one of body, json and chunks")
  if (message.chunks !== undefined) {
    const chunks = message.chunks.map(bytesOf)
    const lateEnd = chunks.at(-1)?.length === 0
    return { headers, chunks: chunks.filter((chunk) => chunk.length > 0), length: -1, lateEnd, trailers }
  }
  const isJson = message.json !== undefined
  const body = bytesOf(isJson ? JSON.stringify(message.json) : (message.body ?? ""))
  if (isJson && !headers.includes("content-type")) headers.push("content-type", "application/json")
  // A message with trailers can't say its length.
  const length = trailers === null ? body.length : -1
  return { headers, chunks: body.length === 0 ? [] : [body], length, lateEnd: false, trailers }
}

/** Name, value, name, value … of what a test wrote. Throws for what no message can carry. */
function fieldList(values: HeaderValues): string[] {
  const list: string[] = []
  for (const [name, value] of Object.entries(values)) {
    const lower = name.toLowerCase()
    if (!isToken(lower)) throw new Error(`${JSON.stringify(name)} can't name a header`)
    for (const each of Array.isArray(value) ? value : [value]) {
      const wire = toWire(String(each))
      if (!isFieldValue(wire)) throw new Error(`header ${lower}: ${JSON.stringify(each)} can't be a header's value`)
      list.push(lower, wire)
    }
  }
  return list
}

function bytesOf(value: string | Uint8Array): Buffer {
  // Computed values may be numbers.
  return value instanceof Uint8Array ? Buffer.from(value) : Buffer.from(String(value), "utf8")
}

export function addAll(fields: Fields, list: readonly string[]): void {
  for (let i = 0; i < list.length; i += 2) fields.add(list[i], list[i + 1])
}

/** Headers or trailers of a message that was observed. */
export class ObservedHeaders {
  readonly #list: readonly string[]

  /** Name, value, name, value …, as people read them. */
  constructor(list: readonly string[]) {
    this.#list = list
  }

  /** The value of `name`, several joined by ", "; null when there is none. */
  get(name: string): string | null {
    const values = this.all(name)
    return values.length === 0 ? null : values.join(", ")
  }

  /** Every value of `name`, in order. */
  all(name: string): string[] {
    const lower = name.toLowerCase()
    return this.#list.filter((_, i) => i % 2 === 1 && this.#list[i - 1] === lower)
  }

  has(name: string): boolean {
    return this.all(name).length > 0
  }

  /** Each field in order, repeats too. */
  get entries(): readonly (readonly [name: string, value: string])[] {
    const out: [string, string][] = []
    for (let i = 0; i < this.#list.length; i += 2) out.push([this.#list[i], this.#list[i + 1]])
    return out
  }

  /** By name, several values joined by ", ". */
  toJSON(): Record<string, string> {
    const out: Record<string, string> = {}
    for (const [name] of this.entries) out[name] = this.get(name) as string
    return out
  }
}

/** The body of a message that was observed. */
export class ObservedBody {
  /** In the pieces it was passed on in. */
  readonly chunks: readonly Buffer[]

  constructor(chunks: readonly Buffer[]) {
    this.chunks = chunks
  }

  get bytes(): Buffer {
    return this.chunks.length === 1 ? this.chunks[0] : Buffer.concat(this.chunks)
  }

  /** As UTF-8; as latin1 when it is none. */
  get text(): string {
    const { bytes } = this
    return utf8(bytes) ?? bytes.toString("latin1")
  }

  /** @throws SyntaxError when it is no JSON. */
  get json(): unknown {
    return JSON.parse(this.text)
  }
}
