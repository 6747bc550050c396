import { once } from "node:events"
import { Worker } from "node:worker_threads"
import { describe, expect, it } from "vitest"
import { createSharedStore, MAX_SHARED_KEY, MAX_SHARED_VALUE, SharedStore } from "../../../gateway/wasm/shared-data.ts"
import { Random } from "./meter-random-module.ts"

const encode = (text: string) => new TextEncoder().encode(text)
const read = (store: SharedStore, key: string, namespace = "ns") => {
  const entry = store.get(namespace, key)
  return entry === undefined ? undefined : new TextDecoder().decode(entry.value)
}

describe("a shared store", () => {
  it("gives what was set, by namespace, in every view", () => {
    const buffer = createSharedStore()
    const [one, two] = [new SharedStore(buffer), new SharedStore(buffer)]
    expect(one.get("ns", "a")).toBeUndefined()
    expect(one.set("ns", "a", encode("first"), 0)).toBe("ok")
    expect(one.set("other", "a", encode("second"), 0)).toBe("ok")
    expect(one.set("n", "sa", encode("third"), 0)).toBe("ok")
    expect([read(two, "a"), read(two, "a", "other"), read(two, "sa", "n")]).toEqual(["first", "second", "third"])
    expect(two.set("ns", "a", new Uint8Array(0), 0)).toBe("ok")
    expect(one.get("ns", "a")?.value).toHaveLength(0)
    expect(one.set("ns", "\u00ff\u0000\u0080", encode("bytes"), 0)).toBe("ok")
    expect(read(two, "\u00ff\u0000\u0080")).toBe("bytes")
    expect(read(two, "\u00ff\u0000\u0081")).toBeUndefined()
  })

  it("hands out copies", () => {
    const store = new SharedStore(createSharedStore())
    const value = encode("before")
    store.set("ns", "a", value, 0)
    value[0] = 0
    const first = store.get("ns", "a")
    store.set("ns", "a", encode("after!"), 0)
    expect(new TextDecoder().decode(first?.value)).toBe("before")
  })

  it("compares before it swaps", () => {
    const store = new SharedStore(createSharedStore())
    expect(store.set("ns", "absent", encode("x"), 77)).toBe("ok")
    store.set("ns", "a", encode("1"), 0)
    const cas = store.get("ns", "a")?.cas ?? 0
    expect(cas).not.toBe(0)
    expect(store.set("ns", "a", encode("2"), cas)).toBe("ok")
    expect(store.set("ns", "a", encode("3"), cas)).toBe("cas-mismatch")
    expect(read(store, "a")).toBe("2")
    expect(store.get("ns", "a")?.cas).not.toBe(cas)
    expect(store.set("ns", "a", encode("4"), 0)).toBe("ok")
    expect(read(store, "a")).toBe("4")
  })

  it("takes keys and values up to their limits", () => {
    const store = new SharedStore(createSharedStore(1))
    const key = "k".repeat(MAX_SHARED_KEY)
    expect(store.set("ns", key, new Uint8Array(MAX_SHARED_VALUE).fill(3), 0)).toBe("ok")
    expect(store.get("ns", key)?.value).toEqual(new Uint8Array(MAX_SHARED_VALUE).fill(3))
    expect(store.set("ns", `${key}k`, new Uint8Array(1), 0)).toBe("full")
    expect(store.set("ns", "a", new Uint8Array(MAX_SHARED_VALUE + 1), 0)).toBe("full")
  })

  it("refuses a buffer that is no store", () => {
    expect(() => new SharedStore(new SharedArrayBuffer(1024))).toThrow(TypeError)
  })
})

describe("a store that is full", () => {
  it("drops what was written longest ago, and keeps a counter in use", () => {
    const store = new SharedStore(createSharedStore(1))
    store.set("ns", "idle", encode("x"), 0)
    store.set("ns", "hot", encode("0"), 0)
    for (let i = 0; i < 20_000; i++) {
      expect(store.set("ns", `client ${i}`, encode(`value ${i}`), 0)).toBe("ok")
      if (i % 100 === 0) expect(store.set("ns", "hot", encode(String(i)), store.get("ns", "hot")?.cas ?? -1)).toBe("ok")
    }
    expect(read(store, "idle")).toBeUndefined()
    expect(read(store, "hot")).toBe("19900")
    expect(read(store, "client 0")).toBeUndefined()
    for (let i = 19_000; i < 20_000; i++) expect(read(store, `client ${i}`)).toBe(`value ${i}`)
    const { entries, used, capacity, evictions, resets } = store.stats()
    expect(entries + evictions).toBe(20_002)
    expect(used).toBeLessThanOrEqual(capacity)
    expect(resets).toBe(0)
  })

  const seed = Number(process.env.SLUICE_SEED ?? Date.now() % 2 ** 31)
  it(`never gives a wrong value (seed ${seed})`, () => {
    const store = new SharedStore(createSharedStore(1))
    const random = new Random(seed)
    const model = new Map<string, { value: Uint8Array; cas: number }>()
    let present = 0
    for (let i = 0; i < 30_000; i++) {
      const key = `${"x".repeat(random.next(20))}${random.next(600)}`
      const known = model.get(key)
      const entry = store.get("ns", key)
      if (entry !== undefined) {
        present++
        if (known === undefined || Buffer.compare(entry.value, known.value) !== 0)
          expect.fail(`wrong value for ${key} in round ${i}, seed ${seed}`)
        if (known.cas === entry.cas) expect.fail(`cas of an older write in round ${i}, seed ${seed}`)
      }
      const size = random.next(200) === 0 ? random.next(MAX_SHARED_VALUE) : random.next(300)
      const value = new Uint8Array(size).fill(random.next(256))
      if (random.next(3) > 0) {
        if (store.set("ns", key, value, random.next(2) === 0 ? 0 : (entry?.cas ?? 0)) !== "ok")
          expect.fail(`not written in round ${i}, seed ${seed}`)
        model.set(key, { value, cas: entry?.cas ?? 0 })
      }
    }
    expect(present).toBeGreaterThan(1000)
    expect(store.stats()).toMatchObject({ resets: 0 })
    expect(store.stats().evictions).toBeGreaterThan(1000)
  })
})

function start(buffer: SharedArrayBuffer, increments: number, keys: number): Worker {
  return new Worker(new URL("./shared-data-worker.ts", import.meta.url), { workerData: { buffer, increments, keys } })
}

describe("a store shared by threads", () => {
  it("loses no increment", async () => {
    const buffer = createSharedStore()
    const [threads, increments, keys] = [4, 6000, 3]
    const done = Array.from({ length: threads }, async () => {
      const worker = start(buffer, increments, keys)
      await once(worker, "message")
      await once(worker, "message")
      await worker.terminate()
    })
    await Promise.all(done)
    const store = new SharedStore(buffer)
    let sum = 0
    for (let i = 0; i < keys; i++) {
      const value = store.get("count", `counter ${i}`)?.value ?? new Uint8Array(4)
      sum += new DataView(value.buffer, value.byteOffset).getUint32(0, true)
    }
    expect(sum).toBe(threads * increments)
    expect(store.stats()).toMatchObject({ entries: keys, evictions: 0, resets: 0 })
  })

  it("outlives threads that are ended while they write", async () => {
    const buffer = createSharedStore(1)
    const store = new SharedStore(buffer)
    for (let i = 0; i < 5; i++) {
      const worker = start(buffer, 0, 1)
      await once(worker, "message")
      for (let j = 0; j < 200; j++) store.set("ns", `mine ${j}`, encode("x"), 0)
      await worker.terminate()
      expect(store.set("ns", "after", encode(String(i)), 0)).toBe("ok")
      expect(read(store, "after")).toBe(String(i))
    }
  })

  // Words of a store of one stripe: 16 its lock, 18 set while it is being written.
  it("takes over the lock of a dead reader, with all entries", () => {
    const buffer = createSharedStore(1)
    const store = new SharedStore(buffer)
    store.set("ns", "a", encode("kept"), 0)
    new Int32Array(buffer)[16] = 999
    expect(read(store, "a")).toBe("kept")
    expect(new Int32Array(buffer)[16]).toBe(0)
    expect(store.stats().resets).toBe(0)
  })

  it("empties what a dead writer left half-written", () => {
    const buffer = createSharedStore(1)
    const store = new SharedStore(buffer)
    store.set("ns", "a", encode("lost"), 0)
    const words = new Int32Array(buffer)
    words[16] = 999
    words[18] = 1
    expect(read(store, "a")).toBeUndefined()
    expect(store.set("ns", "a", encode("new"), 0)).toBe("ok")
    expect(read(store, "a")).toBe("new")
    expect(store.stats()).toMatchObject({ entries: 1, resets: 1 })
  })

  it("survives any garbage in its records", () => {
    const random = new Random(7)
    for (let round = 0; round < 30; round++) {
      const buffer = createSharedStore(1)
      const store = new SharedStore(buffer)
      for (let i = 0; i < 3000; i++) store.set("ns", `key ${i}`, new Uint8Array(i % 90), 0)
      const words = new Int32Array(buffer)
      for (let i = 0; i < 2000; i++)
        words[32 + random.next(words.length - 32)] = random.next(2) === 0 ? random.next(2 ** 32) : random.next(words.length)
      for (let i = 0; i < 3000; i++) {
        store.get("ns", `key ${i}`)
        expect(store.set("ns", `key ${i % 50}`, new Uint8Array(i % 90), 0)).toBe("ok")
      }
    }
  })
})
