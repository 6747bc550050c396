// Writes heads: untouched fields leave as slices of what came in, framing and connection fields are ours.

import type { RequestHead, ResponseHead } from "../http/message.ts"
import { reasonPhrase } from "../http/status.ts"

/** A request head towards an HTTP/1.1 upstream. `chunked`: its body follows in that coding. */
export function serializeRequest(head: RequestHead, authority: string, chunked: boolean): string {
  let text = `${head.method} ${head.path}`
  if (head.query !== undefined) text += `?${head.query}`
  text += ` HTTP/1.1\r\nhost: ${authority}\r\n`
  text += head.fields.serialize()
  if (chunked) text += "transfer-encoding: chunked\r\n"
  if (head.expectContinue) text += "expect: 100-continue\r\n"
  if (head.upgrade !== "") text += `connection: upgrade\r\nupgrade: ${head.upgrade}\r\n`
  // gRPC peers check that trailers will be understood (gRPC over HTTP/2 specification); the field is hop-by-hop.
  else if (head.acceptsTrailers) text += "te: trailers\r\nconnection: te\r\n"
  return `${text}\r\n`
}

/** A response head towards an HTTP/1.x client. */
export function serializeResponse(head: ResponseHead, chunked: boolean, connection: "" | "close" | "keep-alive"): string {
  let text = `HTTP/1.1 ${head.status} ${head.reason === "" ? reasonPhrase(head.status) : head.reason}\r\n`
  text += head.fields.serialize()
  if (chunked) text += "transfer-encoding: chunked\r\n"
  if (head.status === 101) text += `connection: upgrade\r\nupgrade: ${head.upgrade}\r\n`
  else if (connection !== "") text += `connection: ${connection}\r\n`
  return `${text}\r\n`
}
