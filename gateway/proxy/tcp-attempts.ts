// The attempts of one TCP connection to reach its service: an endpoint for each, and a connection to it, until one is made. The session
// hears of that, or that there is none. What is said on the connection is no business of theirs.

import type { ErrorCode } from "../errors.ts"
import type { SocketAddresses } from "../http/socket-addresses.ts"
import type { Deadline } from "../http/timer-wheel.ts"
import { Peer, type PeerOwner } from "../tcp/peer.ts"
import type { AttemptStep, Trail } from "../telemetry/trail.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import type { Service } from "../upstream/services.ts"
import type { TcpBackend, TcpPlane } from "./tcp-plane.ts"

/** Endpoints that are tried before the connection fails. */
const CONNECT_ATTEMPTS = 3

export interface TcpAttemptsOwner extends PeerOwner {
  readonly addresses: SocketAddresses
  readonly trail: Trail | null
  /** There is a connection, on which nothing was said yet. */
  onUpstream(peer: Peer): void
  onNoUpstream(code: ErrorCode, details: string): void
}

export class TcpAttempts {
  /** That were made. */
  count = 0
  /** Of the one under way, or that came off; null before, between two, and at the end. */
  peer: Peer | null = null
  readonly #owner: TcpAttemptsOwner
  readonly #plane: TcpPlane
  readonly #backend: TcpBackend
  readonly #deadline: Deadline
  #endpoint: Endpoint | null = null
  #address = ""
  #step: AttemptStep | null = null
  #tried: Endpoint[] | null = null

  /** `deadline`: of the session; it is theirs until its owner hears of them. */
  constructor(owner: TcpAttemptsOwner, plane: TcpPlane, backend: TcpBackend, deadline: Deadline) {
    this.#owner = owner
    this.#plane = plane
    this.#backend = backend
    this.#deadline = deadline
  }

  /** Of the last endpoint; "" = none was tried. */
  get address(): string {
    return this.#address
  }

  start(): void {
    const { service } = this.#backend
    if (service === null) return this.#owner.onNoUpstream("noService", "")
    const endpoint = this.#nextEndpoint(service)
    if (endpoint === null) return
    this.count++
    this.#endpoint = endpoint
    this.#address = endpoint.address
    this.#step = this.#owner.trail?.attempt(endpoint.address, false) ?? null
    this.#deadline.set(this.#plane.means.wheel.refresh() + endpoint.connectTimeout)
    this.peer = Peer.connect(endpoint.target, this.#owner)
  }

  // One that has room for another connection; null when there is none, which has been dealt with.
  #nextEndpoint(service: Service): Endpoint | null {
    let full = false
    for (;;) {
      const endpoint = service.balancer.next(this.#tried, service.hashKey?.ofClient(this.#owner.addresses) ?? -1)
      if (endpoint === null || (full && this.#tried?.includes(endpoint))) {
        if (full) this.#overflow()
        else this.#owner.onNoUpstream("noEndpoint", "")
        return null
      }
      if (endpoint.begins(this)) return endpoint
      full = true
      // Of the whole service, so that others needn't be asked.
      if (service.limits.connectionsFull) {
        this.#overflow()
        return null
      }
      this.#tried ??= []
      this.#tried.push(endpoint)
    }
  }

  #overflow(): void {
    this.#plane.countOverflow(this.#backend.name)
    this.#owner.onNoUpstream("overflow", "connections")
  }

  /** The peer's connection is made. */
  connected(): void {
    const endpoint = this.#endpoint as Endpoint
    endpoint.begun(endpoint.connectTimeout - (this.#deadline.at - this.#plane.means.wheel.refresh()))
    if (this.#step !== null) this.#step.sentAt = performance.now()
    this.#owner.onUpstream(this.peer as Peer)
  }

  /** It can't be made: another endpoint is tried, if there is one. */
  failed(code: ErrorCode, details: string): void {
    const endpoint = this.#endpoint as Endpoint
    endpoint.beginFailed()
    this.#step?.failed(code, details)
    this.#over()
    this.peer = null
    this.#tried ??= []
    this.#tried.push(endpoint)
    if (this.#backend.service?.balancer.hasOthers(this.#tried) && this.count < CONNECT_ATTEMPTS) this.start()
    else this.#owner.onNoUpstream(code, details)
  }

  /** It took too long. */
  expire(): void {
    this.peer?.destroy()
    this.failed("connectTimeout", "")
  }

  /** The service broke off what was carried to it. */
  broken(code: ErrorCode, details: string): void {
    this.#step?.failed(code, details)
  }

  /** The peer is closed, or was given up. */
  end(): void {
    if (this.#endpoint === null) return
    this.#endpoint.ends()
    this.#over()
  }

  #over(): void {
    this.#endpoint = null
    if (this.#step !== null) this.#step.endedAt = performance.now()
    this.#step = null
  }
}
