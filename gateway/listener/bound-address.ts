// One bound address in one worker: accepts connections within its limit, counts them, and knows when the last is gone. Every
// worker listens on the same port; the kernel shares connections out (SO_REUSEPORT).

import { createServer, type Server, type Socket } from "node:net"
import type { ListenerConfig, ListenerTlsConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { ConnectionSight } from "../http/connection-sight.ts"
import { addressesOf, type SocketAddresses } from "../http/socket-addresses.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { type Detected, TLS, UNDECIDED } from "../tcp/detect-protocol.ts"
import { IpRanges } from "../tcp/ip-ranges.ts"
import { type Opened, unopened } from "../tcp/opened.ts"
import { requestBuckets } from "../telemetry/duration-buckets.ts"
import { handshakeIndex, type ListenerSlots } from "../telemetry/instruments.ts"
import type { MetricsWriter } from "../telemetry/metrics-writer.ts"
import { TlsAcceptor } from "../tls/tls-acceptor.ts"
import type { ServerMaterial } from "../tls/tls-server.ts"
import { FirstOctets, type Look } from "./first-octets.ts"
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
  /** A connection was closed before it was carried. `started`: of the wheel's clock, ms. */
  onOpeningRefused(listener: string, from: SocketAddresses, started: number, code: ErrorCode, details: string): void
}

/** TLS of a listener: what is configured, what certificates that came to, and the protocols its codecs speak. */
export interface ListenerTls {
  readonly config: ListenerTlsConfig
  readonly material: ServerMaterial
  readonly codecs: readonly string[]
}

/** One that says nothing of itself is about to become another one. */
interface OpenConnection {
  destroy(): void
  /** Ends because its time to drain is over. */
  cut?(): void
  readonly connectionId?: number
  logOpen?(ms: number): void
  sight?(): ConnectionSight
}

export abstract class BoundAddress<Config extends ListenerConfig, Connection extends OpenConnection> implements OpeningOwner {
  readonly name: string
  config: Config
  slots: ListenerSlots
  protected readonly open = new Set<Connection>()
  readonly #opening = new Set<Opening>()
  /** Proxies whose connections begin with a PROXY header. */
  #trusted: IpRanges | null
  /** Looks at the first octets of a connection; where it is one of those proxies'; and inside of TLS. */
  readonly #plain: Step
  readonly #proxied: Step
  readonly #secured: Step
  #tls: TlsAcceptor | null
  readonly #means: BoundAddressMeans
  readonly #server: Server
  #announced = false
  #draining = false
  #onEmpty: (() => void) | null = null

  /** `pauseOnConnect`: nothing is read of a connection before it asks for it. */
  constructor(config: Config, slots: ListenerSlots, means: BoundAddressMeans, tls: ListenerTls | null, pauseOnConnect: boolean) {
    this.name = config.name
    this.config = config
    this.slots = slots
    this.#means = means
    this.#tls = tls === null ? null : this.#acceptor(tls)
    this.#trusted = trustedBy(config)
    const octets = (proxy: boolean, look: () => Look): Step => ({ begin: (socket, opening) => this.#look(socket, opening, proxy, look()) })
    this.#plain = octets(false, () => this.look)
    this.#proxied = octets(true, () => this.look)
    this.#secured = octets(false, () => "protocol")
    const paused = pauseOnConnect || this.#tls !== null
    this.#server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: paused }, (socket) => this.#accept(socket))
  }

  #acceptor({ config, material, codecs }: ListenerTls): TlsAcceptor {
    const { wheel, metrics, onFault } = this.#means
    return new TlsAcceptor(config, material, codecs, {
      wheel,
      onResult: (result, ms) => {
        metrics.add(this.slots.handshakes + handshakeIndex(result), 1)
        if (result === "ok") metrics.observe(this.slots.handshakeDuration, ms / 1000, requestBuckets)
      },
      onDetails: (code) => this.#means.onHandshakeError(this.name, code),
      onFault,
    })
  }

  /**
   * Takes a connection over and adds it to {@link open}. It is paused if the listener asked for that, or if something of it was
   * looked at. `protocol`: what its client speaks; {@link UNDECIDED} if that wasn't looked for.
   */
  protected abstract begin(socket: Socket, id: number, opened: Opened, protocol: Detected): void

  /** What is looked for in the first octets of a connection, and for how long (ms). */
  protected get look(): Look {
    return "nothing"
  }
  protected get detectTimeout(): number {
    return 0
  }

  #look(socket: Socket, opening: Opening, proxy: boolean, look: Look): FirstOctets {
    const plan = { proxy, proxyTimeout: this.config.proxyProtocol?.timeout ?? 0, look, detectTimeout: this.detectTimeout }
    return new FirstOctets(socket, plan, this.#means.wheel, opening)
  }

  /** Whether TLS ends here. */
  protected get endsTls(): boolean {
    return this.#tls !== null
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
  update(config: Config, slots: ListenerSlots, tls: ListenerTls | null): void {
    this.config = config
    this.slots = slots
    this.#trusted = trustedBy(config)
    if (tls === null) this.#tls = null
    else if (this.#tls === null) this.#tls = this.#acceptor(tls)
    else this.#tls.update(tls.config, tls.material)
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
    const now = wheel.refresh()
    const id = this.#means.nextConnectionId()
    const addresses = addressesOf(socket)
    const first = this.#firstStep(addresses.sourceAddress)
    if (first === null) return this.begin(socket, id, unopened(addresses), UNDECIDED)
    const opening = new Opening(id, now, addresses, this)
    this.#opening.add(opening)
    opening.start(socket, first)
  }

  #firstStep(from: string): Step | null {
    if (this.#trusted?.has(from)) return this.#proxied
    return this.look === "nothing" ? this.#tls : this.#plain
  }

  // TLS comes behind what reads the socket itself; where protocols are told apart, what is in it is looked at again.
  nextStep({ security, protocol }: Opening): Step | null {
    const detects = this.look === "protocol" || this.look === "protocolAndServerName"
    if (security === null) return this.#tls !== null && (!detects || protocol === TLS) ? this.#tls : null
    return detects && security.protocol === "" && protocol === UNDECIDED ? this.#secured : null
  }

  onRefusedOpening({ addresses, started }: Opening, code: ErrorCode, details: string): void {
    this.#means.onOpeningRefused(this.name, addresses, started, code, details)
  }

  onOpened(opening: Opening, socket: Socket): void {
    this.begin(socket, opening.id, opening, opening.protocol)
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

  /** Goes on as before, but tells clients to go elsewhere, if what they speak has words for that. */
  announce(): void {
    this.#announced = true
  }

  protected get announced(): boolean {
    return this.#announced
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

  /** How many connections are open, and what is known of the oldest `limit` of them, as it is now. */
  sights(limit: number): { readonly count: number; readonly sights: ConnectionSight[] } {
    const sights: ConnectionSight[] = []
    for (const connection of this.open) {
      if (sights.length >= limit) break
      const sight = connection.sight?.()
      if (sight !== undefined) sights.push(sight)
    }
    return { count: this.open.size + this.#opening.size, sights }
  }

  /** Closes everything at once. */
  destroy(): void {
    this.close()
    this.breakOff()
    for (const connection of [...this.open]) connection.destroy()
  }

  /** Lines of the access log for what has been there for `ms`, in one of `parts` of the connections. */
  logOpen(ms: number, part: number, parts: number): void {
    for (const connection of this.open) {
      if (connection.connectionId !== undefined && connection.connectionId % parts === part) connection.logOpen?.(ms)
    }
  }

  /** Ends everything because the time to drain is over: it is told of like whatever has ended. */
  cut(): void {
    this.close()
    this.breakOff()
    for (const connection of [...this.open]) {
      if (connection.cut === undefined) connection.destroy()
      else connection.cut()
    }
  }

  /** Closes those that aren't open yet. */
  protected breakOff(): void {
    for (const opening of [...this.#opening]) {
      opening.destroy()
      this.onNotOpened(opening)
    }
  }
}

function trustedBy({ proxyProtocol }: ListenerConfig): IpRanges | null {
  return proxyProtocol === null ? null : new IpRanges(proxyProtocol.trusted)
}
