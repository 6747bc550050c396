// One exchange without a network: a request written by a test passes the real filter chain, an upstream played by the test
// answers, and what each side was sent is written down. It keeps to what proxy/exchange.ts does between the two.

import { type ErrorCode, errors } from "../errors.ts"
import { type ChainOwner, ChainRun } from "../filter/chain.ts"
import type { HttpFilter, LocalReply, StreamInfo } from "../filter/filter.ts"
import type { Fields } from "../http/fields.ts"
import { RequestHead, ResponseHead } from "../http/message.ts"
import { reasonPhrase } from "../http/status.ts"
import { clientAddress, type ForwardedFields } from "../proxy/forwarded.ts"
import type { LocalReplies, Reply } from "../proxy/local-reply.ts"
import { fillHead } from "./client-request.ts"
import type { ClientResponse, Peer, TestRequest, Upstream, UpstreamRequest } from "./exchange-parts.ts"
import { addAll, type Content, contentOf, ObservedBody, ObservedHeaders } from "./messages.ts"
import { frame, PassingBody } from "./passing-body.ts"
import { fromWire } from "./text.ts"

/** What an exchange needs of the host it runs in. */
export interface ExchangeMeans {
  readonly filters: readonly HttpFilter[]
  readonly replies: LocalReplies
  readonly forwarded: ForwardedFields
  readonly connectionId: number
  /** Services that exist; null = every name does. */
  readonly backends: readonly string[] | null
  /** Where requests go when no filter chooses. */
  readonly defaultService: string
  readonly routeName: string
  now(): number
}

// How far it has come.
const REQUESTING = 0
const WAITING = 1
const RESPONDING = 2
const RESPONSE_SENT = 3
const OVER = 4

export class ExchangeRun implements ChainOwner, StreamInfo {
  readonly #means: ExchangeMeans
  readonly #head = new RequestHead()
  readonly #content: Content
  readonly #upstreamPlay: Upstream
  readonly #peer: Required<Peer>
  readonly #isHead: boolean
  readonly #chain: ChainRun
  readonly #started: number
  #phase = REQUESTING
  #request: PassingBody | null = null
  #response: PassingBody | null = null
  #responseHead: ResponseHead | null = null
  #responseSeen = false
  #localBody: Buffer | null = null
  #upstreamHead: { method: string; path: string; authority: string; headers: readonly string[] } | null = null
  /** The upstream was handed a whole request and has been asked for its answer. */
  #asked = false
  #chosen: string | null = null
  #clientHead: { status: number; headers: readonly string[] } | null = null
  #timeToFirstByte = -1
  #elapsed = -1
  /** The route was looked up anew because a filter asked for it. */
  rerouted = false
  /** A filter, not the upstream, made the response. */
  reply = false
  /** The client got nothing, or less than a whole response. */
  aborted = false
  responseFlag = ""
  responseDetails = ""
  requestId = ""
  requestBytes = 0
  responseBytes = 0

  constructor(request: TestRequest, upstream: Upstream, means: ExchangeMeans) {
    this.#means = means
    this.#upstreamPlay = upstream
    this.#peer = { address: "192.0.2.1", port: 50_000, trustedHops: 0, ...request.peer }
    this.#content = contentOf(request)
    this.#started = means.now()
    fillHead(this.#head, request, this.#content)
    const source = { sourceAddress: this.#peer.address, memo: { authority: "", text: "" }, security: null }
    this.requestId = means.forwarded.complete(this.#head, source, this.#peer.trustedHops)
    for (const chunk of this.#content.chunks) this.requestBytes += chunk.length
    this.#isHead = this.#head.method === "HEAD"
    this.#chain = new ChainRun(means.filters, this, this.#head, this)
  }

  /** Starts it; {@link step} takes it on. */
  start(): void {
    this.#chain.runRequest(this.#head.body === "none")
  }

  /** Whether it has come to its end. */
  get over(): boolean {
    return this.#phase === OVER
  }

  /** Moves what can move; false when nothing can: it is over, or waits for something outside. */
  async step(): Promise<boolean> {
    if (this.#phase === OVER) return false
    if (this.#request?.feed(this.#chain, false)) return true
    if (this.#phase === WAITING && this.#request?.ended === true && !this.#asked) {
      this.#asked = true
      await this.#answer()
      return true
    }
    return this.#response?.feed(this.#chain, true) ?? false
  }

  async #answer(): Promise<void> {
    const play = this.#upstreamPlay
    const answer = typeof play === "function" ? await play(this.upstream as UpstreamRequest) : play
    // The exchange may have ended while the answer was made.
    if (this.#phase !== WAITING) return
    const content = contentOf(answer)
    const head = new ResponseHead()
    head.status = answer.status ?? 200
    if (!Number.isInteger(head.status) || head.status < 200 || head.status > 999)
      throw new Error(`${head.status} is no status of an upstream`)
    head.reason = reasonPhrase(head.status)
    addAll(head.fields, content.headers)
    const bodyless = this.#isHead || head.status === 204 || head.status === 304
    const { length } = content
    if (!bodyless && length === -1) head.body = "chunked"
    else if (!bodyless && length > 0) head.body = "length"
    head.contentLength = Math.max(length, 0)
    if (length >= 0 && head.status !== 204 && head.status !== 304 && !head.fields.has("content-length")) {
      head.fields.add("content-length", String(length))
    }
    this.#timeToFirstByte = this.#means.now() - this.#started
    this.#response = bodyless ? new PassingBody([], null, false) : new PassingBody(content.chunks, content.trailers, content.lateEnd)
    this.#responseHead = head
    this.#responseSeen = true
    this.#phase = RESPONDING
    this.#chain.runResponse(head, head.body === "none")
  }

  // --------------------------------------------------------------------------------------------------------- ChainOwner

  onRequestFiltered(): void {
    const { chunks, trailers, lateEnd } = this.#content
    this.#request = new PassingBody(chunks, trailers, lateEnd)
    this.#request.filtered = this.#head.body !== "none" && this.#chain.openRequestBody()
    if (this.#request.filtered) return
    this.#request.passWhole()
    this.#forward()
  }

  // The request's head leaves the filters.
  #forward(): void {
    const head = this.#head
    if ((head.method === "HEAD") !== this.#isHead) return this.#reject("filterEdit", "HEAD")
    const service = this.serviceName
    if (this.#means.backends?.includes(service) === false) return this.#reject("noService", service)
    this.#phase = WAITING
    const path = head.query === undefined ? head.path : `${head.path}?${head.query}`
    this.#upstreamHead = { method: head.method, path, authority: head.authority, headers: head.fields.entries() }
  }

  onRequestBody(bytes: Buffer): void {
    this.#request?.chunks.push(Buffer.from(bytes))
  }

  onRequestBodyEnd(trailers: Fields | null): void {
    if (this.#request === null) return
    this.#request.ended = true
    this.#request.trailers = trailers
  }

  onRequestHold(hold: boolean): void {
    if (this.#request !== null) this.#request.held = hold
  }

  onResponseFiltered(): void {
    const head = this.#responseHead as ResponseHead
    const body = this.#response as PassingBody
    if (!this.#isHead && body.coming.length > 0 && this.#chain.openResponseBody()) body.filtered = true
    else this.#respondWhole(head, body)
  }

  #respondWhole(head: ResponseHead, body: PassingBody): void {
    if (!this.#framesStill(head)) return
    if (this.#isHead || head.status === 204 || head.status === 304) body.coming.length = 0
    body.passWhole()
    this.#sendHead(head)
    this.#end()
  }

  // The response's head leaves for the client.
  #sendHead(head: ResponseHead): void {
    this.#phase = RESPONSE_SENT
    this.#clientHead = { status: head.status, headers: head.fields.entries() }
  }

  // What filters made of the response can still be framed; otherwise it has been answered. As in proxy/exchange.ts.
  #framesStill(head: ResponseHead): boolean {
    if (this.#localBody !== null) return true
    const bodyless = head.status < 200 || head.status === 204 || head.status === 304
    if (head.status < 200 || (bodyless && head.body !== "none")) {
      this.onFilterFailed("filterEdit", `status ${head.status}`)
      return false
    }
    return true
  }

  onResponseBody(bytes: Buffer): void {
    this.#response?.chunks.push(Buffer.from(bytes))
  }

  onResponseBodyEnd(trailers: Fields | null): void {
    if (this.#response === null) return
    this.#response.ended = true
    this.#response.trailers = trailers
  }

  onResponseHold(hold: boolean): void {
    if (this.#response !== null) this.#response.held = hold
  }

  onBodiesMoved(): void {
    const request = this.#request
    if (this.#phase === REQUESTING && request?.filtered && (request.ended || request.chunks.length > 0)) {
      frame(this.#head, request)
      this.#forward()
    }
    const response = this.#response
    if (this.#phase === RESPONDING && response?.filtered && (response.ended || response.chunks.length > 0)) {
      const head = this.#responseHead as ResponseHead
      if (!this.#framesStill(head)) return
      frame(head, response)
      this.#sendHead(head)
    }
    if (this.#phase === RESPONSE_SENT && response?.ended) this.#end()
  }

  onFilterReply(reply: LocalReply): void {
    this.#flag("LR", reply.details)
    this.#replyLocally(this.#means.replies.filter(reply, this.#head))
  }

  onFilterFailed(code: ErrorCode, details: string): void {
    this.#reject(code, details)
  }

  #reject(code: ErrorCode, details: string): void {
    this.#flag(errors[code].flag, details)
    this.#replyLocally(this.#means.replies.error(code, this.#head))
  }

  onFilterReset(): void {
    this.#flag("LR", "reset")
    this.aborted = true
    this.#end()
  }

  #replyLocally(reply: Reply): void {
    if (this.#phase >= RESPONSE_SENT) {
      this.aborted = true
      return this.#end()
    }
    this.reply = true
    this.#chain.stopRequest()
    if (this.#responseSeen) this.#chain.stopResponse()
    const { head, body } = reply
    const passing = new PassingBody(body.length === 0 ? [] : [body], null, false)
    this.#responseHead = head
    this.#localBody = body
    this.#response = passing
    // Filters see one response of an exchange; a reply in its place goes straight out.
    if (this.#responseSeen) return this.#respondWhole(head, passing)
    this.#responseSeen = true
    this.#phase = RESPONDING
    this.#chain.runResponse(head, body.length === 0)
  }

  #flag(flag: string, details: string): void {
    if (this.responseFlag !== "") return
    this.responseFlag = flag
    this.responseDetails = details
  }

  get requestSent(): boolean {
    return this.#phase !== REQUESTING
  }

  get responseSent(): boolean {
    return this.#phase >= RESPONSE_SENT
  }

  chooseService(name: string): boolean {
    if (this.#phase !== REQUESTING || this.#means.backends?.includes(name) === false) return false
    this.#chosen = name
    return true
  }

  clearRoute(): void {
    if (this.#phase === REQUESTING) this.rerouted = true
  }

  /** Ends it, whatever it waits for: the client has gone. */
  abandon(): void {
    if (this.#phase === OVER) return
    this.#flag(errors.clientGone.flag, "")
    this.aborted = true
    this.#end()
  }

  #end(): void {
    if (this.#phase === OVER) return
    this.#phase = OVER
    for (const chunk of this.#response?.chunks ?? []) this.responseBytes += chunk.length
    this.#elapsed = this.#means.now() - this.#started
    this.#chain.done()
  }

  // --------------------------------------------------------------------------------------------------------- StreamInfo

  get connectionId(): number {
    return this.#means.connectionId
  }
  get startTime(): number {
    return this.#started
  }
  get elapsed(): number {
    return this.#elapsed
  }
  get timeToFirstByte(): number {
    return this.#timeToFirstByte
  }
  get protocol(): string {
    return "HTTP/1.1"
  }
  get sourceAddress(): string {
    return clientAddress(this.#head, this.#peer.address, this.#peer.trustedHops)
  }
  get sourcePort(): number {
    return this.#peer.port
  }
  get destinationAddress(): string {
    return "192.0.2.254"
  }
  get requestedServerName(): string {
    return ""
  }
  get destinationPort(): number {
    return this.#head.scheme === "https" ? 443 : 80
  }
  get listenerName(): string {
    return "test"
  }
  get routeName(): string {
    return this.#means.routeName
  }
  get serviceName(): string {
    return this.#chosen ?? this.#means.defaultService
  }
  get upstreamAddress(): string {
    return this.#upstreamHead === null ? "" : "192.0.2.100:8080"
  }
  get security(): null {
    return null
  }
  get attempts(): number {
    return this.#upstreamHead === null ? 0 : 1
  }

  // ------------------------------------------------------------------------------------------------------- observations

  /** What the upstream has been sent so far; null when nothing was. */
  get upstream(): UpstreamRequest | null {
    const head = this.#upstreamHead
    if (head === null) return null
    return {
      method: head.method,
      path: fromWire(head.path),
      authority: fromWire(head.authority),
      headers: new ObservedHeaders(head.headers.map(fromWire)),
      body: new ObservedBody(this.#request?.chunks ?? []),
      trailers: observedFields(this.#request?.trailers ?? null),
      service: this.serviceName,
    }
  }

  /** What the client has been sent so far; null when nothing was. */
  get client(): ClientResponse | null {
    const head = this.#clientHead
    if (head === null) return null
    return {
      status: head.status,
      headers: new ObservedHeaders(head.headers.map(fromWire)),
      body: new ObservedBody(this.#response?.chunks ?? []),
      trailers: observedFields(this.#response?.trailers ?? null),
    }
  }
}

function observedFields(fields: Fields | null): ObservedHeaders {
  return new ObservedHeaders(fields === null ? [] : fields.entries().map(fromWire))
}
