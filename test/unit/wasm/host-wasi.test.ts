import { Buffer } from "node:buffer"
import { describe, expect, test } from "vitest"
import { Direct, OUT, OUT2 } from "./support/direct.ts"
import { TestHost } from "./support/host.ts"
import { guest } from "./support/wat.ts"

const WILD = 0xfffffff0

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

  test("there are no arguments, files or sockets", () => {
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
    expect(direct.wasi("fd_fdstat_get", 1, WILD)).toBe(21)
    expect(direct.wasi("poll_oneoff", 0, 0, 1, WILD)).toBe(21)
    direct.vm.memory.bytes.fill(9, 512, 520)
    expect(direct.wasi("fd_seek", 1, 0n, 1, 512)).toBe(0)
    expect(direct.vm.memory.view.getBigUint64(512, true)).toBe(0n)
    expect(direct.wasi("fd_seek", 1, 0n, 1, WILD)).toBe(21)
  })

  test("variables are those of the configuration", () => {
    const direct = new Direct({ wasi: names, spec: { env: { RUST_LOG: "info", NAME: "grüße", EMPTY: "" } } })
    const expected = "RUST_LOG=info\0NAME=grüße\0EMPTY=\0"
    expect(direct.wasi("environ_sizes_get", OUT, OUT2)).toBe(0)
    expect([direct.word(OUT), direct.word(OUT2)]).toEqual([3, Buffer.byteLength(expected)])
    expect(direct.wasi("environ_get", 512, 600)).toBe(0)
    expect(direct.vm.memory.utf8(600, Buffer.byteLength(expected))).toBe(expected)
    expect([512, 516, 520].map((at) => direct.word(at))).toEqual([600, 614, 627])
    expect(direct.wasi("environ_get", WILD, 600)).toBe(21)
    expect(direct.wasi("environ_get", 512, 65_530)).toBe(21)
    expect(direct.wasi("environ_sizes_get", OUT, WILD)).toBe(21)
  })

  test("filters with other variables don't share an instance", () => {
    const host = new TestHost()
    const bytes = guest({})
    const one = host.plugin(bytes, { env: { A: "1" } })
    const two = host.plugin(bytes, { name: "two", env: { A: "2" } })
    const three = host.plugin(bytes, { name: "three", env: { A: "1" } })
    expect(one.root?.vm).not.toBe(two.root?.vm)
    expect(one.root?.vm).toBe(three.root?.vm)
  })

  test("both names of the module are known, and calls work while it starts", () => {
    const host = new TestHost()
    const bytes = guest({
      more: `(import "wasi_unstable" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))`,
      data: { 256: "started\n" },
      code: `(func (export "_initialize")
        (i32.store (i32.const 512) (i32.const 256))
        (i32.store (i32.const 516) (i32.const 8))
        (if (i32.eqz (call $sizes (i32.const 16) (i32.const 20)))
          (then (drop (call $write (i32.const 1) (i32.const 512) (i32.load (i32.const 16)) (i32.const 24))))))`,
    })
    host.plugin(bytes, { env: { ONE: "1" } })
    expect(host.messages()).toEqual(["started"])
  })

  test("unknown imports are reported once an instance", () => {
    const direct = new Direct({ wasi: ["fd_made_up"] })
    expect(direct.host.messages()).toEqual(["unknown import wasi_snapshot_preview1.fd_made_up: calls of it will answer unimplemented"])
    expect(direct.wasi("fd_made_up")).toBe(52)
  })
})
