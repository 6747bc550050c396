// How a response is framed when filters may have changed its head: what they must not have made of it, and the length that it has
// now, so that its client finds the end of it.

import type { RequestHead, ResponseHead } from "../http/message.ts"

/** Whether no response with this status has a body (RFC 9110 §6.4.1). */
export function isBodyless(status: number): boolean {
  return status < 200 || status === 204 || status === 304
}

/** Why an upstream response can't be framed as filters left it; "" = it can. */
export function framingFault(head: ResponseHead, request: RequestHead): string {
  if (isBodyless(head.status) && head.body !== "none") return `status ${head.status} for a response with a body`
  const upgrade = head.status === 101 && request.upgrade !== "" && head.upgrade !== ""
  return head.status < 200 && !upgrade ? `status ${head.status}` : ""
}

/** Frames an upstream response that has no fault. `isHead`: it answers a HEAD. */
export function frameEdited(head: ResponseHead, isHead: boolean): void {
  // It was a 204 or 304, perhaps with the length of another body, and the client must not wait for one.
  const empty = !isBodyless(head.status) && head.body === "none" && !isHead
  if (empty && head.fields.get("content-length") !== "0") head.fields.set("content-length", "0")
}

/** Frames a local reply with a body of `length` octets: filters may have changed its status, or taken the length away. */
export function frameReply(head: ResponseHead, length: number, isHead: boolean): void {
  if (isBodyless(head.status)) head.fields.remove("content-length")
  else if (!isHead) head.fields.set("content-length", String(length))
}
