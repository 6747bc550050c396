// The seam between a listener that accepts opaque connections and the proxy that carries them.

import type { Socket } from "node:net"
import type { ConnectionSight } from "../http/connection-sight.ts"
import type { Opened } from "./opened.ts"

/** A connection that is being carried. */
export interface TcpConnection {
  /** Begins. */
  start(): void
  readonly connectionId: number
  sight(): ConnectionSight
  /** A line for the access log, if it has been there for `ms`. */
  logOpen(ms: number): void
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

/** Makes connections of accepted sockets, which are paused. `id` is unique in the worker. */
export interface TcpConnectionFactory {
  begin(socket: Socket, id: number, opened: Opened, owner: TcpConnectionOwner): TcpConnection
}
