// An address that speaks HTTP: gives each connection its codec, and lets what runs finish when it drains.

import type { Socket } from "node:net"
import type { HttpListenerConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { ExchangeFactory } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import { webSocketKey } from "../http/websocket.ts"
import { ServerConnection, type ServerConnectionOwner, type ServerLimits } from "../http1/server-connection.ts"
import { ServerSession, type ServerSessionOwner } from "../http2/server-session.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"

import type { ServerMaterial } from "../tls/tls-server.ts"
import { BoundAddress, type BoundAddressMeans, type ListenerTls } from "./bound-address.ts"
import { HttpStart, type HttpStartOwner } from "./http-start.ts"

/** Protocols that may be agreed upon by ALPN: those there is a codec for in {@link Listener.begin}. */
const CODECS: readonly string[] = ["h2", "http/1.1"]
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

  /** `material`: of an https listener. */
  constructor(
    config: HttpListenerConfig,
    slots: ListenerSlots,
    exchanges: ExchangeFactory,
    means: ListenerMeans,
    material: ServerMaterial | null,
  ) {
    super(config, slots, means, tlsOf(config, material), false)
    this.#exchanges = exchanges
    this.#means = means
    this.#limits = limitsOf(config)
  }

  take(config: HttpListenerConfig, slots: ListenerSlots, material: ServerMaterial | null): void {
    this.update(config, slots, tlsOf(config, material))
    this.#limits = limitsOf(config)
  }

  // Over TLS the codec is chosen by ALPN; a client that agreed upon nothing speaks HTTP/1.1 (RFC 9113 §3.2).
  protected begin(socket: Socket, id: number, security: ConnectionSecurity | null): void {
    const { wheel } = this.#means
    if (security === null) this.open.add(new HttpStart(socket, id, wheel, this.#limits.idleTimeout, this))
    else this.#serve(socket, id, security.protocol === "h2", security)
    if (socket.isPaused()) socket.resume()
  }

  onStarted(start: HttpStart, socket: Socket, http2: boolean, first: Buffer): void {
    this.open.delete(start)
    this.#serve(socket, start.id, http2, null).receive(first)
  }

  #serve(socket: Socket, id: number, http2: boolean, security: ConnectionSecurity | null): HttpConnection {
    const { wheel } = this.#means
    const connection = http2
      ? new ServerSession(socket, id, this.#limits, wheel, this.#exchanges, this, webSocketKey, security)
      : new ServerConnection(socket, id, this.#limits, wheel, this.#exchanges, this, security)
    this.open.add(connection)
    if (this.draining) connection.drain()
    return connection
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

function tlsOf(config: HttpListenerConfig, material: ServerMaterial | null): ListenerTls | null {
  return config.tls === null || material === null ? null : { config: config.tls, material, codecs: CODECS }
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
