// Guests for tests, written in WebAssembly's text form: no SDK stands between a test and the ABI.

import binaryen from "binaryen"

/** Bytes of the module that `text` describes. Throws when it isn't valid. */
export function wat(text: string): Uint8Array {
  const module = binaryen.parseText(text)
  try {
    module.setFeatures(binaryen.Features.All)
    if (!module.validate()) throw new Error(`invalid test module:\n${text}`)
    return module.emitBinary()
  } finally {
    module.dispose()
  }
}

/** Parameters of the host calls, as a shorthand: one letter each, i = i32, l = i64. */
export const hostCallSignatures: Readonly<Record<string, string>> = {
  proxy_log: "iii",
  proxy_get_log_level: "i",
  proxy_get_current_time_nanoseconds: "i",
  proxy_set_tick_period_milliseconds: "i",
  proxy_get_configuration: "ii",
  proxy_get_buffer_bytes: "iiiii",
  proxy_get_buffer_status: "iii",
  proxy_set_buffer_bytes: "iiiii",
  proxy_get_header_map_size: "ii",
  proxy_get_header_map_pairs: "iii",
  proxy_set_header_map_pairs: "iii",
  proxy_get_header_map_value: "iiiii",
  proxy_add_header_map_value: "iiiii",
  proxy_replace_header_map_value: "iiiii",
  proxy_remove_header_map_value: "iii",
  proxy_continue_stream: "i",
  proxy_close_stream: "i",
  proxy_continue_request: "",
  proxy_continue_response: "",
  proxy_clear_route_cache: "",
  proxy_send_local_response: "iiiiiiii",
  proxy_http_call: "iiiiiiiiii",
  proxy_grpc_call: "iiiiiiiiiiii",
  proxy_grpc_stream: "iiiiiiiii",
  proxy_grpc_send: "iiii",
  proxy_grpc_cancel: "i",
  proxy_grpc_close: "i",
  proxy_get_status: "iii",
  proxy_set_shared_data: "iiiii",
  proxy_get_shared_data: "iiiii",
  proxy_register_shared_queue: "iii",
  proxy_resolve_shared_queue: "iiiii",
  proxy_enqueue_shared_queue: "iii",
  proxy_dequeue_shared_queue: "iii",
  proxy_define_metric: "iiii",
  proxy_increment_metric: "il",
  proxy_record_metric: "il",
  proxy_get_metric: "ii",
  proxy_get_property: "iiii",
  proxy_set_property: "iiii",
  proxy_call_foreign_function: "iiiiii",
  proxy_set_effective_context: "i",
  proxy_done: "",
}

export const hostCallNames: readonly string[] = Object.keys(hostCallSignatures)

function parameters(shorthand: string): string {
  return shorthand === "" ? "" : `(param ${[...shorthand].map((letter) => (letter === "l" ? "i64" : "i32")).join(" ")})`
}

export interface GuestParts {
  /** Host calls to import; each is callable as `$name`. */
  readonly imports?: readonly string[]
  /** Other imports, in text form. */
  readonly more?: string
  /** Texts laid into memory at their addresses (below 4096). */
  readonly data?: Readonly<Record<number, string>>
  /** Marker; default 0_2_1. */
  readonly abi?: string
  /** Functions, globals and exports, in text form. */
  readonly code?: string
  /** The allocator; default: a bump allocator from 4096 on, exported as proxy_on_memory_allocate. */
  readonly allocator?: string
  /** Memory's limits; default 1 page at the start, 4 at most. */
  readonly memory?: string
}

const bump = `
  (global $top (mut i32) (i32.const 4096))
  (func $allocate (export "proxy_on_memory_allocate") (param $n i32) (result i32)
    (if (i32.eqz (local.get $n)) (then (unreachable)))
    (global.get $top)
    (global.set $top (i32.add (global.get $top) (local.get $n))))`

/** A module with memory, allocator and marker around `parts`. */
export function guest(parts: GuestParts): Uint8Array {
  const imports = (parts.imports ?? []).map(
    (name) => `(import "env" "${name}" (func $${name} ${parameters(hostCallSignatures[name])} (result i32)))`,
  )
  const data = Object.entries(parts.data ?? {}).map(([at, text]) => `(data (i32.const ${at}) "${dataString(text)}")`)
  return wat(`(module
  ${imports.join("\n  ")}
  ${parts.more ?? ""}
  (memory (export "memory") ${parts.memory ?? "1 4"})
  ${data.join("\n  ")}
  (func (export "proxy_abi_version_${parts.abi ?? "0_2_1"}"))
  ${parts.allocator ?? bump}
  ${parts.code ?? ""})`)
}

function dataString(text: string): string {
  return Array.from(Buffer.from(text, "utf8"), (octet) => `\\${octet.toString(16).padStart(2, "0")}`).join("")
}

/** Guests that say what happens to them: texts laid into memory, and code that logs them. */
export class Script {
  readonly data: Record<number, string> = {}
  #next = 256

  /** Lays `text` into memory: its address and length, as two operands. */
  text(text: string): string {
    const at = this.#next
    this.data[at] = text
    this.#next += Buffer.byteLength(text) + 1
    if (this.#next > 4096) throw new Error("text space is used up")
    return `(i32.const ${at}) (i32.const ${Buffer.byteLength(text)})`
  }

  /** Logs `text` at `level`, info by default. */
  say(text: string, level = 2): string {
    return `(drop (call $proxy_log (i32.const ${level}) ${this.text(text)}))`
  }

  /** Logs `text` with the decimal digit of `digit` in the place of its final `?`. */
  sayDigit(text: string, digit: string): string {
    const operands = this.text(text)
    const at = Number(/const (\d+)/.exec(operands)?.[1]) + Buffer.byteLength(text) - 1
    return `(i32.store8 (i32.const ${at}) (i32.add (i32.const 48) ${digit})) (drop (call $proxy_log (i32.const 2) ${operands}))`
  }
}

/** A module that exports the host calls of these names as they are: `name(…)` makes the call and returns its status. */
export function hostCallWrapper(names: readonly string[]): Uint8Array {
  const code = names.map((name) => {
    const operands = [...hostCallSignatures[name]].map((_, i) => `(local.get ${i})`)
    return `(func (export "${name}") ${parameters(hostCallSignatures[name])} (result i32) (call $${name} ${operands.join(" ")}))`
  })
  return guest({ imports: names, code: code.join("\n") })
}
