// The opening handshake of WebSockets (RFC 6455 §4), where one version of HTTP has to be told what another leaves out.

import { createHash, randomBytes } from "node:crypto"

const MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

/** A Sec-WebSocket-Key: 16 random octets in base64. */
export function webSocketKey(): string {
  return randomBytes(16).toString("base64")
}

/** The Sec-WebSocket-Accept that answers `key`. */
export function webSocketAccept(key: string): string {
  return createHash("sha1")
    .update(key + MAGIC)
    .digest("base64")
}
