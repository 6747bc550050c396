// The seam between a listener that accepts opaque connections and the proxy that carries them.

import type { Socket } from "node:net"
import type { ConnectionSecurity } from "../http/connection-security.ts"

/** A connection that is being carried. */
export interface TcpConnection {
  /** Begins. */
  start(): void
  /** Closes both sides at once. */
  destroy(): void
  /** Closes both sides because its time to drain is over. */
  cut(): void
}

/** Whom it belongs to. It hears nothing before {@link TcpConnection.start}. */
export interface TcpConnectionOwner {
  /** Both sides are closed. */
  onClosed(connection: TcpConnection): void
  /** A programming error, which costs this connection and no other. */
  onFault(error: unknown): void
}

/** Makes connections of accepted sockets. `id` is unique in the worker; `security`: of the TLS that ended at the listener. */
export interface TcpConnectionFactory {
  begin(socket: Socket, id: number, owner: TcpConnectionOwner, security: ConnectionSecurity | null): TcpConnection
}
