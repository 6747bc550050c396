// Callouts of root contexts: from the host call that makes one to the callback that hands its answer over. The id is
// the guest's only handle; it means one callout of its instance as long as that is under way.

import type { ErrorCode } from "../errors.ts"
import type { Callout, CalloutHandler, CalloutResponse } from "../filter/filter.ts"
import { CAUSED, OWN, type Task } from "./own-work.ts"
import type { HostCallout } from "./proxy-wasm/host.ts"
import type { RootContext } from "./root-context.ts"

/** Callouts of one root context under way, answers that wait for their turn included. */
const MAX_CALLOUTS = 256

/** ms of the thread's time that a callout and its answer take, roughly. */
const COST = 0.1

const CALLBACK = "proxy_on_http_call_response"

/** What `proxy_get_status` tells of a callout that failed, whatever it was: the status of a broken connection. */
const BROKEN = 11

/** The callouts of one root context. */
export class RootCallouts {
  readonly #root: RootContext
  readonly #live = new Set<RootCallout>()

  constructor(root: RootContext) {
    this.#root = root
  }

  /** 0 when it can't be made. */
  call(callout: Callout): number {
    const { vm } = this.#root
    if (this.#live.size >= MAX_CALLOUTS) return 0
    const pending = new RootCallout(this, this.#root, vm.work.running ? OWN : CAUSED)
    const cancel = vm.environment.services.call({ ...callout, filter: this.#root.name }, pending)
    if (cancel === null) return 0
    pending.id = vm.calloutIds.take()
    // A guest that answers answers with callouts would go round for ever.
    if (pending.weight === OWN) vm.work.charge(COST)
    pending.cancel = cancel
    this.#live.add(pending)
    return pending.id
  }

  /** Its callback is due: the id is free for others, and the guest may call out again. */
  leave(callout: RootCallout): boolean {
    if (!this.#live.delete(callout)) return false
    this.#root.vm.calloutIds.free(callout.id)
    this.#root.status = callout.response === null ? BROKEN : 0
    this.#root.statusMessage = callout.failure
    return true
  }

  /** Gives all of them up. */
  end(): void {
    for (const callout of this.#live) {
      this.#root.vm.calloutIds.free(callout.id)
      callout.cancel?.()
    }
    this.#live.clear()
  }
}

class RootCallout implements CalloutHandler, HostCallout, Task {
  id = 0
  readonly weight: number
  response: CalloutResponse | null = null
  /** Why it failed; "" when it hasn't. */
  failure: ErrorCode | "" = ""
  /** Null once it is over. */
  cancel: (() => void) | null = null
  readonly #callouts: RootCallouts
  readonly #root: RootContext

  constructor(callouts: RootCallouts, root: RootContext, weight: number) {
    this.weight = weight
    this.#callouts = callouts
    this.#root = root
  }

  onCalloutResponse(response: CalloutResponse): void {
    this.response = response
    this.cancel = null
    this.#root.vm.work.take(this)
  }

  onCalloutFailed(code: ErrorCode): void {
    this.failure = code
    this.cancel = null
    this.#root.vm.work.take(this)
  }

  run(): void {
    const root = this.#root
    const { vm } = root
    const { httpCallResponse } = vm.exports
    if (!this.#callouts.leave(this) || httpCallResponse === null) return
    const { id, response } = this
    root.run(CALLBACK, () => {
      vm.callout = this
      if (response === null) httpCallResponse(root.id, id, 0, 0, 0)
      // With the status, a pseudo-header.
      else httpCallResponse(root.id, id, 1 + (response.headers.length >> 1), response.body.length, response.trailers.length >> 1)
    })
  }
}
