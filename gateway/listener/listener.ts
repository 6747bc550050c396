// An address that speaks HTTP: gives each connection its codec, and lets what runs finish when it drains.

import type { Socket } from "node:net"
import type { HttpListenerConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { ExchangeFactory } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { ServerConnection, type ServerConnectionOwner, type ServerLimits } from "../http1/server-connection.ts"
import type { Opened } from "../tcp/opened.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import { BoundAddress, type BoundAddressMeans } from "./bound-address.ts"

/** What listeners need of their worker. */
export interface ListenerMeans extends BoundAddressMeans {
  /** A head was refused before it became an exchange. */
  onRefused(listener: string, connection: ServerConnection, code: ErrorCode, head: RequestHead): void
}

export class Listener extends BoundAddress<HttpListenerConfig, ServerConnection> implements ServerConnectionOwner {
  readonly #means: ListenerMeans
  readonly #exchanges: ExchangeFactory
  #limits: ServerLimits

  constructor(config: HttpListenerConfig, slots: ListenerSlots, exchanges: ExchangeFactory, means: ListenerMeans) {
    super(config, slots, means, false)
    this.#exchanges = exchanges
    this.#means = means
    this.#limits = limitsOf(config)
  }

  override update(config: HttpListenerConfig, slots: ListenerSlots): void {
    super.update(config, slots)
    this.#limits = limitsOf(config)
  }

  protected begin(socket: Socket, id: number, opened: Opened): void {
    const connection = beginRequests(socket, id, opened, this.#limits, this.#means.wheel, this.#exchanges, this)
    this.open.add(connection)
    if (this.draining) connection.drain()
  }

  onRefused(connection: ServerConnection, code: ErrorCode, head: RequestHead): void {
    this.#means.onRefused(this.name, connection, code, head)
  }

  /** Stops accepting and lets what runs finish; resolves when the last connection is closed. */
  drain(): Promise<void> {
    this.close()
    for (const connection of this.open) connection.drain()
    return this.emptied()
  }
}

/** Gives a connection its codec. What was read of it is read again. */
export function beginRequests(
  socket: Socket,
  id: number,
  { addresses, early }: Opened,
  limits: ServerLimits,
  wheel: TimerWheel,
  exchanges: ExchangeFactory,
  owner: ServerConnectionOwner,
): ServerConnection {
  if (early !== null) socket.unshift(early)
  const connection = new ServerConnection(socket, id, limits, wheel, exchanges, owner, addresses)
  socket.resume()
  return connection
}

export function limitsOf(config: HttpListenerConfig): ServerLimits {
  return {
    head: { startLine: config.limits.requestLine, head: config.limits.head, fields: config.limits.fields },
    body: config.limits.body,
    headTimeout: config.timeouts.head,
    idleTimeout: config.timeouts.idle,
  }
}
