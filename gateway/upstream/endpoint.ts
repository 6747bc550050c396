// One address of a service in this worker: what is under way to it, whether it could be reached lately, and the pools of its
// connections.

import type { ErrorCode } from "../errors.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import type { PeakEwma } from "../resilience/peak-ewma.ts"
import type { ClientTls } from "../tls/client-context.ts"
import type { Target } from "./dial.ts"
import type { EndpointCaps } from "./endpoint-caps.ts"
import type { EndpointLoad } from "./endpoint-load.ts"
import type { EndpointHealthView } from "./endpoint-table.ts"
import { type EndpointViews, NO_VIEWS } from "./endpoint-views.ts"
import { FAILURES, isServerFault, type OutlierObserver } from "./outlier-observer.ts"
import {
  type ConnectionLimits,
  type ConnectionWaiter,
  Pool,
  type PoolOwner,
  type PoolSettings,
  UNLIMITED,
  type UpstreamCounters,
} from "./pool.ts"

/** Which version of HTTP an endpoint is spoken to in; `auto`: over TLS as the service likes, else as the request needs it. */
export type UpstreamProtocol = "http1" | "h2" | "auto"

/** What is counted of one endpoint; the worker points it at its metrics. */
export interface EndpointMeter {
  /** `latency`: ms from the request's having left to the head of its answer. */
  answered(status: number, latency: number): void
  /** An attempt got no answer. */
  unanswered(): void
  /** A connection that isn't of HTTP has ended, or couldn't be made. */
  carried(): void
  /** One of these was a failure of the endpoint. */
  failed(): void
}

/** ms after a failed connect during which other endpoints are preferred. */
const AVOID = 1000
/** Failures that tell nothing of how fast an endpoint is: a pooled connection that was closing, a server that lets go of one. */
const ENDED: ReadonlySet<ErrorCode> = new Set(["upstreamClosed", "upstreamRefused", "upstreamTruncated"])
const LATE: ReadonlySet<ErrorCode> = new Set(["perTryTimeout", "responseTimeout"])
const GRPC_RESOURCE_EXHAUSTED = 8
const GRPC_UNAVAILABLE = 14

export class Endpoint implements PoolOwner {
  readonly host: string
  readonly port: number
  /** `host:port`, for logs and properties. */
  readonly address: string
  readonly target: Target
  /** Attempts under way in this worker. */
  active = 0
  /** What probes say of it; null = it is not probed. */
  health: EndpointHealthView | null = null
  /** Looks whether it fails too often; null = that doesn't matter. */
  outlier: OutlierObserver | null = null
  /** What other threads see of it; null = nothing. */
  load: EndpointLoad | null = null
  /** How long it takes to answer; null = nobody balances by that. */
  latency: PeakEwma | null = null
  /** When it began to serve in a service that ran already, ms of the wheel's clock; balancers with a slow start warm it up. */
  warmSince = Number.NEGATIVE_INFINITY
  /** Counts what it is sent; null = nobody does, since it is no longer part of the configuration. */
  meter: EndpointMeter | null = null
  /** What it may have under way, over all workers; null = its service sets no caps. */
  caps: EndpointCaps | null = null
  readonly #settings: PoolSettings
  readonly #wheel: TimerWheel
  readonly #counters: UpstreamCounters
  readonly #limits: ConnectionLimits
  readonly #http1: Pool | null
  readonly #http2: Pool | null
  /** Connections beside the pools. */
  #beside = 0
  #avoidUntil = 0
  #closed = false

  constructor(
    host: string,
    port: number,
    protocol: UpstreamProtocol,
    tls: ClientTls | null,
    settings: PoolSettings,
    wheel: TimerWheel,
    counters: UpstreamCounters,
    limits: ConnectionLimits = UNLIMITED,
  ) {
    this.host = host
    this.port = port
    this.address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
    this.#settings = settings
    this.#wheel = wheel
    this.#counters = counters
    this.#limits = limits
    const target = { host, port, tls }
    this.target = target
    if (protocol === "auto" && tls !== null) {
      this.#http1 = new Pool(target, "negotiated", settings, wheel, counters, this, limits)
      this.#http2 = null
    } else {
      this.#http1 = protocol === "h2" ? null : new Pool(target, "http1", settings, wheel, counters, this, limits)
      this.#http2 = protocol === "http1" ? null : new Pool(target, "h2", settings, wheel, counters, this, limits)
    }
  }

  /** Whether a connect failed a moment ago: balancers take others first. */
  get suspect(): boolean {
    return this.#avoidUntil > this.#wheel.now
  }

  /** Whether probes say that others should be taken. */
  get unwell(): boolean {
    return this.health?.unwell === true
  }

  /** Whether it failed too often a while ago, and others should be taken. */
  get ejected(): boolean {
    return this.outlier?.ejected === true
  }

  /** What a snapshot in force says of it. */
  show({ health, outlier, load }: EndpointViews): void {
    if (this.outlier !== null) outlier?.takeOver(this.outlier)
    this.load?.leave(this.active, this.connections, load)
    load?.enter(this.active, this.connections)
    this.health = health
    this.outlier = outlier
    this.load = load
  }

  /** It is no longer part of the configuration, and has something under way, or a connection open. */
  get leaving(): boolean {
    return this.#closed && (this.active > 0 || this.connections > 0)
  }

  get connections(): number {
    return (this.#http1?.connections ?? 0) + (this.#http2?.connections ?? 0) + this.#beside
  }

  /** ms a connection may take to be made. */
  get connectTimeout(): number {
    return this.#settings.connectTimeout
  }

  /**
   * `whose` connection beside the pool is to be made: counts it, or says that there are as many as may be. Followed by one of the
   * next two, or by {@link ends} alone.
   */
  begins(whose: object): boolean {
    if (this.connections >= this.#settings.maxConnections || !this.admitConnection()) return false
    if (!this.#limits.admitConnection(null)) {
      this.releaseConnection()
      return false
    }
    this.#beside++
    this.active++
    this.load?.begins()
    this.outlier?.begins(whose)
    this.#counters.connects(1)
    this.#counters.active(1)
    return true
  }

  /** `took`: ms it took to be made. */
  begun(took: number): void {
    this.#avoidUntil = 0
    this.outlier?.connected()
    this.load?.answered(took)
    this.latency?.observe(took, this.#wheel.now)
  }

  beginFailed(): void {
    this.#avoidUntil = this.#wheel.now + AVOID
    this.#failed("connectFailure", 0)
    this.#counters.connectFailures(1)
    this.ends()
  }

  /** A connection beside the pool has ended. */
  ends(): void {
    this.#beside--
    this.active--
    this.load?.ends()
    this.meter?.carried()
    this.#counters.active(-1)
    this.releaseConnection()
    this.#limits.releaseConnection()
  }

  /** Whether it has as much under way as it may, so that others should be taken. */
  get full(): boolean {
    const { caps } = this
    return caps !== null && (caps.requestsFull || (caps.connectionsFull && !this.#spacious))
  }

  // A request would find a connection.
  get #spacious(): boolean {
    return this.#http1?.spacious === true || this.#http2?.spacious === true
  }

  /** An attempt begins here: counts it, unless there are as many as may be. Followed by {@link end}. */
  begin(): boolean {
    if (this.caps !== null && !this.caps.admitRequest()) return false
    this.active++
    this.load?.begins()
    return true
  }

  /** An attempt is over. */
  end(): void {
    this.active--
    this.load?.ends()
    this.caps?.releaseRequest()
  }

  admitConnection(): boolean {
    if (this.caps !== null && !this.caps.admitConnection()) return false
    this.load?.connections(1)
    return true
  }

  releaseConnection(): void {
    this.caps?.releaseConnection()
    this.load?.connections(-1)
  }

  /**
   * An attempt was answered, `latency` ms after its request had left. `grpcStatus`: −1 = none, or not known yet. `spare`: ms
   * it asks to be left alone, 0 = it doesn't. True: the answer is good so far, and its end is to be told by {@link ended} or
   * {@link cutShort}, unless it is given up.
   */
  answered(status: number, grpcStatus: number, latency: number, spare: number): boolean {
    this.load?.answered(latency)
    this.meter?.answered(status, latency)
    if (status >= 500 || isServerFault(grpcStatus)) this.meter?.failed()
    if (this.latency !== null) {
      if (status === 429 || status === 503 || grpcStatus === GRPC_RESOURCE_EXHAUSTED || grpcStatus === GRPC_UNAVAILABLE)
        this.latency.penalize(latency, spare, this.#wheel.now)
      else this.latency.observe(latency, this.#wheel.now)
    }
    return this.outlier === null ? status < 500 : this.outlier.answered(status, grpcStatus, latency)
  }

  /** An answer that was good so far has come to its end. `grpcStatus`: of its trailers; −1 = none. */
  ended(grpcStatus: number): void {
    this.outlier?.ended(grpcStatus)
    if (isServerFault(grpcStatus)) this.meter?.failed()
    if (this.latency !== null && (grpcStatus === GRPC_RESOURCE_EXHAUSTED || grpcStatus === GRPC_UNAVAILABLE))
      this.latency.penalize(0, 0, this.#wheel.now)
  }

  /** An answer that was good so far was cut short. */
  cutShort(code: ErrorCode): void {
    this.outlier?.cutShort(code)
    if (FAILURES.has(code)) this.meter?.failed()
    if (this.latency !== null && !ENDED.has(code)) this.latency.penalize(0, 0, this.#wheel.now)
  }

  /** An attempt ended without an answer, `latency` ms after its request had left; 0 = it never did. */
  failed(code: ErrorCode, latency: number): void {
    this.meter?.unanswered()
    this.#failed(code, latency)
  }

  #failed(code: ErrorCode, latency: number): void {
    this.outlier?.failed(code, latency)
    if (FAILURES.has(code)) this.meter?.failed()
    if (this.latency === null || ENDED.has(code)) return
    // Who gives up waiting knows how long it has taken at least.
    if (LATE.has(code)) this.latency.atLeast(latency, this.#wheel.now)
    else this.latency.penalize(latency, 0, this.#wheel.now)
  }

  /** Another attempt was answered first, so that this one was given up: it would have taken `latency` ms at least. */
  outpaced(latency: number): void {
    this.outlier?.outpaced(latency)
    this.latency?.atLeast(latency, this.#wheel.now)
  }

  /** `whose` attempt is over without its request having been looked at; harmless when it has been told of already. */
  untold(whose: object): void {
    this.outlier?.untold(whose)
  }

  onConnect(failed: boolean): void {
    this.#avoidUntil = failed ? this.#wheel.now + AVOID : 0
  }

  /** Hands a connection to `waiter`, at once when one is free. `fresh`: not one of HTTP/1.1 that was used before. */
  acquire(waiter: ConnectionWaiter, fresh: boolean): void {
    this.outlier?.begins(waiter)
    const only = this.#http1 === null ? this.#http2 : this.#http2 === null ? this.#http1 : null
    const pool = only ?? (waiter.needsHttp2() ? this.#http2 : this.#http1)
    pool?.acquire(waiter, fresh)
  }

  /** A waiter gives up. */
  abandon(waiter: ConnectionWaiter): void {
    if (this.#http1?.abandon(waiter) !== true) this.#http2?.abandon(waiter)
  }

  /** No longer part of the configuration: idle connections end now, busy ones after what they carry. */
  close(): void {
    this.#closed = true
    // Its records may soon be another endpoint's.
    this.show(NO_VIEWS)
    this.meter = null
    this.#http1?.close()
    this.#http2?.close()
  }
}
