// gRPC calls of root contexts: from the host call that makes one to the callbacks that hand over what comes of it, one after
// the other, in the instance's own time. A call with one message each way is told of its answer, or of its failure; a stream of
// everything.

import type { GrpcCallout, GrpcHandler, GrpcStream } from "../filter/grpc-callout.ts"
import type { CalloutIds } from "./callout-ids.ts"
import { CAUSED, OWN, type Task } from "./own-work.ts"
import type { HostGrpc } from "./proxy-wasm/host.ts"
import type { RootContext } from "./root-context.ts"

/** Calls of one root context under way. */
const MAX_CALLS = 256

/** ms of the thread's time that a call takes, roughly. */
const COST = 0.1

const INTERNAL = 13
const NOTHING = new Uint8Array(0)

const INITIAL = "proxy_on_grpc_receive_initial_metadata"
const MESSAGE = "proxy_on_grpc_receive"
const TRAILING = "proxy_on_grpc_receive_trailing_metadata"
const CLOSE = "proxy_on_grpc_close"

/** The gRPC calls of one root context. */
export class RootGrpc {
  readonly #root: RootContext
  readonly #live = new Map<number, RootGrpcCall>()

  constructor(root: RootContext) {
    this.#root = root
  }

  /** Makes a call with one message each way; 0 when it can't be made. */
  call(callout: GrpcCallout, message: Uint8Array): number {
    return this.#open(callout, message, this.#root.vm.grpcCallIds)
  }

  /** Opens a stream; 0 when it can't be. */
  stream(callout: GrpcCallout): number {
    return this.#open(callout, null, this.#root.vm.grpcStreamIds)
  }

  #open(callout: GrpcCallout, message: Uint8Array | null, ids: CalloutIds): number {
    const { vm } = this.#root
    if (this.#live.size >= MAX_CALLS) return 0
    const call = new RootGrpcCall(this, this.#root, message !== null, vm.work.running ? OWN : CAUSED)
    const stream = vm.environment.services.openGrpc(callout, call)
    if (stream === null) return 0
    const id = ids.take()
    if (call.weight === OWN) vm.work.charge(COST)
    call.begin(id, stream)
    this.#live.set(id, call)
    if (message !== null) stream.send(message, true)
    return id
  }

  find(id: number): RootGrpcCall | undefined {
    return this.#live.get(id)
  }

  /** Its last callback is due, or it is given up: the id is free for others. */
  leave(call: RootGrpcCall): void {
    if (!this.#live.delete(call.id)) return
    const { vm } = this.#root
    const ids = call.unary ? vm.grpcCallIds : vm.grpcStreamIds
    ids.free(call.id)
  }

  /** Gives all of them up. */
  end(): void {
    for (const call of [...this.#live.values()]) call.cancel()
  }
}

/** What is to be told of a call, in its turn. */
class Telling implements Task, HostGrpc {
  readonly weight: number
  initialMetadata: readonly string[] | null = null
  message: Uint8Array | null = null
  trailingMetadata: readonly string[] | null = null
  readonly #run: (telling: Telling) => void

  constructor(weight: number, run: (telling: Telling) => void) {
    this.weight = weight
    this.#run = run
  }

  run(): void {
    this.#run(this)
  }
}

export class RootGrpcCall implements GrpcHandler {
  id = 0
  readonly unary: boolean
  readonly weight: number
  readonly #calls: RootGrpc
  readonly #root: RootContext
  #stream: GrpcStream | null = null
  /** Nothing of it reaches the guest any more. */
  #over = false
  /** Of a call that waits for its status: the answer. */
  #answer: Uint8Array | null = null

  constructor(calls: RootGrpc, root: RootContext, unary: boolean, weight: number) {
    this.#calls = calls
    this.#root = root
    this.unary = unary
    this.weight = weight
  }

  begin(id: number, stream: GrpcStream): void {
    this.id = id
    this.#stream = stream
  }

  send(message: Uint8Array, end: boolean): void {
    this.#stream?.send(message, end)
  }

  /** `proxy_grpc_close`: of a stream, the end of its messages; of a call, its end. */
  close(): void {
    if (this.unary) this.cancel()
    else this.#stream?.end()
  }

  cancel(): void {
    this.#over = true
    this.#stream?.cancel()
    this.#calls.leave(this)
  }

  onGrpcHead(metadata: readonly string[]): void {
    if (this.unary) return
    this.#tell(INITIAL, (telling) => {
      telling.initialMetadata = metadata
      this.#root.vm.exports.grpcInitialMetadata?.(this.#root.id, this.id, metadata.length >> 1)
    })
  }

  onGrpcMessage(message: Uint8Array): void {
    if (!this.unary) {
      this.#tell(
        MESSAGE,
        (telling) => {
          telling.message = message
          this.#root.vm.exports.grpcReceive?.(this.#root.id, this.id, message.length)
        },
        // What this sets free may call filters of the same instance, which by now has nothing under way.
        () => this.#stream?.taken(message.length),
      )
      return
    }
    // Its status comes after it, and decides.
    const second = this.#answer !== null
    this.#answer = message
    if (!second) return
    this.#stream?.cancel()
    this.onGrpcEnd(INTERNAL, "more than one message for a call of one")
  }

  onGrpcTrailers(metadata: readonly string[]): void {
    if (this.unary) return
    this.#tell(TRAILING, (telling) => {
      telling.trailingMetadata = metadata
      this.#root.vm.exports.grpcTrailingMetadata?.(this.#root.id, this.id, metadata.length >> 1)
    })
  }

  onGrpcEnd(status: number, message: string): void {
    const answer = this.#answer
    if (this.unary && status === 0 && answer !== null) {
      this.#tell(MESSAGE, (telling) => {
        this.#leave(0, "")
        telling.message = answer
        this.#root.vm.exports.grpcReceive?.(this.#root.id, this.id, answer.length)
      })
      return
    }
    const code = this.unary && status === 0 ? INTERNAL : status
    const text = this.unary && status === 0 ? "no message came" : message
    this.#tell(CLOSE, (telling) => {
      this.#leave(code, text)
      telling.message = NOTHING
      this.#root.vm.exports.grpcClose?.(this.#root.id, this.id, code)
    })
  }

  // Before the last callback, so that the guest may call again from it.
  #leave(status: number, message: string): void {
    this.#over = true
    this.#calls.leave(this)
    this.#root.status = status
    this.#root.statusMessage = message
  }

  #tell(callback: string, call: (telling: Telling) => void, after?: () => void): void {
    if (this.#over) return
    const root = this.#root
    const telling = new Telling(this.weight, (told) => {
      if (this.#over) return
      root.run(callback, () => {
        root.vm.grpc = told
        call(told)
      })
      if (!this.#over) after?.()
    })
    root.vm.work.take(telling)
  }
}
