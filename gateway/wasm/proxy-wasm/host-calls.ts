// The import object of a guest: every function it asks for, by the name of its module and its own. Those this host does
// not offer link to stubs that answer a clean status, so that a filter which never calls them runs.

import { DeclaredProperties } from "./declared-properties.ts"
import { Status } from "./enums.ts"
import type { HostVm } from "./host.ts"
import { bufferHostCalls } from "./host-calls-buffers.ts"
import { calloutHostCalls } from "./host-calls-callouts.ts"
import { dataHostCalls } from "./host-calls-data.ts"
import { foreignHostCalls } from "./host-calls-foreign.ts"
import { headerHostCalls } from "./host-calls-headers.ts"
import { logHostCalls } from "./host-calls-log.ts"
import { metricHostCalls } from "./host-calls-metrics.ts"
import { queueHostCalls } from "./host-calls-queues.ts"
import { streamHostCalls } from "./host-calls-stream.ts"
import { unknownWasi, wasiHostCalls } from "./wasi.ts"

const { UNIMPLEMENTED } = Status

const wasiModules = ["wasi_snapshot_preview1", "wasi_unstable"]

/** Links `module` to `vm`. `unknown` hears of every import that got a stub because nobody knows it. */
export function hostCalls(vm: HostVm, module: WebAssembly.Module, unknown: (name: string) => void): WebAssembly.Imports {
  const declared = new DeclaredProperties()
  const env: Record<string, (...args: number[]) => number | undefined> = {
    ...logHostCalls(vm),
    ...headerHostCalls(vm),
    ...bufferHostCalls(vm),
    ...calloutHostCalls(vm),
    ...dataHostCalls(vm, declared),
    ...foreignHostCalls(vm, declared),
    ...queueHostCalls(vm),
    ...metricHostCalls(vm),
    ...streamHostCalls(vm),

    emscripten_notify_memory_growth: () => undefined,
    pthread_equal: (a, b) => (a === b ? 1 : 0),
  }
  const wasi: Record<string, (...args: number[]) => number> = wasiHostCalls(vm)

  // Names come from the module: no prototype they could reach.
  const imports: Record<string, Record<string, (...args: number[]) => number | undefined>> = Object.create(null)
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    const isWasi = wasiModules.includes(from)
    const known: Record<string, (...args: number[]) => number | undefined> = isWasi ? wasi : from === "env" ? env : {}
    const target = (imports[from] ??= Object.create(null))
    if (Object.hasOwn(known, name)) {
      target[name] = known[name]
    } else {
      unknown(`${from}.${name}`)
      const status = isWasi ? unknownWasi(name) : UNIMPLEMENTED
      target[name] = () => status
    }
  }
  return imports
}
