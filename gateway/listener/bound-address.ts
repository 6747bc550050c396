// One bound address in one worker: accepts connections within its limit, counts them, and knows when the last is gone. Every
// worker listens on the same port; the kernel shares connections out (SO_REUSEPORT).

import { createServer, type Server, type Socket } from "node:net"
import type { ListenerConfig, ListenerTlsConfig } from "../config/model.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { handshakeIndex, type ListenerSlots } from "../telemetry/instruments.ts"
import type { MetricsWriter } from "../telemetry/metrics-writer.ts"
import { TlsAcceptor } from "../tls/tls-acceptor.ts"
import type { ServerMaterial } from "../tls/tls-server.ts"
import { Opening, type OpeningOwner, type Step } from "./opening.ts"

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
  /** Why a TLS handshake failed, as the runtime tells it. */
  onHandshakeError(listener: string, code: string): void
}

/** TLS of a listener: what is configured, what certificates that came to, and the protocols its codecs speak. */
export interface ListenerTls {
  readonly config: ListenerTlsConfig
  readonly material: ServerMaterial
  readonly codecs: readonly string[]
}

export abstract class BoundAddress<Config extends ListenerConfig, Connection extends { destroy(): void }> implements OpeningOwner {
  readonly name: string
  config: Config
  slots: ListenerSlots
  protected readonly open = new Set<Connection>()
  readonly #opening = new Set<Opening>()
  /** What a connection passes before {@link begin}. TLS comes last: what stands before it reads the socket itself. */
  readonly #steps: readonly Step[]
  readonly #tls: TlsAcceptor | null
  readonly #means: BoundAddressMeans
  readonly #server: Server
  #draining = false
  #onEmpty: (() => void) | null = null

  /** `pauseOnConnect`: nothing is read of a connection before it asks for it. */
  constructor(config: Config, slots: ListenerSlots, means: BoundAddressMeans, tls: ListenerTls | null, pauseOnConnect: boolean) {
    this.name = config.name
    this.config = config
    this.slots = slots
    this.#means = means
    this.#tls = tls === null ? null : this.#acceptor(tls)
    this.#steps = this.#tls === null ? [] : [this.#tls]
    const paused = pauseOnConnect || this.#steps.length > 0
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: paused }, (socket) => this.#accept(socket))
  }

  #acceptor({ config, material, codecs }: ListenerTls): TlsAcceptor {
    const { wheel, metrics, onFault } = this.#means
    return new TlsAcceptor(config, material, codecs, {
      wheel,
      onResult: (result) => metrics.add(this.slots.handshakes + handshakeIndex(result), 1),
      onDetails: (code) => this.#means.onHandshakeError(this.name, code),
      onFault,
    })
  }

  /** Takes a connection over, paused if the listener asked for that or it has TLS, and adds it to {@link open}. */
  protected abstract begin(socket: Socket, id: number, security: ConnectionSecurity | null): void

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
  update(config: Config, slots: ListenerSlots, tls: ListenerTls | null): void {
    this.config = config
    this.slots = slots
    if (tls !== null) this.#tls?.update(tls.config, tls.material)
  }

  #accept(socket: Socket): void {
    const { metrics, wheel } = this.#means
    if (this.open.size + this.#opening.size >= this.config.limits.connections || this.#draining) {
      metrics.add(this.slots.connectionsRefused, 1)
      socket.on("error", () => {})
      socket.destroy()
      return
    }
    metrics.add(this.slots.connectionsTotal, 1)
    metrics.add(this.slots.connections, 1)
    wheel.refresh()
    const id = this.#means.nextConnectionId()
    if (this.#steps.length === 0) return this.begin(socket, id, null)
    const opening = new Opening(id, this.#steps, this)
    this.#opening.add(opening)
    opening.start(socket)
  }

  onOpened(opening: Opening, socket: Socket, security: ConnectionSecurity | null): void {
    this.begin(socket, opening.id, security)
    this.#opening.delete(opening)
    // It may be closed already.
    if (this.#empty) this.#onEmpty?.()
  }

  onNotOpened(opening: Opening): void {
    if (this.#opening.delete(opening)) this.#left()
  }

  onFault(error: unknown): void {
    this.#means.onFault(error)
  }

  onClosed(connection: Connection): void {
    if (this.open.delete(connection)) this.#left()
  }

  #left(): void {
    this.#means.metrics.add(this.slots.connections, -1)
    if (this.#empty) this.#onEmpty?.()
  }

  get #empty(): boolean {
    return this.open.size + this.#opening.size === 0
  }

  /** Accepts no more. */
  protected close(): void {
    this.#draining = true
    this.#server.close()
  }

  /** No more connections are accepted, and those there are, or that open only now, should end. */
  protected get draining(): boolean {
    return this.#draining
  }

  /** Resolves when no connection is open. */
  protected emptied(): Promise<void> {
    if (this.#empty) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onEmpty = resolve
    })
  }

  /** Closes everything at once. */
  destroy(): void {
    this.close()
    this.#breakOff()
    for (const connection of [...this.open]) connection.destroy()
  }

  #breakOff(): void {
    for (const opening of [...this.#opening]) {
      opening.destroy()
      this.onNotOpened(opening)
    }
  }
}
