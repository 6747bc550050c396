// Requests that filters make of their own, to services of the configuration: one attempt after the other until a response
// has been read whole into memory, bounded in number, size and time. Nobody is called back from within `call`.

import type { ErrorCode } from "../errors.ts"
import type { Callout, CalloutHandler, CalloutResponse, ServiceCaller } from "../filter/filter.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { type CalloutCount, CalloutExchange, type CalloutOwner } from "./callout.ts"
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
    const share = this.#shares.get(name) ?? new Share(this, () => this.#shares.delete(name))
    if (share.underWay >= MAX_CALLOUTS * SHARE || !share.hold(callout.body.length)) return null
    const exchange = new CalloutExchange(share, service, callout, handler)
    this.#underWay++
    share.underWay++
    this.#shares.set(name, share)
    if (!exchange.start()) return null
    return () => exchange.cancel()
  }

  // What its callouts tell it.

  hold(octets: number): boolean {
    if (this.#held + octets > MAX_HELD) return false
    this.#held += octets
    return true
  }

  ended(octets: number): void {
    this.#underWay--
    this.#held -= octets
  }

  count(service: string, what: CalloutCount): void {
    this.#dependencies.count(service, what)
  }

  /** Tells the handler; a fault in it must not reach the codec whose event this is. */
  fail(handler: CalloutHandler, code: ErrorCode, details: string): void {
    try {
      handler.onCalloutFailed(code, details)
    } catch (error) {
      this.#dependencies.fault(error)
    }
  }

  respond(handler: CalloutHandler, response: CalloutResponse): void {
    try {
      handler.onCalloutResponse(response)
    } catch (error) {
      this.#dependencies.fault(error)
    }
  }
}

/** What one filter has of a worker's callouts. */
class Share implements CalloutOwner {
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
