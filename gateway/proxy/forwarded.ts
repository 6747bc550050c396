// What a request says about its way here: x-forwarded-*, x-request-id and traceparent. Only what trusted proxies in front
// wrote is believed; the rest is made anew (W3C Trace Context §3.2 for traceparent).

import { randomUUID } from "node:crypto"
import type { RequestHead } from "../http/message.ts"

const REQUEST_ID = /^[A-Za-z0-9._:/+=-]{1,128}$/
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

/** Completes the fields of `head`; returns the request's id. `trustedHops`: proxies in front that are believed. */
export function completeForwarded(head: RequestHead, sourceAddress: string, trustedHops: number): string {
  const fields = head.fields
  const trusted = trustedHops > 0
  const before = fields.get("x-forwarded-for")
  if (before === undefined) fields.add("x-forwarded-for", sourceAddress)
  else fields.set("x-forwarded-for", `${fields.getAll("x-forwarded-for").join(", ")}, ${sourceAddress}`)
  const proto = fields.get("x-forwarded-proto")
  if (proto === undefined) fields.add("x-forwarded-proto", head.scheme)
  else if (!trusted || (proto !== "http" && proto !== "https")) fields.set("x-forwarded-proto", head.scheme)
  const host = fields.get("x-forwarded-host")
  if (host === undefined) {
    if (head.authority !== "") fields.add("x-forwarded-host", head.authority)
  } else if (!trusted) fields.set("x-forwarded-host", head.authority)

  const uuid = randomUUID()
  let id = fields.get("x-request-id")
  if (id === undefined) {
    id = uuid
    fields.add("x-request-id", id)
  } else if (!trusted || !REQUEST_ID.test(id) || fields.getAll("x-request-id").length > 1) {
    id = uuid
    fields.set("x-request-id", id)
  }
  const parent = fields.get("traceparent")
  if (parent === undefined || !TRACEPARENT.test(parent) || fields.getAll("traceparent").length > 1) {
    if (parent !== undefined) fields.remove("tracestate")
    // The random bits of a version 4 UUID serve both as trace id and as the parent's; its fixed digits make it non-zero.
    const a = uuid.slice(0, 8)
    const d = uuid.slice(19, 23)
    const e = uuid.slice(24)
    fields.set("traceparent", `00-${a}${uuid.slice(9, 13)}${uuid.slice(14, 18)}${d}${e}-${d}${e.slice(0, 4)}${a}-00`)
  }
  return id
}

/** The client's address: what the outermost believed proxy saw, else the peer's. */
export function clientAddress(head: RequestHead, peer: string, trustedHops: number): string {
  if (trustedHops === 0) return peer
  const hops = head.fields.getAll("x-forwarded-for").join(",").split(",")
  // The last entry is the peer itself, written by completeForwarded; each believed proxy wrote the one before.
  const address = hops[Math.max(0, hops.length - 1 - trustedHops)].trim()
  return address === "" ? peer : address
}
