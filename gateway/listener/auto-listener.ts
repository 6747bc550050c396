// An address that finds out what each client speaks: requests go to routes, TLS and all else is carried to services.

import type { Socket } from "node:net"
import type { AutoListenerConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { ExchangeFactory } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import { ServerConnection, type ServerConnectionOwner, type ServerLimits } from "../http1/server-connection.ts"
import type { TcpConnection, TcpConnectionFactory, TcpConnectionOwner } from "../tcp/connection.ts"
import { type Detected, HTTP1, HTTP2 } from "../tcp/detect-protocol.ts"
import type { Opened } from "../tcp/opened.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import { BoundAddress } from "./bound-address.ts"
import { beginRequests, type ListenerMeans, limitsOf } from "./listener.ts"
import type { Look } from "./opening.ts"

export class AutoListener
  extends BoundAddress<AutoListenerConfig, ServerConnection | TcpConnection>
  implements ServerConnectionOwner, TcpConnectionOwner
{
  readonly #means: ListenerMeans
  readonly #exchanges: ExchangeFactory
  readonly #sessions: TcpConnectionFactory
  #limits: ServerLimits

  constructor(
    config: AutoListenerConfig,
    slots: ListenerSlots,
    exchanges: ExchangeFactory,
    sessions: TcpConnectionFactory,
    means: ListenerMeans,
  ) {
    super(config, slots, means, true)
    this.#exchanges = exchanges
    this.#sessions = sessions
    this.#means = means
    this.#limits = limitsOf(config.http)
  }

  override update(config: AutoListenerConfig, slots: ListenerSlots): void {
    super.update(config, slots)
    this.#limits = limitsOf(config.http)
  }

  protected override get look(): Look {
    return "protocolAndServerName"
  }

  protected override get detectTimeout(): number {
    return this.config.timeouts.detect
  }

  protected begin(socket: Socket, id: number, opened: Opened, protocol: Detected): void {
    if (protocol === HTTP1 || protocol === HTTP2) this.#beginRequests(socket, id, opened)
    else this.#beginSession(socket, id, opened)
  }

  #beginRequests(socket: Socket, id: number, opened: Opened): void {
    const connection = beginRequests(socket, id, opened, this.#limits, this.#means.wheel, this.#exchanges, this)
    this.open.add(connection)
    if (this.draining) connection.drain()
  }

  #beginSession(socket: Socket, id: number, opened: Opened): void {
    const connection = this.#sessions.begin(socket, id, opened, this)
    this.open.add(connection)
    try {
      connection.start()
    } catch (error) {
      this.onFault(error)
      connection.destroy()
    }
  }

  onRefused(connection: ServerConnection, code: ErrorCode, head: RequestHead): void {
    this.#means.onRefused(this.name, connection, code, head)
  }

  /** Stops accepting, and lets requests finish; connections that are carried are cut off after `limit` ms; 0 = never. */
  async drain(limit: number): Promise<void> {
    this.close()
    for (const connection of this.open) if (connection instanceof ServerConnection) connection.drain()
    const emptied = this.emptied()
    if (limit === 0 || this.empty) return emptied
    const timer = setTimeout(() => {
      this.destroyOpenings()
      for (const connection of [...this.open]) if (!(connection instanceof ServerConnection)) connection.cut()
    }, limit)
    await emptied
    clearTimeout(timer)
  }
}
