import { describe, expect, test } from "vitest"
import { createGuestMetrics, GuestMetricsTable } from "../../../gateway/wasm/guest-metrics.ts"
import { Calls, request } from "./support/calls.ts"
import { TestHost } from "./support/host.ts"
import { guest, Script } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const INVALID_MEMORY_ACCESS = 6
const WILD = 0xfffffff0
const OUT = 16

const [COUNTER, GAUGE, HISTOGRAM] = [0, 1, 2]
const DEFINE = "proxy_define_metric"
const INCREMENT = "proxy_increment_metric"
const RECORD = "proxy_record_metric"
const GET = "proxy_get_metric"
const names = [DEFINE, INCREMENT, RECORD, GET]

function calls(metrics = new GuestMetricsTable(createGuestMetrics())): Calls {
  return new Calls(names, { metrics })
}

function define(guest: Calls, type: number, name: string): number {
  expect(guest.call(DEFINE, type, ...guest.put(name), OUT)).toBe(OK)
  return guest.word(OUT)
}

function read(guest: Calls, id: number): bigint | number {
  const status = guest.call(GET, id, 24)
  return status === OK ? guest.long(24) : status
}

describe("host calls of metrics", () => {
  test("the same type and name is the same series; its type is in the low bits of the id", () => {
    const table = new GuestMetricsTable(createGuestMetrics())
    const [one, two] = [calls(table), calls(table)]
    const ids = [COUNTER, GAUGE, HISTOGRAM].map((type) => define(one, type, "some.name"))
    expect(ids.map((id) => id & 3)).toEqual([COUNTER, GAUGE, HISTOGRAM])
    expect(ids.every((id) => id !== 0)).toBe(true)
    expect([COUNTER, GAUGE, HISTOGRAM].map((type) => define(two, type, "some.name"))).toEqual(ids)
    expect(define(two, COUNTER, "other")).not.toBe(ids[0])
    expect(one.call(INCREMENT, ids[0], 2n)).toBe(OK)
    expect(read(two, ids[0])).toBe(2n)
  })

  test("a type that is none is refused", () => {
    const guest = calls()
    for (const type of [3, 4, -1, 256]) expect(guest.call(DEFINE, type, ...guest.put("x"), OUT)).toBe(BAD_ARGUMENT)
  })

  test("counters go up, by increment and by record", () => {
    const guest = calls()
    const id = define(guest, COUNTER, "c")
    expect(guest.call(INCREMENT, id, 1n)).toBe(OK)
    expect(guest.call(INCREMENT, id, 2n ** 62n)).toBe(OK)
    expect(guest.call(INCREMENT, id, 0n)).toBe(BAD_ARGUMENT)
    expect(guest.call(INCREMENT, id, -1n)).toBe(BAD_ARGUMENT)
    expect(guest.call(RECORD, id, 5n)).toBe(OK)
    expect(read(guest, id)).toBe(2n ** 62n + 6n)
  })

  test("gauges go up and down, and are set by record", () => {
    const guest = calls()
    const id = define(guest, GAUGE, "g")
    expect(guest.call(INCREMENT, id, 10n)).toBe(OK)
    expect(guest.call(INCREMENT, id, -4n)).toBe(OK)
    expect(read(guest, id)).toBe(6n)
    expect(guest.call(RECORD, id, 3n)).toBe(OK)
    expect(read(guest, id)).toBe(3n)
    guest.call(RECORD, id, -1n)
    expect(read(guest, id)).toBe(2n ** 64n - 1n)
  })

  test("histograms record and nothing else", () => {
    const table = new GuestMetricsTable(createGuestMetrics())
    const guest = calls(table)
    const id = define(guest, HISTOGRAM, "h")
    expect(guest.call(RECORD, id, 7n)).toBe(OK)
    expect(guest.call(INCREMENT, id, 1n)).toBe(BAD_ARGUMENT)
    expect(read(guest, id)).toBe(BAD_ARGUMENT)
    expect([...table.all()].map(({ sum }) => sum)).toEqual([7n])
  })

  test("an id nobody was given is not found", () => {
    const guest = calls()
    define(guest, COUNTER, "c")
    for (const id of [0, 400, -1]) {
      expect(guest.call(INCREMENT, id, 1n)).toBe(NOT_FOUND)
      expect(guest.call(RECORD, id, 1n)).toBe(NOT_FOUND)
      expect(read(guest, id)).toBe(NOT_FOUND)
    }
  })

  test("wild pointers are refused, and define nothing", () => {
    const table = new GuestMetricsTable(createGuestMetrics())
    const guest = calls(table)
    const id = define(guest, COUNTER, "c")
    expect(guest.call(DEFINE, COUNTER, WILD, 4, OUT)).toBe(INVALID_MEMORY_ACCESS)
    expect(guest.call(DEFINE, COUNTER, 0, WILD, OUT)).toBe(INVALID_MEMORY_ACCESS)
    expect(guest.call(DEFINE, COUNTER, ...guest.put("d"), WILD)).toBe(INVALID_MEMORY_ACCESS)
    expect(guest.call(GET, id, WILD)).toBe(INVALID_MEMORY_ACCESS)
    expect([...table.all()].map(({ name }) => name)).toEqual(["c"])
  })

  test("a guest that defines without end goes on, and the others keep their series", () => {
    const table = new GuestMetricsTable(createGuestMetrics({ series: 10 }))
    const guest = calls(table)
    const early = define(guest, COUNTER, "early")
    const [at] = guest.put("late 0000")
    for (let i = 0; i < 1000; i++) {
      guest.vm.memory.bytes.write(String(i).padStart(4, "0"), at + 5)
      expect(guest.call(DEFINE, COUNTER, at, 9, OUT)).toBe(OK)
      expect(guest.call(INCREMENT, guest.word(OUT), 1n)).toBe(OK)
    }
    expect(guest.call(DEFINE, COUNTER, 1024, 60_000, OUT)).toBe(OK)
    expect([...table.all()].map(({ name }) => name)).toEqual(["early", ...Array.from({ length: 9 }, (_, i) => `late 000${i}`)])
    expect(table.refused).toBe(992)
    expect(read(guest, early)).toBe(0n)
  })

  test("none is allowed during start or allocation", () => {
    for (const name of names) {
      const guest = calls()
      guest.leave()
      const second = name === INCREMENT || name === RECORD ? 1n : 0
      expect(() => guest.call(name, 0, second, 0, 0)).toThrow("not allowed")
    }
  })

  test("a raw guest counts its requests, and goes on counting when its plugin is replaced", () => {
    const script = new Script()
    const bytes = guest({
      imports: names,
      data: script.data,
      code: `
        (func (export "proxy_on_configure") (param i32 i32) (result i32)
          (i32.eqz (call $${DEFINE} (i32.const 0) ${script.text("requests seen")} (i32.const ${OUT}))))
        (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
          (drop (call $${INCREMENT} (i32.load (i32.const ${OUT})) (i64.const 1))) (i32.const 0))`,
    })
    const metrics = new GuestMetricsTable(createGuestMetrics())
    const host = new TestHost({ metrics })
    const first = host.plugin(bytes)
    request(first)
    request(first)
    host.runtime.release(first)
    request(host.plugin(bytes, { config: '{"version":2}' }))
    expect([...metrics.all()].map(({ name, value }) => [name, value])).toEqual([["requests seen", 3n]])
  })
})
