// One bound address in one worker: accepts connections within its limit, gives each its codec, and drains. Every worker
// listens on the same port; the kernel shares connections out (SO_REUSEPORT).

import { createServer, type Server, type Socket } from "node:net"
import type { HttpListenerConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { ExchangeFactory } from "../http/exchange.ts"
import type { RequestHead } from "../http/message.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { ServerConnection, type ServerConnectionOwner, type ServerLimits } from "../http1/server-connection.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import type { MetricsWriter } from "../telemetry/metrics-writer.ts"

/** Connections the system keeps for us to accept. */
export const BACKLOG = 4096

/** What listeners need of their worker. */
export interface ListenerMeans {
  readonly wheel: TimerWheel
  readonly metrics: MetricsWriter
  /** A number for the next connection, unique in this worker. */
  nextConnectionId(): number
  /** A head was refused before it became an exchange. */
  onRefused(listener: Listener, connection: ServerConnection, code: ErrorCode, head: RequestHead): void
  /** A programming error showed in one connection, which was closed; the others go on. */
  onFault(error: unknown): void
}

export class Listener implements ServerConnectionOwner {
  readonly name: string
  config: HttpListenerConfig
  slots: ListenerSlots
  readonly #means: ListenerMeans
  readonly #exchanges: ExchangeFactory
  readonly #server: Server
  readonly #connections = new Set<ServerConnection>()
  #limits: ServerLimits
  #draining = false
  #onEmpty: (() => void) | null = null

  constructor(config: HttpListenerConfig, slots: ListenerSlots, exchanges: ExchangeFactory, means: ListenerMeans) {
    this.name = config.name
    this.config = config
    this.slots = slots
    this.#exchanges = exchanges
    this.#means = means
    this.#limits = limitsOf(config)
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket))
  }

  get connections(): number {
    return this.#connections.size
  }

  /** Binds `port` (not 0), shared with the other workers. Rejects with the system's error. */
  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject)
      this.#server.listen({ host: this.config.address.host, port, backlog: BACKLOG, reusePort: true }, () => {
        this.#server.removeListener("error", reject)
        // Accepting can fail for want of descriptors; the next connection may do.
        this.#server.on("error", () => {})
        resolve()
      })
    })
  }

  /** Takes new settings; connections already open keep theirs. */
  update(config: HttpListenerConfig, slots: ListenerSlots): void {
    this.config = config
    this.slots = slots
    this.#limits = limitsOf(config)
  }

  #accept(socket: Socket): void {
    const { metrics, wheel } = this.#means
    if (this.#connections.size >= this.config.limits.connections || this.#draining) {
      metrics.add(this.slots.connectionsRefused, 1)
      socket.on("error", () => {})
      socket.destroy()
      return
    }
    metrics.add(this.slots.connectionsTotal, 1)
    metrics.add(this.slots.connections, 1)
    wheel.refresh()
    this.#connections.add(new ServerConnection(socket, this.#means.nextConnectionId(), this.#limits, wheel, this.#exchanges, this))
  }

  onRefused(connection: ServerConnection, code: ErrorCode, head: RequestHead): void {
    this.#means.onRefused(this, connection, code, head)
  }

  onFault(error: unknown): void {
    this.#means.onFault(error)
  }

  onClosed(connection: ServerConnection): void {
    if (!this.#connections.delete(connection)) return
    this.#means.metrics.add(this.slots.connections, -1)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }

  /** Stops accepting and lets what runs finish; resolves when the last connection is closed. */
  drain(): Promise<void> {
    this.#draining = true
    this.#server.close()
    for (const connection of this.#connections) connection.drain()
    if (this.#connections.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onEmpty = resolve
    })
  }

  /** Closes everything at once. */
  destroy(): void {
    this.#draining = true
    this.#server.close()
    for (const connection of [...this.#connections]) connection.destroy()
  }
}

function limitsOf(config: HttpListenerConfig): ServerLimits {
  return {
    head: { startLine: config.limits.requestLine, head: config.limits.head, fields: config.limits.fields },
    body: config.limits.body,
    headTimeout: config.timeouts.head,
    idleTimeout: config.timeouts.idle,
  }
}
