// Bounds the bodies of orders before anything reads them. What says its length is judged by that; what doesn't is read here, and handed
// on as a request of its own.

import type { MiddlewareHandler } from "hono"
import { collect } from "../http/collect.ts"
import type { AdminEnv } from "./topic.ts"

/** Octets of a body, where an order takes no more of its own accord. */
const MAX_BODY = 256 * 1024

export const smallBodies: MiddlewareHandler<AdminEnv> = async (c, next) => {
  const { raw } = c.req
  const { method, url, headers, signal } = raw
  if (method === "GET" || method === "HEAD") return next()
  const tooLarge = () => c.json({ error: `the body is too large; send at most ${MAX_BODY / 1024} KiB` }, 413)
  const announced = headers.get("content-length")
  if (announced !== null && !headers.has("transfer-encoding")) return Number(announced) > MAX_BODY ? tooLarge() : next()
  // An order without a body need not say so: `curl -X POST` doesn't.
  if (raw.body === null) return next()
  const body = await collect(raw.body, MAX_BODY)
  if (body === null) return tooLarge()
  // Made of its parts: node-server's request is none that `Request` would copy.
  c.req.raw = new Request(url, { method, headers, signal, body: body.length === 0 ? null : new Uint8Array(body) })
  return next()
}
