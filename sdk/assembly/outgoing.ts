// What a filter asks services for, of whatever protocol, and what becomes of the exchange meanwhile.

import { Action, Status, StreamType } from "./abi"
import { currentContext } from "./context"
import { proxy_continue_stream, proxy_set_effective_context } from "./env"
import { log } from "./log"
import { answer as reply, Reply } from "./reply"
import { enter, enterPlugin } from "./runtime"

/** Calls of one callback that can't be sent and whose callbacks try again, before the exchange is given up. */
const MAX_REFUSED: i32 = 16

/** Where the exchange waits; -1 outside of one. */
export const NOWHERE: i32 = -1

/** gRPC's UNAVAILABLE: of calls that could not be sent. */
const UNAVAILABLE: i32 = 14

/** A call of either protocol. */
export abstract class Outgoing {
  /** @internal The stream that waits; 0 = none. */
  stream: i32 = 0
  /** @internal The direction that waits. */
  direction: i32 = NOWHERE

  constructor(
    /** The service, by its name in the gateway's configuration. */
    public readonly service: string,
  ) {}

  /** @internal Sends it: its id, or 0. */
  abstract dispatch(): i32

  /** @internal What came of it: "" and what the host has, or why nothing did, with a gRPC code. */
  abstract answered(failure: string, code: i32): Reply | null

  /** Sends it, and has the exchange wait. */
  protected begin(): void {
    if (direction == NOWHERE) {
      log.error('call to "' + this.service + '": only a message\'s callback can wait for it, use fire here')
      return
    }
    this.stream = currentContext
    this.direction = direction
    const waits = underWay().waits
    let wait: Wait
    if (waits.has(this.stream)) {
      wait = waits.get(this.stream)
    } else {
      wait = new Wait()
      waits.set(this.stream, wait)
    }
    const id = this.dispatch()
    if (id == 0) {
      wait.refused.push(this)
    } else {
      underWay().pending.set(id, this)
      wait.ids.push(id)
      wait.add(this.direction, 1)
    }
  }

  /** Sends it without a wait; `expected`: it is told of the answer. */
  protected launch(expected: bool): boolean {
    const id = this.dispatch()
    if (id == 0) return false
    if (expected) underWay().pending.set(id, this)
    return true
  }
}

/** The calls an exchange waits for. */
@final
class Wait {
  requests: i32 = 0
  responses: i32 = 0
  readonly ids: i32[] = []
  /** Those that could not be sent: their callbacks run when the author's own callback has returned. */
  readonly refused: Outgoing[] = []

  add(direction: i32, count: i32): void {
    if (direction == StreamType.HTTP_REQUEST) this.requests += count
    else this.responses += count
  }

  holds(direction: i32): boolean {
    return (direction == StreamType.HTTP_REQUEST ? this.requests : this.responses) > 0
  }
}

/** The calls under way; made when it is first needed, so that other filters don't contain it. */
@final
class Calls {
  /** By the host's id of the call. */
  readonly pending: Map<i32, Outgoing> = new Map<i32, Outgoing>()
  /** By stream; those without calls aren't here. */
  readonly waits: Map<i32, Wait> = new Map<i32, Wait>()
}

let calls: Calls | null = null

function underWay(): Calls {
  let all = calls
  if (all === null) calls = all = new Calls()
  return all
}

/** Direction of the callback that runs. */
let direction: i32 = NOWHERE

/** A message's callback begins. */
export function begin(way: i32): void {
  direction = way
}

/** A message's callback has ended with `action`: PAUSE if it replied. What the host is told instead while calls are out: `waiting`. */
export function end(action: i32, waiting: i32): i32 {
  const waits = underWay().waits
  const way = direction
  if (action != Action.CONTINUE) {
    forget(currentContext)
  } else if (waits.has(currentContext)) {
    action = settle(currentContext, waits.get(currentContext))
    if (action == Action.CONTINUE && waits.has(currentContext) && waits.get(currentContext).holds(way)) action = waiting
  }
  direction = NOWHERE
  return action
}

/** Runs the callbacks of calls that couldn't be sent. PAUSE if one of them replied. */
function settle(stream: i32, wait: Wait): i32 {
  for (let i = 0; wait.refused.length > 0; i++) {
    const call = wait.refused.shift()
    const failed =
      i < MAX_REFUSED ? call.answered("it could not be sent", UNAVAILABLE) : new Reply(503, "the filter's call could not be sent")
    if (failed !== null) {
      reply(failed)
      forget(stream)
      return Action.PAUSE
    }
  }
  return Action.CONTINUE
}

/** A call has ended: the exchange that waits for it goes on. */
export function resume(plugin: i32, id: i32, failure: string, code: i32): void {
  const pending = underWay().pending
  const waits = underWay().waits
  if (!pending.has(id)) return
  const call = pending.get(id)
  pending.delete(id)
  if (call.direction == NOWHERE) {
    enterPlugin(plugin)
    call.answered(failure, code)
    return
  }
  const stream = call.stream
  if (!waits.has(stream)) return
  const wait = waits.get(stream)
  if (proxy_set_effective_context(stream) != Status.OK) {
    forget(stream)
    return
  }
  enter(stream)
  direction = call.direction
  const at = wait.ids.indexOf(id)
  if (at >= 0) wait.ids.splice(at, 1)
  const result = call.answered(failure, code)
  wait.add(call.direction, -1)
  if (result !== null) {
    reply(result)
    forget(stream)
  } else if (settle(stream, wait) == Action.CONTINUE && !wait.holds(call.direction)) {
    if (wait.ids.length == 0) waits.delete(stream)
    proxy_continue_stream(call.direction)
  }
  direction = NOWHERE
}

export function isWaiting(stream: i32): bool {
  return underWay().waits.has(stream)
}

/** The exchange waits for nothing any more; answers that still come are dropped. */
export function forget(stream: i32): void {
  const pending = underWay().pending
  const waits = underWay().waits
  if (!waits.has(stream)) return
  const ids = waits.get(stream).ids
  for (let i = 0; i < ids.length; i++) pending.delete(ids[i])
  waits.delete(stream)
}
