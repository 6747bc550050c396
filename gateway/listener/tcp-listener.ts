// An address of opaque connections, which are handed on as they are.

import type { Socket } from "node:net"
import type { TcpListenerConfig } from "../config/model.ts"
import type { TcpConnection, TcpConnectionFactory, TcpConnectionOwner } from "../tcp/connection.ts"
import type { Opened } from "../tcp/opened.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import { BoundAddress, type BoundAddressMeans } from "./bound-address.ts"
import type { Look } from "./opening.ts"

export class TcpListener extends BoundAddress<TcpListenerConfig, TcpConnection> implements TcpConnectionOwner {
  readonly #factory: TcpConnectionFactory

  constructor(config: TcpListenerConfig, slots: ListenerSlots, factory: TcpConnectionFactory, means: BoundAddressMeans) {
    super(config, slots, means, true)
    this.#factory = factory
  }

  protected override get look(): Look {
    return this.config.protocol === "tls" ? "serverName" : "nothing"
  }

  protected override get detectTimeout(): number {
    return this.config.timeouts.detect
  }

  protected begin(socket: Socket, id: number, opened: Opened): void {
    const connection = this.#factory.begin(socket, id, opened, this)
    this.open.add(connection)
    try {
      connection.start()
    } catch (error) {
      this.onFault(error)
      connection.destroy()
    }
  }

  /**
   * Stops accepting; resolves when the last connection has ended. Nothing asks a client to leave, so that what is left
   * after `limit` ms is cut off; 0 = never.
   */
  async drain(limit: number): Promise<void> {
    this.close()
    const emptied = this.emptied()
    if (limit === 0 || this.empty) return emptied
    const timer = setTimeout(() => {
      this.destroyOpenings()
      for (const connection of [...this.open]) connection.cut()
    }, limit)
    await emptied
    clearTimeout(timer)
  }
}
