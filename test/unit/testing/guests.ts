// Guests without an SDK for tests of the harness: WebAssembly text, written to files that it can load.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type GuestParts, guest } from "../wasm/support/wat.ts"

export const folder: string = mkdtempSync(join(tmpdir(), "sluice-testing-"))

export function removeGuests(): void {
  rmSync(folder, { recursive: true, force: true })
}

/** Writes a guest as `name`.wasm; its path. */
export function guestFile(name: string, parts: GuestParts): string {
  const file = join(folder, `${name}.wasm`)
  writeFileSync(file, guest(parts))
  return file
}

/** Pointer and length of a text at `at`, as operands. */
export function operands(at: number, text: string): string {
  return `(i32.const ${at}) (i32.const ${Buffer.byteLength(text)})`
}

/** A map of headers in the ABI's form, as text to be laid into memory. */
export function pairs(entries: readonly (readonly [string, string])[]): string {
  const word = (n: number): string => String.fromCharCode(n & 0xff, (n >> 8) & 0xff, 0, 0)
  const sizes = entries.map(([name, value]) => word(name.length) + word(value.length)).join("")
  return word(entries.length) + sizes + entries.map(([name, value]) => `${name}\0${value}\0`).join("")
}

/** Sets header x-seen of the request to `yes`, and x-seen of the response. */
export function marking(): string {
  const set = (map: number): string =>
    `(drop (call $proxy_replace_header_map_value (i32.const ${map}) ${operands(16, "x-seen")} ${operands(32, "yes")}))`
  return guestFile("marking", {
    imports: ["proxy_replace_header_map_value"],
    data: { 16: "x-seen", 32: "yes" },
    code: `
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) ${set(0)} (i32.const 0))
      (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) ${set(2)} (i32.const 0))`,
  })
}

/** Logs, as digits, the length and end of each request body callback; keeps the body until its end, then puts `<` before it. */
export function buffering(): string {
  return guestFile("buffering", {
    imports: ["proxy_log", "proxy_set_buffer_bytes", "proxy_remove_header_map_value"],
    data: { 16: "body ?/?", 32: "<", 40: "content-length" },
    code: `
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (drop (call $proxy_remove_header_map_value (i32.const 0) ${operands(40, "content-length")})) (i32.const 0))
      (func (export "proxy_on_request_body") (param $id i32) (param $n i32) (param $end i32) (result i32)
        (i32.store8 (i32.const 21) (i32.add (i32.const 48) (local.get $n)))
        (i32.store8 (i32.const 23) (i32.add (i32.const 48) (local.get $end)))
        (drop (call $proxy_log (i32.const 2) ${operands(16, "body ?/?")}))
        (if (i32.eqz (local.get $end)) (then (return (i32.const 1))))
        (drop (call $proxy_set_buffer_bytes (i32.const 0) (i32.const 0) (i32.const 0) ${operands(32, "<")}))
        (i32.const 0))`,
  })
}

/** Asks service `idp` before each request, and logs the number of headers it answered with; 0 = it failed. */
export function calling(timeout = 500): string {
  const head = pairs([
    [":method", "GET"],
    [":path", "/keys"],
    [":authority", "idp.internal"],
  ])
  return guestFile("calling", {
    imports: ["proxy_http_call", "proxy_continue_stream", "proxy_log", "proxy_set_effective_context"],
    data: { 16: "idp", 64: head, 200: "answer ?", 220: "call ?" },
    code: `
      (global $stream (mut i32) (i32.const 0))
      (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
        (local $status i32)
        (global.set $stream (local.get $id))
        (local.set $status (call $proxy_http_call ${operands(16, "idp")} (i32.const 64) (i32.const ${head.length}) (i32.const 0) (i32.const 0)
          (i32.const 0) (i32.const 0) (i32.const ${timeout}) (i32.const 8)))
        (if (i32.eqz (local.get $status)) (then (return (i32.const 1))))
        (i32.store8 (i32.const 225) (i32.add (i32.const 48) (local.get $status)))
        (drop (call $proxy_log (i32.const 3) ${operands(220, "call ?")}))
        (i32.const 0))
      (func (export "proxy_on_http_call_response") (param i32 i32) (param $headers i32) (param i32 i32)
        (i32.store8 (i32.const 207) (i32.add (i32.const 48) (local.get $headers)))
        (drop (call $proxy_log (i32.const 2) ${operands(200, "answer ?")}))
        (drop (call $proxy_set_effective_context (global.get $stream)))
        (drop (call $proxy_continue_stream (i32.const 0))))`,
  })
}

/** Holds requests until its next tick, which is due every second. */
export function waiting(): string {
  return guestFile("waiting", {
    imports: ["proxy_set_tick_period_milliseconds", "proxy_continue_stream", "proxy_set_effective_context"],
    code: `
      (global $stream (mut i32) (i32.const 0))
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $proxy_set_tick_period_milliseconds (i32.const 1000))) (i32.const 1))
      (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
        (global.set $stream (local.get $id)) (i32.const 1))
      (func (export "proxy_on_tick") (param i32)
        (if (global.get $stream) (then
          (drop (call $proxy_set_effective_context (global.get $stream)))
          (global.set $stream (i32.const 0))
          (drop (call $proxy_continue_stream (i32.const 0))))))`,
  })
}

/** Counts requests in metric `seen`, stores `7` under `last`, and traps when the path is /trap (the request's 5 pairs and one more). */
export function counting(): string {
  return guestFile("counting", {
    imports: ["proxy_define_metric", "proxy_increment_metric", "proxy_set_shared_data", "proxy_get_header_map_value"],
    data: { 16: "seen", 32: "last", 48: "7", 64: "x-trap" },
    code: `
      (func (export "proxy_on_configure") (param i32 i32) (result i32)
        (drop (call $proxy_define_metric (i32.const 0) ${operands(16, "seen")} (i32.const 8))) (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
        (if (i32.eqz (call $proxy_get_header_map_value (i32.const 0) ${operands(64, "x-trap")} (i32.const 96) (i32.const 100))) (then (unreachable)))
        (drop (call $proxy_increment_metric (i32.load (i32.const 8)) (i64.const 1)))
        (drop (call $proxy_set_shared_data ${operands(32, "last")} ${operands(48, "7")} (i32.const 0)))
        (i32.const 0))`,
  })
}

/** Refuses every configuration, and says so. */
export function refusing(): string {
  return guestFile("refusing", {
    imports: ["proxy_log"],
    data: { 16: "needs a key" },
    code: `(func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $proxy_log (i32.const 4) ${operands(16, "needs a key")})) (i32.const 0))`,
  })
}

/** Answers every request 418 with body `tea`. */
export function replying(): string {
  return guestFile("replying", {
    imports: ["proxy_send_local_response"],
    data: { 16: "teapot", 32: "tea" },
    code: `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $proxy_send_local_response (i32.const 418) ${operands(16, "teapot")} ${operands(32, "tea")} (i32.const 0) (i32.const 0) (i32.const -1)))
      (i32.const 1))`,
  })
}
