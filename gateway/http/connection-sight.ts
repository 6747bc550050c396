// What somebody who looks at the open connections of a worker is shown of one. Made when asked for, never on the way of a request.

import type { ConnectionSecurity } from "./connection-security.ts"
import { type SocketAddresses, withPort } from "./socket-addresses.ts"

/** What a connection carries: an exchange; of a TCP connection, the way it goes. Plain data, as the connection's. */
export interface CarriedSight {
  /** "" = of a TCP connection. */
  readonly method: string
  /** As the client sent it, without its query. */
  readonly path: string
  /** "" = none, or none yet. */
  readonly route: string
  readonly service: string
  readonly endpoint: string
  /** Of the response; 0 = none has come. */
  readonly status: number
  /** ms. */
  readonly age: number
  /** Octets of bodies so far, from the client and to it. */
  readonly received: number
  readonly sent: number
}

/** Of one connection, those that have lasted longest. */
export const MAX_CARRIED = 10

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
  /** What is under way, the oldest first, at most {@link MAX_CARRIED}. */
  readonly carries: readonly CarriedSight[]
  /** Octets on the socket; null where the runtime doesn't tell. */
  readonly received: number | null
  readonly sent: number | null
}

/** The part that all connections tell in the same way. */
export function sightOf(
  connection: SocketAddresses & { readonly connectionId: number; readonly security: ConnectionSecurity | null },
  socket: { readonly bytesRead?: number; readonly bytesWritten?: number },
): Omit<ConnectionSight, "protocol" | "began" | "requests" | "underWay" | "carries"> {
  const { connectionId, sourceAddress, sourcePort, security } = connection
  return {
    id: connectionId,
    peer: withPort(sourceAddress, sourcePort),
    tls: security?.version ?? "",
    serverName: security?.serverName ?? "",
    identity: security?.peerIdentity ?? "",
    received: socket.bytesRead ?? null,
    sent: socket.bytesWritten ?? null,
  }
}
