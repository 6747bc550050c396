import { Buffer } from "node:buffer"
import { setImmediate as turn } from "node:timers/promises"
import { Worker } from "node:worker_threads"
import { afterEach, describe, expect, it } from "vitest"
import {
  createSharedQueues,
  MAX_QUEUE_ITEM,
  MAX_QUEUE_NAMES,
  SharedQueueStore,
  type SharedQueuesSize,
} from "../../../gateway/wasm/shared-queues.ts"
import { until } from "../../support/deadline.ts"
import type { QueueOrder, QueueReport } from "./shared-queues-worker.ts"

const encode = (text: string): Uint8Array => new TextEncoder().encode(text)
const never = (): void => undefined
const text = (value: Uint8Array | string): string => (typeof value === "string" ? value : Buffer.from(value).toString())

/** Views of some threads on the same queues, all on this thread; `woken` are the threads to be woken. */
function views(size: Partial<SharedQueuesSize> = {}): { stores: SharedQueueStore[]; woken: number[]; buffer: SharedArrayBuffer } {
  const threads = size.threads ?? 2
  const buffer = createSharedQueues({ ...size, threads })
  const woken: number[] = []
  const wake = (thread: number): number => woken.push(thread)
  const stores = Array.from({ length: threads }, (_, thread) => new SharedQueueStore(buffer, { thread, wake }))
  return { stores, woken, buffer }
}

function register(store: SharedQueueStore, name: string, ready: () => void = never): { id: number; release(): void } {
  const queue = store.register("ns", name, ready)
  if (queue === null) throw new Error("not registered")
  return queue
}

/** Turns enough for everything that is owed. */
async function turns(): Promise<void> {
  for (let i = 0; i < 20; i++) await turn()
}

describe("a queue", () => {
  it("gives items back in order, each once, empty ones too", () => {
    const [store] = views().stores
    const { id } = register(store, "q")
    expect(store.dequeue(id)).toBe("empty")
    for (const item of ["one", "", "three"]) expect(store.enqueue(id, encode(item))).toBe("ok")
    expect([text(store.dequeue(id)), text(store.dequeue(id)), text(store.dequeue(id))]).toEqual(["one", "", "three"])
    expect(store.dequeue(id)).toBe("empty")
  })

  it("is found by its namespace and name from every thread, and by nothing else", () => {
    const [one, two] = views().stores
    const { id } = register(one, "q")
    expect(id).toBeGreaterThan(0)
    expect(two.resolve("ns", "q")).toBe(id)
    expect(register(two, "q").id).toBe(id)
    expect(two.resolve("n", "sq")).toBe(0)
    expect(two.resolve("nsq", "")).toBe(0)
    expect(two.register("other", "q", never)?.id).not.toBe(id)
    for (const unknown of [0, id + 2, id + 256, -id, 0x7fffffff]) {
      expect(two.enqueue(unknown, encode("x"))).toBe("unknown")
      expect(two.dequeue(unknown)).toBe("unknown")
    }
  })

  it("takes names and items up to their limits", () => {
    const [store] = views().stores
    const name = "é".repeat(MAX_QUEUE_NAMES - 2)
    const { id } = register(store, name)
    expect(store.resolve("ns", name)).toBe(id)
    expect(store.register("ns", `${name}x`, never)).toBeNull()
    expect(store.resolve("ns", `${name}x`)).toBe(0)
    expect(store.enqueue(id, new Uint8Array(MAX_QUEUE_ITEM).fill(7))).toBe("ok")
    expect(store.enqueue(id, new Uint8Array(MAX_QUEUE_ITEM + 1))).toBe("full")
    expect(store.dequeue(id)).toEqual(new Uint8Array(MAX_QUEUE_ITEM).fill(7))
  })

  it("is full when its octets are used up, says so in its figures, and takes items again after", () => {
    const [store] = views({ queueBytes: 128 }).stores
    const { id } = register(store, "q")
    for (let round = 0; round < 100; round++) {
      let items = 0
      while (store.enqueue(id, encode(`item ${items}`)) === "ok") items++
      expect(items).toBeGreaterThanOrEqual(9)
      for (let i = 0; i < items; i++) expect(text(store.dequeue(id))).toBe(`item ${i}`)
      expect(store.dequeue(id)).toBe("empty")
      // Moves the ring's start about.
      store.enqueue(id, new Uint8Array(round % 20))
      store.dequeue(id)
    }
    expect(store.stats()).toEqual([{ namespace: "ns", name: "q", items: 0, bytes: 0, refused: 100, received: true }])
  })

  it("does what a list does, whatever the order and sizes", () => {
    const [store] = views({ queueBytes: 1024 }).stores
    const { id } = register(store, "q")
    const model: string[] = []
    let state = 42
    const next = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 8) % below
    }
    let taken = 0
    for (let i = 0; i < 20_000; i++) {
      if (next(2) === 0) {
        const item = `${i}${"x".repeat(next(200))}`
        if (store.enqueue(id, encode(item)) === "ok") model.push(item)
      } else {
        const value = store.dequeue(id)
        const expected = model.shift()
        if (expected !== undefined) taken++
        if (text(value) !== (expected ?? "empty")) expect.fail(`round ${i}: ${text(value)} instead of ${expected}`)
      }
    }
    expect(taken).toBeGreaterThan(5000)
    expect(store.stats()[0].items).toBe(model.length)
  })

  it("refuses memory that holds no queues, and threads there is no number for", () => {
    expect(() => new SharedQueueStore(new SharedArrayBuffer(4096), { thread: 0, wake: never })).toThrow(TypeError)
    const buffer = createSharedQueues({ threads: 1 })
    expect(() => new SharedQueueStore(buffer, { thread: 1, wake: never })).toThrow(RangeError)
    expect(() => new SharedQueueStore(buffer, { thread: -1, wake: never }).register("ns", "q", never)).toThrow("can't receive")
  })
})

describe("when there are too many queues", () => {
  it("those with a receiver stay, and no further one is made", () => {
    const [store] = views({ queues: 3 }).stores
    const ids = ["a", "b", "c"].map((name) => register(store, name).id)
    expect(new Set(ids).size).toBe(3)
    expect(store.register("ns", "d", never)).toBeNull()
    expect(register(store, "b").id).toBe(ids[1])
  })

  it("one without a receiver gives way: an empty one first, then the longest unused; its id is unknown from then on", () => {
    const [store] = views({ queues: 3 }).stores
    const [a, b, c] = ["a", "b", "c"].map((name) => register(store, name))
    store.enqueue(a.id, encode("kept"))
    for (const queue of [a, b, c]) queue.release()
    const d = register(store, "d")
    expect([store.resolve("ns", "a"), store.resolve("ns", "b"), store.resolve("ns", "c")]).toEqual([a.id, 0, c.id])
    expect(d.id).not.toBe(b.id)
    expect(store.enqueue(b.id, encode("x"))).toBe("unknown")
    expect(store.dequeue(d.id)).toBe("empty")
    register(store, "e")
    expect(store.resolve("ns", "c")).toBe(0)
    expect(text(store.dequeue(a.id))).toBe("kept")
  })

  it("a thousand versions of a filter that each make theirs find a place", () => {
    const [store] = views({ queues: 4 }).stores
    const ids = new Set<number>()
    let before: { id: number; release(): void } | null = null
    for (let i = 0; i < 1000; i++) {
      const queue = register(store, `version ${i}`)
      ids.add(queue.id)
      before?.release()
      before = queue
    }
    expect(ids.size).toBe(1000)
  })
})

describe("a receiver", () => {
  it("is called on a later turn, once for each item", async () => {
    const [store] = views().stores
    let calls = 0
    const { id } = register(store, "q", () => calls++)
    for (let i = 0; i < 100; i++) store.enqueue(id, encode("x"))
    expect(calls).toBe(0)
    await turns()
    expect(calls).toBe(100)
    store.enqueue(id, encode("x"))
    await turns()
    expect(calls).toBe(101)
  })

  it("is the last that registered, in its thread or another; the other thread is woken once until it looks", async () => {
    const { stores, woken } = views()
    const [one, two] = stores
    const calls = { first: 0, second: 0, third: 0 }
    const { id } = register(one, "q", () => calls.first++)
    register(one, "q", () => calls.second++)
    one.enqueue(id, encode("x"))
    await turns()
    expect(calls).toEqual({ first: 0, second: 1, third: 0 })
    register(two, "q", () => calls.third++)
    for (let i = 0; i < 10; i++) one.enqueue(id, encode("x"))
    await turns()
    expect(calls.third).toBe(0)
    expect(woken).toEqual([1])
    two.poll()
    expect(calls).toEqual({ first: 0, second: 1, third: 10 })
    one.enqueue(id, encode("x"))
    expect(woken).toEqual([1, 1])
  })

  it("that ends leaves what is left to the one before it, and in the end to whoever comes next", async () => {
    const { stores, woken } = views()
    const [one, two] = stores
    const heard: string[] = []
    const early = register(one, "q", () => heard.push(`early ${text(one.dequeue(early.id))}`))
    const late = register(two, "q", () => heard.push("late"))
    one.enqueue(early.id, encode("a"))
    one.enqueue(early.id, encode("b"))
    two.poll()
    // Called for both, took none.
    expect(heard).toEqual(["late", "late"])
    late.release()
    expect(woken).toEqual([1, 0])
    one.poll()
    expect(heard.slice(2)).toEqual(["early a", "early b"])
    early.release()
    one.enqueue(early.id, encode("c"))
    await turns()
    expect(heard.length).toBe(4)
    expect(one.stats()[0]).toMatchObject({ items: 1, received: false })
    register(two, "q", () => heard.push(`new ${text(two.dequeue(early.id))}`))
    await turns()
    expect(heard.slice(4)).toEqual(["new c"])
    // A second release is no third party's.
    late.release()
    early.release()
    expect(one.stats()[0].received).toBe(true)
  })

  it("may release and register from within its call", async () => {
    const [store] = views().stores
    const heard: string[] = []
    let first = { id: 0, release: never }
    const second = (): unknown => heard.push(`second ${text(store.dequeue(first.id))}`)
    first = register(store, "q", () => {
      heard.push(`first ${text(store.dequeue(first.id))}`)
      first.release()
      register(store, "q", second)
    })
    for (const item of ["a", "b", "c"]) store.enqueue(first.id, encode(item))
    await turns()
    expect(heard).toEqual(["first a", "second b", "second c"])
  })

  it("of a thread that is gone is forgotten; its items stay for the next", async () => {
    const { stores, buffer, woken } = views()
    const [one, two] = stores
    const main = new SharedQueueStore(buffer, { thread: -1, wake: (thread) => woken.push(thread) })
    const heard: string[] = []
    const { id } = register(one, "q", () => heard.push(text(one.dequeue(id))))
    register(two, "q")
    register(two, "other")
    one.enqueue(id, encode("x"))
    expect(woken).toEqual([1])
    main.forget(1)
    expect(woken).toEqual([1, 0])
    one.poll()
    expect(heard).toEqual(["x"])
    expect(main.stats().map(({ name, received }) => [name, received])).toEqual([
      ["q", true],
      ["other", false],
    ])
  })
})

const workers: Worker[] = []
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()))
})

/** Threads that share queues; this one passes on what wakes them, as the supervisor does. */
class Crew {
  readonly buffer: SharedArrayBuffer
  readonly main: SharedQueueStore
  readonly #workers: Worker[] = []

  constructor(threads: number, queueBytes = 4096) {
    this.buffer = createSharedQueues({ threads, queues: 4, queueBytes })
    this.main = new SharedQueueStore(this.buffer, { thread: -1, wake: (thread) => this.order(thread, { kind: "poll" }) })
    for (let i = 0; i < threads; i++) this.start(i)
  }

  start(thread: number): void {
    const worker = new Worker(new URL("./shared-queues-worker.ts", import.meta.url), { workerData: { buffer: this.buffer, thread } })
    this.#workers[thread] = worker
    workers.push(worker)
    worker.on("message", (report: QueueReport) => {
      if (report.kind === "wake") this.order(report.thread, { kind: "poll" })
    })
  }

  order(thread: number, order: QueueOrder): void {
    this.#workers[thread].postMessage(order)
  }

  answer<K extends QueueReport["kind"]>(thread: number, kind: K): Promise<Extract<QueueReport, { kind: K }>> {
    const worker = this.#workers[thread]
    return new Promise((resolve) => {
      const listen = (report: QueueReport): void => {
        if (report.kind !== kind) return
        worker.off("message", listen)
        resolve(report as Extract<QueueReport, { kind: K }>)
      }
      worker.on("message", listen)
    })
  }

  async do(thread: number, order: QueueOrder): Promise<void> {
    const done = this.answer(thread, "done")
    this.order(thread, order)
    await done
  }

  report(thread: number): Promise<{ calls: number; items: number[] }> {
    const answer = this.answer(thread, "report")
    this.order(thread, { kind: "report" })
    return answer
  }

  async end(thread: number): Promise<void> {
    await this.#workers[thread].terminate()
    this.main.forget(thread)
  }
}

describe("queues shared by threads", () => {
  it("lose no item and double none, and the receiver hears of each once", async () => {
    const crew = new Crew(4)
    await crew.do(0, { kind: "receive", greedy: false })
    await Promise.all([1, 2, 3].map((thread) => crew.do(thread, { kind: "enqueue", items: 3000, from: thread * 10_000 })))
    await until(async () => (await crew.report(0)).items.length >= 9000, "9000 items")
    const { items, calls } = await crew.report(0)
    expect(calls).toBe(9000)
    for (const thread of [1, 2, 3]) {
      // In order for each that sent.
      expect(items.filter((item) => Math.floor(item / 10_000) === thread)).toEqual(
        Array.from({ length: 3000 }, (_, i) => thread * 10_000 + i),
      )
    }
  })

  it("pass what a dead receiver left to the next, not one item lost", async () => {
    const crew = new Crew(2, 65_536)
    await crew.do(0, { kind: "receive", greedy: true })
    await crew.do(1, { kind: "enqueue", items: 500, from: 0 })
    await until(() => crew.main.stats()[0].items === 0, "an empty queue")
    expect((await crew.report(0)).items.length).toBe(500)
    await crew.end(0)
    await crew.do(1, { kind: "enqueue", items: 500, from: 500 })
    crew.start(0)
    await crew.do(0, { kind: "receive", greedy: false })
    await until(() => crew.main.stats()[0].items === 0, "an empty queue")
    const { calls, items } = await crew.report(0)
    expect(items).toEqual(Array.from({ length: 500 }, (_, i) => 500 + i))
    expect(calls).toBe(500)
  })

  it("outlive threads that are ended while they write", async () => {
    const crew = new Crew(2)
    const [store] = [new SharedQueueStore(crew.buffer, { thread: 1, wake: never })]
    for (let i = 0; i < 5; i++) {
      await crew.do(0, { kind: "hammer" })
      const noise = store.resolve("ns", "noise")
      for (let j = 0; j < 200; j++) store.enqueue(noise, encode("mine"))
      await crew.end(0)
      // On Deno a thread that never yields writes on for 2 s after its end was reported.
      for (let j = 0; j < 100; j++) {
        const value = store.dequeue(noise)
        if (typeof value !== "string" && text(value) !== "mine" && value.some((octet) => octet !== 0)) expect.fail("an item nobody wrote")
      }
      const { id, release } = register(store, "after")
      expect(store.enqueue(id, encode(`after ${i}`))).toBe("ok")
      expect(text(store.dequeue(id))).toBe(`after ${i}`)
      release()
      crew.start(0)
    }
  })

  it("take over the lock of a dead thread", () => {
    const buffer = createSharedQueues({ threads: 1, queues: 1 })
    const store = new SharedQueueStore(buffer, { thread: 0, wake: never })
    const { id } = register(store, "q")
    store.enqueue(id, encode("kept"))
    const words = new Int32Array(buffer)
    // The first queue comes after the header, a word for each thread and one for each queue; its lock is its first word.
    words[18] = 999
    expect(text(store.dequeue(id))).toBe("kept")
    expect(words[18]).toBe(0)
  })

  it("survive any garbage in their memory", () => {
    let state = 7
    const next = (below: number): number => {
      state = (Math.imul(state, 1103515245) + 12345) >>> 0
      return (state >>> 4) % below
    }
    for (let round = 0; round < 50; round++) {
      const buffer = createSharedQueues({ threads: 1, queues: 1, queueBytes: 1024 })
      const store = new SharedQueueStore(buffer, { thread: 0, wake: never })
      const { id } = register(store, "q")
      for (let i = 0; i < 20; i++) store.enqueue(id, new Uint8Array(i))
      const words = new Int32Array(buffer)
      const ring = words.length - 256
      for (let i = 0; i < 200; i++) words[ring + next(256)] = next(2) === 0 ? next(2 ** 32) : next(2048)
      // Head, tail and items.
      if (round % 2 === 0) words[ring - 1 - next(3)] = next(2 ** 32)
      for (let i = 0; i < 300; i++) {
        store.dequeue(id)
        store.enqueue(id, new Uint8Array(i % 90))
      }
      while (store.dequeue(id) !== "empty") {}
      expect(store.enqueue(id, encode("fine"))).toBe("ok")
      expect(text(store.dequeue(id))).toBe("fine")
    }
  })
})
