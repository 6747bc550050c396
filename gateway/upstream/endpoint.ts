// One address of a service, with its pool of connections in this worker: last used first, so that spare ones go idle and
// end. A request that finds no free connection waits in a bounded queue while one is made.

import { connect } from "node:net"
import type { ErrorCode } from "../errors.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { ClientConnection, type ClientConnectionOwner } from "../http1/client-connection.ts"
import type { HeadLimits } from "../http1/head-reader.ts"
import { readBuffer } from "../http1/scratch.ts"

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
  onConnection(connection: ClientConnection): void
  onNoConnection(code: ErrorCode, details: string): void
}

/** Counts of one service's connections; the worker points them at its metrics. */
export interface UpstreamCounters {
  connects(n: number): void
  connectFailures(n: number): void
  active(n: number): void
  /** `n` more, or fewer, requests wait for a connection. */
  pending(n: number): void
  /** A programming error showed in one connection. */
  fault(error: unknown): void
}

/** ms after a failed connect during which other endpoints are preferred. */
const AVOID = 1000

export class Endpoint implements ClientConnectionOwner {
  readonly host: string
  readonly port: number
  /** `host:port`, for logs and properties. */
  readonly address: string
  readonly weight: number
  /** Attempts under way in this worker. */
  active = 0
  readonly #settings: PoolSettings
  readonly #wheel: TimerWheel
  readonly #counters: UpstreamCounters
  readonly #idle: ClientConnection[] = []
  readonly #waiters: ConnectionWaiter[] = []
  #connections = 0
  #connecting = 0
  #avoidUntil = 0
  #closed = false

  constructor(host: string, port: number, weight: number, settings: PoolSettings, wheel: TimerWheel, counters: UpstreamCounters) {
    this.host = host
    this.port = port
    this.address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
    this.weight = weight
    this.#settings = settings
    this.#wheel = wheel
    this.#counters = counters
  }

  /** Whether a connect failed a moment ago: balancers take others first. */
  get suspect(): boolean {
    return this.#avoidUntil > this.#wheel.now
  }

  get connections(): number {
    return this.#connections
  }

  /** ms a connection may take to be made. */
  get connectTimeout(): number {
    return this.#settings.connectTimeout
  }

  /** A connection beside the pool is to be made: counts it, or says that there are as many as may be. Followed by one of the next two. */
  begins(): boolean {
    if (this.#connections >= this.#settings.maxConnections) return false
    this.#connections++
    this.#counters.connects(1)
    this.#counters.active(1)
    return true
  }

  begun(): void {
    this.#avoidUntil = 0
  }

  beginFailed(): void {
    this.#avoidUntil = this.#wheel.now + AVOID
    this.#counters.connectFailures(1)
    this.ends()
  }

  /** A connection beside the pool has ended. */
  ends(): void {
    this.#connections--
    this.#counters.active(-1)
    // Someone may have waited for a place under the cap.
    if (this.#waiters.length > 0) this.#open()
  }

  /** Hands a connection to `waiter`, at once when one is idle. `fresh`: not one that was used before. */
  acquire(waiter: ConnectionWaiter, fresh: boolean): void {
    if (!fresh) {
      const connection = this.#idle.pop()
      if (connection !== undefined) {
        waiter.onConnection(connection)
        return
      }
    }
    // Those for whom a connection is being made wait for no other's.
    const { maxConnections, maxPending } = this.#settings
    if (this.#connections >= maxConnections && this.#waiters.length - this.#connecting >= maxPending) {
      waiter.onNoConnection("overflow", "pool queue full")
      return
    }
    // A fresh connection goes to the request that insists on one.
    if (fresh) this.#waiters.unshift(waiter)
    else this.#waiters.push(waiter)
    this.#counters.pending(1)
    this.#open()
  }

  /** A waiter gives up. */
  abandon(waiter: ConnectionWaiter): void {
    const i = this.#waiters.indexOf(waiter)
    if (i < 0) return
    this.#waiters.splice(i, 1)
    this.#counters.pending(-1)
  }

  #open(): void {
    if (this.#connecting >= this.#waiters.length || this.#connections >= this.#settings.maxConnections) return
    this.#connecting++
    this.#connections++
    this.#counters.connects(1)
    this.#counters.active(1)
    const onread = {
      buffer: readBuffer,
      callback: (length: number): boolean => {
        connection.onRead(readBuffer, length)
        return true
      },
    }
    const socket = connect({ host: this.host, port: this.port, noDelay: true, allowHalfOpen: true, onread })
    const connection = new ClientConnection(socket, this.#settings.head, this.#wheel, this, this.#settings.connectTimeout)
  }

  onConnected(connection: ClientConnection): void {
    this.#connecting--
    this.#avoidUntil = 0
    this.#serve(connection)
  }

  onConnectFailed(_connection: ClientConnection, timedOut: boolean, details: string): void {
    this.#connecting--
    this.#connections--
    this.#avoidUntil = this.#wheel.now + AVOID
    this.#counters.connectFailures(1)
    this.#counters.active(-1)
    this.#nextWaiter()?.onNoConnection(timedOut ? "connectTimeout" : "connectFailure", details)
    // Under the cap others may have waited for this one connection.
    this.#open()
  }

  onFault(error: unknown): void {
    this.#counters.fault(error)
  }

  onReusable(connection: ClientConnection): void {
    const { maxAge } = this.#settings
    if (this.#closed || (maxAge > 0 && this.#wheel.now - connection.createdAt >= maxAge)) connection.destroy()
    else this.#serve(connection)
  }

  onClosed(connection: ClientConnection): void {
    this.#connections--
    this.#counters.active(-1)
    const i = this.#idle.lastIndexOf(connection)
    if (i >= 0) this.#idle.splice(i, 1)
    // Someone may have waited for a place under the cap.
    if (this.#waiters.length > 0) this.#open()
  }

  #nextWaiter(): ConnectionWaiter | undefined {
    if (this.#waiters.length === 0) return undefined
    this.#counters.pending(-1)
    return this.#waiters.shift()
  }

  // A connection is free: for whoever waits longest, or for the pool.
  #serve(connection: ClientConnection): void {
    const waiter = this.#nextWaiter()
    if (waiter !== undefined) {
      waiter.onConnection(connection)
      return
    }
    if (this.#closed) {
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
  }

  /** No longer part of the configuration: idle connections end now, busy ones after their response. */
  close(): void {
    this.#closed = true
    for (const connection of this.#idle.splice(0)) connection.destroy()
  }
}
