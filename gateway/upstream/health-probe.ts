// One probe after the other of one endpoint, over connections of its own: a GET, a call of grpc.health.v1, or the connection alone.

import { Buffer } from "node:buffer"
import type { Socket } from "node:net"
import type { HealthCheckConfig } from "../config/health-model.ts"
import type { EndpointConfig, ServiceConfig } from "../config/model.ts"
import type { ErrorCode } from "../errors.ts"
import type { CalloutHandler, CalloutResponse } from "../filter/filter.ts"
import type { GrpcHandler } from "../filter/grpc-callout.ts"
import { HEALTH_CHECK_PATH, healthCheckRequest, isServing } from "../http/grpc-health.ts"
import { grpcCodes } from "../http/grpc-status.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { type ClientMaterial, ClientTls } from "../tls/client-context.ts"
import { CalloutExchange, type CalloutOwner } from "./callout.ts"
import { Dial, type DialOwner } from "./dial.ts"
import { Endpoint } from "./endpoint.ts"
import { GrpcExchange, type GrpcOwner } from "./grpc-exchange.ts"
import { LimitsMemory, NO_CELL } from "./limits-memory.ts"
import type { UpstreamCounters } from "./pool.ts"
import { type LimitCounters, ServiceLimits } from "./service-limits.ts"
import type { Service } from "./services.ts"

const NOTHING = new Uint8Array(0)

/** Connections of probes are not those that metrics count. */
const uncounted: Omit<UpstreamCounters, "fault"> & LimitCounters = {
  connects() {},
  connectFailures() {},
  active() {},
  pending() {},
  idle() {},
  connected() {},
  waited() {},
  refused() {},
  concurrencyLimit() {},
}

/** What a probe is made of beside its service's configuration. */
export interface ProbeMeans {
  readonly wheel: TimerWheel
  /** A programming error showed in a connection. */
  fault(error: unknown): void
}

export class HealthProbe implements CalloutHandler, GrpcHandler, DialOwner {
  readonly address: string
  readonly #endpoint: Endpoint
  readonly #service: Service
  readonly #check: HealthCheckConfig
  readonly #owner: CalloutOwner & GrpcOwner
  readonly #wheel: TimerWheel
  #serving = false
  #told: ((failure: string) => void) | null = null
  #cancel: (() => void) | null = null

  constructor(
    name: string,
    config: ServiceConfig,
    { address }: EndpointConfig,
    check: HealthCheckConfig,
    material: ClientMaterial | undefined,
    { wheel, fault }: ProbeMeans,
  ) {
    const { head, fields } = config.limits
    const settings = {
      connectTimeout: check.timeout,
      maxConnections: 1,
      maxPending: 1,
      // Kept from one probe to the next.
      idleTimeout: 2 * check.interval,
      maxAge: 0,
      head: { startLine: head, head, fields },
    }
    const tls = config.tls === null || material === undefined ? null : new ClientTls(config.tls, material)
    const endpoint = new Endpoint(address.host, address.port, config.protocol, tls, settings, wheel, { ...uncounted, fault })
    this.#endpoint = endpoint
    this.address = endpoint.address
    const balancer = { next: () => endpoint, hasOthers: () => false }
    // Its own: a service that has all it may is to be probed nevertheless.
    const memory = new LimitsMemory(new SharedArrayBuffer(0), 1, 0)
    const means = { wheel, random: () => 0, workers: 1, epoch: 0 }
    const limits = new ServiceLimits({ circuitBreaker: config.circuitBreaker }, memory, NO_CELL, means, uncounted)
    this.#service = {
      name,
      endpoints: [endpoint],
      balancer,
      mayBeHttp2: false,
      callsMayBeHttp2: false,
      limits,
      proxyProtocol: "",
      hashKey: null,
    }
    this.#check = check
    this.#wheel = wheel
    const guard = (run: () => void): void => {
      try {
        run()
      } catch (error) {
        fault(error)
      }
    }
    this.#owner = {
      wheel,
      hold: () => true,
      release() {},
      ended() {},
      count() {},
      guard,
      fail: (handler, code, details) => guard(() => handler.onCalloutFailed(code, details)),
      respond: (handler, response) => guard(() => handler.onCalloutResponse(response)),
    }
  }

  /** Probes it once; `told` hears what was wrong, "" = nothing. Not before the last probe has ended. */
  run(told: (failure: string) => void): void {
    const { probe, timeout } = this.#check
    this.#told = told
    if (probe.kind === "http") {
      const request = {
        service: this.#service.name,
        method: "GET",
        path: probe.path,
        authority: this.address,
        headers: ["user-agent", "sluice-health"],
      }
      const exchange = new CalloutExchange(
        this.#owner,
        this.#service,
        { ...request, body: NOTHING, trailers: [], timeout, filter: "" },
        this,
      )
      if (!exchange.start()) return this.#tell("could not be sent")
      this.#cancel = () => exchange.cancel()
    } else if (probe.kind === "tcp") {
      const dial = new Dial(this.#endpoint.target, [], this.#wheel, timeout, this)
      this.#cancel = () => dial.cancel()
    } else {
      this.#serving = false
      const callout = { service: this.#service.name, path: HEALTH_CHECK_PATH, metadata: [], timeout, unary: true, filter: "" }
      const exchange = new GrpcExchange(this.#owner, this.#service, callout, this)
      if (!exchange.start()) return this.#tell("could not be sent")
      this.#cancel = () => exchange.cancel()
      exchange.send(healthCheckRequest(probe.service), true)
    }
  }

  #tell(failure: string): void {
    const told = this.#told
    this.#told = null
    this.#cancel = null
    told?.(failure)
  }

  onCalloutResponse({ status, body }: CalloutResponse): void {
    const { probe } = this.#check
    if (probe.kind !== "http") return
    if (!probe.statuses.some(([first, last]) => status >= first && status <= last)) return this.#tell(`answered with status ${status}`)
    const holds = Buffer.from(body.buffer, body.byteOffset, body.length).includes(probe.body)
    this.#tell(holds ? "" : "answered without the text it should")
  }

  onCalloutFailed(code: ErrorCode): void {
    this.#tell(code)
  }

  onDialed(_dial: Dial, socket: Socket): void {
    socket.destroy()
    this.#tell("")
  }

  onDialFailed(_dial: Dial, timedOut: boolean, details: string): void {
    this.#tell(timedOut ? "connectTimeout" : details === "" ? "connectFailure" : `connectFailure: ${details}`)
  }

  onGrpcHead(): void {}

  onGrpcMessage(message: Uint8Array): void {
    this.#serving = isServing(message)
  }

  onGrpcTrailers(): void {}

  onGrpcEnd(status: number, message: string): void {
    if (status === 0) this.#tell(this.#serving ? "" : "is not serving")
    else this.#tell(`${grpcCodes[status]}${message === "" ? "" : `: ${message}`}`)
  }

  /** Nothing is told any more, and its connections end. */
  close(): void {
    this.#told = null
    this.#cancel?.()
    this.#endpoint.close()
  }
}
