// Addresses of a connection as logs and filters show them.

import type { Socket } from "node:net"
import { plainAddress } from "./plain-address.ts"

/** Both ends of an accepted connection, or of the one a proxy in front says it is; "" and 0 when it is gone already. */
export interface SocketAddresses {
  readonly sourceAddress: string
  readonly sourcePort: number
  readonly destinationAddress: string
  readonly destinationPort: number
}

/** `ip:port`, IPv6 in brackets. */
export function withPort(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
}

/** Those of the socket itself. */
export function addressesOf(socket: Socket): SocketAddresses {
  return {
    sourceAddress: plainAddress(socket.remoteAddress),
    sourcePort: socket.remotePort ?? 0,
    destinationAddress: plainAddress(socket.localAddress),
    destinationPort: socket.localPort ?? 0,
  }
}
