// One instance of a module: its memory, its contexts, and every crossing into it. Guest code runs to completion; what it
// asked for happens when it has returned. After a trap the instance is dead: nothing calls into it again.

import { Buffer } from "node:buffer"
import type { Callout } from "../filter/filter.ts"
import type { LogLevel } from "../telemetry/log.ts"
import { CalloutIds } from "./callout-ids.ts"
import { Permissions } from "./grants.ts"
import { type GuestExports, guestExports } from "./guest-exports.ts"
import { BYTES_PER_UNIT_SHIFT } from "./meter/costs.ts"
import { BUDGET_EXPORT } from "./meter/instrument.ts"
import { OwnWork, type WorkAccount } from "./own-work.ts"
import type { AbiVersion } from "./proxy-wasm/enums.ts"
import { HeaderNames } from "./proxy-wasm/header-names.ts"
import {
  type Clock,
  CONFIGURE,
  type Grants,
  type HostCallout,
  type HostEnvironment,
  type HostGrpc,
  type HostRoot,
  type HostStream,
  type HostVm,
  OTHER_PHASE,
  type RefusalKind,
  type Rights,
} from "./proxy-wasm/host.ts"
import { hostCalls } from "./proxy-wasm/host-calls.ts"
import { GuestMemory } from "./proxy-wasm/memory.ts"
import { RootContext, type RootSettings } from "./root-context.ts"
import { GuestExit, Trap, trapOf } from "./trap.ts"

/** A stream context as its VM sees it. */
export interface VmStream extends HostStream {
  readonly root: RootContext
  /** Runs {@link HostStream.actions}; the guest has returned. */
  act(): void
}

/** What all roots of a VM have in common. */
export interface VmOptions {
  readonly module: WebAssembly.Module
  readonly abi: AbiVersion
  /** Scope of shared data. */
  readonly id: string
  readonly vmConfig: Uint8Array
  /** Environment variables: see {@link HostVm.variables}. */
  readonly variables: readonly Uint8Array[]
  /** Budget units of one callback, and of each step of a start. */
  readonly budget: number
  readonly startBudget: number
  readonly environment: HostEnvironment
  /** What its roots do by themselves counts there too; null = nowhere else. */
  readonly work: WorkAccount | null
  /** What the guest may do; null = everything. */
  readonly grants: Grants | null
  /** The guest asked for something it is not granted; `root` is null while it starts. */
  refused(kind: RefusalKind, name: string, root: RootContext | null): void
  logs(level: LogLevel): boolean
  /** A line of the guest's log; `root` is null while it starts. */
  log(level: LogLevel, text: string, root: RootContext | null): void
  /** The guest trapped in a callback of `root` that no caller waits for. */
  failed(trap: Trap, root: RootContext): void
}

/** A guest that said no: its `proxy_on_vm_start` or `proxy_on_configure` returned false. */
export interface Refusal {
  readonly refused: "vm_start" | "configure"
}

/** The budget is an i32. */
const MIN_BUDGET = -0x80000000
/** A budget that the next charge finds used up. */
const EXHAUSTED = 0

const noExports: GuestExports = guestExports({})

export class Vm implements HostVm {
  readonly memory: GuestMemory = new GuestMemory()
  readonly names: HeaderNames = new HeaderNames()
  readonly clock: Clock
  readonly environment: HostEnvironment
  readonly grants: Rights | null
  readonly id: string
  readonly namespace: string
  readonly vmConfig: Uint8Array
  readonly variables: readonly Uint8Array[]
  readonly abi: AbiVersion
  readonly contexts: Map<number, RootContext | VmStream> = new Map()
  readonly calloutIds: CalloutIds = new CalloutIds(0)
  readonly grpcCallIds: CalloutIds = new CalloutIds(1)
  readonly grpcStreamIds: CalloutIds = new CalloutIds(2)
  /** What its roots do by themselves. */
  readonly work: OwnWork
  exports: GuestExports = noExports
  root: RootContext | null = null
  stream: VmStream | null = null
  phase: number = OTHER_PHASE
  callout: HostCallout | null = null
  grpc: HostGrpc | null = null
  foreignArguments: Uint8Array | null = null
  dead = false
  /** Reason of an exit the guest asked for. Set before the throw, which a guest with exception handling could swallow. */
  exited: string | null = null
  readonly #options: VmOptions
  readonly #units: number
  #budget: { value: number } = { value: 0 }
  #lastId = 0
  #wrapped = false
  #pending: VmStream[] = []
  #finished: RootContext[] = []

  constructor(options: VmOptions) {
    this.#options = options
    this.clock = options.environment.clock
    this.environment = options.environment
    this.work = new OwnWork(this.clock, options.work)
    this.grants = options.grants === null ? null : new Permissions(options.grants, (kind, name) => options.refused(kind, name, this.root))
    this.id = options.id
    this.namespace = Buffer.from(options.id, "utf8").toString("latin1")
    this.vmConfig = options.vmConfig
    this.variables = options.variables
    this.abi = options.abi
    this.#units = options.budget
  }

  /** Instantiates the module and runs its start functions. */
  start(): Trap | null {
    const { module, startBudget, log } = this.#options
    let callback = "start section"
    try {
      const imports = hostCalls(this, module, (name) => log("warn", `unknown import ${name}: calls of it will answer unimplemented`, null))
      callback = "instantiation"
      const { exports } = new WebAssembly.Instance(module, imports)
      if (!(exports.memory instanceof WebAssembly.Memory)) return new Trap("trap", "the module exports no memory", "", callback)
      // Growth of a shared memory would leave no trace in the views of it.
      if (!(exports.memory.buffer instanceof ArrayBuffer)) return new Trap("trap", "the module's memory is shared", "", callback)
      this.memory.attach(exports.memory)
      if (exports[BUDGET_EXPORT] instanceof WebAssembly.Global) this.#budget = exports[BUDGET_EXPORT]
      this.exports = guestExports(exports)
      callback = "start"
      for (const run of this.exports.start) {
        this.#budget.value = startBudget
        try {
          run()
        } catch (error) {
          // What a command's `_start` ends with when all went well.
          if (!(error instanceof GuestExit) || error.code !== 0) throw error
          this.exited = null
        }
      }
    } catch (error) {
      return this.fail(error, callback)
    }
    return this.exited === null ? null : this.fail(null, callback)
  }

  /** Makes a root context and runs `on_vm_start` and `on_configure` in it. */
  startRoot(settings: RootSettings): RootContext | Trap | Refusal {
    const root = new RootContext(this.newId(), this, settings)
    this.contexts.set(root.id, root)
    const { contextCreate, vmStart, configure } = this.exports
    const { startBudget } = this.#options
    let refused: "vm_start" | "configure" | null = null
    let callback = "proxy_on_context_create"
    try {
      this.enter(root, null)
      this.#budget.value = startBudget
      contextCreate?.(root.id, 0)
      callback = "proxy_on_vm_start"
      this.#budget.value = startBudget
      this.root = root
      if (vmStart !== null && vmStart(root.id, this.vmConfig.length) === 0) refused = "vm_start"
      else {
        callback = "proxy_on_configure"
        this.#budget.value = startBudget
        this.root = root
        this.phase = CONFIGURE
        if (configure !== null && configure(root.id, root.config.length) === 0) refused = "configure"
      }
    } catch (error) {
      return this.fail(error, callback)
    }
    this.leave()
    if (this.exited !== null) return this.fail(null, callback)
    if (refused === null) return root
    this.contexts.delete(root.id)
    root.end()
    return { refused }
  }

  /** Ends a root context without streams: done, perhaps a wait for `proxy_done`, delete. */
  finishRoot(root: RootContext): Trap | null {
    if (this.dead || !this.contexts.has(root.id)) return null
    const { done } = this.exports
    let wait = false
    if (done !== null) {
      try {
        this.enter(root, null)
        wait = done(root.id) === 0
        if (wait) root.waitForDone()
      } catch (error) {
        return this.fail(error, "proxy_on_done")
      }
      this.leave()
      if (this.exited !== null) return this.fail(null, "proxy_on_done")
    }
    return wait ? null : this.#deleteRoot(root)
  }

  #deleteRoot(root: RootContext): Trap | null {
    const callback = this.exports.delete
    try {
      this.enter(root, null)
      callback?.(root.id)
    } catch (error) {
      return this.fail(error, "proxy_on_delete")
    }
    this.contexts.delete(root.id)
    this.leave()
    root.end()
    return null
  }

  /**
   * Runs a callback of a root context outside exchanges: `call` crosses into the guest's export named `callback`. False
   * when the instance is dead, before or by it.
   */
  run(root: RootContext, callback: string, call: () => void): boolean {
    if (this.dead || this.contexts.get(root.id) !== root) return false
    let trap: Trap | null = null
    this.enter(root, null)
    try {
      call()
    } catch (error) {
      trap = this.fail(error, callback)
    }
    if (trap === null && this.exited !== null) trap = this.fail(null, callback)
    if (trap !== null) {
      this.#options.failed(trap, root)
      return false
    }
    this.callout = null
    this.grpc = null
    this.foreignArguments = null
    this.leave()
    return !this.dead
  }

  /** A context id: never 0, never one in use. */
  newId(): number {
    let id = (this.#lastId + 1) >>> 0
    if (id === 0) this.#wrapped = true
    if (this.#wrapped) while (id === 0 || this.contexts.has(id)) id = (id + 1) >>> 0
    this.#lastId = id
    return id
  }

  /** Before every crossing into the guest. */
  enter(root: RootContext, stream: VmStream | null): void {
    this.root = root
    this.stream = stream
    this.#budget.value = this.#units
  }

  /** After the guest has returned normally: no context is current, and what it asked for happens. */
  leave(): void {
    this.root = null
    this.stream = null
    this.phase = OTHER_PHASE
    if (this.#pending.length !== 0) this.#flush()
    if (this.#finished.length !== 0) this.#finish()
  }

  /** Units used since {@link enter}. */
  used(): number {
    return this.#units - this.#budget.value
  }

  #flush(): void {
    const streams = this.#pending
    this.#pending = []
    for (const stream of streams) stream.act()
  }

  #finish(): void {
    const roots = this.#finished
    this.#finished = []
    for (const root of roots) {
      const trap = this.dead ? null : this.#deleteRoot(root)
      if (trap !== null) this.#options.failed(trap, root)
    }
  }

  /** Declares the instance dead after `error` came out of `callback`. Its streams and roots are the caller's to resolve. */
  fail(error: unknown, callback: string): Trap {
    const trap = trapOf(error, callback, this.exited, this.#budget.value < 0)
    this.drop()
    return trap
  }

  /** Lets go of the instance; {@link contexts} stay for whoever resolves them. */
  drop(): void {
    this.dead = true
    this.root = null
    this.stream = null
    this.phase = OTHER_PHASE
    this.callout = null
    this.grpc = null
    this.foreignArguments = null
    this.#pending = []
    this.#finished = []
    this.exports = noExports
    this.memory.detach()
    this.work.end()
    for (const context of this.contexts.values()) if (context instanceof RootContext) context.end()
  }

  get seesRequestBodies(): boolean {
    return this.exports.requestBody !== null
  }

  get seesResponseBodies(): boolean {
    return this.exports.responseBody !== null
  }

  choose(id: number): boolean {
    const context = this.contexts.get(id)
    if (context === undefined) return false
    if (context instanceof RootContext) {
      this.root = context
      this.stream = null
    } else {
      this.root = context.root
      this.stream = context
    }
    return true
  }

  call(callout: Callout): number {
    return this.root === null ? 0 : this.root.call(callout)
  }

  charge(octets: number): void {
    this.#budget.value = Math.max(MIN_BUDGET, this.#budget.value - (octets >>> BYTES_PER_UNIT_SHIFT))
  }

  allocate(length: number): number {
    const { allocate } = this.exports
    if (allocate === null) return 0
    const { root, stream } = this
    // The allocator may log and read the clock, nothing else.
    this.root = null
    this.stream = null
    const pointer = allocate(length) >>> 0
    this.root = root
    this.stream = stream
    this.memory.refresh()
    return this.memory.inside(pointer, length) ? pointer : 0
  }

  defer(stream: HostStream, action: number): void {
    if (stream.actions === 0) this.#pending.push(stream as VmStream)
    stream.actions |= action
  }

  done(root: HostRoot): void {
    root.awaitingDone = false
    this.#finished.push(root as RootContext)
  }

  logs(level: LogLevel): boolean {
    return this.#options.logs(level)
  }

  log(level: LogLevel, text: string): void {
    this.#options.log(level, text, this.root)
  }

  exit(reason: string, code: number): never {
    this.exited = reason
    // One that catches it gets no further than its next charge.
    this.#budget.value = EXHAUSTED
    throw new GuestExit(reason, code)
  }
}
