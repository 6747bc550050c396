// One address of a service in this worker: what is under way to it, whether it could be reached lately, and the pools of its
// connections.

import type { ErrorCode } from "../errors.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import type { ClientTls } from "../tls/client-context.ts"
import type { Target } from "./dial.ts"
import type { EndpointHealthView } from "./health-table.ts"
import { type ConnectionWaiter, Pool, type PoolOwner, type PoolSettings, type UpstreamCounters } from "./pool.ts"

/** Which version of HTTP an endpoint is spoken to in; `auto`: over TLS as the service likes, else as the request needs it. */
export type UpstreamProtocol = "http1" | "h2" | "auto"

/** ms after a failed connect during which other endpoints are preferred. */
const AVOID = 1000

export class Endpoint implements PoolOwner {
  readonly host: string
  readonly port: number
  /** `host:port`, for logs and properties. */
  readonly address: string
  readonly weight: number
  readonly target: Target
  /** Attempts under way in this worker. */
  active = 0
  /** What probes say of it; null = it is not probed. */
  health: EndpointHealthView | null = null
  readonly #settings: PoolSettings
  readonly #wheel: TimerWheel
  readonly #counters: UpstreamCounters
  readonly #http1: Pool | null
  readonly #http2: Pool | null
  /** Connections beside the pools. */
  #beside = 0
  #avoidUntil = 0

  constructor(
    host: string,
    port: number,
    weight: number,
    protocol: UpstreamProtocol,
    tls: ClientTls | null,
    settings: PoolSettings,
    wheel: TimerWheel,
    counters: UpstreamCounters,
  ) {
    this.host = host
    this.port = port
    this.address = host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`
    this.weight = weight
    this.#settings = settings
    this.#wheel = wheel
    this.#counters = counters
    const target = { host, port, tls }
    this.target = target
    if (protocol === "auto" && tls !== null) {
      this.#http1 = new Pool(target, "negotiated", settings, wheel, counters, this)
      this.#http2 = null
    } else {
      this.#http1 = protocol === "h2" ? null : new Pool(target, "http1", settings, wheel, counters, this)
      this.#http2 = protocol === "http1" ? null : new Pool(target, "h2", settings, wheel, counters, this)
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

  get connections(): number {
    return (this.#http1?.connections ?? 0) + (this.#http2?.connections ?? 0) + this.#beside
  }

  /** ms a connection may take to be made. */
  get connectTimeout(): number {
    return this.#settings.connectTimeout
  }

  /** A connection beside the pool is to be made: counts it, or says that there are as many as may be. Followed by one of the next two. */
  begins(): boolean {
    if (this.connections >= this.#settings.maxConnections) return false
    this.#beside++
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
    this.#beside--
    this.#counters.active(-1)
  }

  /**
   * An attempt was answered, `latency` ms after its request had left. `grpcStatus`: −1 = none, or not known yet. `spare`: ms
   * it asks to be left alone, 0 = it doesn't.
   */
  answered(_status: number, _grpcStatus: number, _latency: number, _spare: number): void {}

  /** An attempt ended without an answer, or its answer was cut short, `latency` ms after its request had left; 0 = it never did. */
  failed(_code: ErrorCode, _latency: number): void {}

  onConnect(failed: boolean): void {
    this.#avoidUntil = failed ? this.#wheel.now + AVOID : 0
  }

  /** Hands a connection to `waiter`, at once when one is free. `fresh`: not one of HTTP/1.1 that was used before. */
  acquire(waiter: ConnectionWaiter, fresh: boolean): void {
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
    this.#http1?.close()
    this.#http2?.close()
  }
}
