// Carries the connections of one listener by the snapshot in force.

import type { Socket } from "node:net"
import type { TcpConnection, TcpConnectionFactory, TcpConnectionOwner } from "../tcp/connection.ts"
import type { Opened } from "../tcp/opened.ts"
import type { TcpPlane } from "./tcp-plane.ts"
import { TcpSession } from "./tcp-session.ts"

export class TcpSessions implements TcpConnectionFactory {
  /** Of the snapshot in force; a connection keeps the one it began with. */
  plane: TcpPlane

  constructor(plane: TcpPlane) {
    this.plane = plane
  }

  begin(socket: Socket, id: number, opened: Opened, owner: TcpConnectionOwner): TcpConnection {
    return new TcpSession(socket, id, this.plane, opened, owner)
  }
}
