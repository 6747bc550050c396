// One bound address in one worker: accepts connections within its limit, counts them, and knows when the last is gone. Every
// worker listens on the same port; the kernel shares connections out (SO_REUSEPORT).

import { createServer, type Server, type Socket } from "node:net"
import type { ListenerConfig } from "../config/model.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import type { MetricsWriter } from "../telemetry/metrics-writer.ts"

/** Connections the system keeps for us to accept. */
const BACKLOG = 4096

/** What every listener needs of its worker. */
export interface BoundAddressMeans {
  readonly wheel: TimerWheel
  readonly metrics: MetricsWriter
  /** A number for the next connection, unique in this worker. */
  nextConnectionId(): number
  /** A programming error showed in one connection, which was closed; the others go on. */
  onFault(error: unknown): void
}

export abstract class BoundAddress<Config extends ListenerConfig, Connection extends { destroy(): void }> {
  readonly name: string
  config: Config
  slots: ListenerSlots
  protected readonly open = new Set<Connection>()
  readonly #means: BoundAddressMeans
  readonly #server: Server
  #draining = false
  #onEmpty: (() => void) | null = null

  /** `pauseOnConnect`: nothing is read of a connection before it asks for it. */
  constructor(config: Config, slots: ListenerSlots, means: BoundAddressMeans, pauseOnConnect: boolean) {
    this.name = config.name
    this.config = config
    this.slots = slots
    this.#means = means
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect }, (socket) => this.#accept(socket))
  }

  /** No more connections are accepted, and those there are should end. */
  protected get draining(): boolean {
    return this.#draining
  }

  /** Takes a connection over and adds it to {@link open}. */
  protected abstract begin(socket: Socket, id: number): void

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
  update(config: Config, slots: ListenerSlots): void {
    this.config = config
    this.slots = slots
  }

  #accept(socket: Socket): void {
    const { metrics, wheel } = this.#means
    if (this.open.size >= this.config.limits.connections || this.#draining) {
      metrics.add(this.slots.connectionsRefused, 1)
      socket.on("error", () => {})
      socket.destroy()
      return
    }
    metrics.add(this.slots.connectionsTotal, 1)
    metrics.add(this.slots.connections, 1)
    wheel.refresh()
    this.begin(socket, this.#means.nextConnectionId())
  }

  onFault(error: unknown): void {
    this.#means.onFault(error)
  }

  onClosed(connection: Connection): void {
    if (!this.open.delete(connection)) return
    this.#means.metrics.add(this.slots.connections, -1)
    if (this.open.size === 0) this.#onEmpty?.()
  }

  /** Accepts no more. */
  protected close(): void {
    this.#draining = true
    this.#server.close()
  }

  /** Resolves when no connection is open. */
  protected emptied(): Promise<void> {
    if (this.open.size === 0) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onEmpty = resolve
    })
  }

  /** Closes everything at once. */
  destroy(): void {
    this.close()
    for (const connection of [...this.open]) connection.destroy()
  }
}
