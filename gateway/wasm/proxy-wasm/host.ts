// What host calls need of the VM that makes them: the seam between the ABI (this folder) and the machinery around it.

import type { BodyBuffer } from "../../filter/body-buffer.ts"
import type { Callout, CalloutResponse, FilterStream, LocalReply, ServiceCaller } from "../../filter/filter.ts"
import type { GrpcCallout } from "../../filter/grpc-callout.ts"
import type { LogLevel } from "../../telemetry/log.ts"
import type { HeaderNames } from "./header-names.ts"
import type { GuestMemory } from "./memory.ts"

/** Time, injected. */
export interface Clock {
  /** Milliseconds since the epoch, with fraction. */
  now(): number
  /** Milliseconds from any fixed point, with fraction; never goes back. */
  monotonic(): number
  /** Calls `run` once after `ms` (whole, at least 1); the result takes that back. */
  schedule(ms: number, run: () => void): () => void
}

/** Data that all VMs of one namespace share, in every worker. Namespaces and keys are latin1 text, one character an octet. */
export interface SharedData {
  get(namespace: string, key: string): { readonly value: Uint8Array; readonly cas: number } | undefined
  /** `cas` 0 = write whatever is there. */
  set(namespace: string, key: string, value: Uint8Array, cas: number): "ok" | "cas-mismatch" | "full"
}

/** Queues that all VMs share, in every worker, by namespace (vm_id) and name. Texts are latin1, one character an octet. */
export interface SharedQueues {
  /**
   * Makes a queue, or joins the one there is and keeps its items. `ready` is called, on a later turn, once for each item
   * that is enqueued from now on, in one worker only: the last that registered. Null when there are too many queues.
   */
  register(namespace: string, name: string, ready: () => void): { readonly id: number; release(): void } | null
  /** 0 = there is none. */
  resolve(namespace: string, name: string): number
  enqueue(id: number, value: Uint8Array): "ok" | "unknown" | "full"
  dequeue(id: number): Uint8Array | "unknown" | "empty"
}

/** Metrics that guests define: one series in the process for each type and name, whoever defines it. */
export interface GuestMetrics {
  /** Id of the series, not 0; 0 when there are too many. */
  define(type: number, name: string): number
  /** Adds to a counter or gauge. */
  increment(id: number, by: bigint): "ok" | "unknown" | "bad"
  /** Adds to a counter, sets a gauge, observes in a histogram. */
  record(id: number, value: bigint): "ok" | "unknown" | "bad"
  read(id: number): bigint | "unknown" | "bad"
}

/** What a filter may do, from its manifest; null lists = everything of that kind. Header names are lower case. */
export interface Grants {
  readonly services: readonly string[] | null
  readonly readHeaders: readonly string[] | null
  readonly writeHeaders: readonly string[] | null
  /** Prefixes of shared-data keys and queue names. */
  readonly shared: readonly string[] | null
  /** Names of host calls, such as proxy_http_call. */
  readonly hostCalls: readonly string[] | null
}

/** What a filter asked for and is not granted. */
export type RefusalKind = "readHeader" | "writeHeader" | "service" | "shared" | "hostCall"

/** {@link Grants} as host calls ask for them. Names of headers are lower case; what is refused is counted and told. */
export interface Rights {
  /** Null = all of them. */
  readonly hostCalls: ReadonlySet<string> | null
  readonly readHeaders: ReadonlySet<string> | null
  readonly writeHeaders: ReadonlySet<string> | null
  /** As {@link reads}, for a list in which a header is just left out. */
  shows(name: string): boolean
  /** Those of name, value … that it may read. */
  visible(flat: readonly string[]): readonly string[]
  reads(name: string): boolean
  writes(name: string): boolean
  calls(service: string): boolean
  /** `key`: of shared data, or a queue's name; one character an octet. */
  shares(key: string): boolean
  /** A queue whose name was granted has this id. */
  grantQueue(id: number): void
  usesQueue(id: number): boolean
  /** Counts and tells a refusal; always false. */
  refuse(kind: RefusalKind, name: string): false
}

/** What VMs of one worker have from outside. */
export interface HostEnvironment {
  readonly clock: Clock
  readonly shared: SharedData
  readonly queues: SharedQueues
  readonly metrics: GuestMetrics
  readonly services: ServiceCaller
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
  /** How its last callout went, for `proxy_get_status`: 0 and "" = well. */
  readonly status: number
  readonly statusMessage: string
  /** Replaces the period of `proxy_on_tick`; ms, 0 = none. */
  setTick(ms: number): void
  /** Makes it the receiver of a queue, until it ends: the queue's id; 0 when it has, or there are, too many. */
  registerQueue(namespace: string, name: string): number
  /** Makes a gRPC call with one message each way, or opens a stream: its id; 0 when it can't be made. */
  grpcCall(request: GrpcRequest, message: Uint8Array): number
  grpcStream(request: GrpcRequest): number
  /** A gRPC call of its own that is under way. */
  findGrpc(id: number): HostGrpcCall | undefined
}

/** A gRPC call as a guest asks for it. */
export type GrpcRequest = Omit<GrpcCallout, "filter" | "unary">

/** The answer to a callout, while a guest is called with it. */
export interface HostCallout {
  /** Null: it failed. */
  readonly response: CalloutResponse | null
}

/** What has come of a gRPC call, while a guest is called with it; null where that is something else. */
export interface HostGrpc {
  readonly initialMetadata: readonly string[] | null
  readonly message: Uint8Array | null
  readonly trailingMetadata: readonly string[] | null
}

/** A gRPC call under way, as host calls see it. */
export interface HostGrpcCall {
  send(message: Uint8Array, end: boolean): void
  /** Its messages end, or it does when it sends no stream of them. */
  close(): void
  cancel(): void
}

/** A message of an exchange, or a direction of a connection, as host calls see it. */
export interface HostMessage {
  /** What a body callback shows, and what it has kept while it pauses; null at any other time. */
  body: BodyBuffer | null
  /** The stream's end was shown to the guest in the body callback that runs: trailers may be added. */
  ends: boolean
  /** In a trailer callback, or paused in one, or just added: trailers may be edited. */
  trailersWritable: boolean
}

/** A stream context as host calls see it. */
export interface HostStream {
  readonly id: number
  readonly stream: FilterStream
  /**
   * It is a connection's: there are no messages. What is said of the request here is then of octets from the client, and
   * what is said of the response of octets from the service.
   */
  readonly tcp: boolean
  /** The message's head has not been passed on yet. */
  readonly requestWritable: boolean
  readonly responseWritable: boolean
  /** Every edit of the request's headers has its route looked up anew. */
  readonly reroutes: boolean
  /** Octets up to which edits may make a body grow. */
  readonly bodyRoom: number
  /** In done, log and delete: everything is read-only, and absent maps are empty ones. */
  ended: boolean
  readonly shownRequest: HostMessage
  readonly shownResponse: HostMessage
  /** Octets of headers, trailers and properties written so far. */
  written: number
  /** What happens once the guest has returned. */
  actions: number
  reply: LocalReply | null
}

/** {@link HostVm.phase}: the plugin's configuration can be read in the second. */
export const OTHER_PHASE = 0
export const CONFIGURE = 1

export interface HostVm {
  readonly memory: GuestMemory
  readonly names: HeaderNames
  readonly clock: Clock
  readonly environment: HostEnvironment
  /** Null = everything is allowed. */
  readonly grants: Rights | null
  /** The ABI's `vm_id`. */
  readonly id: string
  /** Scope of shared data: the id as octets, one latin1 character each. */
  readonly namespace: string
  readonly vmConfig: Uint8Array
  /** Environment variables, each `NAME=value` and a NUL, in UTF-8. */
  readonly variables: readonly Uint8Array[]
  readonly abi: string
  /** Effective contexts. `root` is null while the guest may call only what needs none: at its start and in its allocator. */
  root: HostRoot | null
  stream: HostStream | null
  readonly phase: number
  /** The guest has a callback for bodies of requests, of responses. */
  readonly seesRequestBodies: boolean
  readonly seesResponseBodies: boolean
  /** In `proxy_on_http_call_response`. */
  readonly callout: HostCallout | null
  /** In `proxy_on_grpc_…`. */
  readonly grpc: HostGrpc | null
  /** What `proxy_on_foreign_function` was called with. */
  readonly foreignArguments: Uint8Array | null
  /** A context that `proxy_set_effective_context` may choose; whether there is one. */
  choose(id: number): boolean
  /** Sends a callout for the effective root and gives it an id; 0 when it can't be made. */
  call(callout: Callout): number
  /** Takes from the guest's budget what it costs to copy so many octets: copies in a loop must end like the loop. */
  charge(octets: number): void
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
