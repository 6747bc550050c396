// Every host call, with wild values for every parameter: it answers a status, throws nothing, and the instance lives on.

import { Buffer } from "node:buffer"
import { describe, expect, test } from "vitest"
import { BodyBuffer } from "../../../gateway/filter/body-buffer.ts"
import { Fields } from "../../../gateway/http/fields.ts"
import type { HostCallout } from "../../../gateway/wasm/proxy-wasm/host.ts"
import { GuestExit } from "../../../gateway/wasm/trap.ts"
import { Random } from "./meter-random-module.ts"
import { Direct } from "./support/direct.ts"
import { hostCallSignatures } from "./support/wat.ts"

const seed = Number(process.env.SLUICE_SEED ?? Date.now() % 2 ** 31)
const ROUNDS = 150
const MEMORY = 65_536
const MOST_STATUS = 12

const extremes: readonly number[] = [
  0,
  1,
  3,
  4,
  7,
  8,
  0x7f,
  1024,
  MEMORY - 4,
  MEMORY - 1,
  MEMORY,
  MEMORY + 1,
  0x10_0000,
  0x7fff_fffc,
  0x7fff_ffff,
  -0x8000_0000,
  -0x7fff_ffff,
  -65_536,
  -8,
  -4,
  -1,
]
const wide: readonly bigint[] = [0n, 1n, -1n, 0x7fff_ffff_ffff_ffffn, -0x8000_0000_0000_0000n, 0xffff_ffffn]

/** Signatures of the WASI calls; l = i64. */
const wasiSignatures: Readonly<Record<string, string>> = {
  fd_write: "iiii",
  fd_read: "iiii",
  fd_pread: "iiili",
  fd_seek: "ilii",
  fd_close: "i",
  fd_fdstat_get: "ii",
  fd_fdstat_set_flags: "ii",
  fd_filestat_get: "ii",
  fd_prestat_get: "ii",
  fd_prestat_dir_name: "iii",
  fd_readdir: "iiili",
  clock_time_get: "ili",
  clock_res_get: "ii",
  random_get: "ii",
  environ_get: "ii",
  environ_sizes_get: "ii",
  args_get: "ii",
  args_sizes_get: "ii",
  poll_oneoff: "iiii",
  sched_yield: "",
  path_open: "iiiiilliii",
  sock_send: "iiiii",
}

const situations: Readonly<Record<string, (direct: Direct) => void>> = {
  "in a request": () => undefined,
  "in a body, with everything there is": (direct) => {
    const { context, stream, vm } = direct
    context.shownRequest.body = bodyOf("request body")
    context.shownResponse.body = bodyOf("response body")
    context.shownRequest.ends = true
    context.shownResponse.ends = true
    stream.requestTrailers = trailersOf()
    stream.responseTrailers = trailersOf()
    context.shownRequest.trailersWritable = true
    context.shownResponse.trailersWritable = true
    const callout: HostCallout = {
      response: { status: 200, headers: ["a", "1"], body: Buffer.from("answer"), trailers: ["b", "2"] },
    }
    vm.callout = callout
    vm.foreignArguments = Buffer.from("arguments")
  },
  "without an exchange": ({ vm }) => {
    vm.stream = null
  },
  "at an exchange's end": ({ context }) => {
    context.ended = true
  },
  "for 0.1.0": () => undefined,
  "without permissions": () => undefined,
}

function bodyOf(text: string): BodyBuffer {
  const body = new BodyBuffer()
  body.append(Buffer.from(text), 0, text.length)
  return body
}

function trailersOf(): Fields {
  const fields = new Fields()
  fields.add("x-end", "1")
  return fields
}

function directFor(situation: string): Direct {
  return new Direct({
    response: true,
    wasi: Object.keys(wasiSignatures),
    abi: situation === "for 0.1.0" ? "0_1_0" : "0_2_1",
    spec: {
      env: { NAME: "value" },
      grants: situation === "without permissions" ? { services: [], readHeaders: [], writeHeaders: [], shared: [], hostCalls: null } : null,
    },
  })
}

/** What a call with these arguments gives; it is made in the situation anew, whatever those before it have done. */
function attempt(direct: Direct, situation: string, wasi: boolean, name: string, args: (number | bigint)[]): number {
  const { vm, context } = direct
  vm.enter(context.root, context)
  context.ended = false
  context.reply = null
  context.actions = 0
  situations[situation](direct)
  return wasi ? direct.wasi(name, ...args) : direct.call(name, ...args)
}

function* argumentsOf(signature: string, random: Random): Generator<(number | bigint)[]> {
  const tame = (): (number | bigint)[] => [...signature].map((letter) => (letter === "l" ? 1n : 8))
  for (let i = 0; i < signature.length; i++) {
    for (const value of signature[i] === "l" ? wide : extremes) {
      const args = tame()
      args[i] = value
      yield args
    }
  }
  for (let round = 0; round < ROUNDS; round++) {
    yield [...signature].map((letter) => (letter === "l" ? wide[random.next(wide.length)] : extremes[random.next(extremes.length)]))
  }
}

describe.each(Object.keys(situations))("wild arguments %s", (situation) => {
  test(`of every host call (seed ${seed})`, () => {
    const direct = directFor(situation)
    const random = new Random(seed)
    for (const [name, signature] of Object.entries(hostCallSignatures)) {
      for (const args of argumentsOf(signature, random)) {
        const status = attempt(direct, situation, false, name, args)
        if (!Number.isInteger(status) || status < 0 || status > MOST_STATUS)
          expect(status, `${name}(${args.join()}), seed ${seed}`).toBe("a status")
        if (direct.vm.dead) expect.fail(`${name}(${args.join()}) killed the instance, seed ${seed}`)
        if (direct.vm.memory.size > 4 * MEMORY) expect.fail("memory grew beyond its limit")
      }
    }
    expect(direct.host.logs.filter(({ level }) => level === "error" && direct.vm.dead)).toEqual([])
  })

  test(`of every WASI call (seed ${seed})`, () => {
    const direct = directFor(situation)
    const random = new Random(seed)
    for (const [name, signature] of Object.entries(wasiSignatures)) {
      for (const args of argumentsOf(signature, random)) {
        const errno = attempt(direct, situation, true, name, args)
        if (!Number.isInteger(errno) || errno < 0 || errno > 76) expect(errno, `${name}(${args.join()}), seed ${seed}`).toBe("an errno")
      }
    }
    expect(direct.vm.dead).toBe(false)
  })
})

test(`wild arguments at start and in the allocator end the guest or answer a status (seed ${seed})`, () => {
  const direct = directFor("in a request")
  const random = new Random(seed)
  const exits = new Set<string>()
  for (const [name, signature] of Object.entries(hostCallSignatures)) {
    for (const args of argumentsOf(signature, random)) {
      direct.vm.root = null
      direct.vm.stream = null
      try {
        const status = direct.call(name, ...args)
        expect(Number.isInteger(status) && status >= 0 && status <= MOST_STATUS, `${name}(${args.join()})`).toBe(true)
      } catch (error) {
        if (!(error instanceof GuestExit)) throw error
        exits.add(name)
      }
    }
  }
  const free = ["proxy_log", "proxy_get_log_level", "proxy_get_current_time_nanoseconds"]
  expect([...exits].sort()).toEqual(
    Object.keys(hostCallSignatures)
      .filter((name) => !free.includes(name))
      .sort(),
  )
})

test("what calls write lies where the guest said, and nowhere else", () => {
  // Memory before the out-words, between them and the allocator's block, and behind that, stays as it was.
  const direct = directFor("in a request")
  const { memory } = direct.vm
  memory.refresh()
  memory.bytes.fill(0xaa, 2048)
  const before = Buffer.from(memory.bytes)
  const [key, length] = direct.put("x-one")
  expect(direct.call("proxy_get_header_map_value", 0, key, length, 2048, 2056)).toBe(0)
  memory.refresh()
  const at = memory.view.getUint32(2048, true)
  const changed = [...memory.bytes.keys()].filter((i) => memory.bytes[i] !== before[i] && !(i >= key && i < key + length))
  const allowed = (i: number): boolean => (i >= 2048 && i < 2052) || (i >= 2056 && i < 2060) || i === at
  expect(changed.filter((i) => !allowed(i))).toEqual([])
  expect(String.fromCharCode(memory.bytes[at])).toBe("1")
})
