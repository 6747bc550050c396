// Requests and gRPC calls that filters make of their own, to services of the configuration, bounded in number, size and
// time, for each filter and for all of them. Nobody is called back from within `call`.

import type { ErrorCode } from "../errors.ts"
import type { Callout, CalloutHandler, CalloutResponse, ServiceCaller } from "../filter/filter.ts"
import type { GrpcCallout, GrpcHandler, GrpcStream } from "../filter/grpc-callout.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { type CalloutCount, CalloutExchange, type CalloutOwner } from "./callout.ts"
import { GrpcExchange, type GrpcOwner } from "./grpc-exchange.ts"
import type { Service, Services } from "./services.ts"

/** Callouts under way in one worker. */
const MAX_CALLOUTS = 1024
/** Octets of bodies that callouts of one worker hold, requests' and responses' together. */
const MAX_HELD = 64 * 1024 * 1024
/** One filter's share of both: no single one may use up what all have. */
const SHARE = 1 / 4

export interface CallerDependencies {
  readonly wheel: TimerWheel
  readonly services: Pick<Services, "find">
  count(service: string, what: CalloutCount): void
  /** A programming error showed in the handler of a callout. */
  fault(error: unknown): void
}

/** The callouts of one worker. They go to the services of the snapshot in force, and end on those they began with. */
export class Caller implements ServiceCaller, CalloutOwner {
  readonly wheel: TimerWheel
  readonly #dependencies: CallerDependencies
  /** Of the filters that have callouts under way. */
  readonly #shares = new Map<string, Share>()
  #underWay = 0
  #held = 0

  constructor(dependencies: CallerDependencies) {
    this.wheel = dependencies.wheel
    this.#dependencies = dependencies
  }

  /** Callouts under way. */
  get underWay(): number {
    return this.#underWay
  }

  has(service: string): boolean {
    return this.#service(service) !== undefined
  }

  #service(name: string): Service | undefined {
    const service = this.#dependencies.services.find(name)
    return service?.proxyProtocol === "" ? service : undefined
  }

  call(callout: Callout, handler: CalloutHandler): (() => void) | null {
    const service = this.#service(callout.service)
    if (service === undefined || this.#underWay >= MAX_CALLOUTS) return null
    const name = callout.filter ?? ""
    const share = this.#share(name)
    if (share.underWay >= MAX_CALLOUTS * SHARE || !share.hold(callout.body.length)) return null
    const exchange = new CalloutExchange(share, service, callout, handler)
    this.#begin(name, share)
    if (!exchange.start()) return null
    return () => exchange.cancel()
  }

  openGrpc(callout: GrpcCallout, handler: GrpcHandler): GrpcStream | null {
    const service = this.#service(callout.service)
    if (service === undefined || this.#underWay >= MAX_CALLOUTS) return null
    const share = this.#share(callout.filter)
    if (share.underWay >= MAX_CALLOUTS * SHARE) return null
    const exchange = new GrpcExchange(share, service, callout, handler)
    this.#begin(callout.filter, share)
    return exchange.start() ? exchange : null
  }

  #share(name: string): Share {
    return this.#shares.get(name) ?? new Share(this, () => this.#shares.delete(name))
  }

  #begin(name: string, share: Share): void {
    this.#underWay++
    share.underWay++
    this.#shares.set(name, share)
  }

  // What its callouts tell it.

  hold(octets: number): boolean {
    if (this.#held + octets > MAX_HELD) return false
    this.#held += octets
    return true
  }

  release(octets: number): void {
    this.#held -= octets
  }

  ended(octets: number): void {
    this.#underWay--
    this.#held -= octets
  }

  count(service: string, what: CalloutCount): void {
    this.#dependencies.count(service, what)
  }

  /** Runs what calls a handler; a fault in it must not reach the codec whose event this is. */
  guard(run: () => void): void {
    try {
      run()
    } catch (error) {
      this.#dependencies.fault(error)
    }
  }

  fail(handler: CalloutHandler, code: ErrorCode, details: string): void {
    this.guard(() => handler.onCalloutFailed(code, details))
  }

  respond(handler: CalloutHandler, response: CalloutResponse): void {
    this.guard(() => handler.onCalloutResponse(response))
  }
}

/** What one filter has of a worker's callouts. */
class Share implements CalloutOwner, GrpcOwner {
  readonly wheel: TimerWheel
  underWay = 0
  readonly #caller: Caller
  readonly #whenNone: () => void
  #held = 0

  constructor(caller: Caller, whenNone: () => void) {
    this.wheel = caller.wheel
    this.#caller = caller
    this.#whenNone = whenNone
  }

  hold(octets: number): boolean {
    if (this.#held + octets > MAX_HELD * SHARE || !this.#caller.hold(octets)) return false
    this.#held += octets
    return true
  }

  release(octets: number): void {
    this.#held -= octets
    this.#caller.release(octets)
  }

  guard(run: () => void): void {
    this.#caller.guard(run)
  }

  ended(octets: number): void {
    this.underWay--
    this.#held -= octets
    this.#caller.ended(octets)
    if (this.underWay === 0) this.#whenNone()
  }

  count(service: string, what: CalloutCount): void {
    this.#caller.count(service, what)
  }

  fail(handler: CalloutHandler, code: ErrorCode, details: string): void {
    this.#caller.fail(handler, code, details)
  }

  respond(handler: CalloutHandler, response: CalloutResponse): void {
    this.#caller.respond(handler, response)
  }
}
