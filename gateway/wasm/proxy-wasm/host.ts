// What host calls need of the VM that makes them: the seam between the ABI (this folder) and the machinery around it.

import type { FilterStream, LocalReply } from "../../filter/filter.ts"
import type { LogLevel } from "../../telemetry/log.ts"
import type { HeaderNames } from "./header-names.ts"
import type { GuestMemory } from "./memory.ts"

/** Time, injected. */
export interface Clock {
  /** Milliseconds since the epoch, with fraction. */
  now(): number
  /** Milliseconds from any fixed point, with fraction; never goes back. */
  monotonic(): number
}

/** Data that all VMs of one namespace share, in every worker. Namespaces and keys are latin1 text, one character an octet. */
export interface SharedData {
  get(namespace: string, key: string): { readonly value: Uint8Array; readonly cas: number } | undefined
  /** `cas` 0 = write whatever is there. */
  set(namespace: string, key: string, value: Uint8Array, cas: number): "ok" | "cas-mismatch" | "full"
}

/** Bits of {@link HostStream.actions}. */
export const CONTINUE_REQUEST = 1
export const CONTINUE_RESPONSE = 2
export const CLOSE = 4
export const REPLY = 8

/** A root context as host calls see it. */
export interface HostRoot {
  readonly id: number
  /** UTF-8. */
  readonly pluginName: Uint8Array
  readonly rootId: Uint8Array
  readonly config: Uint8Array
  /** `proxy_on_done` asked to wait for `proxy_done`. */
  awaitingDone: boolean
}

/** A stream context as host calls see it. */
export interface HostStream {
  readonly id: number
  readonly stream: FilterStream
  /** The message's head has not been passed on yet. */
  requestWritable: boolean
  responseWritable: boolean
  /** In done, log and delete: everything is read-only, and absent maps are empty ones. */
  ended: boolean
  /** Octets of headers and properties written so far. */
  written: number
  /** What happens once the guest has returned. */
  actions: number
  reply: LocalReply | null
  properties: Map<string, Uint8Array> | null
}

/** {@link HostVm.phase}: the plugin's configuration can be read in the second. */
export const OTHER_PHASE = 0
export const CONFIGURE = 1

export interface HostVm {
  readonly memory: GuestMemory
  readonly names: HeaderNames
  readonly clock: Clock
  readonly shared: SharedData
  /** The ABI's `vm_id`. */
  readonly id: string
  /** Scope of shared data: the id as octets, one latin1 character each. */
  readonly namespace: string
  readonly vmConfig: Uint8Array
  readonly abi: string
  /** Effective contexts. `root` is null while the guest may call only what needs none: at its start and in its allocator. */
  root: HostRoot | null
  stream: HostStream | null
  readonly phase: number
  /** A context that `proxy_set_effective_context` may choose; whether there is one. */
  choose(id: number): boolean
  /** Asks the guest for room; 0 when it has none. Memory is refreshed afterwards. */
  allocate(length: number): number
  /** Runs the stream's {@link HostStream.actions} when the guest has returned. */
  defer(stream: HostStream, action: number): void
  /** `proxy_done` for this root. */
  done(root: HostRoot): void
  logs(level: LogLevel): boolean
  log(level: LogLevel, text: string): void
  /** Ends the guest: throws through it, and the instance is failed even if the guest catches that. */
  exit(reason: string, code: number): never
}

/** Contexts are missing where the ABI allows only logging, the clock and WASI: at start and in the allocator. */
export function restricted(vm: HostVm): never {
  return vm.exit("host call not allowed during start or allocation", -1)
}
