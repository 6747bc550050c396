// What is known of an accepted connection when it is handed to those who carry it.

import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { SocketAddresses } from "../http/socket-addresses.ts"

export interface Opened {
  /** Of the connection, or of the one behind it if a proxy in front said so. */
  readonly addresses: SocketAddresses
  /** Of the TLS that ended at the listener; null = none. */
  readonly security: ConnectionSecurity | null
  /** Name of the server the client asks for, lower case: in its ClientHello, or as a PROXY header says; "" = none. */
  readonly serverName: string
  /** What a proxy in front calls the connection; "" = nothing. */
  readonly proxyId: string
  /** Octets already read of what is to be carried; null = none. */
  readonly early: Buffer | null
  /** The client has ended its sending side behind them. */
  readonly ended: boolean
}

/** Of a connection of which nothing was read. */
export function unopened(addresses: SocketAddresses): Opened {
  return { addresses, security: null, serverName: "", proxyId: "", early: null, ended: false }
}
