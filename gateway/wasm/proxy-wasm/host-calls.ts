// The import object of a guest: every function it asks for, by the name of its module and its own. Those this host does
// not offer link to stubs that answer a clean status, so that a filter which never calls them runs.

import { DeclaredProperties } from "./declared-properties.ts"
import { Status } from "./enums.ts"
import type { HostVm } from "./host.ts"
import { bufferHostCalls } from "./host-calls-buffers.ts"
import { calloutHostCalls } from "./host-calls-callouts.ts"
import { dataHostCalls } from "./host-calls-data.ts"
import { foreignHostCalls } from "./host-calls-foreign.ts"
import { grpcHostCalls } from "./host-calls-grpc.ts"
import { headerHostCalls } from "./host-calls-headers.ts"
import { logHostCalls } from "./host-calls-log.ts"
import { metricHostCalls } from "./host-calls-metrics.ts"
import { queueHostCalls } from "./host-calls-queues.ts"
import { streamHostCalls } from "./host-calls-stream.ts"
import { unknownWasi, wasiHostCalls } from "./wasi.ts"

const { OK, NOT_FOUND, BAD_ARGUMENT, INVALID_MEMORY_ACCESS, INTERNAL_FAILURE, UNIMPLEMENTED } = Status

const wasiModules = ["wasi_snapshot_preview1", "wasi_unstable"]

/**
 * What a host call that is not granted answers: what it would when there is nothing to be had, or nothing can be done, as
 * the SDKs expect of it. Those that are not here answer INTERNAL_FAILURE.
 */
const refusals: Readonly<Record<string, number>> = {
  proxy_log: OK,
  proxy_get_buffer_bytes: NOT_FOUND,
  proxy_set_buffer_bytes: NOT_FOUND,
  proxy_get_header_map_value: NOT_FOUND,
  proxy_add_header_map_value: BAD_ARGUMENT,
  proxy_replace_header_map_value: BAD_ARGUMENT,
  proxy_remove_header_map_value: BAD_ARGUMENT,
  proxy_set_header_map_pairs: BAD_ARGUMENT,
  proxy_http_call: BAD_ARGUMENT,
  proxy_grpc_send: NOT_FOUND,
  proxy_grpc_cancel: NOT_FOUND,
  proxy_grpc_close: NOT_FOUND,
  proxy_get_shared_data: NOT_FOUND,
  proxy_set_shared_data: BAD_ARGUMENT,
  proxy_resolve_shared_queue: NOT_FOUND,
  proxy_enqueue_shared_queue: NOT_FOUND,
  proxy_dequeue_shared_queue: NOT_FOUND,
  proxy_increment_metric: NOT_FOUND,
  proxy_record_metric: NOT_FOUND,
  proxy_get_metric: NOT_FOUND,
  proxy_get_property: NOT_FOUND,
  proxy_set_property: NOT_FOUND,
  proxy_call_foreign_function: NOT_FOUND,
  proxy_set_effective_context: BAD_ARGUMENT,
}

function granted(vm: HostVm, name: string): boolean {
  const names = vm.grants === null ? null : vm.grants.hostCalls
  // What is no host call of the ABI (`abort`, hooks of toolchains) is none that a filter could be granted.
  return names === null || !name.startsWith("proxy_") || names.has(name)
}

function refusing(vm: HostVm, name: string): (...args: number[]) => number {
  const status = refusals[name] ?? INTERNAL_FAILURE
  return (...args) => {
    vm.grants?.refuse("hostCall", name)
    if (name !== "proxy_get_header_map_pairs") return status
    // An empty map: guests take it for granted that there is one.
    const [, data, length] = args
    const { memory } = vm
    memory.refresh()
    if (!memory.inside(data, 4) || !memory.inside(length, 4)) return INVALID_MEMORY_ACCESS
    memory.writeWord(data, 0)
    memory.writeWord(length, 0)
    return OK
  }
}

/** Links `module` to `vm`. `unknown` hears of every import that got a stub because nobody knows it. */
export function hostCalls(vm: HostVm, module: WebAssembly.Module, unknown: (name: string) => void): WebAssembly.Imports {
  const declared = new DeclaredProperties()
  const env: Record<string, (...args: number[]) => number | undefined> = {
    ...logHostCalls(vm),
    ...headerHostCalls(vm),
    ...bufferHostCalls(vm),
    ...calloutHostCalls(vm),
    ...grpcHostCalls(vm),
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
    if (!isWasi && Object.hasOwn(known, name) && !granted(vm, name)) {
      target[name] = refusing(vm, name)
    } else if (Object.hasOwn(known, name)) {
      target[name] = known[name]
    } else {
      unknown(`${from}.${name}`)
      const status = isWasi ? unknownWasi(name) : UNIMPLEMENTED
      target[name] = () => status
    }
  }
  return imports
}
