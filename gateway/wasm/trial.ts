// Tries a filter's code and configuration in an instance of its own before anything that serves is touched, so that a bad
// one is refused with a reason its author can use.

import type { LogLevel } from "../telemetry/log.ts"
import { refusalText } from "./grants.ts"
import type { PluginSpec } from "./plugin.ts"
import type { Clock } from "./proxy-wasm/host.ts"
import { RootContext } from "./root-context.ts"
import { Trap } from "./trap.ts"
import { trialEnvironment } from "./trial-environment.ts"
import { Vm } from "./vm.ts"
import { vmOptions } from "./vm-slot.ts"

export type TrialResult = { readonly ok: true } | { readonly ok: false; readonly reason: string }

export interface TrialOptions {
  readonly unitsPerMs: number
  readonly clock: Pick<Clock, "now" | "monotonic">
  /** Names that callouts find; every name when absent. */
  readonly services?: ReadonlySet<string>
}

/** Lines of the guest's log kept for the reason. */
const MAX_LINES = 20

/** Starts `spec` and configures it, in an instance that is thrown away and has nothing in common with others. */
export function trialConfigure(spec: PluginSpec, options: TrialOptions): TrialResult {
  const lines: string[] = []
  const environment = {
    logger: { enabled: () => true, log: () => undefined },
    environment: trialEnvironment(options.clock, options.services ?? null),
    unitsPerMs: options.unitsPerMs,
  }
  const vm = new Vm(
    vmOptions(spec, environment, {
      logs: (level: LogLevel) => level === "error" || level === "critical",
      log: (level, text) => {
        if ((level === "error" || level === "critical") && lines.length < MAX_LINES) lines.push(text.trim())
      },
      failed: () => undefined,
      refused: (kind, name) => {
        const text = spec.grants == null ? "" : refusalText(spec.name, kind, name, spec.grants)
        if (lines.length < MAX_LINES && !lines.includes(text)) lines.push(text)
      },
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
