import { Buffer } from "node:buffer"
import { describe, expect, test } from "vitest"
import { Direct, OUT, OUT2, OUT3 } from "./support/direct.ts"
import { hostCallNames } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const INVALID_MEMORY_ACCESS = 6
const CAS_MISMATCH = 8
const INTERNAL_FAILURE = 10
const WILD = 0xfffffff0

describe("shared data", () => {
  function set(direct: Direct, key: string, value: string, cas = 0): number {
    return direct.call("proxy_set_shared_data", ...direct.put(key), ...direct.put(value), cas)
  }

  function get(direct: Direct, key: string): number {
    return direct.call("proxy_get_shared_data", ...direct.put(key), OUT, OUT2, OUT3)
  }

  test("values come back with their cas", () => {
    const direct = new Direct({ spec: { vmKey: "scöpe" } })
    expect(get(direct, "k")).toBe(NOT_FOUND)
    expect(set(direct, "k", "\xff1")).toBe(OK)
    expect(get(direct, "k")).toBe(OK)
    expect(direct.result()).toBe("\xff1")
    expect(direct.word(OUT3)).toBe(1)
    expect([...direct.host.data.entries.keys()]).toEqual(["sc\xc3\xb6pe\0k"])
  })

  test("a write with another cas is refused", () => {
    const direct = new Direct()
    set(direct, "k", "1")
    expect(set(direct, "k", "2", 1)).toBe(OK)
    expect(set(direct, "k", "3", 1)).toBe(CAS_MISMATCH)
    expect(set(direct, "absent", "1", 9)).toBe(OK)
  })

  test("an empty value is a value", () => {
    const direct = new Direct()
    set(direct, "k", "")
    expect(get(direct, "k")).toBe(OK)
    expect([direct.word(OUT), direct.word(OUT2)]).toEqual([0, 0])
    expect(direct.word(OUT3)).toBe(1)
  })

  test("a full store says so", () => {
    const direct = new Direct()
    direct.host.data.full = true
    expect(set(direct, "k", "1")).toBe(INTERNAL_FAILURE)
  })

  test("what is kept is a copy", () => {
    const direct = new Direct()
    const value = direct.put("abc")
    direct.call("proxy_set_shared_data", ...direct.put("k"), ...value, 0)
    direct.vm.memory.bytes.fill(0, value[0], value[0] + 3)
    get(direct, "k")
    expect(direct.result()).toBe("abc")
  })

  test("hostile pointers and lengths", () => {
    const direct = new Direct()
    const good = direct.put("k")
    expect(direct.call("proxy_set_shared_data", WILD, 32, ...good, 0)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_set_shared_data", ...good, WILD, 32, 0)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_set_shared_data", 0, 65_536, ...good, 0)).toBe(BAD_ARGUMENT)
    set(direct, "k", "1")
    expect(direct.call("proxy_get_shared_data", WILD, 32, OUT, OUT2, OUT3)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_shared_data", ...good, WILD, OUT2, OUT3)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_shared_data", ...good, OUT, OUT2, WILD)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_shared_data", 0, 65_536, OUT, OUT2, OUT3)).toBe(NOT_FOUND)
  })
})

describe("log and clock", () => {
  test("messages are UTF-8 at their level", () => {
    const direct = new Direct({ spec: { name: "talker" } })
    expect(direct.call("proxy_log", 3, ...direct.put(Buffer.from("grüße")))).toBe(OK)
    expect(direct.host.logs.at(-1)).toEqual({ level: "warn", message: "grüße", fields: { filter: "talker" } })
    expect(direct.call("proxy_log", 6, 0, 1)).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_log", -1, 0, 1)).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_log", 3, WILD, 32)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_log", 3, 0, 0x7fffffff)).toBe(INVALID_MEMORY_ACCESS)
  })

  test("below the level nothing is decoded, and the level can be asked for", () => {
    const direct = new Direct()
    direct.host.level = "error"
    const before = direct.host.logs.length
    expect(direct.call("proxy_log", 3, WILD, 32)).toBe(OK)
    expect(direct.host.logs.length).toBe(before)
    expect(direct.call("proxy_get_log_level", OUT)).toBe(OK)
    expect(direct.word(OUT)).toBe(4)
    direct.host.level = "trace"
    direct.call("proxy_get_log_level", OUT)
    expect(direct.word(OUT)).toBe(0)
    expect(direct.call("proxy_get_log_level", WILD)).toBe(INVALID_MEMORY_ACCESS)
  })

  test("a talkative filter is cut short", () => {
    const direct = new Direct()
    const message = direct.put("again")
    for (let i = 0; i < 1000; i++) direct.call("proxy_log", 4, ...message)
    expect(direct.host.logs.length).toBe(200)
    direct.host.now += 1000
    direct.call("proxy_log", 4, ...message)
    expect(direct.host.logs.at(-1)?.fields).toEqual({ filter: "probe", dropped: 800 })
  })

  test("the time in nanoseconds is exact to the clock", () => {
    const direct = new Direct()
    const cases: [number, bigint][] = [
      [1_700_000_000_000.25, 1_700_000_000_000_250_000n],
      [0, 0n],
      [4_294.967296, 4_294_967_296n],
      [1_795_340_530_123.5, 1_795_340_530_123_500_000n],
      [9_007_199_254_740, 9_007_199_254_740_000_000n],
    ]
    for (const [now, expected] of cases) {
      direct.host.now = now
      expect(direct.call("proxy_get_current_time_nanoseconds", OUT)).toBe(OK)
      const value = direct.vm.memory.view.getBigUint64(OUT, true)
      expect(value - expected >= -1n && value - expected <= 1n).toBe(true)
    }
    expect(direct.call("proxy_get_current_time_nanoseconds", 65_530)).toBe(INVALID_MEMORY_ACCESS)
  })
})

describe("what isn't there", () => {
  test.each([
    ["proxy_call_foreign_function", NOT_FOUND],
    ["proxy_done", NOT_FOUND],
  ])("%s answers %i", (name, status) => {
    expect(new Direct().call(name, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)).toBe(status)
  })

  test("no host call throws, whatever it is given", () => {
    const numbers = [0, 1, 5, 1024, 65_535, 65_536, 0x7fffffff, -1, -2147483648]
    const direct = new Direct({ response: true })
    let seed = 12_345
    for (let round = 0; round < 200; round++) {
      for (const name of hostCallNames) {
        const args = Array.from({ length: 12 }, () => {
          seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0
          return numbers[(seed >>> 16) % numbers.length]
        })
        const status = direct.call(name, ...args)
        expect(Number.isInteger(status) && status >= 0 && status <= 12).toBe(true)
      }
    }
    // The calls may have allocated all there is; the instance is alive all the same.
    expect(direct.vm.dead).toBe(false)
  })
})
