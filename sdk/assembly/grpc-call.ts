// gRPC calls of a filter's own, with one message each way, to services of the gateway's configuration.

import { BufferType, Status } from "./abi"
import { fetchBuffer } from "./body"
import { proxy_get_status, proxy_grpc_call } from "./env"
import { HttpFilter } from "./filter"
import { encodePairs, Header, pairsSize } from "./headers"
import { report } from "./log"
import { clearResult, OUT_DATA, OUT_SIZE, OUT_WORD, takeUint8Array } from "./memory"
import { Outgoing, resume } from "./outgoing"
import { toBytes } from "./payload"
import { Reply } from "./reply"
import { Request } from "./request"
import { Response } from "./response"
import { request, response } from "./runtime"
import { ascii, encodeKey, encodeValue, keySize, releaseKey, releaseValue, takeText, valueSize } from "./text"

/**
 * A call of a gRPC method: one message there, one back. The exchange that sends it waits as it does for a `Call`, and the
 * callback is always called, once. Messages are octets: what your protobuf library makes of them is up to it.
 *
 * ```ts
 * export function onRequest(request: Request): Reply | null {
 *   const call = new GrpcCall("auth", "envoy.service.auth.v3.Authorization", "Check")
 *   call.metadata("x-request-id", request.id).message(request.path)
 *   call.timeout = 200
 *   call.send(checked)
 *   return null // the request waits for the answer
 * }
 *
 * function checked(request: Request, answer: GrpcAnswer): Reply | null {
 *   if (!answer.ok) return new Reply(answer.code == 7 ? 403 : 503)
 *   request.headers.set("x-user", answer.text())
 *   return null // go on
 * }
 * ```
 */
@final
export class GrpcCall extends Outgoing {
  /** Milliseconds until the answer must be there; the service is told. */
  timeout: i32 = 5000
  /** Whatever the callback should find in `answer.call.context`. */
  context: string = ""

  private readonly fields: Header[] = []
  private content: Uint8Array | null = null
  private forRequest: ((request: Request, answer: GrpcAnswer) => Reply | null) | null = null
  private forResponse: ((response: Response, answer: GrpcAnswer) => Reply | null) | null = null
  private forFilter: HttpFilter | null = null
  private forNobody: ((answer: GrpcAnswer) => void) | null = null

  constructor(
    service: string,
    /** With its package: `shop.v1.Cart`. */
    public readonly grpcService: string,
    public readonly method: string,
  ) {
    super(service)
  }

  /** Adds a field of metadata and returns the call. */
  metadata(name: string, value: string): this {
    this.fields.push(new Header(ascii.lower(name), value))
    return this
  }

  /** Gives it its message, text or bytes, and returns the call. Without one the message is empty. */
  message<T>(content: T): this {
    this.content = toBytes<T>(content)
    return this
  }

  /** Sends it; the exchange waits until `callback` has returned null, or is answered with the `Reply` it returns. */
  send(callback: (request: Request, answer: GrpcAnswer) => Reply | null): void {
    this.forRequest = callback
    this.begin()
  }

  /** As `send`, with a callback that edits the response: for `onResponse` and `onResponseBody`. */
  sendForResponse(callback: (response: Response, answer: GrpcAnswer) => Reply | null): void {
    this.forResponse = callback
    this.begin()
  }

  /** As `send`, for the class form: the answer comes to the filter's `onGrpcAnswer`. */
  sendTo(filter: HttpFilter): void {
    this.forFilter = filter
    this.begin()
  }

  /** Sends it without waiting, from any callback; `callback` gets the answer outside of the exchange. False if it can't be sent. */
  fire(callback: ((answer: GrpcAnswer) => void) | null = null): boolean {
    this.forNobody = callback
    return this.launch(callback !== null)
  }

  /** @internal */
  dispatch(): i32 {
    const pairs = encodePairs(this.fields)
    const service = encodeKey(this.service)
    const serviceSize = keySize
    const path = this.grpcService + "/" + this.method
    const names = encodeValue(path)
    const split = valueSize - String.UTF8.byteLength(this.method)
    const content = this.content
    const body: usize = content === null ? 0 : content.dataStart
    const size = content === null ? 0 : content.byteLength
    store<u32>(OUT_WORD, 0)
    const status = proxy_grpc_call(
      service,
      serviceSize,
      names,
      split - 1,
      names + <usize>split,
      valueSize - split,
      pairs,
      pairsSize,
      body,
      size,
      max(this.timeout, 1),
      OUT_WORD,
    )
    releaseKey(service)
    releaseValue(names)
    heap.free(pairs)
    if (status == Status.OK) return load<i32>(OUT_WORD)
    report('gRPC call to "' + this.service + '"', status)
    return 0
  }

  /** @internal */
  answered(failure: string, code: i32): Reply | null {
    const answer = new GrpcAnswer(this, code, failure)
    const forRequest = this.forRequest
    if (forRequest !== null) return forRequest(request, answer)
    const forResponse = this.forResponse
    if (forResponse !== null) return forResponse(response, answer)
    const filter = this.forFilter
    if (filter !== null) return filter.onGrpcAnswer(this, answer)
    const forNobody = this.forNobody
    if (forNobody !== null) forNobody(answer)
    return null
  }
}

/**
 * What came of a {@link GrpcCall}. To be read within the callback it is given to.
 *
 * ```ts
 * function checked(request: Request, answer: GrpcAnswer): Reply | null {
 *   if (answer.code != 0) log.warn("auth: " + answer.failure)
 *   return answer.ok ? null : new Reply(403)
 * }
 * ```
 */
@final
export class GrpcAnswer {
  /** @internal */
  constructor(
    /** The call it belongs to, with its `context`. */
    public readonly call: GrpcCall,
    /** The status: 0 = OK, 4 = DEADLINE_EXCEEDED, 14 = UNAVAILABLE and so on. */
    public readonly code: i32,
    /** The text of a status that is not OK; in Sluice the name of what went wrong when no answer came. */
    public readonly failure: string,
  ) {}

  /** The status is OK. */
  get ok(): boolean {
    return this.code == 0
  }

  /** The message as text; "" if it failed. */
  text(): string {
    return this.code == 0 && fetchBuffer(BufferType.GRPC_CALL_MESSAGE) ? takeText() : ""
  }

  /** The message; empty if it failed. */
  bytes(): Uint8Array {
    return this.code == 0 && fetchBuffer(BufferType.GRPC_CALL_MESSAGE) ? takeUint8Array() : new Uint8Array(0)
  }
}

/** `proxy_on_grpc_receive`. */
export function receive(plugin: i32, id: i32): void {
  resume(plugin, id, "", 0)
}

/** `proxy_on_grpc_close`. */
export function close(plugin: i32, id: i32, code: i32): void {
  clearResult()
  const failure = proxy_get_status(OUT_WORD, OUT_DATA, OUT_SIZE) == Status.OK ? takeText() : ""
  resume(plugin, id, failure, code)
}
