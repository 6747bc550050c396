// An address of opaque connections, which are handed on as they are.

import type { Socket } from "node:net"
import type { TcpListenerConfig } from "../config/model.ts"
import type { TcpConnection, TcpConnectionFactory, TcpConnectionOwner } from "../tcp/connection.ts"
import type { Opened } from "../tcp/opened.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import type { ServerMaterial } from "../tls/tls-server.ts"
import { BoundAddress, type BoundAddressMeans, type ListenerTls } from "./bound-address.ts"
import type { Look } from "./first-octets.ts"

export class TcpListener extends BoundAddress<TcpListenerConfig, TcpConnection> implements TcpConnectionOwner {
  readonly #factory: TcpConnectionFactory
  /** The time to drain is over. */
  #late = false

  /** `material`: of a listener at which TLS ends. */
  constructor(
    config: TcpListenerConfig,
    slots: ListenerSlots,
    factory: TcpConnectionFactory,
    means: BoundAddressMeans,
    material: ServerMaterial | null,
  ) {
    super(config, slots, means, tlsOf(config, material), true)
    this.#factory = factory
  }

  take(config: TcpListenerConfig, slots: ListenerSlots, material: ServerMaterial | null): void {
    this.update(config, slots, tlsOf(config, material))
  }

  // Where TLS ends here, it tells the server name.
  protected override get look(): Look {
    return this.config.protocol === "tls" && !this.endsTls ? "serverName" : "nothing"
  }

  protected override get detectTimeout(): number {
    return this.config.timeouts.detect
  }

  protected begin(socket: Socket, id: number, opened: Opened): void {
    const connection = this.#factory.begin(socket, id, opened, this)
    this.open.add(connection)
    try {
      connection.start()
      if (this.#late) connection.cut()
    } catch (error) {
      this.onFault(error)
      connection.destroy()
    }
  }

  /**
   * Stops accepting; resolves when the last connection has ended. Nothing asks a client to leave, so that what is left
   * after `limit` ms is cut off; null: by {@link cut}.
   */
  async drain(limit: number | null): Promise<void> {
    this.close()
    const emptied = this.emptied()
    if (limit === null) return emptied
    const timer = setTimeout(() => {
      this.breakOff()
      this.#late = true
      for (const connection of [...this.open]) connection.cut()
    }, limit)
    await emptied
    clearTimeout(timer)
  }
}

function tlsOf(config: TcpListenerConfig, material: ServerMaterial | null): ListenerTls | null {
  return config.tls === null || material === null ? null : { config: config.tls, material, codecs: [] }
}
