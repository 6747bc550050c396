// Host calls that need no context: the log, the clock, and how an AssemblyScript module without WASI gives up.

import { logLevels } from "../../telemetry/log.ts"
import { LogLevel as Level, Status } from "./enums.ts"
import type { HostVm } from "./host.ts"

/** Octets of one message that are logged; the rest is cut off. */
const MAX_MESSAGE = 16_384
/** What an octet that is decoded costs, in octets copied. */
const DECODE_COST = 16

export function logHostCalls(vm: HostVm): Record<string, (...args: number[]) => number> {
  const { memory } = vm

  /** AssemblyScript's string at `pointer`: UTF-16, its length in octets in the word before. */
  function assemblyScriptString(pointer: number): string {
    const at = pointer >>> 0
    if (at < 4 || !memory.inside(at, 0)) return ""
    const length = Math.min(memory.view.getUint32(at - 4, true), 2048) & ~1
    return memory.inside(at, length) ? memory.bytes.toString("utf16le", at, at + length) : ""
  }

  return {
    proxy_log(level, pointer, length) {
      if (level >>> 0 > Level.CRITICAL) return Status.BAD_ARGUMENT
      if (!vm.logs(logLevels[level])) return Status.OK
      memory.refresh()
      if (!memory.inside(pointer, length)) return Status.INVALID_MEMORY_ACCESS
      const octets = Math.min(length >>> 0, MAX_MESSAGE)
      vm.charge(octets * DECODE_COST)
      vm.log(logLevels[level], memory.utf8(pointer, octets))
      return Status.OK
    },

    proxy_get_log_level(out) {
      memory.refresh()
      if (!memory.inside(out, 4)) return Status.INVALID_MEMORY_ACCESS
      let level: number = Level.TRACE
      while (level < Level.CRITICAL && !vm.logs(logLevels[level])) level++
      memory.writeWord(out, level)
      return Status.OK
    },

    proxy_get_current_time_nanoseconds(out) {
      memory.refresh()
      if (!memory.inside(out, 8)) return Status.INVALID_MEMORY_ACCESS
      memory.writeNanoseconds(out, vm.clock.now())
      return Status.OK
    },

    abort(message, file, line, column) {
      memory.refresh()
      return vm.exit(`abort: ${assemblyScriptString(message)} at ${assemblyScriptString(file)}:${line}:${column}`, -1)
    },
  }
}
