// Writes the Proxy-Wasm exports around the callbacks of a filter: only those it has, and of the SDK only what they need.

import type { Source, Statement } from "./assemblyscript.ts"
import { findCallbacks, findMethod, type GlueProblem, MESSAGE_CALLBACKS, type MessageCallback, returnName } from "./callbacks.ts"

export interface Glue {
  readonly text: string
  /** The declaration that each line of `text` (from 0) calls; errors in that line are the declaration's. */
  readonly owners: readonly (Statement | null)[]
  readonly problems: readonly GlueProblem[]
}

/** What the two directions of an exchange are called. */
interface Direction {
  readonly subject: "request" | "response"
  readonly headers: MessageCallback
  readonly body: MessageCallback
  readonly chunk: MessageCallback
  readonly trailers: MessageCallback
  /** StreamType and, doubled, MapType. */
  readonly number: 0 | 1
}

const REQUEST: Direction = {
  subject: "request",
  headers: "onRequest",
  body: "onRequestBody",
  chunk: "onRequestChunk",
  trailers: "onRequestTrailers",
  number: 0,
}
const RESPONSE: Direction = {
  subject: "response",
  headers: "onResponse",
  body: "onResponseBody",
  chunk: "onResponseChunk",
  trailers: "onResponseTrailers",
  number: 1,
}

const CONTINUE = 0
const PAUSE = 1
/** A body in pieces that waits for a call: nothing more is read, so that no piece is seen twice. */
const HOLD = 2

/** Parts of the SDK that only some filters contain. */
export interface Features {
  /** Callouts: one of the author's files imports `Call`. */
  readonly calls: boolean
  /** gRPC callouts: one of them imports `GrpcCall`. */
  readonly grpcCalls: boolean
  /** Bodies that are skipped: one of them says `skipBody`. */
  readonly skips: boolean
}

/** @param importPath the author's file as the glue imports it, `./filter`. */
export function generateGlue(source: Source, importPath: string, features: Features): Glue {
  const { functions, filterClass, problems } = findCallbacks(source)
  const callbacks = new Map<string, Statement>()
  for (const name of MESSAGE_CALLBACKS) {
    const declaration = filterClass === null ? functions.get(name) : findMethod(filterClass, name)
    if (declaration !== undefined) callbacks.set(name, declaration)
  }
  const writer = new GlueWriter(callbacks, functions, filterClass, features)
  writer.imports(importPath)
  writer.contexts()
  writer.plugin()
  writer.direction(REQUEST)
  writer.direction(RESPONSE)
  writer.log()
  return { text: writer.lines.join("\n"), owners: writer.owners, problems }
}

class GlueWriter {
  readonly lines: string[] = []
  readonly owners: (Statement | null)[] = []
  readonly #callbacks: ReadonlyMap<string, Statement>
  readonly #functions: ReadonlyMap<string, Statement>
  readonly #class: Statement | null
  readonly #features: Features

  constructor(
    callbacks: ReadonlyMap<string, Statement>,
    functions: ReadonlyMap<string, Statement>,
    filterClass: Statement | null,
    features: Features,
  ) {
    this.#callbacks = callbacks
    this.#functions = functions
    this.#class = filterClass
    this.#features = features
  }

  imports(importPath: string): void {
    const from = (name: string, file: string): void => this.#emit(`import * as ${name} from "sluice/sdk/${file}"`)
    from("sdk", "runtime")
    if (this.#class !== null) from("streams", "streams")
    if ([...this.#callbacks.keys()].some((name) => /Body|Chunk|Trailers/.test(name))) from("bodies", "bodies")
    if (this.#waits) from("calls", "outgoing")
    if (this.#features.calls) from("http", "call")
    if (this.#features.grpcCalls) from("grpc", "grpc-call")
    if (this.#features.skips) from("skips", "skip")
    if (this.#functions.has("onQueue")) from("queues", "queue")
    this.#emit(`import * as filter from ${JSON.stringify(importPath)}`)
  }

  contexts(): void {
    this.#emit(
      "export function proxy_abi_version_0_2_1(): void {}",
      "export function proxy_on_memory_allocate(size: i32): usize { return sdk.allocate(size) }",
      "export function proxy_on_context_create(id: i32, parent: i32): void {",
      "  sdk.createContext(id, parent)",
    )
    if (this.#class !== null) this.#call(this.#class, `  if (parent != 0) streams.addStream(id, new filter.${this.#class.name.text}())`)
    this.#emit("}", "export function proxy_on_delete(id: i32): void {", "  sdk.deleteContext(id)")
    if (this.#class !== null) this.#emit("  streams.deleteStream(id)")
    if (this.#waits) this.#emit("  calls.forget(id)")
    if (this.#features.skips) this.#emit("  skips.deleteSkips(id)")
    this.#emit("}")
  }

  /** Callbacks that belong to no exchange. */
  plugin(): void {
    const configure = this.#functions.get("configure")
    if (configure !== undefined) {
      this.#emit("export function proxy_on_configure(id: i32, size: i32): i32 {", "  sdk.enterPlugin(id)")
      this.#emit("  const config = sdk.pluginConfig()")
      this.#call(configure, `  filter.configure(${first(configure, ["config"])})`)
      this.#emit("  const accepted = config.accepted", "  sdk.leave()", "  return accepted ? 1 : 0", "}")
    }
    const tick = this.#functions.get("onTick")
    if (tick !== undefined) {
      this.#emit("export function proxy_on_tick(id: i32): void {", "  sdk.enterPlugin(id)")
      this.#call(tick, "  filter.onTick()")
      this.#emit("  sdk.leave()", "}")
    }
    const queue = this.#functions.get("onQueue")
    if (queue !== undefined) {
      this.#emit("export function proxy_on_queue_ready(plugin: i32, id: i32): void {", "  sdk.enterPlugin(plugin)")
      this.#emit("  const queue = queues.readyQueue(id)", "  if (queue === null) return")
      this.#emit("  const item = queue.receive()", "  if (item === null) return")
      this.#call(queue, `  filter.onQueue(${first(queue, ["queue", "item"])})`)
      this.#emit("  sdk.leave()", "}")
    }
    if (this.#features.calls) {
      this.#emit(
        "export function proxy_on_http_call_response(plugin: i32, id: i32, headers: i32, size: i32, trailers: i32): void {",
        "  http.receive(plugin, id, headers)",
        "  sdk.leave()",
        "}",
      )
    }
    if (this.#features.grpcCalls) {
      this.#emit("export function proxy_on_grpc_receive(plugin: i32, id: i32, size: i32): void {", "  grpc.receive(plugin, id)")
      this.#emit("  sdk.leave()", "}")
      this.#emit("export function proxy_on_grpc_close(plugin: i32, id: i32, code: i32): void {", "  grpc.close(plugin, id, code)")
      this.#emit("  sdk.leave()", "}")
    }
  }

  direction(direction: Direction): void {
    const { subject } = direction
    const whole = this.#callbacks.get(direction.body)
    const chunk = this.#callbacks.get(direction.chunk)
    const trailers = this.#callbacks.get(direction.trailers)
    this.#headers(direction, whole !== undefined)
    const skip = this.#features.skips ? `skips.skips(id, ${direction === REQUEST})` : ""
    if (whole !== undefined) {
      this.#emit(`function ${subject}Body(id: i32): i32 {`)
      this.#message(direction, whole, ["bodies." + subject + "Body"], PAUSE)
      this.#emit("  return action", "}")
      this.#emit(`export function proxy_on_${subject}_body(id: i32, size: i32, end: i32): i32 {`)
      if (skip !== "") this.#emit(`  if (${skip}) return ${CONTINUE}`)
      this.#emit(`  return end == 0 ? ${PAUSE} : ${subject}Body(id)`, "}")
    } else if (chunk !== undefined) {
      this.#emit(`export function proxy_on_${subject}_body(id: i32, size: i32, end: i32): i32 {`)
      if (skip !== "") this.#emit(`  if (${skip}) return ${CONTINUE}`)
      this.#emit(`  if (size == 0 && end == 0) return ${CONTINUE}`)
      this.#message(direction, chunk, ["bodies." + subject + "Body", "end != 0"], HOLD)
      this.#emit("  return action", "}")
    }
    if (whole === undefined && trailers === undefined) return
    this.#emit(`export function proxy_on_${subject}_trailers(id: i32, count: i32): i32 {`)
    if (whole !== undefined) {
      // No body callback has said that it was the last: the body is complete only now.
      this.#emit(`  const body = ${skip === "" ? "" : `${skip} ? ${CONTINUE} : `}${subject}Body(id)`)
      const replied = `body != ${CONTINUE}${this.#waits ? " && !calls.isWaiting(id)" : ""}`
      this.#emit(trailers === undefined ? "  return body" : `  if (${replied}) return body`)
    }
    if (trailers !== undefined) {
      this.#message(direction, trailers, ["bodies." + subject + "Trailers"], PAUSE)
      this.#emit("  return action")
    }
    this.#emit("}")
  }

  #headers(direction: Direction, whole: boolean): void {
    const { subject } = direction
    const declaration = this.#callbacks.get(direction.headers)
    if (declaration === undefined && !whole) return
    this.#emit(`export function proxy_on_${subject}_headers(id: i32, count: i32, end: i32): i32 {`)
    if (declaration !== undefined) {
      this.#emit("  sdk.setBodyFollows(end == 0)")
      this.#message(direction, declaration, [], PAUSE)
    }
    if (whole) {
      const skip = this.#features.skips ? ` && !skips.skips(id, ${direction === REQUEST})` : ""
      this.#emit(`  if (end == 0${skip}) bodies.dropLength(${direction.number * 2})`)
    }
    this.#emit(declaration === undefined ? `  return ${CONTINUE}` : "  return action", "}")
  }

  log(): void {
    const declaration = this.#callbacks.get("onLog")
    if (declaration === undefined) return
    this.#emit("export function proxy_on_log(id: i32): void {", "  sdk.enter(id)")
    if (this.#class !== null) this.#emit("  const stream = streams.stream(id)", "  if (stream === null) return")
    this.#call(declaration, `  ${this.#receiver}.onLog(${first(declaration, ["sdk.request", "sdk.response"])})`)
    this.#emit("  sdk.leave()", "}")
  }

  /** The lines that call a message's callback and leave what to answer the host in `action`. */
  #message(direction: Direction, declaration: Statement, more: string[], waiting: number): void {
    const name = declaration.name.text
    const call = `${this.#receiver}.${name}(${first(declaration, [`sdk.${direction.subject}`, ...more])})`
    this.#emit("  sdk.enter(id)")
    if (this.#class !== null) this.#emit("  const stream = streams.stream(id)", `  if (stream === null) return ${CONTINUE}`)
    if (this.#waits) this.#emit(`  calls.begin(${direction.number})`)
    if (returnName(declaration) !== "void") {
      this.#call(declaration, `  let action = sdk.answer(${call})`)
    } else {
      this.#call(declaration, `  ${call}`)
      this.#emit(`  let action = ${CONTINUE}`)
    }
    if (this.#waits) this.#emit(`  action = calls.end(action, ${waiting})`)
    this.#emit("  sdk.leave()")
  }

  /** An exchange may wait for a call. */
  get #waits(): boolean {
    return this.#features.calls || this.#features.grpcCalls
  }

  get #receiver(): string {
    return this.#class === null ? "filter" : "stream"
  }

  #emit(...texts: string[]): void {
    for (const text of texts) {
      this.lines.push(text)
      this.owners.push(null)
    }
  }

  #call(owner: Statement, text: string): void {
    this.lines.push(text)
    this.owners.push(owner)
  }
}

/** As many arguments as the declaration has parameters. */
function first(declaration: Statement, values: readonly string[]): string {
  return values.slice(0, declaration.signature.parameters.length).join(", ")
}
