// Writes heads: untouched fields leave as slices of what came in, framing and connection fields are ours.

import { SLOTS } from "../http/fields.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import { reasonPhrase } from "../http/status.ts"

/** A request head towards an HTTP/1.1 upstream. `chunked`: its body follows in that coding. */
export function serializeRequest(head: RequestHead, authority: string, chunked: boolean): string {
  const fields = head.fields
  let text: string
  if (authority === head.authority && head.hostField !== -1 && lineIsUntouched(head)) {
    // Line, Host and fields leave as they came, mostly in one slice.
    fields.at[head.hostField * SLOTS] = head.hostStart
    text = fields.serialize(head.lineStart, head.lineEnd)
    fields.drop(head.hostField)
  } else {
    text = `${head.method} ${head.path}${head.query === undefined ? "" : `?${head.query}`} HTTP/1.1\r\nhost: ${authority}\r\n${fields.serialize()}`
  }
  if (chunked) text += "transfer-encoding: chunked\r\n"
  if (head.expectContinue) text += "expect: 100-continue\r\n"
  if (head.upgrade !== "") text += `connection: upgrade\r\nupgrade: ${head.upgrade}\r\n`
  // gRPC peers check that trailers will be understood (gRPC over HTTP/2 specification); the field is hop-by-hop.
  else if (head.acceptsTrailers) text += "te: trailers\r\nconnection: te\r\n"
  return `${text}\r\n`
}

// Whether method, path and query are still what the request line says.
function lineIsUntouched(head: RequestHead): boolean {
  const { lineStart, method, path, query, target } = head
  if (lineStart === -1) return false
  const text = head.fields.text
  if (!text.startsWith(method, lineStart) || text.charCodeAt(lineStart + method.length) !== 0x20) return false
  if (query === undefined) return path === target
  return (
    target.length === path.length + 1 + query.length &&
    target.charCodeAt(path.length) === 0x3f &&
    target.startsWith(path) &&
    target.endsWith(query)
  )
}

/** A response head towards an HTTP/1.x client. */
export function serializeResponse(head: ResponseHead, chunked: boolean, connection: "" | "close" | "keep-alive"): string {
  const fields = head.fields
  let text: string
  if (head.lineEnd > 0 && head.status === head.lineStatus) text = fields.serialize(0, head.lineEnd)
  else text = `HTTP/1.1 ${head.status} ${head.reason === "" ? reasonPhrase(head.status) : head.reason}\r\n${fields.serialize()}`
  if (chunked) text += "transfer-encoding: chunked\r\n"
  if (head.status === 101) text += `connection: upgrade\r\nupgrade: ${head.upgrade}\r\n`
  else if (connection !== "") text += `connection: ${connection}\r\n`
  return `${text}\r\n`
}
