// What somebody who looks at the open connections of a worker is shown of one. Made when asked for, never on the way of a request.

import type { ConnectionSecurity } from "./connection-security.ts"
import type { SocketAddresses } from "./socket-addresses.ts"

/** Plain data, which is posted between threads. */
export interface ConnectionSight {
  /** Unique in its worker; the access log has it too. */
  readonly id: number
  /** `address:port`, as a proxy in front says if it is believed. */
  readonly peer: string
  readonly protocol: "HTTP/1.1" | "HTTP/2" | "TCP"
  /** `TLSv1.2`, `TLSv1.3`; "" = none that ends here. */
  readonly tls: string
  /** Name the client asked for, "" = none. */
  readonly serverName: string
  /** Who the client is by its certificate; "" = unknown. */
  readonly identity: string
  /** ms of the wheel's clock. */
  readonly began: number
  /** Requests there were, and those under way; a TCP connection has one. */
  readonly requests: number
  readonly underWay: number
  /** Octets on the socket; null where the runtime doesn't tell. */
  readonly received: number | null
  readonly sent: number | null
}

/** The part that all connections tell in the same way. */
export function sightOf(
  connection: SocketAddresses & { readonly connectionId: number; readonly security: ConnectionSecurity | null },
  socket: { readonly bytesRead?: number; readonly bytesWritten?: number },
): Omit<ConnectionSight, "protocol" | "began" | "requests" | "underWay"> {
  const { connectionId, sourceAddress, sourcePort, security } = connection
  return {
    id: connectionId,
    peer: sourceAddress.includes(":") ? `[${sourceAddress}]:${sourcePort}` : `${sourceAddress}:${sourcePort}`,
    tls: security?.version ?? "",
    serverName: security?.serverName ?? "",
    identity: security?.peerIdentity ?? "",
    received: socket.bytesRead ?? null,
    sent: socket.bytesWritten ?? null,
  }
}
