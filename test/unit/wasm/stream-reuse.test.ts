import { expect, test } from "vitest"
import type { StreamFilter } from "../../../gateway/filter/filter.ts"
import { Direct } from "./support/direct.ts"
import { FakeStream } from "./support/host.ts"

const REQUEST = 0
const RESPONSE = 1

/** An exchange that ends as soon as its request is continued, and whose client's next one begins before that returns. */
class Ending extends FakeStream {
  readonly #next: () => void

  constructor(next: () => void) {
    super()
    this.#next = next
  }

  override continueRequest(filter: StreamFilter): void {
    super.continueRequest(filter)
    filter.onDone()
    this.#next()
  }
}

test("what a guest asks for one exchange never reaches the next one in the same context", () => {
  const direct = new Direct()
  const second = new FakeStream()
  const { plugin, vm } = direct
  let reused: StreamFilter | null = null
  const first = new Ending(() => {
    reused = plugin.open(second)
    reused?.onRequestHeaders(true)
    second.respond()
    reused?.onResponseHeaders(false)
  })
  vm.leave()
  const context = plugin.open(first) as typeof direct.context
  context.onRequestHeaders(true)
  first.response = first.respond()
  first.requestSent = false
  vm.enter(direct.context.root, context)
  direct.call("proxy_continue_stream", REQUEST)
  direct.call("proxy_continue_stream", RESPONSE)
  vm.leave()
  expect(first.events).toContain("continueRequest")
  expect(reused).toBe(context)
  expect(second.events).toEqual([])
})
