import { Buffer } from "node:buffer"
import { describe, expect, test } from "vitest"
import { decodePairs } from "../../../gateway/wasm/proxy-wasm/pairs.ts"
import { Direct, OUT, OUT2, OUT3 } from "./support/direct.ts"
import { hostCallNames } from "./support/wat.ts"

const OK = 0
const NOT_FOUND = 1
const BAD_ARGUMENT = 2
const INVALID_MEMORY_ACCESS = 6
const CAS_MISMATCH = 8
const INTERNAL_FAILURE = 10
const WILD = 0xfffffff0

function int(value: number | Buffer): bigint {
  if (typeof value === "number") throw new Error(`status ${value}`)
  expect(value.length).toBe(8)
  return value.readBigInt64LE()
}

function text(value: number | Buffer): string {
  return typeof value === "number" ? `status ${value}` : value.toString("latin1")
}

describe("properties", () => {
  test("of the plugin", () => {
    const direct = new Direct({ spec: { name: "näme", rootId: "röot", vmKey: "vm" } })
    expect(direct.property("plugin_name")).toEqual(Buffer.from("näme"))
    expect(direct.property("plugin_root_id")).toEqual(Buffer.from("röot"))
    expect(direct.property("plugin_vm_id")).toEqual(Buffer.from("vm"))
  })

  test("an empty root id is found", () => {
    expect(new Direct().property("plugin_root_id")).toEqual(Buffer.alloc(0))
  })

  test("of the request", () => {
    const direct = new Direct()
    const { fields } = direct.stream.request
    fields.add("referer", "http://r/")
    expect(text(direct.property("request", "path"))).toBe("/a/b?x=1")
    expect(text(direct.property("request", "url_path"))).toBe("/a/b")
    expect(text(direct.property("request", "query"))).toBe("x=1")
    expect(text(direct.property("request", "host"))).toBe("shop.example:8080")
    expect(text(direct.property("request", "scheme"))).toBe("http")
    expect(text(direct.property("request", "method"))).toBe("GET")
    expect(text(direct.property("request", "referer"))).toBe("http://r/")
    expect(text(direct.property("request", "useragent"))).toBe("test/1")
    expect(text(direct.property("request", "id"))).toBe("req-1")
    expect(text(direct.property("request", "protocol"))).toBe("HTTP/1.1")
    expect(text(direct.property("request", "headers", "x-many"))).toBe("a, b")
    expect(direct.property("request", "headers", "x-none")).toBe(NOT_FOUND)
    expect(int(direct.property("request", "time"))).toBe(1_700_000_000_000_500_000n)
    expect(int(direct.property("request", "total_size"))).toBe(11n)
    expect(direct.property("request", "duration")).toBe(NOT_FOUND)
    fields.add("x-request-id", "given")
    expect(text(direct.property("request", "id"))).toBe("given")
  })

  test("headers as a map", () => {
    const direct = new Direct()
    const map = direct.property("request", "headers") as Buffer
    expect(decodePairs(map, 0, map.length)?.slice(0, 4)).toEqual(["user-agent", "test/1", "x-one", "1"])
  })

  test("of the response, once there is one", () => {
    expect(new Direct().property("response", "code")).toBe(NOT_FOUND)
    const direct = new Direct({ response: true })
    direct.stream.response?.fields.add("grpc-status", "14")
    expect(int(direct.property("response", "code"))).toBe(200n)
    expect(int(direct.property("response", "size"))).toBe(22n)
    expect(int(direct.property("response", "grpc_status"))).toBe(14n)
    expect(text(direct.property("response", "headers", "server"))).toBe("upstream")
    expect(direct.property("response", "headers")).toBeInstanceOf(Buffer)
    expect(direct.property("response", "code_details")).toBe(NOT_FOUND)
  })

  test("of the connection, the upstream and the route", () => {
    const direct = new Direct()
    expect(text(direct.property("source", "address"))).toBe("10.1.2.3:40000")
    expect(int(direct.property("source", "port"))).toBe(40_000n)
    expect(text(direct.property("destination", "address"))).toBe("[::1]:8080")
    expect(int(direct.property("destination", "port"))).toBe(8080n)
    expect(int(direct.property("connection", "id"))).toBe(7n)
    expect(int(direct.property("connection_id"))).toBe(7n)
    expect(direct.property("connection", "mtls")).toEqual(Buffer.from([0]))
    expect(text(direct.property("upstream", "address"))).toBe("10.0.0.9:9001")
    expect(int(direct.property("upstream", "port"))).toBe(9001n)
    expect(direct.property("route_name")).toEqual(Buffer.from("röute"))
    expect(text(direct.property("cluster_name"))).toBe("api")
    expect(text(direct.property("xds", "cluster_name"))).toBe("api")
    expect(direct.property("xds", "route_name")).toEqual(Buffer.from("röute"))
    expect(text(direct.property("listener_name"))).toBe("edge")
  })

  test("empty segments and a final NUL don't count; unknown paths are NOT_FOUND", () => {
    const direct = new Direct()
    expect(text(direct.property("request", "", "path", ""))).toBe("/a/b?x=1")
    for (const path of ["", "nope", "request", "request\0nope", "request.path", "source\0address\0x", "__proto__", "constructor"]) {
      expect(direct.property(path)).toBe(NOT_FOUND)
    }
  })

  test("what a filter stores in a stream is found again, and only there", () => {
    const direct = new Direct()
    expect(direct.call("proxy_set_property", ...direct.put("my\0key\0"), ...direct.put("v\xff"))).toBe(OK)
    expect(text(direct.property("my", "key"))).toBe("v\xff")
    const other = direct.plugin.open(direct.stream)
    other?.onRequestHeaders(true)
    direct.vm.enter(direct.context.root, other as never)
    expect(direct.property("my", "key")).toBe(NOT_FOUND)
    direct.vm.enter(direct.context.root, null)
    expect(direct.call("proxy_set_property", ...direct.put("a"), 0, 0)).toBe(NOT_FOUND)
    expect(direct.property("request", "path")).toBe(NOT_FOUND)
  })

  test("a stream's store is bounded", () => {
    const direct = new Direct()
    let status = OK
    let stored = 0
    const [at] = direct.put("k00")
    while (status === OK && stored < 1000) {
      direct.vm.memory.bytes.write(`k${String(stored).padStart(2, "0")}`, at, "latin1")
      status = direct.call("proxy_set_property", at, 3, 0, 1)
      if (status === OK) stored++
    }
    expect([status, stored]).toEqual([INTERNAL_FAILURE, 64])
    const large = new Direct()
    expect(large.call("proxy_set_property", ...large.put("a"), 0, 65_536)).toBe(OK)
    for (let i = 0; i < 4; i++) status = large.call("proxy_set_property", ...large.put("a"), 0, 65_536)
    expect(status).toBe(INTERNAL_FAILURE)
  })

  test("hostile pointers and lengths", () => {
    const direct = new Direct()
    expect(direct.call("proxy_get_property", WILD, 32, OUT, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_property", ...direct.put("plugin_name"), WILD, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_property", 0, 65_536, OUT, OUT2)).toBe(NOT_FOUND)
    expect(direct.call("proxy_set_property", WILD, 32, 0, 0)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_set_property", ...direct.put("a"), WILD, 32)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_set_property", 0, 0, 0, 0)).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_set_property", 0, 65_536, 0, 0)).toBe(BAD_ARGUMENT)
  })
})

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

describe("buffers", () => {
  test("types that aren't readable in this callback are NOT_FOUND, others BAD_ARGUMENT", () => {
    const direct = new Direct({ spec: { vmConfig: "vmconf" } })
    for (const type of [0, 1, 2, 3, 4, 5, 7, 8]) {
      expect(direct.call("proxy_get_buffer_bytes", type, 0, 10, OUT, OUT2)).toBe(NOT_FOUND)
      expect(direct.call("proxy_get_buffer_status", type, OUT, OUT2)).toBe(NOT_FOUND)
    }
    for (const type of [9, -1]) {
      expect(direct.call("proxy_get_buffer_bytes", type, 0, 10, OUT, OUT2)).toBe(BAD_ARGUMENT)
      expect(direct.call("proxy_get_buffer_status", type, OUT, OUT2)).toBe(BAD_ARGUMENT)
    }
    for (const type of [0, 6, 7, 9]) expect(direct.call("proxy_set_buffer_bytes", type, 0, 0, 0, 0)).toBe(BAD_ARGUMENT)
  })

  test("ranges are clamped", () => {
    const direct = new Direct({ spec: { vmConfig: "vmconf" } })
    const read = (start: number, max: number): string | number => {
      const status = direct.call("proxy_get_buffer_bytes", 6, start, max, OUT, OUT2)
      return status === OK ? direct.result() : status
    }
    expect(read(0, -1)).toBe("vmconf")
    expect(read(0, 2)).toBe("vm")
    expect(read(2, 100)).toBe("conf")
    expect(read(6, 1)).toBe("")
    expect(read(100, 1)).toBe("")
    expect(direct.word(OUT)).toBe(0)
    expect(read(1, -1)).toBe(BAD_ARGUMENT)
    expect(read(-1, 1)).toBe(BAD_ARGUMENT)
    expect(direct.call("proxy_get_buffer_bytes", 6, 0, 10, WILD, OUT2)).toBe(INVALID_MEMORY_ACCESS)
    expect(direct.call("proxy_get_buffer_status", 6, OUT, OUT2)).toBe(OK)
    expect([direct.word(OUT), direct.word(OUT2)]).toEqual([6, 0])
    expect(direct.call("proxy_get_buffer_status", 6, WILD, OUT2)).toBe(INVALID_MEMORY_ACCESS)
  })

  test("0.1.0 modules ask for the configuration otherwise", () => {
    const direct = new Direct({ abi: "0_1_0", spec: { vmConfig: "vmconf" } })
    expect(direct.call("proxy_get_buffer_bytes", 6, 0, 10, OUT, OUT2)).toBe(NOT_FOUND)
    expect(direct.call("proxy_get_configuration", OUT, OUT2)).toBe(OK)
    expect(direct.result()).toBe("vmconf")
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

describe("what is not offered", () => {
  test.each([
    ["proxy_http_call", BAD_ARGUMENT],
    ["proxy_grpc_call", INTERNAL_FAILURE],
    ["proxy_grpc_stream", INTERNAL_FAILURE],
    ["proxy_grpc_send", NOT_FOUND],
    ["proxy_grpc_cancel", NOT_FOUND],
    ["proxy_grpc_close", NOT_FOUND],
    ["proxy_resolve_shared_queue", NOT_FOUND],
    ["proxy_dequeue_shared_queue", NOT_FOUND],
    ["proxy_enqueue_shared_queue", NOT_FOUND],
    ["proxy_register_shared_queue", 12],
    ["proxy_define_metric", 12],
    ["proxy_set_tick_period_milliseconds", 12],
    ["proxy_increment_metric", NOT_FOUND],
    ["proxy_record_metric", NOT_FOUND],
    ["proxy_get_metric", NOT_FOUND],
    ["proxy_call_foreign_function", NOT_FOUND],
    ["proxy_done", NOT_FOUND],
    ["proxy_clear_route_cache", OK],
  ])("%s answers %i", (name, status) => {
    expect(new Direct().call(name, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)).toBe(status)
  })

  test("get_status is empty", () => {
    const direct = new Direct()
    expect(direct.call("proxy_get_status", OUT, OUT2, OUT3)).toBe(OK)
    expect([direct.word(OUT), direct.word(OUT2), direct.word(OUT3)]).toEqual([0, 0, 0])
    expect(direct.call("proxy_get_status", OUT, WILD, OUT3)).toBe(INVALID_MEMORY_ACCESS)
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

describe("WASI", () => {
  const names = [
    ...["fd_write", "clock_time_get", "clock_res_get", "random_get", "environ_sizes_get", "environ_get", "args_sizes_get", "args_get"],
    ...["proc_exit", "poll_oneoff", "sched_yield", "fd_fdstat_get", "fd_fdstat_set_flags", "fd_prestat_get", "fd_prestat_dir_name"],
    ...["fd_close", "fd_seek", "fd_read", "fd_filestat_get", "path_open", "path_rename", "sock_send", "fd_readdir", "fd_pread"],
  ]

  test("output becomes log lines", () => {
    const direct = new Direct({ wasi: names })
    const { memory } = direct.vm
    const one = direct.put("grü".normalize() && Buffer.from("grüße "))
    const two = direct.put("you\n")
    memory.writeWord(512, one[0])
    memory.writeWord(516, one[1])
    memory.writeWord(520, two[0])
    memory.writeWord(524, two[1])
    expect(direct.wasi("fd_write", 1, 512, 2, OUT)).toBe(0)
    expect(direct.word(OUT)).toBe(one[1] + 4)
    expect(direct.wasi("fd_write", 2, 520, 1, OUT)).toBe(0)
    expect(direct.host.logs.slice(-2).map(({ level, message }) => [level, message])).toEqual([
      ["info", "grüße you"],
      ["error", "you"],
    ])
    expect(direct.wasi("fd_write", 3, 512, 2, OUT)).toBe(8)
    expect(direct.wasi("fd_write", 1, WILD, 2, OUT)).toBe(21)
    expect(direct.wasi("fd_write", 1, 512, 2, WILD)).toBe(21)
    expect(direct.wasi("fd_write", 1, 512, -1, OUT)).toBe(28)
    memory.writeWord(512, WILD)
    expect(direct.wasi("fd_write", 1, 512, 1, OUT)).toBe(21)
  })

  test("time and randomness", () => {
    const direct = new Direct({ wasi: names })
    const { view } = direct.vm.memory
    expect(direct.wasi("clock_time_get", 0, 0n, OUT)).toBe(0)
    expect(view.getBigUint64(OUT, true)).toBe(1_700_000_000_000_250_000n)
    expect(direct.wasi("clock_time_get", 1, 0n, OUT)).toBe(0)
    expect(direct.wasi("clock_time_get", 2, 0n, OUT)).toBe(58)
    expect(direct.wasi("clock_time_get", 0, 0n, WILD)).toBe(21)
    expect(direct.wasi("clock_res_get", 0, OUT)).toBe(0)
    expect(view.getBigUint64(OUT, true)).toBe(1n)
    expect(direct.wasi("random_get", 600, 64)).toBe(0)
    expect(direct.vm.memory.copy(600, 64).some((octet) => octet !== 0)).toBe(true)
    expect(direct.wasi("random_get", 0, 0)).toBe(0)
    expect(direct.wasi("random_get", WILD, 32)).toBe(21)
    expect(direct.wasi("random_get", 0, 65_537)).toBe(28)
  })

  test("there are no arguments, variables, files or sockets", () => {
    const direct = new Direct({ wasi: names })
    for (const name of ["environ_sizes_get", "args_sizes_get"]) {
      direct.vm.memory.writeWord(OUT, 9)
      expect(direct.wasi(name, OUT, OUT2)).toBe(0)
      expect([direct.word(OUT), direct.word(OUT2)]).toEqual([0, 0])
      expect(direct.wasi(name, WILD, OUT2)).toBe(21)
    }
    const answers: [string, number][] = [
      ...([
        ["environ_get", 0],
        ["args_get", 0],
        ["sched_yield", 0],
        ["fd_close", 0],
        ["fd_seek", 0],
      ] as [string, number][]),
      ...([
        ["fd_prestat_get", 8],
        ["fd_filestat_get", 8],
        ["fd_readdir", 20],
        ["path_open", 44],
      ] as [string, number][]),
      ...([
        ["fd_fdstat_set_flags", 52],
        ["fd_prestat_dir_name", 52],
        ["fd_read", 52],
        ["fd_pread", 52],
      ] as [string, number][]),
      ...([
        ["path_rename", 58],
        ["sock_send", 58],
      ] as [string, number][]),
    ]
    for (const [name, errno] of answers) expect([name, direct.wasi(name, 1, 0, 0, 0)]).toEqual([name, errno])
    direct.vm.memory.writeWord(OUT, 9)
    expect(direct.wasi("poll_oneoff", 0, 0, 1, OUT)).toBe(0)
    expect(direct.word(OUT)).toBe(0)
    expect(direct.wasi("fd_fdstat_get", 1, 512)).toBe(0)
    expect(direct.vm.memory.view.getBigUint64(520, true)).toBe(64n)
    expect(direct.wasi("fd_fdstat_get", 4, 512)).toBe(8)
  })

  test("unknown imports are reported once an instance", () => {
    const direct = new Direct({ wasi: ["fd_made_up"] })
    expect(direct.host.messages()).toEqual(["unknown import wasi_snapshot_preview1.fd_made_up: calls of it will answer unimplemented"])
    expect(direct.wasi("fd_made_up")).toBe(52)
  })
})
