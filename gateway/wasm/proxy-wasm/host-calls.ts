// The import object of a guest: every function it asks for, by the name of its module and its own. Those this host does
// not offer link to stubs that answer a clean status, so that a filter which never calls them runs.

import { Status } from "./enums.ts"
import { type HostVm, restricted } from "./host.ts"
import { dataHostCalls } from "./host-calls-data.ts"
import { headerHostCalls } from "./host-calls-headers.ts"
import { logHostCalls } from "./host-calls-log.ts"
import { streamHostCalls } from "./host-calls-stream.ts"
import { unknownWasi, wasiHostCalls } from "./wasi.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, INTERNAL_FAILURE, UNIMPLEMENTED } = Status

/**
 * Capabilities that are not there answer as if nothing of the kind were configured: no such cluster, queue, metric or
 * function. Rust's SDK panics on other answers.
 */
const absent: Readonly<Record<string, number>> = {
  proxy_set_tick_period_milliseconds: UNIMPLEMENTED,
  proxy_http_call: BAD_ARGUMENT,
  proxy_grpc_call: INTERNAL_FAILURE,
  proxy_grpc_stream: INTERNAL_FAILURE,
  proxy_grpc_send: NOT_FOUND,
  proxy_grpc_cancel: NOT_FOUND,
  proxy_grpc_close: NOT_FOUND,
  proxy_register_shared_queue: UNIMPLEMENTED,
  proxy_resolve_shared_queue: NOT_FOUND,
  proxy_enqueue_shared_queue: NOT_FOUND,
  proxy_dequeue_shared_queue: NOT_FOUND,
  proxy_define_metric: UNIMPLEMENTED,
  proxy_increment_metric: NOT_FOUND,
  proxy_record_metric: NOT_FOUND,
  proxy_get_metric: NOT_FOUND,
  proxy_call_foreign_function: NOT_FOUND,
}

const wasiModules = ["wasi_snapshot_preview1", "wasi_unstable"]

/** Links `module` to `vm`. `unknown` hears of every import that got a stub because nobody knows it. */
export function hostCalls(vm: HostVm, module: WebAssembly.Module, unknown: (name: string) => void): WebAssembly.Imports {
  const { memory } = vm
  const env: Record<string, (...args: number[]) => number | undefined> = {
    ...logHostCalls(vm),
    ...headerHostCalls(vm),
    ...dataHostCalls(vm),
    ...streamHostCalls(vm),

    proxy_get_status(code, data, length) {
      memory.refresh()
      if (vm.root === null) restricted(vm)
      if (!memory.inside(code, 4) || !memory.inside(data, 4) || !memory.inside(length, 4)) return Status.INVALID_MEMORY_ACCESS
      memory.writeWord(code, 0)
      memory.writeWord(data, 0)
      memory.writeWord(length, 0)
      return OK
    },

    emscripten_notify_memory_growth: () => undefined,
    pthread_equal: (a, b) => (a === b ? 1 : 0),
  }
  for (const [name, status] of Object.entries(absent)) {
    env[name] = () => {
      if (vm.root === null) restricted(vm)
      return status
    }
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
