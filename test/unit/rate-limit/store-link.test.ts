import { afterEach, beforeEach, expect, test, vi } from "vitest"
import { type StoreConnection, StoreLink } from "../../../gateway/rate-limit/store-link.ts"
import { Reconnect } from "../../../gateway/resilience/reconnect.ts"

/** A store whose connections and answers a test hands out. */
class Script {
  readonly events: string[] = []
  readonly replies: (readonly number[] | null)[] = []
  readonly #attempts: { resolve: (connection: StoreConnection) => void; reject: (error: Error) => void; lost: (reason: string) => void }[] =
    []
  readonly #asked: { resolve: (reply: unknown) => void; reject: (error: Error) => void }[] = []
  readonly link: StoreLink = new StoreLink({
    connect: (lost) => new Promise((resolve, reject) => this.#attempts.push({ resolve, reject, lost })),
    reconnect: new Reconnect(),
    random: () => 1,
    clock: () => performance.now(),
    onUp: () => this.events.push("up"),
    onDown: (reason) => this.events.push(`down: ${reason}`),
    onClosed: () => this.events.push("closed"),
    onTrip: () => {},
    onError: () => this.events.push("error"),
  })

  get attempts(): number {
    return this.#attempts.length
  }

  async connected(): Promise<void> {
    const connection: StoreConnection = {
      count: () => new Promise((resolve, reject) => this.#asked.push({ resolve, reject })),
      close: () => this.events.push("connection closed"),
    }
    this.#attempts[this.#attempts.length - 1].resolve(connection)
    await vi.advanceTimersByTimeAsync(0)
  }

  async refused(reason: string): Promise<void> {
    this.#attempts[this.#attempts.length - 1].reject(new Error(reason))
    await vi.advanceTimersByTimeAsync(0)
  }

  lost(reason: string): void {
    this.#attempts[this.#attempts.length - 1].lost(reason)
  }

  ask(): boolean {
    const asker = {
      onStoreReply: (reply: { granted: number; left: number } | null) => this.replies.push(reply && [reply.granted, reply.left]),
    }
    return this.link.ask(asker, "key", 1000, 1000, 1, 0)
  }

  async answer(reply: unknown): Promise<void> {
    this.#asked.shift()?.resolve(reply)
    await vi.advanceTimersByTimeAsync(0)
  }

  async fail(reason: string): Promise<void> {
    this.#asked.shift()?.reject(new Error(reason))
    await vi.advanceTimersByTimeAsync(0)
  }
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] })
})
afterEach(() => {
  vi.useRealTimers()
})

test("is asked only while it is up", async () => {
  const store = new Script()
  expect(store.ask()).toBe(false)
  await store.connected()
  expect(store.ask()).toBe(true)
  await store.answer([1, 4, 0, 10])
  expect(store.replies).toEqual([[1, 4]])
  expect(store.events).toEqual(["up"])
  store.link.close()
  expect(store.ask()).toBe(false)
  expect(store.events).toEqual(["up", "closed", "connection closed"])
})

test("tries again with growing pauses, and says once that it is away", async () => {
  const store = new Script()
  const pauses: number[] = []
  for (let i = 0; i < 4; i++) {
    await store.refused("ECONNREFUSED")
    const from = performance.now()
    const { attempts } = store
    while (store.attempts === attempts) await vi.advanceTimersByTimeAsync(1)
    pauses.push(performance.now() - from)
  }
  expect(pauses).toEqual([50, 100, 200, 400])
  expect(store.events).toEqual(["down: ECONNREFUSED"])
  await store.connected()
  expect(store.events).toEqual(["down: ECONNREFUSED", "up"])
})

test("an attempt that comes to nothing is given up, and what it brings later is closed", async () => {
  const store = new Script()
  await vi.advanceTimersByTimeAsync(2000)
  expect(store.events).toEqual(["down: no connection within 2000 ms"])
  await store.connected()
  expect(store.events.at(-1)).toBe("connection closed")
  expect(store.link.up).toBe(false)
  await vi.advanceTimersByTimeAsync(50)
  expect(store.attempts).toBe(2)
})

test("who waits for an answer is told that there is none when it is lost, once", async () => {
  const store = new Script()
  await store.connected()
  store.ask()
  store.ask()
  store.lost("reset")
  expect(store.replies).toEqual([null, null])
  expect(store.link.underWay).toBe(0)
  await store.answer([1, 4, 0, 10])
  expect(store.replies.length).toBe(2)
  expect(store.events).toEqual(["up", "down: reset", "error", "error", "connection closed"])
})

test("that owes an answer for a second is lost", async () => {
  const store = new Script()
  await store.connected()
  store.ask()
  await vi.advanceTimersByTimeAsync(1000)
  store.link.look()
  expect(store.link.up).toBe(true)
  expect(store.link.isLate(performance.now(), 999)).toBe(true)
  await vi.advanceTimersByTimeAsync(1)
  store.link.look()
  expect(store.link.up).toBe(false)
})

test("that refuses five times in a row is lost, and comes back after pauses that grow until it has answered", async () => {
  const store = new Script()
  for (const pause of [50, 100]) {
    await store.connected()
    for (let i = 0; i < 5; i++) {
      expect(store.link.up).toBe(true)
      store.ask()
      await (i === 2 ? store.answer("what?") : store.fail("READONLY"))
    }
    expect(store.link.up).toBe(false)
    const { attempts } = store
    await vi.advanceTimersByTimeAsync(pause - 1)
    expect(store.attempts).toBe(attempts)
    await vi.advanceTimersByTimeAsync(1)
    expect(store.attempts).toBe(attempts + 1)
  }
  await store.connected()
  for (let i = 0; i < 4; i++) {
    store.ask()
    await store.fail("OOM")
  }
  store.ask()
  await store.answer([1, 0, 1, 1])
  store.ask()
  await store.fail("OOM")
  expect(store.link.up).toBe(true)
})

test.each([null, [1, 2, 3], [1, 2, 3, -1], [1, 2, 3, 0.5], ["1", 2, 3, 4], "OK"])("an answer of %j is none", async (reply) => {
  const store = new Script()
  await store.connected()
  store.ask()
  await store.answer(reply)
  expect(store.replies).toEqual([null])
})

test("has no more than 1024 questions under way", async () => {
  const store = new Script()
  await store.connected()
  for (let i = 0; i < 1024; i++) expect(store.ask()).toBe(true)
  expect(store.ask()).toBe(false)
})
