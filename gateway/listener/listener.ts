// An address that speaks HTTP: gives each connection its codec, and lets what runs finish when it drains.

import type { Socket } from "node:net"
import type { HttpListenerConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { ExchangeFactory } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { webSocketKey } from "../http/websocket.ts"
import { ServerConnection, type ServerConnectionOwner, type ServerLimits } from "../http1/server-connection.ts"
import { ServerSession, type ServerSessionOwner } from "../http2/server-session.ts"
import type { Opened } from "../tcp/opened.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import type { ServerMaterial } from "../tls/tls-server.ts"
import { BoundAddress, type BoundAddressMeans, type ListenerTls } from "./bound-address.ts"
import { HttpStart, type HttpStartOwner } from "./http-start.ts"

/** Protocols that may be agreed upon by ALPN: those there is a codec for in {@link Listener.begin}. */
export const CODECS: readonly string[] = ["h2", "http/1.1"]
/** ms a connection that has asked nothing is kept when draining begins. */
const DRAIN_GRACE = 1000

/** A connection in either version of HTTP. */
export type HttpConnection = ServerConnection | ServerSession

/** What listeners need of their worker. */
export interface ListenerMeans extends BoundAddressMeans {
  /** A head was refused before it became an exchange. */
  onRefused(listener: string, connection: HttpConnection, code: ErrorCode, head: RequestHead): void
}

/** What clients may do, in both versions. */
export type HttpLimits = ServerLimits & { readonly streams: number }

export class Listener
  extends BoundAddress<HttpListenerConfig, HttpConnection | HttpStart>
  implements ServerConnectionOwner, ServerSessionOwner, HttpStartOwner
{
  readonly #means: ListenerMeans
  readonly #exchanges: ExchangeFactory
  #limits: HttpLimits
  /** What plain connections are known by until it is known which version they speak. */
  readonly #starting = new Map<HttpStart, Opened>()

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
  protected begin(socket: Socket, id: number, opened: Opened): void {
    if (opened.early !== null) socket.unshift(opened.early)
    if (opened.security === null) {
      const start = new HttpStart(socket, id, this.#means.wheel, this.#limits.idleTimeout, this)
      this.open.add(start)
      this.#starting.set(start, opened)
      if (this.draining) start.drain(DRAIN_GRACE, this.#means.wheel.now)
    } else this.#serve(socket, id, opened.security.protocol === "h2", opened)
    if (socket.isPaused()) socket.resume()
  }

  onStarted(start: HttpStart, socket: Socket, http2: boolean, first: Buffer): void {
    const opened = this.#starting.get(start) as Opened
    this.#starting.delete(start)
    this.open.delete(start)
    this.#serve(socket, start.id, http2, opened).receive(first)
  }

  #serve(socket: Socket, id: number, http2: boolean, opened: Opened): HttpConnection {
    const connection = serveRequests(socket, id, http2, opened, this.#limits, this.#means.wheel, this.#exchanges, this)
    this.open.add(connection)
    if (this.draining) connection.drain()
    else if (this.announced && connection instanceof ServerConnection) connection.announce()
    return connection
  }

  onNotStarted(start: HttpStart): void {
    this.#starting.delete(start)
    this.onClosed(start)
  }

  onRefused(connection: HttpConnection, code: ErrorCode, head: RequestHead): void {
    this.#means.onRefused(this.name, connection, code, head)
  }

  override announce(): void {
    super.announce()
    for (const connection of this.open) if (!(connection instanceof HttpStart)) connection.announce()
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

/** Gives a connection its codec. */
export function serveRequests(
  socket: Socket,
  id: number,
  http2: boolean,
  { security, addresses }: Opened,
  limits: HttpLimits,
  wheel: TimerWheel,
  exchanges: ExchangeFactory,
  owner: ServerConnectionOwner & ServerSessionOwner,
): HttpConnection {
  return http2
    ? new ServerSession(socket, id, limits, wheel, exchanges, owner, webSocketKey, security, addresses)
    : new ServerConnection(socket, id, limits, wheel, exchanges, owner, security, addresses)
}

function tlsOf(config: HttpListenerConfig, material: ServerMaterial | null): ListenerTls | null {
  return config.tls === null || material === null ? null : { config: config.tls, material, codecs: CODECS }
}

export function limitsOf(config: HttpListenerConfig): HttpLimits {
  return {
    head: { startLine: config.limits.requestLine, head: config.limits.head, fields: config.limits.fields },
    body: config.limits.body,
    streams: config.limits.streams,
    headTimeout: config.timeouts.head,
    idleTimeout: config.timeouts.idle,
  }
}
