// An address that speaks HTTP: gives each connection its codec, and lets what runs finish when it drains.

import type { Socket } from "node:net"
import type { HttpListenerConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { ExchangeFactory } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import { webSocketKey } from "../http/websocket.ts"
import { ServerConnection, type ServerConnectionOwner, type ServerLimits } from "../http1/server-connection.ts"
import { ServerSession, type ServerSessionOwner } from "../http2/server-session.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import { BoundAddress, type BoundAddressMeans } from "./bound-address.ts"
import { HttpStart, type HttpStartOwner } from "./http-start.ts"

/** ms a connection that has asked nothing is kept when draining begins. */
const DRAIN_GRACE = 1000

/** A connection in either version of HTTP. */
export type HttpConnection = ServerConnection | ServerSession

/** What listeners need of their worker. */
export interface ListenerMeans extends BoundAddressMeans {
  /** A head was refused before it became an exchange. */
  onRefused(listener: Listener, connection: HttpConnection, code: ErrorCode, head: RequestHead): void
}

/** What clients may do, in both versions. */
type Limits = ServerLimits & { readonly streams: number }

export class Listener
  extends BoundAddress<HttpListenerConfig, HttpConnection | HttpStart>
  implements ServerConnectionOwner, ServerSessionOwner, HttpStartOwner
{
  readonly #means: ListenerMeans
  readonly #exchanges: ExchangeFactory
  #limits: Limits

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

  protected begin(socket: Socket, id: number): void {
    this.open.add(new HttpStart(socket, id, this.#means.wheel, this.#limits.idleTimeout, this))
  }

  onStarted(start: HttpStart, socket: Socket, http2: boolean, first: Buffer): void {
    this.open.delete(start)
    const { wheel } = this.#means
    const connection = http2
      ? new ServerSession(socket, start.id, this.#limits, wheel, this.#exchanges, this, webSocketKey)
      : new ServerConnection(socket, start.id, this.#limits, wheel, this.#exchanges, this)
    this.open.add(connection)
    if (this.draining) connection.drain()
    connection.receive(first)
  }

  onNotStarted(start: HttpStart): void {
    this.onClosed(start)
  }

  onRefused(connection: HttpConnection, code: ErrorCode, head: RequestHead): void {
    this.#means.onRefused(this, connection, code, head)
  }

  /** Stops accepting and lets what runs finish; resolves when the last connection is closed. */
  drain(): Promise<void> {
    this.close()
    for (const connection of this.open) {
      if (connection instanceof HttpStart) connection.drain(DRAIN_GRACE, this.#means.wheel.refresh())
      else connection.drain()
    }
    return this.emptied()
  }
}

function limitsOf(config: HttpListenerConfig): Limits {
  return {
    head: { startLine: config.limits.requestLine, head: config.limits.head, fields: config.limits.fields },
    body: config.limits.body,
    streams: config.limits.streams,
    headTimeout: config.timeouts.head,
    idleTimeout: config.timeouts.idle,
  }
}
