// One TCP connection carried to a service: filters, choice of an endpoint, octets both ways as fast as the slower side
// takes them, each side's end passed on to the other. A reset on one side is a reset on the other.

import type { Socket } from "node:net"
import { type ErrorCode, errors } from "../errors.ts"
import { NetworkChain, type NetworkChainOwner } from "../filter/network-chain.ts"
import { CLOSED_BY_PEER, CLOSED_HERE } from "../filter/network-filter.ts"
import { Deadline, type DeadlineOwner } from "../http/timer-wheel.ts"
import { NORMAL } from "../resilience/overload.ts"
import type { TcpConnection, TcpConnectionOwner } from "../tcp/connection.ts"
import type { Opened } from "../tcp/opened.ts"
import { Peer, type PeerOwner } from "../tcp/peer.ts"
import { proxyHeader } from "../tcp/proxy-header.ts"
import { flagIndex } from "../telemetry/instruments.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import type { Service } from "../upstream/services.ts"
import type { TcpPlane } from "./tcp-plane.ts"
import { TcpRecord } from "./tcp-record.ts"

/** Endpoints that are tried before the connection fails. */
const CONNECT_ATTEMPTS = 3
/** ms that what was written last has to leave once the connection is being closed. */
const LINGER = 2000

/** Filters decide about the connection. */
const NEW = 0
const CONNECTING = 1
const OPEN = 2
/** Both sides were told to end. */
const CLOSING = 3
const CLOSED = 4

/** Why a side isn't read: bits. */
const BACKED_UP = 1
const HELD = 2
const NOT_CONNECTED = 4

export class TcpSession extends TcpRecord implements TcpConnection, PeerOwner, NetworkChainOwner, DeadlineOwner {
  readonly #owner: TcpConnectionOwner
  readonly #downstream: Peer
  readonly #chain: NetworkChain | null
  readonly #deadline: Deadline
  readonly #idle: number
  #upstream: Peer | null = null
  #state = NEW
  #tried: Endpoint[] | null = null
  #downstreamWaits = NOT_CONNECTED
  #upstreamWaits = 0
  /** What the client sent, and that it ended its side, before there was a service to tell: a runtime may have read ahead. */
  #early: Buffer[] | null = null
  #endedEarly: boolean
  /** What was read of it before it came here. */
  #opened: Buffer | null
  #downstreamGone = false
  #upstreamGone = true
  /** A filter keeps as much as it may. */
  #held = 0

  constructor(socket: Socket, id: number, plane: TcpPlane, opened: Opened, owner: TcpConnectionOwner) {
    super(plane, id, opened)
    this.#owner = owner
    this.#idle = plane.config.timeouts.idle
    this.#deadline = new Deadline(plane.means.wheel, this)
    socket.pause()
    this.#downstream = new Peer(socket, this, opened.ended)
    this.#endedEarly = opened.ended
    this.#opened = opened.early
    this.#chain = plane.filters.length === 0 ? null : new NetworkChain(plane.filters, this, this)
    plane.snapshot.pin()
  }

  start(): void {
    this.#moved()
    const opened = this.#opened
    this.#opened = null
    if (opened !== null) {
      this.#early = [opened]
      this.receivedBytes = opened.length
    }
    if (this.plane.means.overload.sheds(NORMAL)) return this.#fail("overloaded", "")
    if (this.#chain === null) this.onAccepted()
    else this.#chain.run()
  }

  #moved(): void {
    this.#deadline.set(this.plane.means.wheel.now + this.#idle)
  }

  // ------------------------------------------------------------------------------------------------------------ connect

  onAccepted(): void {
    if (this.#state !== NEW) return
    this.#state = CONNECTING
    this.backend ??= this.plane.pick(this.requestedServerName)
    this.#connect()
  }

  chooseService(name: string): boolean {
    const backend = this.#state === NEW ? this.plane.chosen(name) : null
    if (backend !== null) this.backend = backend
    return backend !== null
  }

  #connect(): void {
    const { backend } = this
    if (backend === null) return this.#fail("noRoute", "no backend")
    const { service } = backend
    if (service === null) return this.#fail("noService", "")
    const endpoint = this.#nextEndpoint(service)
    if (endpoint === null) return
    this.attempts++
    this.endpoint = endpoint
    this.#upstreamGone = false
    this.#deadline.set(this.plane.means.wheel.refresh() + endpoint.connectTimeout)
    this.#upstream = Peer.connect(endpoint.target, this)
  }

  // One that has room for another connection; null when there is none, which has been dealt with.
  #nextEndpoint(service: Service): Endpoint | null {
    let full = false
    for (;;) {
      const endpoint = service.balancer.next(this.#tried, service.hashKey?.ofClient(this.addresses) ?? -1)
      if (endpoint === null || (full && this.#tried?.includes(endpoint))) {
        if (full) this.plane.countOverflow(this.backend?.name ?? "")
        this.#fail(full ? "overflow" : "noEndpoint", full ? "connections" : "")
        return null
      }
      if (endpoint.begins(this)) return endpoint
      full = true
      if (service.limits.connectionsFull) {
        // Of the whole service, so that others needn't be asked.
        this.plane.countOverflow(this.backend?.name ?? "")
        this.#fail("overflow", "connections")
        return null
      }
      this.#tried ??= []
      this.#tried.push(endpoint)
    }
  }

  onPeerConnected(peer: Peer): void {
    if (this.#state !== CONNECTING || peer !== this.#upstream) return
    this.#state = OPEN
    this.connectTime = this.plane.means.wheel.refresh() - this.started
    const { endpoint } = this
    endpoint?.begun(endpoint.connectTimeout - (this.#deadline.at - this.plane.means.wheel.now))
    this.#moved()
    this.#introduce(peer)
    this.plane.means.metrics.add(this.#slots.received, this.receivedBytes)
    const early = this.#early
    this.#early = null
    if (early !== null) for (const bytes of early) this.#pass(false, bytes, 0, bytes.length)
    if (this.#endedEarly) this.#ended(false)
    this.#wait(false, NOT_CONNECTED, false)
  }

  // Says whose connection it is, if the service wants to know.
  #introduce(peer: Peer): void {
    const version = this.backend?.service?.proxyProtocol ?? ""
    if (version === "") return
    const { sourceAddress, sourcePort, destinationAddress, destinationPort } = this.addresses
    const from = { host: sourceAddress, port: sourcePort }
    const header = proxyHeader(version, from, { host: destinationAddress, port: destinationPort }, this.requestedServerName)
    peer.write(header, 0, header.length)
  }

  #connectFailed(code: ErrorCode, details: string): void {
    const endpoint = this.endpoint as Endpoint
    endpoint.beginFailed()
    this.#upstream = null
    this.#upstreamGone = true
    this.endpoint = null
    this.lastUpstream = endpoint.address
    this.#tried ??= []
    this.#tried.push(endpoint)
    if (this.backend?.service?.balancer.hasOthers(this.#tried) && this.attempts < CONNECT_ATTEMPTS) this.#connect()
    else this.#fail(code, details)
  }

  // -------------------------------------------------------------------------------------------------------------- octets

  onPeerBytes(peer: Peer, buffer: Buffer, from: number, to: number): void {
    // What comes while the connection is closed is read and dropped, so that the end is seen.
    if (this.#state >= CLOSING) return
    const { metrics } = this.plane.means
    const upstream = peer === this.#upstream
    if (upstream) {
      this.sentBytes += to - from
      metrics.add(this.#slots.sent, to - from)
    } else {
      this.receivedBytes += to - from
      // What comes early is counted once it is known for which service.
      if (this.#state === OPEN) metrics.add(this.#slots.received, to - from)
    }
    this.#moved()
    if (this.#state === OPEN) this.#pass(upstream, buffer, from, to)
    else {
      this.#early ??= []
      this.#early.push(Buffer.from(buffer.subarray(from, to)))
    }
  }

  #pass(upstream: boolean, buffer: Buffer, from: number, to: number): void {
    const chain = this.#chain
    if (chain?.wants(upstream)) chain.feed(upstream, buffer, from, to)
    else this.#send(upstream, buffer, from, to)
  }

  #send(fromUpstream: boolean, buffer: Buffer, from: number, to: number): void {
    const peer = fromUpstream ? this.#downstream : this.#upstream
    if (peer !== null && !peer.write(buffer, from, to)) this.#wait(fromUpstream, BACKED_UP, true)
  }

  onPeerDrain(peer: Peer): void {
    if (this.#state !== OPEN) return
    this.#moved()
    this.#wait(peer === this.#downstream, BACKED_UP, false)
  }

  // Sets or clears one reason not to read a side.
  #wait(upstream: boolean, reason: number, on: boolean): void {
    const peer = upstream ? this.#upstream : this.#downstream
    const before = upstream ? this.#upstreamWaits : this.#downstreamWaits
    const after = on ? before | reason : before & ~reason
    if (upstream) this.#upstreamWaits = after
    else this.#downstreamWaits = after
    if (before === 0 && after !== 0) peer?.pause()
    else if (before !== 0 && after === 0) peer?.resume()
  }

  onPeerEnd(peer: Peer): void {
    if (this.#state >= CLOSING) return
    if (this.#state < OPEN) {
      // A service that ends in the handshake of TLS says nothing of the client's side: another is tried.
      if (peer === this.#downstream) this.#endedEarly = true
      return
    }
    this.#moved()
    this.#ended(peer === this.#upstream)
  }

  #ended(upstream: boolean): void {
    if (this.#chain?.wants(upstream)) this.#chain.end(upstream)
    else this.onFilteredEnd(upstream)
  }

  onFilteredBytes(response: boolean, bytes: Buffer): void {
    if (this.#state === OPEN) this.#send(response, bytes, 0, bytes.length)
  }

  onFilteredEnd(response: boolean): void {
    if (this.#state !== OPEN) return
    if (response) this.#downstream.end()
    else this.#upstream?.end()
  }

  onFilterHold(response: boolean, hold: boolean): void {
    this.#held += hold ? 1 : -1
    if (this.#state === OPEN) this.#wait(response, HELD, hold)
  }

  // ----------------------------------------------------------------------------------------------------------------- end

  onPeerGone(peer: Peer, failure: string): void {
    if (peer === this.#upstream && this.#state === CONNECTING) {
      this.#connectFailed("connectFailure", failure)
      return
    }
    const downstream = peer === this.#downstream
    this.#gone(downstream)
    if (failure === "" || this.#state >= CLOSING) return
    this.#note(downstream ? "clientGone" : "upstreamClosed", failure)
    this.#chain?.stop()
    this.#state = CLOSING
    // What one side did not end in order must not look as if it had to the other.
    this.#reset(!downstream)
  }

  #reset(downstream: boolean): void {
    if (downstream ? this.#downstreamGone : this.#upstreamGone) return
    const peer = downstream ? this.#downstream : (this.#upstream as Peer)
    peer.reset()
    this.#gone(downstream)
  }

  // One side is closed; when both are, the connection is over.
  #gone(downstream: boolean): void {
    if (downstream ? this.#downstreamGone : this.#upstreamGone) return
    const peer = downstream ? this.#downstream : this.#upstream
    if (downstream) this.#downstreamGone = true
    else {
      this.#upstreamGone = true
      this.#leaveEndpoint()
    }
    if (downstream || this.connectTime >= 0) this.#chain?.closed(!downstream, peer?.endedFirst ? CLOSED_BY_PEER : CLOSED_HERE)
    if (this.#downstreamGone && this.#upstreamGone) this.#finish()
  }

  #leaveEndpoint(): void {
    const { endpoint } = this
    if (endpoint === null) return
    endpoint.ends()
    this.endpoint = null
    this.lastUpstream = endpoint.address
  }

  onFilterClose(): void {
    if (this.#state >= CLOSING) return
    this.flag ||= "LR"
    this.flagDetails ||= "closed"
    this.#close()
  }

  onFilterFailed(code: ErrorCode, details: string): void {
    this.#fail(code, details)
  }

  #fail(code: ErrorCode, details: string): void {
    if (this.#state >= CLOSING) return
    this.#note(code, details)
    this.#close()
  }

  #note(code: ErrorCode, details: string): void {
    if (this.flag !== "") return
    this.flag = errors[code].flag
    this.flagDetails = details
  }

  // Ends both sides in order: what was written still leaves, within bounds.
  #close(): void {
    const connecting = this.#state === CONNECTING
    this.#state = CLOSING
    this.#chain?.stop()
    this.#deadline.set(this.plane.means.wheel.refresh() + LINGER)
    this.#downstream.end()
    this.#downstream.resume()
    const upstream = this.#upstream
    if (upstream === null || this.#upstreamGone) return
    if (connecting) {
      upstream.destroy()
      this.#gone(false)
    } else {
      upstream.end()
      upstream.resume()
    }
  }

  onDeadline(): void {
    if (this.#state === CONNECTING) {
      this.#upstream?.destroy()
      this.#connectFailed("connectTimeout", "")
    } else if (this.#state < CLOSING) {
      this.#fail(this.#held > 0 ? "filterHold" : "streamIdle", "")
    } else {
      this.destroy()
    }
  }

  cut(): void {
    if (this.#state < CLOSING) this.#note("drainTimeout", "")
    this.destroy()
  }

  destroy(): void {
    if (this.#state === CLOSED) return
    const connecting = this.#state === CONNECTING
    this.#state = CLOSING
    this.#chain?.stop()
    this.#downstream.destroy()
    this.#upstream?.destroy()
    if (connecting) this.connectTime = -1
    this.#gone(false)
    this.#gone(true)
  }

  onPeerFault(_peer: Peer, error: unknown): void {
    this.#owner.onFault(error)
    this.destroy()
  }

  get #slots(): TcpPlane["noServiceSlots"] {
    return this.backend === null ? this.plane.noServiceSlots : this.backend.slots
  }

  #finish(): void {
    if (this.#state === CLOSED) return
    this.#state = CLOSED
    this.#deadline.release()
    const { means, snapshot } = this.plane
    this.duration = means.wheel.refresh() - this.started
    this.elapsed = this.duration
    this.#chain?.done()
    const slots = this.#slots
    if (this.connectTime < 0) means.metrics.add(slots.received, this.receivedBytes)
    means.metrics.add(slots.ended, 1)
    if (this.flag !== "") means.metrics.add(slots.flags + flagIndex(this.flag), 1)
    if (means.accessLog.wants(this.flag, 0, this.duration)) means.accessLog.recordConnection(this)
    if (means.watch.active) means.watch.endConnection(this)
    snapshot.unpin()
    this.#owner.onClosed(this)
  }
}
