// The shape of the HTTP/2 conformance tables: frames in, and what must come of them. Cases are named by the section of RFC 9113
// (HPACK: of RFC 7541), whose rules they are; where an RFC leaves a choice, all of it is allowed.

import { requestFields } from "../../support/h2-client.ts"
import { type ErrorName, headers } from "../../support/h2-frames.ts"
import type { Field } from "../../support/h2-hpack.ts"

/**
 * What happens to the stream or the connection: a status that answers the stream, its reset, the connection's end with GOAWAY or
 * without; `ignored`: nothing, and the connection goes on.
 */
export type Outcome = `${number}` | `RST_STREAM ${ErrorName}` | `GOAWAY ${ErrorName}` | "closed" | "ignored"

/** A request as the HTTP/1.1 service must receive it. */
export interface Forwarded {
  readonly line: string
  /** Default `a`. */
  readonly host?: string
  /** `name: value` in order, without host, framing, and the fields that the gateway adds of its own (x-forwarded-*, x-request-id, traceparent). */
  readonly fields?: readonly string[]
  readonly body?: string
  readonly trailers?: readonly string[]
}

/** What the gateway says about itself in its SETTINGS. */
export interface Limits {
  readonly maxFrameSize: number
  readonly headerTableSize: number
}

export interface FrameCase {
  readonly name: string
  /** Sent behind the preface and SETTINGS. */
  readonly send: readonly Uint8Array[] | ((limits: Limits) => readonly Uint8Array[])
  /** Sent instead of the preface and SETTINGS. */
  readonly opening?: readonly Uint8Array[]
  /** Sent when the response on the stream is there whole; the outcome is what comes of these. */
  readonly later?: readonly Uint8Array[]
  /** Whose fate it is about; default 1. */
  readonly stream?: number
  readonly expects: Outcome | readonly Outcome[]
  /** The connection need not go on. */
  readonly last?: true
  /** Only when the stream is answered with 200: what the service must have received. */
  readonly forwards?: Forwarded
}

/** RFC 9113 §8.1.1: a malformed request is a stream error, before which a server may answer 400. */
export const malformed: readonly Outcome[] = ["RST_STREAM PROTOCOL_ERROR", "400"]

export const closedStream: readonly Outcome[] = ["RST_STREAM STREAM_CLOSED", "GOAWAY STREAM_CLOSED"]

/** HEADERS of a GET that ends its stream. */
export function get(stream: number, fields: readonly Field[] = [], path = "/"): Buffer {
  return headers(stream, requestFields(path, "GET", fields))
}

/** HEADERS of a POST whose body follows. */
export function post(stream: number, fields: readonly Field[] = [], path = "/"): Buffer {
  return headers(stream, requestFields(path, "POST", fields), { end: false })
}

/** A request that its service never answers: its stream stays half-closed. */
export function held(stream: number): Buffer {
  return get(stream, [], "/hold")
}
