// Host calls as a guest makes them: through WebAssembly, i64 and all, in the root context of a plugin that runs.

import { Buffer } from "node:buffer"
import type { Plugin, PluginSpec } from "../../../../gateway/wasm/plugin.ts"
import type { HostEnvironment } from "../../../../gateway/wasm/proxy-wasm/host.ts"
import { hostCalls } from "../../../../gateway/wasm/proxy-wasm/host-calls.ts"
import type { Vm } from "../../../../gateway/wasm/vm.ts"
import { FakeStream, TestHost } from "./host.ts"
import { guest, hostCallWrapper } from "./wat.ts"

/** Arguments are laid from here on. */
const ARGUMENTS = 1024

type Exports = Record<string, (...args: (number | bigint)[]) => number>

export class Calls {
  readonly host: TestHost
  readonly plugin: Plugin
  readonly vm: Vm
  readonly #exports: Exports
  #next = ARGUMENTS

  /** @param bytes the plugin's module; one that does nothing by default */
  constructor(names: readonly string[], environment: Partial<HostEnvironment>, spec: Partial<PluginSpec> = {}, bytes = guest({})) {
    this.host = new TestHost(environment)
    this.plugin = this.host.plugin(bytes, spec)
    const { root } = this.plugin
    if (root === null) throw new Error("the guest did not start")
    this.vm = root.vm
    const module = new WebAssembly.Module(hostCallWrapper(names) as Uint8Array<ArrayBuffer>)
    const instance = new WebAssembly.Instance(
      module,
      hostCalls(this.vm, module, () => undefined),
    )
    this.#exports = instance.exports as Exports
    this.vm.enter(root, null)
  }

  call(name: string, ...args: (number | bigint)[]): number {
    return this.#exports[name](...args)
  }

  /** As in the guest's start and in its allocator. */
  leave(): void {
    this.vm.root = null
  }

  /** Lays latin1 text into memory: its pointer and length. */
  put(text: string): [pointer: number, length: number] {
    this.vm.memory.refresh()
    const at = this.#next
    this.vm.memory.bytes.set(Buffer.from(text, "latin1"), at)
    this.#next += text.length
    return [at, text.length]
  }

  word(at: number): number {
    this.vm.memory.refresh()
    return this.vm.memory.view.getUint32(at, true)
  }

  long(at: number): bigint {
    this.vm.memory.refresh()
    return this.vm.memory.view.getBigUint64(at, true)
  }

  /** What lies at the pointer in `data`, of the length in `length`. */
  text(data: number, length: number): string {
    const start = this.word(data)
    return this.vm.memory.bytes.toString("latin1", start, start + this.word(length))
  }
}

/** Has the plugin see one request. */
export function request(plugin: Plugin): void {
  const stream = plugin.open(new FakeStream())
  stream?.onRequestHeaders(true)
  stream?.onDone()
}
