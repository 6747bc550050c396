// The connections of one worker to one endpoint. HTTP/1.1: last used first, so that spare ones go idle and end. HTTP/2: as few
// as carry the requests there are, each as full as its peer allows. Who finds none free waits in a bounded queue.
// Connections are bounded twice: by the worker's share of those to the endpoint, and by what the service has in the process.

import type { Socket } from "node:net"
import type { ErrorCode } from "../errors.ts"
import type { UpstreamStream } from "../http/exchange.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { ClientConnection, type ClientConnectionOwner } from "../http1/client-connection.ts"
import type { HeadLimits } from "../http1/head-reader.ts"
import { ClientSession, type ClientSessionOwner } from "../http2/client-session.ts"
import { Dial, type DialOwner, type Target } from "./dial.ts"
import { WaitingQueue } from "./waiting-queue.ts"

/** What a pool may do; in one worker. Times in ms. */
export interface PoolSettings {
  readonly connectTimeout: number
  readonly maxConnections: number
  readonly maxPending: number
  readonly idleTimeout: number
  /** 0 = no limit. */
  readonly maxAge: number
  readonly head: HeadLimits
}

/** Who wants a connection. Exactly one of its methods is called, unless it gives up first. */
export interface ConnectionWaiter {
  /** It can be sent in HTTP/2 alone. Asked where the service leaves the choice. */
  needsHttp2(): boolean
  onConnection(connection: UpstreamStream): void
  onNoConnection(code: ErrorCode, details: string): void
}

/** Counts of one service's connections; the worker points them at its metrics. */
export interface UpstreamCounters {
  connects(n: number): void
  connectFailures(n: number): void
  active(n: number): void
  /** `n` more, or fewer, connections of HTTP/1.1 carry nothing. */
  idle(n: number): void
  /** A connection was made, which took so many ms. */
  connected(ms: number): void
  /** `n` more, or fewer, requests wait for a connection. */
  pending(n: number): void
  /** One waits no more, after so many ms. */
  waited(ms: number): void
  /** A programming error showed in one connection. */
  fault(error: unknown): void
}

/** What a pool asks and tells its endpoint. */
export interface PoolOwner {
  /** A connection was made, or could not be. */
  onConnect(failed: boolean): void
  /** Whether the endpoint may have one connection more, which {@link releaseConnection} gives back. */
  admitConnection(): boolean
  releaseConnection(): void
}

/** A pool that may have to wait until others of its service let go of a connection. */
export interface ConnectionSeeker {
  /** Someone in it waits for whom no connection is being made. */
  readonly seeking: boolean
  /** Makes a connection, if it may; whether it did. */
  connectMore(): boolean
  /** Its endpoint's part in the decision. */
  readonly owner: PoolOwner
  /** Ends a connection that nobody uses; whether there was one. */
  giveUpIdle(): boolean
}

/** What the connections of a service's pools are bounded by, over all workers. */
export interface ConnectionLimits {
  /** ms a request waits while no connection is being made for it; infinite = as long as it likes. */
  readonly queueTimeout: number
  /** Someone, in this worker or another, can't have a connection until others end. */
  readonly wanted: boolean
  join(pool: ConnectionSeeker): void
  leave(pool: ConnectionSeeker): void
  /** Whether there may be one connection more. If not, `seeker` is asked again once there may. Null: of no pool. */
  admitConnection(seeker: ConnectionSeeker | null): boolean
  releaseConnection(): void
  isBlocked(seeker: ConnectionSeeker): boolean
  /** Whether one request more may wait for a connection. */
  admitPending(): boolean
  releasePending(): void
  refused(limit: "queueTimeout"): void
}

/** For connections that are no service's. */
export const UNLIMITED: ConnectionLimits = {
  queueTimeout: Number.POSITIVE_INFINITY,
  wanted: false,
  join() {},
  leave() {},
  admitConnection: (seeker) => seeker === null || seeker.owner.admitConnection(),
  releaseConnection() {},
  isBlocked: () => false,
  admitPending: () => true,
  releasePending() {},
  refused() {},
}

/** Requests one HTTP/2 connection is expected to take while it is being made. */
const EXPECTED_STREAMS = 100

/** What connections of a pool speak; `negotiated`: what the service takes of both, by ALPN. */
export type PoolProtocol = "http1" | "h2" | "negotiated"

const OFFERS: Readonly<Record<PoolProtocol, readonly string[]>> = {
  http1: ["http/1.1"],
  h2: ["h2"],
  negotiated: ["h2", "http/1.1"],
}

export class Pool implements DialOwner, ClientConnectionOwner, ClientSessionOwner, ConnectionSeeker {
  readonly owner: PoolOwner
  readonly #target: Target
  readonly #protocol: PoolProtocol
  /** The connections it has, or expects, carry many requests each. */
  #http2: boolean
  readonly #settings: PoolSettings
  readonly #wheel: TimerWheel
  readonly #counters: UpstreamCounters
  readonly #limits: ConnectionLimits
  readonly #idle: ClientConnection[] = []
  /** Those that take requests, and those whose settings have not come. */
  readonly #sessions: ClientSession[] = []
  readonly #greeting = new Set<ClientSession>()
  readonly #waiters: WaitingQueue
  #connections = 0
  #connecting = 0
  #closed = false

  constructor(
    target: Target,
    protocol: PoolProtocol,
    settings: PoolSettings,
    wheel: TimerWheel,
    counters: UpstreamCounters,
    owner: PoolOwner,
    limits: ConnectionLimits,
  ) {
    this.#target = target
    this.#protocol = protocol
    this.#http2 = protocol !== "http1"
    this.#settings = settings
    this.#wheel = wheel
    this.#counters = counters
    this.owner = owner
    this.#limits = limits
    this.#waiters = new WaitingQueue(wheel, limits, counters, () => this.#expected)
    limits.join(this)
  }

  get connections(): number {
    return this.#connections
  }

  /** Hands a connection to `waiter`, at once when one is free. `fresh`: not one of HTTP/1.1 that was used before. */
  acquire(waiter: ConnectionWaiter, fresh: boolean): void {
    if (this.#sessions.length > 0) {
      const session = this.#spacious()
      if (session !== undefined) return waiter.onConnection(session.stream())
    }
    if (!fresh) {
      const connection = this.#idle.pop()
      if (connection !== undefined) {
        this.#counters.idle(-1)
        return waiter.onConnection(connection)
      }
    }
    // Those for whom a connection is being made wait for no other's.
    const { maxConnections, maxPending } = this.#settings
    const full = this.#connections >= maxConnections || this.#limits.isBlocked(this)
    // A fresh connection goes to the request that insists on one.
    if ((full && this.#waiters.length - this.#expected >= maxPending) || !this.#waiters.push(waiter, fresh)) {
      waiter.onNoConnection("overflow", "pool queue full")
      return
    }
    this.#open()
  }

  /** A waiter gives up; whether it waited here. */
  abandon(waiter: ConnectionWaiter): boolean {
    return this.#waiters.remove(waiter)
  }

  /** A request would be given a connection at once. */
  get spacious(): boolean {
    return this.#idle.length > 0 || this.#spacious() !== undefined
  }

  // The first that takes another request: the others fall idle when there are too many.
  #spacious(): ClientSession | undefined {
    const sessions = this.#sessions
    for (let i = 0; i < sessions.length; i++) if (sessions[i].capacity > 0) return sessions[i]
    return undefined
  }

  /** Requests that connections being made will take. */
  get #expected(): number {
    return this.#http2 ? this.#connecting * EXPECTED_STREAMS : this.#connecting
  }

  // One connection for each that waits, where HTTP/2 was hoped for in vain.
  #openMore(): void {
    while (this.#open()) {}
  }

  // A peer that allows no request at all would allow none on another connection.
  get #shut(): boolean {
    return this.#sessions.some(({ shut }) => shut)
  }

  get seeking(): boolean {
    return this.#expected < this.#waiters.length && this.#connections < this.#settings.maxConnections && !this.#shut
  }

  connectMore(): boolean {
    return this.#open()
  }

  giveUpIdle(): boolean {
    // The one used longest ago.
    const connection = this.#idle.shift()
    if (connection !== undefined) {
      this.#counters.idle(-1)
      connection.destroy()
      return true
    }
    const session = this.#sessions.find(({ load }) => load === 0)
    session?.close()
    return session !== undefined
  }

  // Begins a connection for those that wait, if it may; whether it did.
  #open(): boolean {
    if (!this.seeking || !this.#limits.admitConnection(this)) return false
    this.#connecting++
    this.#connections++
    this.#counters.connects(1)
    this.#counters.active(1)
    new Dial(this.#target, OFFERS[this.#protocol], this.#wheel, this.#settings.connectTimeout, this)
    return true
  }

  // A connection is gone, or was never made.
  #ended(): void {
    this.#connections--
    this.#counters.active(-1)
    this.owner.releaseConnection()
    this.#limits.releaseConnection()
  }

  // ------------------------------------------------------------------------------------------------------- connecting

  onDialed(dial: Dial, socket: Socket, protocol: string): void {
    const { head, idleTimeout } = this.#settings
    this.#counters.connected(this.#wheel.refresh() - dial.began)
    if (this.#target.tls !== null) {
      // Without ALPN a peer speaks HTTP/1.1 (RFC 9113 §3.2).
      const http2 = protocol === "h2"
      if (this.#protocol === "negotiated") this.#http2 = http2
      else if (http2 !== this.#http2) {
        socket.destroy()
        return this.#connectFailed("connectFailure", `the service doesn't take ${OFFERS[this.#protocol][0]} by ALPN`)
      }
    }
    if (this.#http2) {
      const session = new ClientSession(socket, head, this.#wheel, this, idleTimeout, dial.until, this.#target.tls !== null)
      dial.reader = session
      this.#greeting.add(session)
      return
    }
    this.#connecting--
    this.owner.onConnect(false)
    const connection = new ClientConnection(socket, head, this.#wheel, this)
    dial.reader = connection
    this.#serve(connection)
    // Others may have expected to share it.
    if (this.#protocol === "negotiated") this.#openMore()
  }

  onDialFailed(_dial: Dial, timedOut: boolean, details: string): void {
    this.#connectFailed(timedOut ? "connectTimeout" : "connectFailure", details)
  }

  #connectFailed(code: ErrorCode, details: string): void {
    this.#connecting--
    this.owner.onConnect(true)
    this.#counters.connectFailures(1)
    this.#ended()
    // Those that one connection would have carried fail with it.
    for (let n = this.#http2 ? EXPECTED_STREAMS : 1; n > 0 && this.#waiters.length > this.#expected; n--) {
      this.#waiters.shift()?.onNoConnection(code, details)
    }
    // Under the cap others may have waited for this one connection.
    this.#open()
  }

  onFault(error: unknown): void {
    this.#counters.fault(error)
  }

  // --------------------------------------------------------------------------------------------------------- HTTP/1.1

  onReusable(connection: ClientConnection): void {
    if (this.#closed || this.#aged(connection)) connection.destroy()
    else this.#serve(connection)
  }

  #aged({ createdAt }: { readonly createdAt: number }): boolean {
    const { maxAge } = this.#settings
    return maxAge > 0 && this.#wheel.now - createdAt >= maxAge
  }

  // A connection is free: for whoever waits longest, or for the pool.
  #serve(connection: ClientConnection): void {
    const waiter = this.#waiters.shift()
    if (waiter !== undefined) {
      waiter.onConnection(connection)
      return
    }
    if (this.#closed || this.#limits.wanted) {
      connection.destroy()
      return
    }
    // Ends before its peer would end it, so that no request meets a connection that is closing.
    let keep = this.#settings.idleTimeout
    if (connection.peerKeepAlive >= 0) keep = Math.min(keep, Math.max(0, connection.peerKeepAlive * 1000 - 500))
    if (keep === 0) {
      connection.destroy()
      return
    }
    connection.deadline.set(this.#wheel.now + keep)
    this.#idle.push(connection)
    this.#counters.idle(1)
  }

  // ----------------------------------------------------------------------------------------------------------- HTTP/2

  onReady(session: ClientSession): void {
    if (!this.#greeting.delete(session)) return
    this.#connecting--
    this.owner.onConnect(false)
    this.#sessions.push(session)
    this.onCapacity(session)
    if (this.#closed) session.close()
  }

  onCapacity(session: ClientSession): void {
    if (this.#aged(session)) return session.close()
    while (this.#waiters.length > 0 && session.capacity > 0) this.#waiters.shift()?.onConnection(session.stream())
    this.#open()
  }

  onLeaving(session: ClientSession): void {
    const i = this.#sessions.indexOf(session)
    if (i >= 0) this.#sessions.splice(i, 1)
    this.#open()
  }

  // --------------------------------------------------------------------------------------------------------------- end

  onClosed(connection: ClientConnection | ClientSession, failure = ""): void {
    if (connection instanceof ClientSession) {
      if (this.#greeting.delete(connection)) {
        this.#connectFailed(failure.includes("in time") ? "connectTimeout" : "connectFailure", failure)
        return
      }
      const i = this.#sessions.indexOf(connection)
      if (i >= 0) this.#sessions.splice(i, 1)
    } else {
      const i = this.#idle.lastIndexOf(connection)
      if (i >= 0) {
        this.#idle.splice(i, 1)
        this.#counters.idle(-1)
      }
    }
    this.#ended()
    // Someone may have waited for a place under the cap.
    if (this.#waiters.length > 0) this.#open()
  }

  /** No longer part of the configuration: idle connections end now, busy ones after what they carry. */
  close(): void {
    this.#closed = true
    this.#limits.leave(this)
    this.#counters.idle(-this.#idle.length)
    for (const connection of this.#idle.splice(0)) connection.destroy()
    for (const session of this.#sessions.slice()) session.close()
  }
}
