// Between the texts of a test and the octets of a message: inside the gateway a header value is latin1 text, one character an
// octet; people write and read it as what its octets mean in UTF-8.

import { Buffer } from "node:buffer"

const strict = new TextDecoder("utf-8", { fatal: true })

/** A test's text as the gateway holds it. */
export function toWire(text: string): string {
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1")
}

/** The reverse; octets that are no UTF-8 stay one character each. */
export function fromWire(text: string): string {
  if (!/[\x80-\xff]/.test(text) || /[^\x00-\xff]/.test(text)) return text
  try {
    return strict.decode(Buffer.from(text, "latin1"))
  } catch {
    return text
  }
}

/** Octets as text; null when they are no UTF-8. */
export function utf8(bytes: Uint8Array): string | null {
  try {
    return strict.decode(bytes)
  } catch {
    return null
  }
}
