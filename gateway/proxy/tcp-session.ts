// One TCP connection carried to a service: filters, a connection to an endpoint, octets both ways as fast as the slower side
// takes them, each side's end passed on to the other. A reset on one side is a reset on the other.

import type { Socket } from "node:net"
import { type ErrorCode, errors } from "../errors.ts"
import { NetworkChain, type NetworkChainOwner } from "../filter/network-chain.ts"
import { CLOSED_BY_PEER, CLOSED_HERE } from "../filter/network-filter.ts"
import { Deadline, type DeadlineOwner } from "../http/timer-wheel.ts"
import { NORMAL } from "../resilience/overload.ts"
import type { TcpConnection, TcpConnectionOwner } from "../tcp/connection.ts"
import type { Opened } from "../tcp/opened.ts"
import { Peer } from "../tcp/peer.ts"
import { proxyHeader } from "../tcp/proxy-header.ts"
import { TcpAttempts, type TcpAttemptsOwner } from "./tcp-attempts.ts"
import type { TcpPlane } from "./tcp-plane.ts"
import { TcpRecord } from "./tcp-record.ts"

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

export class TcpSession extends TcpRecord implements TcpConnection, TcpAttemptsOwner, NetworkChainOwner, DeadlineOwner {
  readonly #owner: TcpConnectionOwner
  readonly #downstream: Peer
  readonly #chain: NetworkChain | null
  readonly #deadline: Deadline
  readonly #idle: number
  #state = NEW
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
    const { watch, overload } = this.plane.means
    if (watch.active) this.trail = watch.beginConnection(this)
    if (overload.sheds(NORMAL)) return this.#fail("overloaded", "")
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
    const { backend } = this
    if (backend === null) return this.#fail("noRoute", "no backend")
    this.#upstreamGone = false
    this.reaching = new TcpAttempts(this, this.plane, backend, this.#deadline)
    this.reaching.start()
  }

  chooseService(name: string): boolean {
    const backend = this.#state === NEW ? this.plane.chosen(name) : null
    if (backend !== null) this.backend = backend
    return backend !== null
  }

  onPeerConnected(peer: Peer): void {
    if (this.#state === CONNECTING && peer === this.#upstream) this.reaching?.connected()
  }

  onUpstream(peer: Peer): void {
    this.#state = OPEN
    this.connectTime = this.plane.means.wheel.now - this.started
    this.#moved()
    this.#introduce(peer)
    this.countOctets()
    const early = this.#early
    this.#early = null
    if (early !== null) for (const bytes of early) this.#pass(false, bytes, 0, bytes.length)
    if (this.#endedEarly) this.#ended(false)
    this.#wait(false, NOT_CONNECTED, false)
  }

  onNoUpstream(code: ErrorCode, details: string): void {
    this.#upstreamGone = true
    this.#fail(code, details)
  }

  get #upstream(): Peer | null {
    return this.reaching === null ? null : this.reaching.peer
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

  // -------------------------------------------------------------------------------------------------------------- octets

  onPeerBytes(peer: Peer, buffer: Buffer, from: number, to: number): void {
    // What comes while the connection is closed is read and dropped, so that the end is seen.
    if (this.#state >= CLOSING) return
    const upstream = peer === this.#upstream
    if (upstream) this.sentBytes += to - from
    else this.receivedBytes += to - from
    // What comes early is counted once it is known for which service.
    if (this.#state === OPEN) this.countOctets()
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
      this.reaching?.failed("connectFailure", failure)
      return
    }
    const downstream = peer === this.#downstream
    const broken = failure !== "" && this.#state < CLOSING
    if (broken && !downstream) this.reaching?.broken("upstreamClosed", failure)
    this.#gone(downstream)
    if (!broken) return
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
      this.reaching?.end()
    }
    if (downstream || this.connectTime >= 0) this.#chain?.closed(!downstream, peer?.endedFirst ? CLOSED_BY_PEER : CLOSED_HERE)
    if (this.#downstreamGone && this.#upstreamGone) this.#finish()
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
      this.reaching?.expire()
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
    this.#state = CLOSING
    this.#chain?.stop()
    this.#downstream.destroy()
    this.#upstream?.destroy()
    this.#gone(false)
    this.#gone(true)
  }

  onPeerFault(_peer: Peer, error: unknown): void {
    this.#owner.onFault(error)
    this.destroy()
  }

  #finish(): void {
    if (this.#state === CLOSED) return
    this.#state = CLOSED
    this.#deadline.release()
    this.duration = this.plane.means.wheel.refresh() - this.started
    this.elapsed = this.duration
    this.#chain?.done()
    this.publish()
    this.plane.snapshot.unpin()
    this.#owner.onClosed(this)
  }
}
