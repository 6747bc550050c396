import { Buffer } from "node:buffer"
import fc from "fast-check"
import { describe, expect, test } from "vitest"
import { toGrants } from "../../../gateway/wasm/grants.ts"
import { Status } from "../../../gateway/wasm/proxy-wasm/enums.ts"
import { callMetadata, clusterOf, methodPath } from "../../../gateway/wasm/proxy-wasm/grpc-request.ts"
import { type PendingGrpc, pairs, RootCalls, RootHost } from "./support/root.ts"
import { guest, hostCallNames } from "./support/wat.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, PARSE_FAILURE, INVALID_MEMORY_ACCESS, INTERNAL_FAILURE } = Status

const name = "(i32.const 512) (i32.const 3)"

/** Writes kind, root, id and argument of a callback behind those before it, from 1024 on; how many there are is at 28. */
function note(kind: number, argument = "(local.get 2)"): string {
  return `
    (local.set $at (i32.add (i32.const 1024) (i32.mul (i32.const 16) (i32.load (i32.const 28)))))
    (i32.store (local.get $at) (i32.const ${kind}))
    (i32.store offset=4 (local.get $at) (local.get 0))
    (i32.store offset=8 (local.get $at) (local.get 1))
    (i32.store offset=12 (local.get $at) ${argument})
    (i32.store (i32.const 28) (i32.add (i32.const 1) (i32.load (i32.const 28))))`
}

/** Logs what a host call has put at 40 and 44, if it answered OK. */
function logged(call: string): string {
  return `(if (i32.eqz ${call}) (then (drop (call $proxy_log (i32.const 2) (i32.load (i32.const 40)) (i32.load (i32.const 44))))))`
}

/**
 * A guest that writes down its gRPC callbacks, and logs the messages, the field x-m of the metadata, and the message of the
 * status. With 1 at 72 it calls again from the last callback, with 2 it traps, with 3 it cancels at a message.
 */
const listener = guest({
  imports: hostCallNames,
  data: { 512: "x-m", 520: "api", 528: "pkg.Service", 544: "Do" },
  code: `
    (func (export "proxy_on_grpc_receive_initial_metadata") (param i32 i32 i32) (local $at i32) ${note(1)}
      ${logged(`(call $proxy_get_header_map_value (i32.const 4) ${name} (i32.const 40) (i32.const 44))`)})
    (func (export "proxy_on_grpc_receive") (param i32 i32 i32) (local $at i32) ${note(2)}
      ${logged("(call $proxy_get_buffer_bytes (i32.const 5) (i32.const 0) (i32.const 99999) (i32.const 40) (i32.const 44))")}
      (if (i32.eq (i32.load (i32.const 72)) (i32.const 1)) (then
        (drop (call $proxy_grpc_call (i32.const 520) (i32.const 3) (i32.const 528) (i32.const 11) (i32.const 544) (i32.const 2)
          (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 76)))))
      (if (i32.eq (i32.load (i32.const 72)) (i32.const 3)) (then (drop (call $proxy_grpc_cancel (local.get 1))))))
    (func (export "proxy_on_grpc_receive_trailing_metadata") (param i32 i32 i32) (local $at i32) ${note(3)}
      ${logged(`(call $proxy_get_header_map_value (i32.const 5) ${name} (i32.const 40) (i32.const 44))`)})
    (func (export "proxy_on_grpc_close") (param i32 i32 i32) (local $at i32) ${note(4)}
      ${logged("(call $proxy_get_status (i32.const 48) (i32.const 40) (i32.const 44))")}
      (if (i32.eq (i32.load (i32.const 72)) (i32.const 2)) (then (unreachable))))`,
})

const HEAD = "head"
const MESSAGE = "message"
const TRAILERS = "trailers"
const CLOSE = "close"
const kinds = ["", HEAD, MESSAGE, TRAILERS, CLOSE]

function start(overrides: Parameters<RootHost["plugin"]>[1] = {}) {
  const host = new RootHost()
  const plugin = host.plugin(listener, overrides)
  const { root } = plugin
  if (root === null) throw new Error(`the guest did not start: ${host.messages.join("; ")}`)
  const calls = new RootCalls(root, plugin.spec.module)
  /** Its callbacks so far: which, the id, the argument. */
  const events = (): [string, number, number][] =>
    Array.from({ length: calls.word(28) }, (_, i) => {
      const at = 1024 + 16 * i
      expect(calls.word(at + 4)).toBe(root.id)
      return [kinds[calls.word(at)], calls.word(at + 8), calls.word(at + 12)]
    })
  const set = (value: number): void => root.vm.memory.view.setUint32(72, value, true)
  const made = (): PendingGrpc => host.services.grpc.at(-1) as PendingGrpc
  return { host, root, calls, events, set, made }
}

describe("proxy_grpc_call", () => {
  test("sends what the guest gave, under an id that is 1 more than a multiple of 4", () => {
    const { calls, made } = start()
    expect(calls.grpc({ message: "ask", metadata: pairs("X-One", "1", "x-one", "2"), timeout: 250 })).toBe(OK)
    expect(calls.word(16)).toBe(1)
    expect(made().callout).toEqual({
      service: "api",
      path: "/pkg.Service/Do",
      metadata: ["x-one", "1", "x-one", "2"],
      timeout: 250,
      unary: true,
      filter: "probe",
    })
    expect([made().sent, made().ended]).toEqual([["ask"], true])
    calls.grpc({ message: "" })
    expect(calls.word(16)).toBe(5)
  })

  test("has 15 s unless it says otherwise, and at most what a timer can wait", () => {
    const { calls, made } = start()
    calls.grpc({ message: "" })
    expect(made().callout.timeout).toBe(15_000)
    calls.grpc({ message: "", timeout: -1 })
    expect(made().callout.timeout).toBe(0x7fffffff)
  })

  test("takes Envoy's GrpcService for a name", () => {
    const { calls, made } = start()
    const cluster = Buffer.from("\x0a\x03api", "latin1")
    const service = Buffer.concat([Buffer.from([0x0a, cluster.length]), cluster, Buffer.from([0x1a, 2, 8, 5])])
    expect(calls.grpc({ message: "", service })).toBe(OK)
    expect(made().callout.service).toBe("api")
  })

  test.each<[string, string | Uint8Array]>([
    ["a service that is not there", "nowhere"],
    ["no name", ""],
    ["what is no message", Buffer.from("\x0a\xff\xff", "latin1")],
    ["a message that names none", Buffer.from([0x12, 0])],
    ["a name that is too long", "a".repeat(5000)],
  ])("answers PARSE_FAILURE to %s", (_, service) => {
    const { host, calls } = start()
    expect(calls.grpc({ message: "", service })).toBe(PARSE_FAILURE)
    expect(calls.grpc({ service })).toBe(PARSE_FAILURE)
    expect(host.services.grpc).toEqual([])
  })

  test.each<[string, Parameters<RootCalls["grpc"]>[0]]>([
    ["a service with a slash", { name: "a/b" }],
    ["a method with a question mark", { method: "a?b" }],
    ["a method with CR LF", { method: "a\r\nb" }],
    ["no method", { method: "" }],
    ["a pseudo-header", { metadata: pairs(":path", "/") }],
    ["a value with CR LF", { metadata: pairs("x", "a\r\nb: c") }],
    ["a name with a space", { metadata: pairs("a b", "c") }],
    ["metadata that is malformed", { metadata: Buffer.from("no pairs at all") }],
  ])("answers INTERNAL_FAILURE to %s, which SDKs hand on", (_, parts) => {
    const { host, calls } = start()
    expect(calls.grpc({ message: "", ...parts })).toBe(INTERNAL_FAILURE)
    expect(calls.grpc(parts)).toBe(INTERNAL_FAILURE)
    expect(host.services.grpc).toEqual([])
  })

  test("leaves out what belongs to the protocol", () => {
    const { calls, made } = start()
    const metadata = pairs("content-type", "a/b", "te", "x", "grpc-timeout", "1S", "grpc-encoding", "gzip", "host", "h", "x-kept", "yes")
    calls.grpc({ message: "", metadata })
    expect(made().callout.metadata).toEqual(["x-kept", "yes"])
  })

  test("answers INTERNAL_FAILURE when it can't be made, and when there are too many", () => {
    const { host, calls } = start()
    host.services.full = true
    expect(calls.grpc({ message: "" })).toBe(INTERNAL_FAILURE)
    host.services.full = false
    for (let i = 0; i < 256; i++) expect(calls.grpc({ message: "" })).toBe(OK)
    expect(calls.grpc({ message: "" })).toBe(INTERNAL_FAILURE)
    expect(calls.grpc()).toBe(INTERNAL_FAILURE)
  })

  test("checks its addresses", () => {
    const { calls } = start()
    for (let i = 0; i < 10; i += 2) {
      const args = new Array(10).fill(0)
      args[i] = -1
      args[i + 1] = 2
      expect(calls.call("proxy_grpc_call", ...args, 0, 16)).toBe(INVALID_MEMORY_ACCESS)
      if (i < 8) expect(calls.call("proxy_grpc_stream", ...args.slice(0, 8), 16)).toBe(INVALID_MEMORY_ACCESS)
    }
    expect(calls.call("proxy_grpc_call", ...new Array(11).fill(0), -1)).toBe(INVALID_MEMORY_ACCESS)
    expect(calls.call("proxy_grpc_stream", ...new Array(8).fill(0), -1)).toBe(INVALID_MEMORY_ACCESS)
  })

  test("tells of a good answer by the message alone", () => {
    const { host, calls, events, made } = start()
    calls.grpc({ message: "ask" })
    host.take()
    made().handler.onGrpcHead(["x-m", "1"])
    made().message("the answer")
    made().handler.onGrpcTrailers(["grpc-status", "0"])
    expect(events()).toEqual([])
    made().handler.onGrpcEnd(0, "")
    expect(events()).toEqual([[MESSAGE, 1, 10]])
    expect(host.take()).toEqual(["the answer"])
  })

  test("tells of a bad one by its status alone, also when a message came", () => {
    const { host, calls, events, made } = start()
    calls.grpc({ message: "ask" })
    host.take()
    made().message("half")
    made().handler.onGrpcEnd(5, "none here")
    expect(events()).toEqual([[CLOSE, 1, 5]])
    expect(calls.word(48)).toBe(5)
    expect(host.take()).toEqual(["none here"])
  })

  test("fails when no message came, or more than one", () => {
    const { calls, events, made } = start()
    calls.grpc({ message: "" })
    made().handler.onGrpcEnd(0, "")
    calls.grpc({ message: "" })
    made().message("one")
    made().message("two")
    expect(made().cancelled).toBe(true)
    expect(events()).toEqual([
      [CLOSE, 1, 13],
      [CLOSE, 5, 13],
    ])
  })

  test("may be made again from its answer", () => {
    const { host, calls, events, set, made } = start()
    calls.grpc({ message: "" })
    set(1)
    made().message("one")
    made().handler.onGrpcEnd(0, "")
    expect(calls.word(76)).toBe(5)
    set(0)
    made().message("two")
    made().handler.onGrpcEnd(0, "")
    expect(events().map(([, id]) => id)).toEqual([1, 5])
    expect(host.services.grpc.length).toBe(2)
  })
})

describe("proxy_grpc_stream", () => {
  test("has an id that is 2 more than a multiple of 4, and no limit of time", () => {
    const { calls, made } = start()
    expect(calls.grpc({ metadata: pairs("x-a", "b") })).toBe(OK)
    expect(calls.word(16)).toBe(2)
    expect([made().callout.timeout, made().callout.unary, made().sent]).toEqual([0, false, []])
    calls.grpc()
    expect(calls.word(16)).toBe(6)
  })

  test("tells of everything that comes, in its order", () => {
    const { host, calls, events, made } = start()
    calls.grpc()
    host.take()
    made().handler.onGrpcHead(["x-m", "head", "x-n", "2"])
    made().message("one")
    made().message("")
    made().handler.onGrpcTrailers(["x-m", "trailers", "grpc-status", "3"])
    made().handler.onGrpcEnd(3, "bad")
    expect(events()).toEqual([
      [HEAD, 2, 2],
      [MESSAGE, 2, 3],
      [MESSAGE, 2, 0],
      [TRAILERS, 2, 2],
      [CLOSE, 2, 3],
    ])
    expect(host.take().filter((line) => line !== "")).toEqual(["head", "one", "trailers", "bad"])
    expect(made().untaken).toBe(0)
  })

  test("sets a message free when the guest has returned, so that what this causes can enter it", () => {
    const { calls, events, made } = start()
    calls.grpc()
    made().onTaken = () => {
      made().onTaken = null
      made().message("two")
    }
    made().message("one")
    expect(events()).toEqual([
      [MESSAGE, 2, 3],
      [MESSAGE, 2, 3],
    ])
  })

  test("shows metadata and messages only to the callback they belong to", () => {
    const { calls, made } = start()
    calls.grpc()
    made().handler.onGrpcHead(["x-m", "1"])
    expect(calls.call("proxy_get_header_map_value", 4, ...calls.put("x-m"), 40, 44)).toBe(BAD_ARGUMENT)
    expect(calls.call("proxy_get_header_map_value", 5, ...calls.put("x-m"), 40, 44)).toBe(BAD_ARGUMENT)
    expect(calls.call("proxy_get_buffer_bytes", 5, 0, 10, 40, 44)).toBe(NOT_FOUND)
  })

  test("sends messages until it is closed", () => {
    const { calls, made } = start()
    calls.grpc()
    const id = calls.word(16)
    expect(calls.send(id, "one", false)).toBe(OK)
    expect(calls.send(id, "", false)).toBe(OK)
    expect(made().ended).toBe(false)
    expect(calls.call("proxy_grpc_close", id)).toBe(OK)
    expect([made().sent, made().ended, made().cancelled]).toEqual([["one", ""], true, false])
    calls.grpc()
    expect(calls.send(calls.word(16), "last", true)).toBe(OK)
    expect([made().sent, made().ended]).toEqual([["last"], true])
  })

  test("is told of nothing once it is cancelled, even from within a callback", () => {
    const { calls, events, set, made } = start()
    calls.grpc()
    expect(calls.call("proxy_grpc_cancel", calls.word(16))).toBe(OK)
    expect(made().cancelled).toBe(true)
    made().handler.onGrpcHead([])
    calls.grpc()
    set(3)
    made().message("one")
    made().message("two")
    made().handler.onGrpcEnd(0, "")
    expect(made().cancelled).toBe(true)
    expect(events()).toEqual([[MESSAGE, 6, 3]])
  })
})

describe("the id of a gRPC call", () => {
  test("that is unknown is NOT_FOUND, and what is no stream can't send", () => {
    const { calls } = start()
    expect(calls.send(2, "", false)).toBe(NOT_FOUND)
    for (const id of [1, 4, 0]) expect(calls.send(id, "", false)).toBe(BAD_ARGUMENT)
    for (const id of [0, 1, 2, 4, -1]) {
      expect(calls.call("proxy_grpc_cancel", id)).toBe(NOT_FOUND)
      expect(calls.call("proxy_grpc_close", id)).toBe(NOT_FOUND)
    }
    expect(calls.call("proxy_grpc_send", 2, -1, 2, 0)).toBe(INVALID_MEMORY_ACCESS)
  })

  test("means nothing once the call has ended", () => {
    const { calls, made } = start()
    calls.grpc()
    made().handler.onGrpcEnd(0, "")
    expect(calls.send(2, "", false)).toBe(NOT_FOUND)
    calls.grpc({ message: "" })
    expect(calls.call("proxy_grpc_close", 1)).toBe(OK)
    expect(made().cancelled).toBe(true)
    expect(calls.call("proxy_grpc_cancel", 1)).toBe(NOT_FOUND)
  })

  test("of another context is NOT_FOUND", () => {
    const host = new RootHost()
    const [first, second] = ["one", "two"].map((name) => host.plugin(listener, { name, vm: "shared" } as never))
    if (first.root === null || second.root === null) throw new Error("no start")
    const a = new RootCalls(first.root, first.spec.module)
    a.grpc()
    const b = new RootCalls(second.root, second.spec.module, 12_288)
    expect(first.root.vm === second.root.vm ? b.call("proxy_grpc_cancel", 2) : NOT_FOUND).toBe(NOT_FOUND)
    expect(a.call("proxy_grpc_cancel", 2)).toBe(OK)
  })
})

test("all calls are given up with their context", () => {
  const { host, root, calls, events } = start()
  calls.grpc()
  calls.grpc({ message: "" })
  root.vm.finishRoot(root)
  expect(host.services.grpc.map(({ cancelled }) => cancelled)).toEqual([true, true])
  for (const { handler } of host.services.grpc) handler.onGrpcEnd(0, "")
  expect(root.vm.dead ? [] : events()).toEqual([])
})

test("a guest that traps in a callback takes its calls with it", () => {
  const { host, calls, set, made } = start()
  calls.grpc()
  calls.grpc()
  set(2)
  made().handler.onGrpcEnd(2, "")
  expect(host.services.grpc[0].cancelled).toBe(true)
  expect(() => host.services.grpc[0].handler.onGrpcEnd(0, "")).not.toThrow()
})

describe("permissions", () => {
  const grants = (services: string[], hostCalls: "*" | string[] = "*") =>
    ({ grants: toGrants({ services, headers: { read: [], write: [] }, shared: [], hostCalls }) }) as never

  test("name the services that may be called", () => {
    const { calls } = start(grants(["other"]))
    expect(calls.grpc({ message: "" })).toBe(PARSE_FAILURE)
    const allowed = start(grants(["api"]))
    expect(allowed.calls.grpc({ message: "" })).toBe(OK)
    allowed.host.take()
    allowed.calls.grpc()
    allowed.made().handler.onGrpcHead(["x-m", "a service's own"])
    expect(allowed.host.take()).toEqual(["a service's own"])
  })

  test("name the host calls", () => {
    const { calls } = start(grants(["api"], ["proxy_log"]))
    expect(calls.grpc({ message: "" })).toBe(INTERNAL_FAILURE)
    expect(calls.grpc()).toBe(INTERNAL_FAILURE)
    expect(calls.send(2, "", false)).toBe(NOT_FOUND)
  })
})

describe("what a guest gives", () => {
  const text = fc.string({ unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)), maxLength: 12 })

  test("never makes a path of more than two parts", () => {
    fc.assert(
      fc.property(text, text, (service, method) => {
        const path = methodPath(service, method)
        if (path !== "") expect(path).toMatch(/^\/[\w.$~-]+\/[\w.$~-]+$/)
      }),
    )
  })

  test("never makes metadata that ends a field", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.oneof(text, fc.constantFrom("te", "x", "grpc-a", ":path")), text), { maxLength: 4 }), (flat) => {
        const metadata = callMetadata(flat.flat())
        if (metadata === null) return
        for (let i = 0; i < metadata.length; i += 2) {
          expect(metadata[i]).toMatch(/^[!#$%&'*+\-.^_`|~0-9a-z]+$/)
          expect(metadata[i]).not.toMatch(/^(?:grpc-.*|te|content-type|:.*)$/)
          expect(metadata[i + 1]).not.toMatch(/[\r\n\0]/)
        }
      }),
    )
  })

  test("of random octets names a cluster or none", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (octets) => {
        expect(clusterOf(Buffer.from(octets))).toBeTypeOf("string")
      }),
    )
  })
})
