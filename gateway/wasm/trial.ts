// Tries a filter's code and configuration in an instance of its own before anything that serves is touched, so that a bad
// one is refused with a reason its author can use.

import type { LogLevel } from "../telemetry/log.ts"
import type { PluginSpec } from "./plugin.ts"
import type { Clock, SharedData } from "./proxy-wasm/host.ts"
import { Trap } from "./trap.ts"
import { RootContext, Vm } from "./vm.ts"
import { vmOptions } from "./vm-slot.ts"

export type TrialResult = { readonly ok: true } | { readonly ok: false; readonly reason: string }

export interface TrialOptions {
  readonly unitsPerMs: number
  readonly clock: Clock
}

/** Lines of the guest's log kept for the reason. */
const MAX_LINES = 20

/** Starts `spec` and configures it, in an instance that is thrown away and shares no data with others. */
export function trialConfigure(spec: PluginSpec, options: TrialOptions): TrialResult {
  const lines: string[] = []
  const environment = {
    logger: { enabled: () => true, log: () => undefined },
    clock: options.clock,
    shared: new TrialData(),
    unitsPerMs: options.unitsPerMs,
  }
  const vm = new Vm(
    vmOptions(spec, environment, {
      logs: (level: LogLevel) => level === "error" || level === "critical",
      log: (level, text) => {
        if ((level === "error" || level === "critical") && lines.length < MAX_LINES) lines.push(text.trim())
      },
      failed: () => undefined,
    }),
  )
  const reason = attempt(vm, spec)
  vm.drop()
  if (reason === null) return { ok: true }
  return { ok: false, reason: lines.length === 0 ? reason : `${reason}: ${lines.join("; ")}` }
}

function attempt(vm: Vm, spec: PluginSpec): string | null {
  const trap = vm.start()
  if (trap !== null) return `start failed: ${trap}`
  if (vm.exports.allocate === null) return "the module exports neither proxy_on_memory_allocate nor malloc"
  const started = vm.startRoot(spec)
  if (started instanceof RootContext) return null
  return started instanceof Trap ? `${stepOf(started.callback)} failed: ${started}` : `${stepOf(`proxy_on_${started.refused}`)} refused`
}

function stepOf(callback: string): string {
  return callback === "proxy_on_configure" ? "configure" : callback === "proxy_on_vm_start" ? "vm start" : callback
}

/** Shared data of a VM that is alone. */
class TrialData implements SharedData {
  readonly #entries = new Map<string, { value: Uint8Array; cas: number }>()
  #cas = 0

  get(_namespace: string, key: string): { value: Uint8Array; cas: number } | undefined {
    return this.#entries.get(key)
  }

  set(_namespace: string, key: string, value: Uint8Array, cas: number): "ok" | "cas-mismatch" | "full" {
    const old = this.#entries.get(key)
    if (cas !== 0 && old !== undefined && old.cas !== cas) return "cas-mismatch"
    if (old === undefined && this.#entries.size >= 1024) return "full"
    this.#cas++
    this.#entries.set(key, { value, cas: this.#cas })
    return "ok"
  }
}
