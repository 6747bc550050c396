// Host calls made by a test itself, from inside a callback of a guest that does nothing: arguments and results are laid into
// the guest's memory by hand, and the guest's allocator is a real one.

import { Buffer } from "node:buffer"
import type { StreamFilter } from "../../../../gateway/filter/filter.ts"
import type { Plugin, PluginSpec } from "../../../../gateway/wasm/plugin.ts"
import { hostCalls } from "../../../../gateway/wasm/proxy-wasm/host-calls.ts"
import type { Vm, VmStream } from "../../../../gateway/wasm/vm.ts"
import { FakeStream, TestHost } from "./host.ts"
import { guest, hostCallNames } from "./wat.ts"

const PAUSING = `
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 1))`

/** Addresses results go to; arguments are laid from 1024 on. */
export const OUT = 16
export const OUT2 = 20
export const OUT3 = 24
const ARGUMENTS = 1024

export interface DirectOptions {
  readonly abi?: string
  readonly response?: boolean
  readonly spec?: Partial<PluginSpec>
  readonly wasi?: readonly string[]
  /** Limits of the guest's memory; default: its 1 page may become 4. */
  readonly memory?: string
}

const modules = new Map<string, Uint8Array>()

function idleGuest(abi: string, wasi: readonly string[], memory?: string): Uint8Array {
  const key = `${abi} ${memory} ${wasi.join(" ")}`
  let bytes = modules.get(key)
  if (bytes === undefined) {
    const more = wasi.map((name) => `(import "wasi_snapshot_preview1" "${name}" (func (result i32)))`).join("\n")
    bytes = guest({ imports: hostCallNames, more, abi, code: PAUSING, memory })
    modules.set(key, bytes)
  }
  return bytes
}

type HostCalls = Record<string, Record<string, (...args: (number | bigint)[]) => number>>

export class Direct {
  readonly host = new TestHost()
  readonly stream = new FakeStream()
  readonly plugin: Plugin
  readonly vm: Vm
  readonly context: StreamFilter & VmStream
  readonly #calls: HostCalls
  #next = ARGUMENTS

  constructor(options: DirectOptions = {}) {
    this.plugin = this.host.plugin(idleGuest(options.abi ?? "0_2_1", options.wasi ?? [], options.memory), options.spec)
    const { root } = this.plugin
    if (root === null) throw new Error("the guest did not start")
    this.vm = root.vm
    this.context = this.plugin.open(this.stream) as StreamFilter & VmStream
    this.context.onRequestHeaders(true)
    if (options.response === true) {
      this.stream.respond()
      this.context.onResponseHeaders(false)
    }
    this.#calls = hostCalls(this.vm, this.plugin.spec.module, () => undefined) as HostCalls
    this.vm.enter(root, this.context)
  }

  call(name: string, ...args: (number | bigint)[]): number {
    return this.#calls.env[name](...args)
  }

  wasi(name: string, ...args: (number | bigint)[]): number {
    return this.#calls.wasi_snapshot_preview1[name](...args)
  }

  /** Lays latin1 text, or octets, into memory: its pointer and length. */
  put(value: string | Uint8Array): [pointer: number, length: number] {
    const bytes = typeof value === "string" ? Buffer.from(value, "latin1") : value
    this.vm.memory.refresh()
    const at = this.#next
    if (at + bytes.length > 4096) throw new Error("argument space is used up")
    this.vm.memory.bytes.set(bytes, at)
    this.#next += bytes.length
    return [at, bytes.length]
  }

  word(at: number): number {
    this.vm.memory.refresh()
    return this.vm.memory.view.getUint32(at, true)
  }

  /** The value a call returned through {@link OUT} and {@link OUT2}, as latin1 text. */
  result(): string {
    const start = this.word(OUT)
    return this.vm.memory.bytes.toString("latin1", start, start + this.word(OUT2))
  }

  get(map: number, name: string): string | number {
    const status = this.call("proxy_get_header_map_value", map, ...this.put(name), OUT, OUT2)
    return status === 0 ? this.result() : status
  }

  property(...path: string[]): Buffer | number {
    const status = this.call("proxy_get_property", ...this.put(path.join("\0")), OUT, OUT2)
    return status === 0 ? Buffer.from(this.result(), "latin1") : status
  }
}
