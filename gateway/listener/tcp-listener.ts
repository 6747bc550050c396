// One bound address of opaque connections in one worker: accepts within its limit and hands each on as it is. Every worker
// listens on the same port; the kernel shares connections out (SO_REUSEPORT).

import { createServer, type Server, type Socket } from "node:net"
import type { TcpListenerConfig } from "../config/model.ts"
import type { TcpConnection, TcpConnectionFactory, TcpConnectionOwner } from "../tcp/connection.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import { BACKLOG, type ListenerMeans } from "./listener.ts"

export class TcpListener implements TcpConnectionOwner {
  readonly name: string
  config: TcpListenerConfig
  slots: ListenerSlots
  readonly #means: Pick<ListenerMeans, "wheel" | "metrics" | "nextConnectionId" | "onFault">
  readonly #factory: TcpConnectionFactory
  readonly #server: Server
  readonly #connections = new Set<TcpConnection>()
  #draining = false
  #onEmpty: (() => void) | null = null

  constructor(
    config: TcpListenerConfig,
    slots: ListenerSlots,
    factory: TcpConnectionFactory,
    means: Pick<ListenerMeans, "wheel" | "metrics" | "nextConnectionId" | "onFault">,
  ) {
    this.name = config.name
    this.config = config
    this.slots = slots
    this.#factory = factory
    this.#means = means
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => this.#accept(socket))
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
  update(config: TcpListenerConfig, slots: ListenerSlots): void {
    this.config = config
    this.slots = slots
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
    const connection = this.#factory.begin(socket, this.#means.nextConnectionId(), this)
    this.#connections.add(connection)
    try {
      connection.start()
    } catch (error) {
      this.onFault(error)
      connection.destroy()
    }
  }

  onFault(error: unknown): void {
    this.#means.onFault(error)
  }

  onClosed(connection: TcpConnection): void {
    if (!this.#connections.delete(connection)) return
    this.#means.metrics.add(this.slots.connections, -1)
    if (this.#connections.size === 0) this.#onEmpty?.()
  }

  /**
   * Stops accepting; resolves when the last connection has ended. Nothing asks a client to leave, so that what is left
   * after `limit` ms is cut off; 0 = never.
   */
  drain(limit: number): Promise<void> {
    this.#draining = true
    this.#server.close()
    if (this.#connections.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      const timer =
        limit === 0
          ? null
          : setTimeout(() => {
              for (const connection of [...this.#connections]) connection.cut()
            }, limit)
      this.#onEmpty = () => {
        if (timer !== null) clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Closes everything at once. */
  destroy(): void {
    this.#draining = true
    this.#server.close()
    for (const connection of [...this.#connections]) connection.destroy()
  }
}
