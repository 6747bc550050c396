// Requests of a filter's own to services of the gateway's configuration.

import { BufferType, MapType, Status } from "./abi"
import { fetchBuffer } from "./body"
import { proxy_get_status, proxy_http_call } from "./env"
import { HttpFilter } from "./filter"
import { encodePairs, Header, Headers, pairsSize } from "./headers"
import { Json } from "./json"
import { report } from "./log"
import { clearResult, OUT_DATA, OUT_SIZE, OUT_WORD, takeUint8Array } from "./memory"
import { Outgoing, resume } from "./outgoing"
import { toBytes } from "./payload"
import { Reply } from "./reply"
import { Request } from "./request"
import { Response } from "./response"
import { request, response } from "./runtime"
import { ascii, encodeKey, keySize, releaseKey, takeText } from "./text"

/**
 * A request to a service, by the name it has in the gateway's configuration. The exchange that sends it waits until the
 * callback has seen the answer, in whichever callback of a message it was sent; others go on. The callback is always
 * called, once, also when the service can't be reached or doesn't exist: then `answer.ok` is false.
 *
 * ```ts
 * export function onRequest(request: Request): Reply | null {
 *   const token = request.headers.get("authorization")
 *   if (token === null) return new Reply(401)
 *   new Call("auth", "GET", "/check").header("authorization", token).send(checked)
 *   return null // the request waits for the answer
 * }
 *
 * function checked(request: Request, answer: Answer): Reply | null {
 *   if (!answer.ok) return new Reply(answer.status == 0 ? 503 : 403)
 *   request.headers.set("x-user", answer.json().string("user"))
 *   return null // go on
 * }
 * ```
 *
 * A callback may send further calls; the exchange then waits for those too. AssemblyScript has no closures: what the
 * callback has to know goes into `context`.
 */
@final
export class Call extends Outgoing {
  /** Milliseconds until the answer must be there. */
  timeout: i32 = 5000
  /** The `host` of the request; the service's name unless set. */
  authority: string
  /** Whatever the callback should find in `answer.call.context`. */
  context: string = ""

  private readonly headers: Header[] = []
  private content: Uint8Array | null = null
  private forRequest: ((request: Request, answer: Answer) => Reply | null) | null = null
  private forResponse: ((response: Response, answer: Answer) => Reply | null) | null = null
  private forFilter: HttpFilter | null = null
  private forNobody: ((answer: Answer) => void) | null = null

  constructor(
    service: string,
    public readonly method: string = "GET",
    public readonly path: string = "/",
  ) {
    super(service)
    this.authority = service
  }

  /** Adds a header and returns the call. */
  header(name: string, value: string): this {
    this.headers.push(new Header(ascii.lower(name), value))
    return this
  }

  /** Gives it a body, text or bytes, and returns the call. */
  body<T>(content: T): this {
    this.content = toBytes<T>(content)
    return this
  }

  /** Gives it JSON as its body, with the `content-type`, and returns the call. */
  json(content: Json): this {
    this.content = toBytes<string>(content.stringify())
    return this.header("content-type", "application/json")
  }

  /** Sends it; the exchange waits until `callback` has returned null, or is answered with the `Reply` it returns. */
  send(callback: (request: Request, answer: Answer) => Reply | null): void {
    this.forRequest = callback
    this.begin()
  }

  /** As `send`, with a callback that edits the response: for `onResponse` and `onResponseBody`. */
  sendForResponse(callback: (response: Response, answer: Answer) => Reply | null): void {
    this.forResponse = callback
    this.begin()
  }

  /**
   * As `send`, for the class form: the answer comes to the filter's `onAnswer`.
   *
   * ```ts
   * new Call("auth").sendTo(this)
   * ```
   */
  sendTo(filter: HttpFilter): void {
    this.forFilter = filter
    this.begin()
  }

  /** Sends it without waiting, from any callback; `callback` gets the answer outside of the exchange. False if it can't be sent. */
  fire(callback: ((answer: Answer) => void) | null = null): boolean {
    this.forNobody = callback
    return this.launch(callback !== null)
  }

  /** @internal */
  dispatch(): i32 {
    const all: Header[] = [new Header(":method", this.method), new Header(":path", this.path), new Header(":authority", this.authority)]
    for (let i = 0; i < this.headers.length; i++) all.push(this.headers[i])
    const pairs = encodePairs(all)
    const service = encodeKey(this.service)
    const content = this.content
    const body: usize = content === null ? 0 : content.dataStart
    const size = content === null ? 0 : content.byteLength
    store<u32>(OUT_WORD, 0)
    const status = proxy_http_call(service, keySize, pairs, pairsSize, body, size, 0, 0, max(this.timeout, 1), OUT_WORD)
    releaseKey(service)
    heap.free(pairs)
    if (status == Status.OK) return load<i32>(OUT_WORD)
    report('call to "' + this.service + '"', status)
    return 0
  }

  /** @internal */
  answered(failure: string, _: i32): Reply | null {
    const answer = new Answer(this, failure)
    const forRequest = this.forRequest
    if (forRequest !== null) return forRequest(request, answer)
    const forResponse = this.forResponse
    if (forResponse !== null) return forResponse(response, answer)
    const filter = this.forFilter
    if (filter !== null) return filter.onAnswer(this, answer)
    const forNobody = this.forNobody
    if (forNobody !== null) forNobody(answer)
    return null
  }
}

/**
 * What came of a {@link Call}. To be read within the callback it is given to.
 *
 * ```ts
 * function checked(request: Request, answer: Answer): Reply | null {
 *   if (answer.status == 0) log.warn("auth: " + answer.failure)
 *   return answer.ok ? null : new Reply(403)
 * }
 * ```
 */
@final
export class Answer {
  /** HTTP status, 0 if no answer came. */
  readonly status: i32
  /** Its headers; none if it failed. */
  readonly headers: Headers = new Headers(MapType.HTTP_CALL_RESPONSE_HEADERS)
  readonly trailers: Headers = new Headers(MapType.HTTP_CALL_RESPONSE_TRAILERS)

  /** @internal */
  constructor(
    /** The call it belongs to, with its `context`. */
    public readonly call: Call,
    /**
     * Why no answer came; "" if one did. In Sluice the name of what went wrong: `connectFailure`, `connectTimeout`,
     * `noEndpoint`, `perTryTimeout`, `responseTimeout`, `upstreamClosed`, `responseTooLarge` … In Envoy always `reset`.
     */
    public readonly failure: string,
  ) {
    const status = failure.length == 0 ? this.headers.get(":status") : null
    this.status = status === null ? 0 : <i32>ascii.int(status, 0)
  }

  /** A status of 200–299. */
  get ok(): boolean {
    return this.status >= 200 && this.status < 300
  }

  /** Its body as text; "" if it failed. */
  text(): string {
    return this.status != 0 && fetchBuffer(BufferType.HTTP_CALL_RESPONSE_BODY) ? takeText() : ""
  }

  /** Its body; empty if it failed. */
  bytes(): Uint8Array {
    return this.status != 0 && fetchBuffer(BufferType.HTTP_CALL_RESPONSE_BODY) ? takeUint8Array() : new Uint8Array(0)
  }

  /** Its body as JSON; never null, see `Json.valid`. */
  json(): Json {
    return Json.parse(this.text())
  }
}

/** `proxy_on_http_call_response`. */
export function receive(plugin: i32, id: i32, headers: i32): void {
  resume(plugin, id, headers == 0 ? readFailure() : "", 0)
}

function readFailure(): string {
  clearResult()
  if (proxy_get_status(OUT_WORD, OUT_DATA, OUT_SIZE) != Status.OK) return "no answer"
  const reason = takeText()
  return reason.length > 0 ? reason : "no answer"
}
