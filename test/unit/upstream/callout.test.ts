import { expect, test } from "vitest"
import type { ErrorCode } from "../../../gateway/errors.ts"
import type { UpstreamHandler, UpstreamStream } from "../../../gateway/http/exchange.ts"
import { TimerWheel } from "../../../gateway/http/timer-wheel.ts"
import { CalloutExchange } from "../../../gateway/upstream/callout.ts"
import type { ConnectionWaiter } from "../../../gateway/upstream/pool.ts"
import type { Service } from "../../../gateway/upstream/services.ts"
import { limitsOf } from "../../support/limits.ts"

/** How often a callout of `method` is sent when each attempt fails with `code`, and the failure it ends with. */
function run(method: string, code: ErrorCode): [number, string | null] {
  let handler: UpstreamHandler | null = null
  let failure: string | null = null
  let sent = 0
  const connection = {
    uses: 0,
    send: (made: UpstreamHandler) => {
      handler = made
      sent++
      return "plain"
    },
    sendBytes() {},
    sendEnd() {},
    flush() {},
  } as unknown as UpstreamStream
  const endpoint = {
    address: "e",
    weight: 1,
    active: 0,
    acquire: (waiter: ConnectionWaiter) => waiter.onConnection(connection),
    begin: () => true,
    end() {},
    answered: () => true,
    ended() {},
    cutShort() {},
    untold() {},
    failed() {},
  }
  const service = {
    name: "api",
    endpoints: [endpoint],
    hashKey: null,
    balancer: { next: () => endpoint, hasOthers: () => false },
    limits: limitsOf(),
  } as unknown as Service
  const owner = {
    wheel: new TimerWheel(() => 0),
    hold: () => true,
    ended() {},
    count() {},
    fail: (_: unknown, failed: ErrorCode) => {
      failure = failed
    },
    respond() {},
  }
  const callout = { service: "api", method, path: "/", authority: "a", headers: [], trailers: [], timeout: 0, filter: "f" }
  const told = { onCalloutResponse() {}, onCalloutFailed() {} }
  new CalloutExchange(owner, service, { ...callout, body: new Uint8Array(3) }, told).start()
  for (let i = 0; i < 3 && failure === null; i++) (handler as UpstreamHandler | null)?.onUpstreamFailed(code, "", true)
  return [sent, failure]
}

test.each<[string, ErrorCode, number]>([
  ["POST", "upstreamRefused", 2],
  ["GET", "upstreamRefused", 2],
  ["GET", "upstreamClosed", 2],
  ["POST", "upstreamClosed", 1],
  ["GET", "upstreamProtocol", 1],
])("a %s that ends with %s is sent %d times", (method, code, times) => {
  expect(run(method, code)).toEqual([times, code])
})
