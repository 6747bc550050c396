// A request of a test in the form a codec would have parsed it into.

import type { RequestHead } from "../http/message.ts"
import { normalizePath } from "../http/path.ts"
import type { TestRequest } from "./exchange-parts.ts"
import type { Content } from "./messages.ts"
import { toWire } from "./text.ts"

/** A listener's defaults. */
const PATH_POLICY = { encodedSlash: "keep", encodedBackslash: "keep", backslash: "keep", nul: "reject", mergeSlashes: true } as const
const FORWARDED = /^(?:x-forwarded-(?:for|proto|host)|x-request-(?:id|timeout)|traceparent)$/

/** Makes `head` that of `request`. Throws for what never gets as far as a filter. */
export function fillHead(head: RequestHead, request: TestRequest, content: Content): void {
  const { headers, chunks, length, trailers } = content
  const hasBody = chunks.length > 0 || length === -1
  if (trailers !== null && !hasBody) throw new Error("a request with trailers needs a body; write chunks")
  head.method = request.method ?? (hasBody ? "POST" : "GET")
  head.scheme = request.scheme ?? "http"
  head.authority = toWire(String(request.authority ?? "example.com"))
  head.host = head.authority.replace(/:\d+$/, "").toLowerCase()
  const target = toWire(String(request.path ?? "/"))
  const mark = target.indexOf("?")
  const path = normalizePath(mark === -1 ? target : target.slice(0, mark), PATH_POLICY)
  if (path === null) throw new Error(`no filter sees a request for ${JSON.stringify(request.path)}: it is refused with 400`)
  head.target = target
  head.path = path
  head.query = mark === -1 ? undefined : target.slice(mark + 1)
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i]
    if (name === "host" || name === "transfer-encoding" || name === "connection") {
      throw new Error(`a request's ${name} is not among its headers here; ${name === "host" ? 'write "authority"' : "leave it out"}`)
    }
    head.fields.add(name, headers[i + 1])
    if (FORWARDED.test(name)) head.saysForwarded = true
  }
  head.acceptsTrailers = head.fields.get("te") === "trailers"
  if (!hasBody) return
  head.body = length === -1 ? "chunked" : "length"
  head.contentLength = Math.max(length, 0)
  if (length >= 0 && !head.fields.has("content-length")) head.fields.add("content-length", String(length))
}
