// One bound address in one worker: accepts connections within its limit, has their first octets looked at where that is
// asked for, counts them, and knows when the last is gone. Every worker listens on the same port; the kernel shares
// connections out (SO_REUSEPORT).

import { createServer, type Server, type Socket } from "node:net"
import type { ListenerConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import { addressesOf, type SocketAddresses } from "../http/socket-addresses.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { type Detected, UNDECIDED } from "../tcp/detect-protocol.ts"
import { IpRanges } from "../tcp/ip-ranges.ts"
import { type Opened, unopened } from "../tcp/opened.ts"
import type { ListenerSlots } from "../telemetry/instruments.ts"
import type { MetricsWriter } from "../telemetry/metrics-writer.ts"
import { type Look, Opening, type OpeningOwner } from "./opening.ts"

/** Connections the system keeps for us to accept. */
const BACKLOG = 4096

/** What every listener needs of its worker. */
export interface BoundAddressMeans {
  readonly wheel: TimerWheel
  readonly metrics: MetricsWriter
  /** A number for the next connection, unique in this worker. */
  nextConnectionId(): number
  /** A connection to the listener of this name was closed before it was carried. `started`: of the wheel's clock, ms. */
  onOpeningFailed(listener: string, from: SocketAddresses, started: number, code: ErrorCode, details: string): void
  /** A programming error showed in one connection, which was closed; the others go on. */
  onFault(error: unknown): void
}

export abstract class BoundAddress<Config extends ListenerConfig, Connection extends { destroy(): void }> implements OpeningOwner {
  readonly name: string
  config: Config
  slots: ListenerSlots
  protected readonly open = new Set<Connection>()
  readonly #means: BoundAddressMeans
  readonly #server: Server
  /** Connections whose first octets are being looked at, and when they were accepted. */
  readonly #openings = new Map<Opening, number>()
  #trusted: IpRanges | null
  #draining = false
  #onEmpty: (() => void) | null = null

  /** `pauseOnConnect`: nothing is read of a connection before it asks for it. */
  constructor(config: Config, slots: ListenerSlots, means: BoundAddressMeans, pauseOnConnect: boolean) {
    this.name = config.name
    this.config = config
    this.slots = slots
    this.#means = means
    this.#trusted = trustedBy(config)
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect }, (socket) => this.#accept(socket))
  }

  /**
   * Takes a connection over and adds it to {@link open}. One that was looked at is paused. `protocol`: what its client
   * speaks; {@link UNDECIDED} if that wasn't looked for.
   */
  protected abstract begin(socket: Socket, id: number, opened: Opened, protocol: Detected): void

  /** What is looked for in the first octets of a connection, and for how long. */
  protected get look(): Look {
    return "nothing"
  }
  protected get detectTimeout(): number {
    return 0
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
  update(config: Config, slots: ListenerSlots): void {
    this.config = config
    this.slots = slots
    this.#trusted = trustedBy(config)
  }

  protected get draining(): boolean {
    return this.#draining
  }

  #accept(socket: Socket): void {
    const { metrics, wheel } = this.#means
    if (this.open.size + this.#openings.size >= this.config.limits.connections || this.#draining) {
      metrics.add(this.slots.connectionsRefused, 1)
      socket.on("error", () => {})
      socket.destroy()
      return
    }
    metrics.add(this.slots.connectionsTotal, 1)
    metrics.add(this.slots.connections, 1)
    const now = wheel.refresh()
    const id = this.#means.nextConnectionId()
    const addresses = addressesOf(socket)
    const proxy = this.#trusted?.has(addresses.sourceAddress) ?? false
    const { look, detectTimeout } = this
    if (!proxy && look === "nothing") return this.begin(socket, id, unopened(addresses), UNDECIDED)
    const plan = { proxy, proxyTimeout: this.config.proxyProtocol?.timeout ?? 0, look, detectTimeout }
    this.#openings.set(new Opening(socket, id, addresses, plan, wheel, this), now)
  }

  onOpened(opening: Opening, socket: Socket, opened: Opened, protocol: Detected): void {
    this.#openings.delete(opening)
    this.begin(socket, opening.id, opened, protocol)
  }

  onOpeningFailed(opening: Opening, code: ErrorCode, details: string): void {
    this.#means.onOpeningFailed(this.name, opening.addresses, this.#openings.get(opening) ?? 0, code, details)
    this.onOpeningLeft(opening)
  }

  onOpeningLeft(opening: Opening): void {
    if (this.#openings.delete(opening)) this.#left()
  }

  onFault(error: unknown): void {
    this.#means.onFault(error)
  }

  onClosed(connection: Connection): void {
    if (this.open.delete(connection)) this.#left()
  }

  #left(): void {
    this.#means.metrics.add(this.slots.connections, -1)
    if (this.empty) this.#onEmpty?.()
  }

  protected get empty(): boolean {
    return this.open.size === 0 && this.#openings.size === 0
  }

  /** Accepts no more. */
  protected close(): void {
    this.#draining = true
    this.#server.close()
  }

  /** Resolves when no connection is open. */
  protected emptied(): Promise<void> {
    if (this.empty) return Promise.resolve()
    return new Promise((resolve) => {
      this.#onEmpty = resolve
    })
  }

  /** Closes everything at once. */
  destroy(): void {
    this.close()
    this.destroyOpenings()
    for (const connection of [...this.open]) connection.destroy()
  }

  /** Closes those that are still being looked at. */
  protected destroyOpenings(): void {
    for (const opening of [...this.#openings.keys()]) opening.destroy()
  }
}

function trustedBy({ proxyProtocol }: ListenerConfig): IpRanges | null {
  return proxyProtocol === null ? null : new IpRanges(proxyProtocol.trusted)
}
