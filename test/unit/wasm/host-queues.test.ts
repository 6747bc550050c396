import { setImmediate as turn } from "node:timers/promises"
import { describe, expect, test } from "vitest"
import { createSharedQueues, SharedQueueStore } from "../../../gateway/wasm/shared-queues.ts"
import { Calls, request } from "./support/calls.ts"
import { TestHost } from "./support/host.ts"
import { guest, Script } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const INVALID_MEMORY_ACCESS = 6
const EMPTY = 7
const INTERNAL_FAILURE = 10
const WILD = 0xfffffff0
const [OUT, OUT2] = [16, 20]

const REGISTER = "proxy_register_shared_queue"
const RESOLVE = "proxy_resolve_shared_queue"
const ENQUEUE = "proxy_enqueue_shared_queue"
const DEQUEUE = "proxy_dequeue_shared_queue"
const names = [REGISTER, RESOLVE, ENQUEUE, DEQUEUE]

function queues(size: { queues?: number; queueBytes?: number } = {}): SharedQueueStore {
  return new SharedQueueStore(createSharedQueues({ threads: 1, ...size }), { thread: 0, wake: () => undefined })
}

async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn()
}

describe("host calls of shared queues", () => {
  test("an item goes in and comes out, once", () => {
    const guest = new Calls(names, { queues: queues() })
    expect(guest.call(REGISTER, ...guest.put("jobs"), OUT)).toBe(OK)
    const id = guest.word(OUT)
    expect(id).toBeGreaterThan(0)
    expect(guest.call(RESOLVE, 0, 0, ...guest.put("jobs"), OUT)).toBe(OK)
    expect(guest.word(OUT)).toBe(id)
    expect(guest.call(ENQUEUE, id, ...guest.put("\x00\xffitem"))).toBe(OK)
    expect(guest.call(ENQUEUE, id, 0, 0)).toBe(OK)
    expect(guest.call(DEQUEUE, id, OUT, OUT2)).toBe(OK)
    expect(guest.text(OUT, OUT2)).toBe("\x00\xffitem")
    expect(guest.call(DEQUEUE, id, OUT, OUT2)).toBe(OK)
    expect([guest.word(OUT), guest.word(OUT2)]).toEqual([0, 0])
    expect(guest.call(DEQUEUE, id, OUT, OUT2)).toBe(EMPTY)
  })

  test("a queue is its vm_id's; another VM finds it by that", () => {
    const store = queues()
    const [one, two] = ["one", "zwöi"].map((vmKey) => new Calls(names, { queues: store }, { vmKey }))
    one.call(REGISTER, ...one.put("q"), OUT)
    const id = one.word(OUT)
    expect(two.call(RESOLVE, 0, 0, ...two.put("q"), OUT)).toBe(NOT_FOUND)
    expect(two.call(RESOLVE, ...two.put("one"), ...two.put("q"), OUT)).toBe(OK)
    expect(two.word(OUT)).toBe(id)
    expect(two.call(REGISTER, ...two.put("q"), OUT)).toBe(OK)
    expect(two.word(OUT)).not.toBe(id)
    expect(one.call(RESOLVE, ...one.put(Buffer.from("zwöi").toString("latin1")), ...one.put("q"), OUT)).toBe(OK)
    expect(one.word(OUT)).toBe(two.word(OUT))
    expect(two.call(ENQUEUE, id, ...two.put("from two"))).toBe(OK)
    expect(one.call(DEQUEUE, id, OUT, OUT2)).toBe(OK)
    expect(one.text(OUT, OUT2)).toBe("from two")
  })

  test("what is not there is not found, and a full queue answers the same", () => {
    const guest = new Calls(names, { queues: queues({ queueBytes: 64 }) })
    expect(guest.call(RESOLVE, 0, 0, ...guest.put("none"), OUT)).toBe(NOT_FOUND)
    for (const id of [0, 1, 99, -1]) {
      expect(guest.call(ENQUEUE, id, ...guest.put("x"))).toBe(NOT_FOUND)
      expect(guest.call(DEQUEUE, id, OUT, OUT2)).toBe(NOT_FOUND)
    }
    guest.call(REGISTER, ...guest.put("q"), OUT)
    const id = guest.word(OUT)
    expect(guest.call(ENQUEUE, id, 1024, 60)).toBe(OK)
    expect(guest.call(ENQUEUE, id, 1024, 1)).toBe(NOT_FOUND)
  })

  test("too many queues, and names too long, are refused", () => {
    const guest = new Calls(names, { queues: queues({ queues: 1 }) })
    expect(guest.call(REGISTER, 1024, 1025, OUT)).toBe(INTERNAL_FAILURE)
    expect(guest.call(RESOLVE, 0, 0, 1024, 60_000, OUT)).toBe(NOT_FOUND)
    expect(guest.call(RESOLVE, 1024, 60_000, ...guest.put("a"), OUT)).toBe(NOT_FOUND)
    expect(guest.call(REGISTER, ...guest.put("a"), OUT)).toBe(OK)
    expect(guest.call(REGISTER, ...guest.put("b"), OUT)).toBe(INTERNAL_FAILURE)
  })

  test("wild pointers are refused, and cost no item", () => {
    const guest = new Calls(names, { queues: queues() })
    guest.call(REGISTER, ...guest.put("q"), OUT)
    const id = guest.word(OUT)
    guest.call(ENQUEUE, id, ...guest.put("kept"))
    const name = guest.put("q")
    const wild: [string, ...number[]][] = [
      [REGISTER, WILD, 4, OUT],
      [REGISTER, ...name, WILD],
      [RESOLVE, WILD, 4, ...name, OUT],
      [RESOLVE, 0, 0, WILD, 4, OUT],
      [RESOLVE, 0, 0, ...name, WILD],
      [ENQUEUE, id, WILD, 4],
      [ENQUEUE, id, 0, WILD],
      [DEQUEUE, id, WILD, OUT2],
      [DEQUEUE, id, OUT, WILD],
    ]
    for (const [call, ...args] of wild) expect([call, guest.call(call, ...args)]).toEqual([call, INVALID_MEMORY_ACCESS])
    expect(guest.call(DEQUEUE, id, OUT, OUT2)).toBe(OK)
    expect(guest.text(OUT, OUT2)).toBe("kept")
  })

  test("none is allowed during start or allocation", () => {
    for (const name of names) {
      const guest = new Calls(names, { queues: queues() })
      guest.leave()
      expect(() => guest.call(name, 0, 0, 0, 0, 0)).toThrow("not allowed")
    }
  })
})

/** Registers `q` when it is configured; enqueues on each request; logs each item it is called for, or that there was none. */
function receiver(): Uint8Array {
  const script = new Script()
  const q = script.text("q")
  return guest({
    imports: [...names, "proxy_log"],
    data: script.data,
    code: `
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (i32.eqz (call $${REGISTER} ${q} (i32.const ${OUT}))))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $${ENQUEUE} (i32.load (i32.const ${OUT})) ${script.text("item")}))
        (drop (call $proxy_log (i32.const 2) ${script.text("enqueued")}))
        (i32.const 0))
      (func (export "proxy_on_queue_ready") (param $root i32) (param $queue i32)
        (if (i32.ne (local.get $queue) (i32.load (i32.const ${OUT}))) (then (unreachable)))
        (if (call $${DEQUEUE} (local.get $queue) (i32.const 32) (i32.const 36))
          (then ${script.say("empty")})
          (else (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 32)) (i32.load (i32.const 36)))))))
      (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))`,
  })
}

describe("proxy_on_queue_ready", () => {
  test("comes later, once for each item, to the root that registered", async () => {
    const host = new TestHost({ queues: queues() })
    const plugin = host.plugin(receiver())
    request(plugin)
    request(plugin)
    expect(host.messages()).toEqual(["enqueued", "enqueued"])
    await turns()
    expect(host.messages()).toEqual(["enqueued", "enqueued", "item", "item"])
  })

  test("finds nothing when another took the item", async () => {
    const store = queues()
    const host = new TestHost({ queues: store })
    const plugin = host.plugin(receiver(), { vmKey: "vm" })
    request(plugin)
    expect(store.dequeue(store.resolve("vm", "q"))).toBeInstanceOf(Uint8Array)
    await turns()
    expect(host.messages()).toEqual(["enqueued", "empty"])
  })

  test("goes to the newest of several plugins, and back when that one is released", async () => {
    const store = queues()
    const host = new TestHost({ queues: store })
    const bytes = receiver()
    const old = host.plugin(bytes, { name: "old", vmKey: "vm" })
    const next = host.plugin(bytes, { name: "next", vmKey: "vm", config: "{}1" })
    request(old)
    await turns()
    const items = (): unknown[] => host.logs.filter(({ message }) => message === "item").map(({ fields }) => fields.filter)
    expect(items()).toEqual(["next"])
    host.runtime.release(next)
    request(old)
    await turns()
    expect(items()).toEqual(["next", "old"])
    host.runtime.release(old)
    expect(store.enqueue(store.resolve("vm", "q"), new Uint8Array(1))).toBe("ok")
    await turns()
    expect(host.messages().filter((message) => message === "enqueued").length).toBe(2)
    expect(items().length).toBe(2)
    expect(store.stats()[0]).toMatchObject({ items: 1, received: false })
  })
})
