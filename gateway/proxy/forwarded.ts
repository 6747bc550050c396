// What a request says about its way here: x-forwarded-*, x-request-id and traceparent; and x-request-timeout. Only what trusted
// proxies in front wrote is believed; the rest is made anew (W3C Trace Context §3.2 for traceparent). x-forwarded-client-cert
// is never believed.

import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { RequestHead } from "../http/message.ts"
import { REQUEST_TIMEOUT } from "../http/request-timeout.ts"
import { parseTraceparent } from "../telemetry/tracing/trace-context.ts"

const REQUEST_ID = /^[A-Za-z0-9._:/+=-]{1,128}$/
const NAMES: ReadonlySet<string> = new Set(["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-request-id", "traceparent"])
const CLIENT_CERT = "x-forwarded-client-cert"
const NAMES_WITH_CERT: ReadonlySet<string> = new Set([...NAMES, CLIENT_CERT])
/** Hex digits of a request id, which is also its trace id; and of a span id. */
const ID = 32
const SPAN = 16
/** Ids made of one draw of randomness. */
const BATCH = 128

/** The connection a request came by. */
export interface ForwardedSource {
  readonly sourceAddress: string
  readonly security: ConnectionSecurity | null
  readonly memo: { authority: string; text: string }
}

/** Completes requests' fields. One a worker: it holds random digits in store. */
export class ForwardedFields {
  readonly #random: (octets: number) => string
  #digits = ""
  #at = 0

  /** `random` yields that many random octets as hex digits. */
  constructor(random: (octets: number) => string) {
    this.#random = random
  }

  /**
   * Completes the fields of `head`; returns the request's id. `trustedHops`: proxies in front that are believed. `traced`: what came of
   * a trace is looked after by a tracer.
   */
  complete(head: RequestHead, stream: ForwardedSource, trustedHops: number, traced = false): string {
    if (this.#at === this.#digits.length) {
      this.#digits = this.#random((BATCH * (ID + SPAN)) / 2)
      this.#at = 0
    }
    const id = this.#digits.slice(this.#at, this.#at + ID)
    const span = this.#digits.slice(this.#at + ID, this.#at + ID + SPAN)
    this.#at += ID + SPAN
    const certificate = stream.security === null ? "" : stream.security.forwardedClientCert
    if (head.saysForwarded) {
      head.fields.remove(CLIENT_CERT)
      if (certificate !== "") head.fields.set(CLIENT_CERT, certificate)
      return revise(head, stream.sourceAddress, trustedHops > 0, id, traced ? "" : span)
    }
    if (head.major === 2) {
      // Fields of HTTP/2 are not text: one by one their values are the same strings every time, as far as they can be.
      const { fields } = head
      fields.append("x-forwarded-for", stream.sourceAddress)
      fields.append("x-forwarded-proto", head.scheme)
      if (head.authority !== "") fields.append("x-forwarded-host", head.authority)
      if (certificate !== "") fields.append(CLIENT_CERT, certificate)
      fields.append("x-request-id", id)
      fields.append("traceparent", `00-${id}-${span}-00`)
      return id
    }
    const { memo } = stream
    if (memo.text === "" || memo.authority !== head.authority) {
      const host = head.authority === "" ? "" : `x-forwarded-host: ${head.authority}\r\n`
      const client = certificate === "" ? "" : `${CLIENT_CERT}: ${certificate}\r\n`
      const text = `x-forwarded-for: ${stream.sourceAddress}\r\nx-forwarded-proto: ${head.scheme}\r\n${host}${client}x-request-id: `
      memo.authority = head.authority
      // In one piece: it is copied with every request.
      memo.text = Buffer.from(text, "latin1").toString("latin1")
    }
    head.fields.addLines(`${memo.text}${id}\r\ntraceparent: 00-${id}-${span}-00\r\n`, certificate === "" ? NAMES : NAMES_WITH_CERT)
    return id
  }
}

// The client, or a proxy in front, has sent some of them. `span`: "" = nothing is done about its trace.
function revise(head: RequestHead, sourceAddress: string, trusted: boolean, newId: string, span: string): string {
  const fields = head.fields
  const before = fields.getAll("x-forwarded-for")
  fields.set("x-forwarded-for", before.length === 0 ? sourceAddress : `${before.join(", ")}, ${sourceAddress}`)
  const proto = fields.get("x-forwarded-proto")
  if (!trusted || (proto !== "http" && proto !== "https")) fields.set("x-forwarded-proto", head.scheme)
  if (!trusted || !fields.has("x-forwarded-host")) {
    if (head.authority === "") fields.remove("x-forwarded-host")
    else fields.set("x-forwarded-host", head.authority)
  }
  let id = fields.get("x-request-id")
  if (id === undefined || !trusted || !REQUEST_ID.test(id) || fields.getAll("x-request-id").length > 1) {
    id = newId
    fields.set("x-request-id", id)
  }
  const parent = fields.get("traceparent")
  if (span === "") {
    // The tracer's.
  } else if (parent === undefined || parseTraceparent(parent) === null || fields.getAll("traceparent").length > 1) {
    fields.remove("tracestate")
    fields.set("traceparent", `00-${newId}-${span}-00`)
  }
  if (!trusted) fields.remove(REQUEST_TIMEOUT)
  return id
}

/** The client's address: what the outermost believed proxy saw, else the peer's. */
export function clientAddress(head: RequestHead, peer: string, trustedHops: number): string {
  if (trustedHops === 0) return peer
  const hops = head.fields.getAll("x-forwarded-for").join(",").split(",")
  // The last entry is the peer itself, written above; each believed proxy wrote the one before.
  const address = hops[Math.max(0, hops.length - 1 - trustedHops)].trim()
  return address === "" ? peer : address
}
