// An address that finds out what each client speaks: requests go to routes, all else is carried to services. TLS ends here, and
// what is in it is looked at in turn; or it is carried by its server name.

import type { Socket } from "node:net"
import type { AutoListenerConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { ExchangeFactory } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import { ServerConnection, type ServerConnectionOwner } from "../http1/server-connection.ts"
import type { ServerSessionOwner } from "../http2/server-session.ts"
import type { TcpConnection, TcpConnectionFactory, TcpConnectionOwner } from "../tcp/connection.ts"
import { type Detected, HTTP1, HTTP2 } from "../tcp/detect-protocol.ts"
import type { Opened } from "../tcp/opened.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import type { ServerMaterial } from "../tls/tls-server.ts"
import { BoundAddress, type ListenerTls } from "./bound-address.ts"
import type { Look } from "./first-octets.ts"
import { CODECS, type HttpConnection, type HttpLimits, type ListenerMeans, limitsOf, serveRequests } from "./listener.ts"

export class AutoListener
  extends BoundAddress<AutoListenerConfig, HttpConnection | TcpConnection>
  implements ServerConnectionOwner, ServerSessionOwner, TcpConnectionOwner
{
  readonly #means: ListenerMeans
  readonly #exchanges: ExchangeFactory
  readonly #sessions: TcpConnectionFactory
  readonly #requests = new Set<HttpConnection>()
  #limits: HttpLimits

  constructor(
    config: AutoListenerConfig,
    slots: ListenerSlots,
    exchanges: ExchangeFactory,
    sessions: TcpConnectionFactory,
    means: ListenerMeans,
    material: ServerMaterial | null,
  ) {
    super(config, slots, means, tlsOf(config, material), true)
    this.#exchanges = exchanges
    this.#sessions = sessions
    this.#means = means
    this.#limits = limitsOf(config.http)
  }

  take(config: AutoListenerConfig, slots: ListenerSlots, material: ServerMaterial | null): void {
    this.update(config, slots, tlsOf(config, material))
    this.#limits = limitsOf(config.http)
  }

  protected override get look(): Look {
    return this.endsTls ? "protocol" : "protocolAndServerName"
  }

  protected override get detectTimeout(): number {
    return this.config.timeouts.detect
  }

  protected begin(socket: Socket, id: number, opened: Opened, protocol: Detected): void {
    const agreed = opened.security?.protocol ?? ""
    if (agreed !== "" || protocol === HTTP1 || protocol === HTTP2)
      this.#beginRequests(socket, id, agreed === "h2" || protocol === HTTP2, opened)
    else this.#beginSession(socket, id, opened)
  }

  #beginRequests(socket: Socket, id: number, http2: boolean, opened: Opened): void {
    if (opened.early !== null) socket.unshift(opened.early)
    const connection = serveRequests(socket, id, http2, opened, this.#limits, this.#means.wheel, this.#exchanges, this)
    this.open.add(connection)
    this.#requests.add(connection)
    if (this.draining) connection.drain()
    else if (this.announced && connection instanceof ServerConnection) connection.announce()
    socket.resume()
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

  override onClosed(connection: HttpConnection | TcpConnection): void {
    this.#requests.delete(connection as HttpConnection)
    super.onClosed(connection)
  }

  onRefused(connection: HttpConnection, code: ErrorCode, head: RequestHead): void {
    this.#means.onRefused(this.name, connection, code, head)
  }

  override announce(): void {
    super.announce()
    for (const connection of this.#requests) connection.announce()
  }

  /** Stops accepting, and lets requests finish; connections that are carried are cut off after `limit` ms; null: by {@link cut}. */
  async drain(limit: number | null): Promise<void> {
    this.close()
    for (const connection of this.#requests) connection.drain()
    const emptied = this.emptied()
    if (limit === null) return emptied
    const timer = setTimeout(() => {
      this.breakOff()
      for (const connection of [...this.open]) if (!this.#requests.has(connection as HttpConnection)) connection.cut()
    }, limit)
    await emptied
    clearTimeout(timer)
  }
}

function tlsOf(config: AutoListenerConfig, material: ServerMaterial | null): ListenerTls | null {
  return config.tls === null || material === null ? null : { config: config.tls, material, codecs: CODECS }
}
