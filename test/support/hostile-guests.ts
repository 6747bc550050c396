// Filters that mean harm, each in its own way, written without the SDK. All of them start; what they do they do when an
// exchange, or a timer, calls them.

import { guest, Script } from "../unit/wasm/support/wat.ts"

export interface HostileGuest {
  readonly bytes: Uint8Array
  /** What becomes of requests to it: statuses that may be answered. */
  readonly statuses: readonly number[]
  /** Requests that are sent to it have this body. */
  readonly body?: string
  /** Settings of the filter in the configuration. */
  readonly settings?: object
  /** Whether it needs no requests: it works by ticks. */
  readonly alone?: boolean
}

const CONTINUE = "(i32.const 0)"
const SPIN = "(loop $spin (br $spin))"

type Kind = readonly [parameters: string, result: string]
const stream3: Kind = ["(param i32 i32 i32)", CONTINUE]

/** The callbacks of an exchange, with their parameters and what they answer when all is well. */
export const callbacks: Readonly<Record<string, Kind>> = {
  proxy_on_request_headers: stream3,
  proxy_on_request_body: stream3,
  proxy_on_request_trailers: ["(param i32 i32)", CONTINUE],
  proxy_on_response_headers: stream3,
  proxy_on_response_body: stream3,
  proxy_on_response_trailers: ["(param i32 i32)", CONTINUE],
  proxy_on_done: ["(param i32)", "(i32.const 1)"],
  proxy_on_log: ["(param i32)", ""],
  proxy_on_delete: ["(param i32)", ""],
}

/** The export `name`, doing `body` before it answers that all is well. */
export function callback(name: string, body: string, locals = ""): string {
  const [parameters, result] = callbacks[name]
  return `(func (export "${name}") ${parameters} ${result === "" ? "" : "(result i32)"} ${locals} ${body} ${result})`
}

const onHeaders = (body: string, locals = ""): string => callback("proxy_on_request_headers", body, locals)

/** Repeats `body` without end. */
const forEver = (body: string): string => `(loop $more ${body} (br $more))`

/** A root that ticks every millisecond and does `body`. */
function ticking(
  body: string,
  imports: readonly string[],
  more: { data?: Record<number, string>; code?: string; locals?: string } = {},
): Uint8Array {
  return guest({
    imports: ["proxy_set_tick_period_milliseconds", ...imports],
    data: more.data,
    code: `
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $proxy_set_tick_period_milliseconds (i32.const 1))) (i32.const 1))
      (func (export "proxy_on_tick") (param i32) ${more.locals ?? ""} ${body})
      ${more.code ?? ""}`,
  })
}

function scripted(
  write: (script: Script) => { imports?: readonly string[]; code: string; more?: string; memory?: string; allocator?: string },
): Uint8Array {
  const script = new Script()
  const parts = write(script)
  return guest({ ...parts, data: script.data })
}

/** Lays the header pairs of a callout to `api` into memory at 3000: method, path, authority. */
const CALLOUT_PAIRS = (() => {
  const flat = [":method", "GET", ":path", "/", ":authority", "a"]
  const word = (n: number): string => String.fromCharCode(n, 0, 0, 0)
  return word(3) + flat.map((text) => word(text.length)).join("") + flat.map((text) => `${text}\0`).join("")
})()
const CALL_OUT = `(call $proxy_http_call (i32.const 2900) (i32.const 6) (i32.const 3000) (i32.const ${CALLOUT_PAIRS.length})
  (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 10000) (i32.const 0))`
const calloutData = { 2900: "origin", 3000: CALLOUT_PAIRS }

/** Writes a number's octets over the four characters at 2000, so that every name is another. */
const NEXT_NAME = `(i32.store (i32.const 2000) (local.tee $i (i32.add (local.get $i) (i32.const 1))))`

const deny = [500]

/** Made when they are asked for: assembling all of them takes a while. */
export const hostileGuests: Readonly<Record<string, () => HostileGuest>> = {
  ...Object.fromEntries(
    Object.keys(callbacks).map((name) => [
      `spins in ${name}`,
      (): HostileGuest => ({
        bytes: guest({ code: callback(name, SPIN) }),
        statuses: name === "proxy_on_request_headers" || name === "proxy_on_response_headers" ? deny : [200, 500],
        body: "body",
      }),
    ]),
  ),
  "spins in proxy_on_context_create": () => ({
    bytes: guest({ code: `(func (export "proxy_on_context_create") (param i32 i32) (if (local.get 1) (then ${SPIN})))` }),
    statuses: deny,
  }),
  "spins in its allocator": () => ({
    bytes: scripted((script) => ({
      imports: ["proxy_get_header_map_value"],
      allocator: `(func (export "proxy_on_memory_allocate") (param i32) (result i32) ${SPIN} (i32.const 0))`,
      code: onHeaders(`(drop (call $proxy_get_header_map_value (i32.const 0) ${script.text(":path")} (i32.const 0) (i32.const 4)))`),
    })),
    statuses: deny,
  }),
  "calls the host from its allocator": () => ({
    bytes: scripted((script) => ({
      imports: ["proxy_get_header_map_value"],
      allocator: `(func $allocate (export "proxy_on_memory_allocate") (param i32) (result i32) (call $read))
        (func $read (result i32) (call $proxy_get_header_map_value (i32.const 0) ${script.text(":path")} (i32.const 0) (i32.const 4)))`,
      code: onHeaders("(drop (call $read))"),
    })),
    statuses: deny,
  }),
  "allocates where there is no memory": () => ({
    bytes: scripted((script) => ({
      imports: ["proxy_get_header_map_value", "proxy_get_header_map_pairs"],
      allocator: `(func (export "malloc") (param i32) (result i32) (i32.const -8))`,
      code: onHeaders(`
        (if (i32.ne (call $proxy_get_header_map_value (i32.const 0) ${script.text(":path")} (i32.const 0) (i32.const 4)) (i32.const 6)) (then (unreachable)))
        (if (i32.ne (call $proxy_get_header_map_pairs (i32.const 0) (i32.const 0) (i32.const 4)) (i32.const 6)) (then (unreachable)))`),
    })),
    statuses: [200],
  }),
  "spins on every tick": () => ({ bytes: ticking(SPIN, []), statuses: [200, 500], alone: true }),
  "works all the time of every tick": () => ({
    bytes: ticking(`(loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 500000))))`, [], {
      locals: "(local $i i32)",
    }),
    statuses: [200],
    alone: true,
  }),
  "recurses without end": () => ({
    bytes: guest({
      code: `(func $deeper (param i32) (result i32) (i32.add (i32.const 1) (call $deeper (i32.add (local.get 0) (i32.const 1)))))
        ${onHeaders("(drop (call $deeper (i32.const 0)))")}`,
    }),
    statuses: deny,
  }),
  "grows its memory without end": () => ({
    bytes: guest({ memory: "1", code: onHeaders(forEver("(drop (memory.grow (i32.const 16)))")) }),
    statuses: deny,
  }),
  "takes all the memory it may have": () => ({
    bytes: guest({
      memory: "1",
      code: onHeaders(`(block $full (loop $l (br_if $full (i32.eq (memory.grow (i32.const 1)) (i32.const -1))) (br $l)))
        (memory.fill (i32.const 0) (i32.const 1) (i32.mul (memory.size) (i32.const 65536)))`),
    }),
    // Growing page by page, from an engine that copies, may outlast its route's 400 ms on a busy machine.
    statuses: [200, 500, 504],
  }),
  "fills memory without end": () => ({
    bytes: guest({ memory: "64 64", code: onHeaders(forEver("(memory.fill (i32.const 0) (i32.const 1) (i32.const 4194304))")) }),
    statuses: deny,
  }),
  "copies memory without end": () => ({
    bytes: guest({ memory: "64 64", code: onHeaders(forEver("(memory.copy (i32.const 1) (i32.const 0) (i32.const 4194303))")) }),
    statuses: deny,
  }),
  "fills tables without end": () => ({
    bytes: guest({
      code: `(table $t 1 funcref)
        ${onHeaders(forEver("(drop (table.grow $t (ref.null func) (i32.const 10000))) (table.fill $t (i32.const 0) (ref.null func) (table.size $t))"))}`,
    }),
    statuses: deny,
  }),
  "catches whatever is thrown": () => ({
    bytes: guest({
      more: `(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))`,
      code: onHeaders(`${forEver("(try (do (call $exit (i32.const 0))) (catch_all))")}`),
    }),
    statuses: deny,
  }),
  "throws for ever": () => ({
    bytes: guest({ code: `(tag $t) ${onHeaders(forEver("(try (do (throw $t)) (catch_all))"))}` }),
    statuses: deny,
  }),
  "never lets a request go on": () => ({
    bytes: guest({ code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))` }),
    statuses: [504],
  }),
  "never lets a response go on": () => ({
    bytes: guest({ code: `(func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 1))` }),
    statuses: [504],
  }),
  "calls out without end": () => ({
    bytes: guest({ imports: ["proxy_http_call"], data: calloutData, code: onHeaders(forEver(`(drop ${CALL_OUT})`)) }),
    statuses: deny,
  }),
  "calls out on every tick, as often as it may": () => ({
    bytes: ticking(
      `(block $full (loop $l (br_if $full ${CALL_OUT}) (br_if $full (i32.gt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 20))) (br $l)))`,
      ["proxy_http_call"],
      {
        data: calloutData,
        locals: "(local $i i32)",
      },
    ),
    statuses: [200, 500],
    alone: true,
  }),
  "answers each callout with two": () => ({
    bytes: guest({
      imports: ["proxy_http_call"],
      data: calloutData,
      code: `${onHeaders(`(drop ${CALL_OUT})`)}
        (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32) (drop ${CALL_OUT}) (drop ${CALL_OUT}))`,
    }),
    statuses: [200],
  }),
  "sets ever new shared keys": () => ({
    bytes: guest({
      imports: ["proxy_set_shared_data"],
      memory: "4 4",
      code: onHeaders(
        forEver(
          `${NEXT_NAME} (drop (call $proxy_set_shared_data (i32.const 2000) (i32.const 4) (i32.const 0) (i32.const 60000) (i32.const 0)))`,
        ),
        "(local $i i32)",
      ),
    }),
    statuses: deny,
  }),
  "fills a queue that calls it": () => ({
    bytes: guest({
      imports: ["proxy_register_shared_queue", "proxy_enqueue_shared_queue"],
      memory: "4 4",
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32)
          (drop (call $proxy_register_shared_queue (i32.const 2000) (i32.const 4) (i32.const 64))) (i32.const 1))
        (func $put (drop (call $proxy_enqueue_shared_queue (i32.load (i32.const 64)) (i32.const 0) (i32.const 1000))))
        ${onHeaders(forEver("(call $put)"))}
        (func (export "proxy_on_queue_ready") (param i32 i32) (call $put) (call $put))`,
    }),
    statuses: deny,
  }),
  "defines ever new metrics and queues": () => ({
    bytes: guest({
      imports: ["proxy_define_metric", "proxy_register_shared_queue"],
      code: onHeaders(
        forEver(`${NEXT_NAME} (drop (call $proxy_define_metric (i32.rem_u (local.get $i) (i32.const 3)) (i32.const 2000) (i32.const 400) (i32.const 0)))
          (drop (call $proxy_register_shared_queue (i32.const 2000) (i32.const 4) (i32.const 0)))`),
        "(local $i i32)",
      ),
    }),
    statuses: deny,
  }),
  "logs without end": () => ({
    bytes: guest({
      imports: ["proxy_log"],
      more: `(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))`,
      memory: "64 64",
      code: onHeaders(`(i32.store (i32.const 0) (i32.const 0)) (i32.store (i32.const 4) (i32.const 4000000))
        ${forEver("(drop (call $proxy_log (i32.const 4) (i32.const 0) (i32.const 4000000))) (drop (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))")}`),
    }),
    statuses: deny,
  }),
  "replies with all its memory": () => ({
    bytes: guest({
      imports: ["proxy_send_local_response"],
      memory: "128 128",
      code: onHeaders(
        "(drop (call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 8388608) (i32.const 0) (i32.const 8388608) (i32.const 0) (i32.const 0) (i32.const -1)))",
      ),
    }),
    statuses: [200, 500],
  }),
  "replies without end": () => ({
    bytes: guest({
      imports: ["proxy_send_local_response"],
      memory: "64 64",
      code: onHeaders(
        forEver(
          "(drop (call $proxy_send_local_response (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 4000000) (i32.const 0) (i32.const 1000000) (i32.const -1)))",
        ),
      ),
    }),
    statuses: deny,
  }),
  "splits messages": () => ({
    bytes: scripted((script) => {
      const evil = ["a\r\nx-split: 1", "a\nx-split: 1", "a\rb", "a\0b"]
      const set = (map: number, name: string, value: string, how = "replace"): string =>
        `(if (i32.eqz (call $proxy_${how}_header_map_value (i32.const ${map}) ${script.text(name)} ${script.text(value)})) (then (unreachable)))`
      const all = (map: number): string =>
        evil
          .map((text) => `${set(map, "x-a", text)} ${set(map, "x-a", text, "add")} ${set(map, text, "x")} ${set(map, text, "x", "add")}`)
          .join("\n")
      const pseudo = [":path", ":method", ":authority", ":scheme"].flatMap((name) => evil.map((text) => set(0, name, `/${text}`)))
      return {
        imports: ["proxy_replace_header_map_value", "proxy_add_header_map_value"],
        code: `${onHeaders(all(0) + pseudo.join("\n"))} ${callback("proxy_on_response_headers", all(2) + set(2, ":status", "200\r\nx-split: 1"))}`,
      }
    }),
    statuses: [200],
  }),
  "splits its replies": () => ({
    bytes: scripted((script) => ({
      imports: ["proxy_send_local_response"],
      code: onHeaders(
        `(drop (call $proxy_send_local_response (i32.const 200) ${script.text("why\r\nx-split: 1\0")} ${script.text("HTTP/1.1 200 OK\r\nx-split: 1\r\n\r\n")} (i32.const 0) (i32.const 0) (i32.const -1)))`,
      ),
    })),
    statuses: [200],
  }),
  "adds headers without end": () => ({
    bytes: scripted((script) => ({
      imports: ["proxy_add_header_map_value"],
      code: onHeaders(
        forEver(`(drop (call $proxy_add_header_map_value (i32.const 0) ${script.text("x-more")} (i32.const 256) (i32.const 6)))`),
      ),
    })),
    statuses: deny,
  }),
  "reads all headers without end": () => ({
    bytes: guest({
      imports: ["proxy_get_header_map_pairs", "proxy_get_header_map_size"],
      allocator: `(func (export "malloc") (param i32) (result i32) (i32.const 8192))`,
      code: onHeaders(
        forEver(
          "(drop (call $proxy_get_header_map_pairs (i32.const 0) (i32.const 0) (i32.const 4))) (drop (call $proxy_get_header_map_size (i32.const 0) (i32.const 0)))",
        ),
      ),
    }),
    statuses: deny,
  }),
  "lets a body grow without end": () => ({
    bytes: guest({
      imports: ["proxy_set_buffer_bytes"],
      memory: "4 4",
      code: callback(
        "proxy_on_request_body",
        forEver("(drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 0) (i32.const 100000)))"),
      ),
    }),
    statuses: deny,
    body: "body",
  }),
  "stores properties without end": () => ({
    bytes: guest({
      imports: ["proxy_set_property"],
      memory: "8 8",
      code: onHeaders(
        forEver(`${NEXT_NAME} (drop (call $proxy_set_property (i32.const 2000) (i32.const 4) (i32.const 0) (i32.const 250000)))`),
        "(local $i i32)",
      ),
    }),
    statuses: deny,
  }),
  "has its route looked up without end": () => ({
    bytes: guest({ imports: ["proxy_clear_route_cache"], code: onHeaders(forEver("(drop (call $proxy_clear_route_cache))")) }),
    statuses: deny,
  }),
  "compresses without end": () => ({
    bytes: scripted((script) => ({
      imports: ["proxy_call_foreign_function"],
      memory: "32 32",
      allocator: `(func (export "malloc") (param i32) (result i32) (i32.const 1100000))`,
      code: onHeaders(
        forEver(
          `(drop (call $proxy_call_foreign_function ${script.text("compress")} (i32.const 0) (i32.const 1000000) (i32.const 0) (i32.const 4)))`,
        ),
      ),
    })),
    statuses: deny,
  }),
  "starts as slowly as it may, and traps": () => ({
    bytes: guest({
      code: `(func (export "proxy_on_configure") (param i32 i32) (result i32) (local $i i32)
          (loop $l (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 5000000)))) (i32.const 1))
        ${onHeaders("(unreachable)")}`,
    }),
    statuses: deny,
  }),
  "traps each time": () => ({ bytes: guest({ code: onHeaders("(unreachable)") }), statuses: deny }),
}
