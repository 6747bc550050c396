// One request and its response, from the parsed head to the access log: route, filters, backend, attempt, bodies both ways.
// It is driven by the codec on each side and by its deadline, and ends exactly once, in `#end`.

import { type ErrorCode, errors } from "../errors.ts"
import { type ChainOwner, ChainRun } from "../filter/chain.ts"
import type { LocalReply } from "../filter/filter.ts"
import { isMisdirected } from "../http/connection-security.ts"
import type { BodyTransfer, DownstreamHandler, DownstreamStream, ExchangeFactory } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import { type RequestHead, ResponseHead } from "../http/message.ts"
import { normalizePath } from "../http/path.ts"
import { formatRequestTimeout, parseRequestTimeout, REQUEST_TIMEOUT } from "../http/request-timeout.ts"
import { redirectLocation, rewriteAuthority, rewritePath } from "../router/rewrite.ts"
import { Attempts, type AttemptsOwner } from "./attempts.ts"
import { ExchangeRecord } from "./exchange-record.ts"
import { FilteredBody } from "./filtered-body.ts"
import { GrpcCall } from "./grpc-call.ts"
import { GrpcWebStream } from "./grpc-web-stream.ts"
import type { Reply } from "./local-reply.ts"
import type { Plane } from "./plane.ts"
import type { Backend, Route } from "./route.ts"

const NOT_ASKED = -1
const NEVER = Number.POSITIVE_INFINITY
/** ms that filters have for the reply to an exchange out of time. */
const LATE_REPLY = 1000

// How far it has come.
const FILTERING = 0
const SENDING = 1
/** The response head is in a filter's hands. */
const HOLDING = 2
const RESPONDING = 3
const TUNNEL = 4
const ENDED = 5

/** Begins exchanges of one listener; the plane is replaced when a snapshot comes into force. */
export class Exchanges implements ExchangeFactory {
  plane: Plane

  constructor(plane: Plane) {
    this.plane = plane
  }

  begin(stream: DownstreamStream, head: RequestHead): DownstreamHandler {
    const exchange = new Exchange(this.plane, stream, head)
    exchange.start()
    return exchange.handler
  }
}

class Exchange extends ExchangeRecord implements DownstreamHandler, AttemptsOwner, ChainOwner {
  /** Whom the codec drives: the exchange, or what stands between them. */
  handler: DownstreamHandler = this
  #phase = FILTERING
  #matchedPrefix = ""
  #chain: ChainRun | null = null
  #isHead = false
  /** A filter asked for the route to be looked up anew. */
  #reroute = false
  /** Which matches with a percentage take it. */
  #lot = 0
  /** Tells the client which backend it has; "" = it knows, or needn't. */
  #setCookie = ""
  /** Its filters have been given a response. */
  #responseSeen = false
  /** Its body passes them now, or has, or never will. */
  #responseFiltered = false
  /** Chunked coding is taken off the response's body, for its filters. */
  #plainBody = false
  /** The downstream connection ends with the local reply. */
  #closeAfter = false
  #response: ResponseHead | null = null
  /** Body of a local reply that its filters still look at. */
  #localBody: Buffer | null = null
  /** Bodies that pass through filters, each way. */
  #requestBody: FilteredBody | null = null
  #responseBody: FilteredBody | null = null
  #goneAt = NEVER
  /** ms that a trusted proxy in front gives it, in place of its route. */
  #asked = NOT_ASKED
  #lastActivity: number
  /** The clock was read in this turn already. */
  #clockRead = false
  #downstreamEnded = false

  constructor(plane: Plane, stream: DownstreamStream, head: RequestHead) {
    super(plane, stream, head)
    this.#lastActivity = this.started
    plane.snapshot.pin()
  }

  // ---------------------------------------------------------------------------------------------- route and filters

  start(): void {
    const plane = this.plane
    const head = this.head
    const target = head.target
    const mark = target.indexOf("?")
    this.path = target
    this.#isHead = head.method === "HEAD"
    if (head.method === "POST") this.grpc = GrpcCall.of(head)
    const path = normalizePath(mark === -1 ? target : target.slice(0, mark), plane.config.path)
    if (path === null) return this.#fail("badRequest", "path")
    head.path = path
    head.query = mark === -1 ? undefined : target.slice(mark + 1)
    this.requestId = plane.means.forwarded.complete(head, this.stream, plane.config.trustedHops)
    const { security } = this.stream
    if (security !== null && isMisdirected(security, head.host)) return this.#fail("misdirected", security.serverName)
    const { router, means } = plane
    if (router.drawsLots) this.#lot = means.random() * 2 ** 32
    const match = router.match(head.host, path, head.query, head.method, head.fields, this.#lot)
    if (match === null) return this.#fail("noRoute", "")
    const route = match.target
    this.matched = route
    this.#matchedPrefix = match.matchedPrefix
    if (head.method === "TRACE" && !route.allowsTrace) return this.#fail("methodNotAllowed", "TRACE")
    if (route.grpcWeb && head.method === "POST") this.#openWeb()
    if (plane.means.overload.sheds(route.priority)) return this.#fail("overloaded", "")
    if (this.grpc !== null && !this.#admitCall(this.grpc)) return
    if (head.saysForwarded && !this.#admitTimeout(head)) return
    this.#arm()
    if (route.filters.length === 0) return this.onRequestFiltered()
    this.#chain = new ChainRun(route.filters, this, head, this)
    this.#chain.runRequest(head.body === "none")
  }

  // A gRPC-Web request goes on as the call that it stands for.
  #openWeb(): void {
    const web = GrpcWebStream.open(this.stream, this, this.head)
    if (web === null) return
    this.stream = web
    this.handler = web
    this.grpc = GrpcCall.of(this.head)
  }

  // Whether anyone waits for a call's answer; otherwise it has been answered.
  #admitCall(call: GrpcCall): boolean {
    if (call.timeout > 0) return true
    if (call.timeout === 0) this.#fail("responseTimeout", "grpc-timeout of 0")
    else this.#fail("badRequest", "grpc-timeout")
    return false
  }

  // Takes what a trusted proxy in front says of the time there is; false when it makes no sense, or there is none.
  #admitTimeout(head: RequestHead): boolean {
    const text = head.fields.getCombined(REQUEST_TIMEOUT, ",")
    if (text === undefined) return true
    this.#asked = parseRequestTimeout(text)
    if (this.#asked > 0) return true
    this.#fail(this.#asked === 0 ? "responseTimeout" : "badRequest", `${REQUEST_TIMEOUT} ${this.#asked === 0 ? "of 0" : ""}`.trim())
    return false
  }

  onRequestFiltered(): void {
    const head = this.head
    // Filters that see the body hold its head back until they let some of it pass: they may want to change it by then.
    const forwards = (this.matched as Route).forwards || this.#reroute
    if (head.body !== "none" && forwards && this.#chain?.openRequestBody()) {
      this.#requestBody = new FilteredBody()
      if (head.expectContinue) this.#continue()
      this.stream.startRequestBody(false)
    } else {
      this.#forward()
    }
  }

  // Nobody upstream can ask for a body that filters are to see first.
  #continue(): void {
    const go = new ResponseHead()
    go.status = 100
    this.stream.sendInformational(go)
    this.head.expectContinue = false
  }

  // The request leaves the filters.
  #forward(): void {
    const head = this.head
    // The client frames the response by the method it sent.
    if (this.#chain !== null && (head.method === "HEAD") !== this.#isHead) return this.#fail("filterEdit", "HEAD")
    if (this.#reroute && !this.#routeAgain()) return
    const route = this.matched as Route
    const { replies } = this.plane.means
    if (route.redirect !== null) {
      const location = redirectLocation(
        route.redirect,
        this.#matchedPrefix,
        head.path,
        head.query,
        head.authority,
        head.scheme,
        this.plane.port,
      )
      return this.#reply(replies.redirect(route.redirect.status, location))
    }
    if (route.direct !== null) return this.#reply(replies.direct(route.direct.status, route.direct.body, route.direct.headers))
    let backend = this.backend
    if (backend === null) {
      const choice = this.#choose(route)
      if (choice < 0) return this.#fail("noService", "no backend")
      backend = route.backends[choice]
      this.backend = backend
    }
    if (backend.service === null) return this.#fail("noService", backend.name)
    // By what the request is now: edits and rewrites would make others of its fields and its path. The service's other limits
    // are asked when its attempts start, so that what is refused here holds nothing of them.
    const refused = backend.service.rateLimit?.take(this, head, null) ?? null
    if (refused !== null) return this.onFilterReply(refused)
    if (!route.request.empty) route.request.apply(head.fields)
    if (!backend.request.empty) backend.request.apply(head.fields)
    let authority = head.authority
    if (route.rewrite !== undefined) {
      head.path = this.#rewrite(route.rewrite, head.path)
      authority = rewriteAuthority(route.rewrite, authority)
    }
    if (backend.rewrite !== undefined) {
      head.path = this.#rewrite(backend.rewrite, head.path)
      authority = rewriteAuthority(backend.rewrite, authority)
    }
    this.#phase = SENDING
    this.sending = new Attempts(this, this.plane, route, backend, head, authority, this.grpc !== null)
    this.sending.start()
  }

  // The backend that the client stays with, or the next one of the split.
  #choose(route: Route): number {
    const { sticky } = route
    if (sticky === null) return route.draw()
    const kept = sticky.pick(this.head, this.sourceAddress, route.weights)
    if (kept >= 0) return kept
    const drawn = route.draw()
    if (drawn >= 0) this.#setCookie = sticky.cookie(drawn, this.security !== null)
    return drawn
  }

  // A filter may have changed the path so that the prefix is no longer there to be replaced.
  #rewrite(rewrite: NonNullable<Route["rewrite"]>, path: string): string {
    if (rewrite.prefix !== undefined && !path.startsWith(this.#matchedPrefix)) return path
    return rewritePath(rewrite, this.#matchedPrefix, path)
  }

  // Looks the route up by what filters have made of the request; whether there is one.
  #routeAgain(): boolean {
    const head = this.head
    const match = this.plane.router.match(head.host, head.path, head.query, head.method, head.fields, this.#lot)
    if (match === null) {
      this.#fail("noRoute", "")
      return false
    }
    this.matched = match.target
    this.#matchedPrefix = match.matchedPrefix
    const service = this.backend?.service ?? null
    if (service !== null) this.backend = match.target.backend(service)
    if (head.method === "TRACE" && !match.target.allowsTrace) {
      this.#fail("methodNotAllowed", "TRACE")
      return false
    }
    this.#arm()
    return true
  }

  get requestSent(): boolean {
    return this.#phase !== FILTERING
  }

  get responseSent(): boolean {
    return this.#phase >= RESPONDING
  }

  chooseService(name: string): boolean {
    if (this.#phase !== FILTERING) return false
    const route = this.matched as Route
    const service = this.plane.service(name)
    if (service === undefined || !route.forwards) return false
    this.backend = route.backend(service)
    return true
  }

  clearRoute(): void {
    if (this.#phase === FILTERING) this.#reroute = true
  }

  onFilterReply(reply: LocalReply): void {
    this.setFlag(reply.code === undefined ? "LR" : errors[reply.code].flag, reply.details)
    this.#replyLocally(this.plane.means.replies.filter(reply, this.head))
  }

  onFilterFailed(code: ErrorCode, details: string): void {
    this.setFlag(errors[code].flag, details)
    this.#replyLocally(this.plane.means.replies.error(code, this.head))
  }

  onFilterReset(flag: string): void {
    this.setFlag(flag, "reset")
    this.sending?.cancel()
    this.#abort(flag === "FI")
  }

  // --------------------------------------------------------------------------------------------------- its attempts

  onAttempt(head: RequestHead): void {
    if (this.grpc !== null) this.grpc.announce(head, this.endsAt, this.plane.means.wheel.refresh())
    if (this.#asked === NOT_ASKED && !(this.matched as Route).propagatesTimeout) return
    const { endsAt } = this
    if (endsAt !== NEVER) head.fields.set(REQUEST_TIMEOUT, formatRequestTimeout(endsAt - this.plane.means.wheel.refresh()))
  }

  onConnected(transfer: BodyTransfer): void {
    const sending = this.sending as Attempts
    if (this.#requestBody !== null) this.#sendFiltered(sending, this.#requestBody)
    else if (transfer === "none") sending.flush()
    else this.stream.startRequestBody(transfer === "chunked")
  }

  // What the client sends meanwhile waits.
  onRetrying(): void {
    if (!this.stream.requestComplete) this.stream.pauseRequest()
  }

  onDueChanged(): void {
    this.#arm()
  }

  onUnanswered(code: ErrorCode, details: string): void {
    this.#fail(code, details)
  }

  // ------------------------------------------------------------------------------------------------ request upstream

  onRequestBytes(buffer: Buffer, from: number, to: number): void {
    this.requestBytes += to - from
    this.#lastActivity = this.plane.means.wheel.now
    if (this.#requestBody !== null) {
      this.#chain?.feedRequest(buffer, from, to)
      return
    }
    const { sending } = this
    if (sending === null) return
    sending.sendBytes(buffer, from, to)
    if (!sending.writable) this.stream.pauseRequest()
  }

  onRequestFlush(): void {
    if (this.#requestBody !== null) this.#chain?.flushRequest()
    else this.sending?.flush()
  }

  onRequestEnd(trailers: Fields | null): void {
    if (this.#phase === TUNNEL) {
      this.#downstreamEnded = true
      this.sending?.flush()
      this.sending?.endTunnel()
      return
    }
    if (this.#requestBody !== null) return this.#chain?.endRequest(trailers)
    this.sending?.sendEnd(trailers)
  }

  onUpstreamWritable(): void {
    if (this.#requestBody?.held !== true) this.stream.resumeRequest()
  }

  onRequestBody(bytes: Buffer): void {
    const sending = this.sending
    const body = this.#requestBody as FilteredBody
    if (sending === null || !body.sent) return body.keep(bytes)
    sending.sendBytes(bytes, 0, bytes.length)
    if (!sending.writable) this.stream.pauseRequest()
  }

  onRequestBodyEnd(trailers: Fields | null): void {
    const body = this.#requestBody as FilteredBody
    body.ended = true
    body.trailers = trailers
  }

  onRequestHold(hold: boolean): void {
    const body = this.#requestBody as FilteredBody
    body.held = hold
    // Of a request that is complete nothing is left to be read but the client's going away.
    if (hold) {
      if (!this.stream.requestComplete) this.stream.pauseRequest()
    } else if (this.#takesRequest(body)) {
      this.stream.resumeRequest()
    }
  }

  // Whether more of the request should be read, as far as its way upstream goes.
  #takesRequest(body: FilteredBody): boolean {
    const { sending } = this
    if (sending?.connected) return sending.writable
    return (sending === null || sending.answered) && !body.ready
  }

  // What has passed the filters goes on: with the head, if that still waits, or behind it.
  onBodiesMoved(): void {
    if (this.#requestBody !== null) this.#moveRequest(this.#requestBody)
    if (this.#responseBody !== null) this.#moveResponse(this.#responseBody)
  }

  #moveRequest(body: FilteredBody): void {
    if (this.#phase === FILTERING) {
      if (!body.ready) return
      if (!body.ended) this.stream.pauseRequest()
      body.frame(this.head)
      this.#forward()
    } else if (body.sent && this.sending !== null) {
      if (body.ended) this.#endFiltered(this.sending, body)
      else this.sending.flush()
    }
  }

  #sendFiltered(sending: Attempts, body: FilteredBody): void {
    body.sent = true
    const { bytes } = body.waiting
    sending.sendBytes(bytes, 0, bytes.length)
    body.waiting.clear()
    if (body.ended) return this.#endFiltered(sending, body)
    sending.flush()
    if (sending.writable && !body.held) this.stream.resumeRequest()
  }

  #endFiltered(sending: Attempts, body: FilteredBody): void {
    this.#requestBody = null
    sending.sendEnd(body.trailers)
  }

  onRequestFailed(code: ErrorCode): void {
    this.sending?.cancel()
    if (this.#phase >= RESPONDING) {
      this.setFlag(errors[code].flag, "")
      this.#abort()
    } else {
      this.#fail(code, "request body")
    }
  }

  // ---------------------------------------------------------------------------------------------- response downstream

  onInformational(head: ResponseHead): void {
    if (this.#phase === SENDING) this.stream.sendInformational(head)
  }

  onResponseHead(head: ResponseHead): boolean {
    this.grpc?.onHead(head)
    // It was read for this head.
    const { now } = this.plane.means.wheel
    this.timeToFirstByte = now - this.started
    this.#clockRead = true
    this.#lastActivity = now
    if (head.status < 300 && this.head.upgrade !== "" && this.head.major === 2 && head.status !== 101) {
      // A client of HTTP/2 would take it for its WebSocket.
      this.sending?.cancel()
      this.#fail("upstreamProtocol", `${this.upstreamAddress} no upgrade`)
      return false
    }
    this.#response = head
    const backend = this.backend as Backend
    if (!backend.response.empty) backend.response.apply(head.fields)
    if (this.sending !== null && this.sending.setCookie !== "") head.fields.add("set-cookie", this.sending.setCookie)
    if (this.#setCookie !== "") head.fields.add("set-cookie", this.#setCookie)
    this.#phase = HOLDING
    if (this.#chain === null) this.onResponseFiltered()
    else {
      this.#responseSeen = true
      this.#chain.runResponse(head, head.body === "none")
      if (this.#phase === HOLDING && this.#responseBody === null) this.sending?.pauseResponse()
    }
    // A filter that holds the head back may yet want to see the body.
    this.#plainBody = this.#responseBody !== null || (this.#phase === HOLDING && this.#chain?.wantsResponseBody === true)
    // Trailers may have to be put behind any octet of a call's response.
    return head.body === "chunked" && this.stream.takesChunks && !this.#plainBody && this.grpc === null
  }

  onResponseFiltered(): void {
    const route = this.matched
    const head = this.#response as ResponseHead
    const stream = this.stream
    if (route !== null && !route.response.empty) route.response.apply(head.fields)
    this.status = head.status
    const localBody = this.#localBody
    if (this.#opensResponseBody(head, localBody)) {
      this.#responseBody = new FilteredBody()
      if (localBody === null) this.sending?.resumeResponse()
      else {
        this.#chain?.feedResponse(localBody, 0, localBody.length)
        this.#chain?.endResponse(null)
      }
      return
    }
    if (localBody !== null) return this.#sendLocal(head, localBody)
    if (this.#chain !== null && !this.#framesStill(head)) return
    if (head.status === 101) {
      this.#phase = TUNNEL
      this.#arm()
      stream.sendHead(head, "none", false)
      stream.startTunnel()
      // A filter may have held it back.
      this.sending?.resumeResponse()
      return
    }
    this.#phase = RESPONDING
    this.#arm()
    // Without its length the body needs another delimiter, and so it does without the chunks it came in.
    const bare = head.body === "length" ? this.#chain !== null && !head.fields.has("content-length") : this.#plainBody
    const body = bare && head.body !== "none" ? "close" : head.body
    const transfer = stream.sendHead(head, this.grpc === null ? body : this.grpc.frame(head, body, stream.takesChunks), false)
    this.grpc?.onSent(this.head, head, transfer)
    // A filter may have held it back; a client that reads slowly is noticed with the first bytes.
    if (this.#chain !== null) this.sending?.resumeResponse()
  }

  // Whether the response's body has to pass filters first.
  #opensResponseBody(head: ResponseHead, localBody: Buffer | null): boolean {
    if (this.#chain === null || this.#responseFiltered || this.#isHead || head.status === 101) return false
    this.#responseFiltered = true
    return (localBody === null ? head.body !== "none" : localBody.length > 0) && this.#chain.openResponseBody()
  }

  // Whether what filters made of an upstream response can be framed as they left it; otherwise it has been answered.
  #framesStill(head: ResponseHead): boolean {
    const bodyless = head.status < 200 || head.status === 204 || head.status === 304
    const upgrade = this.head.upgrade !== "" && head.upgrade !== ""
    if (bodyless && head.body !== "none") {
      this.onFilterFailed("filterEdit", `status ${head.status} for a response with a body`)
      return false
    }
    if (head.status < 200 && !(head.status === 101 && upgrade)) {
      this.onFilterFailed("filterEdit", `status ${head.status}`)
      return false
    }
    // It was a 204 or 304, perhaps with the length of another body, and the client must not wait for one.
    const empty = !bodyless && head.body === "none" && !this.#isHead
    if (empty && head.fields.get("content-length") !== "0") head.fields.set("content-length", "0")
    return true
  }

  onResponseBytes(buffer: Buffer, from: number, to: number): void {
    const stream = this.stream
    this.#lastActivity = this.plane.means.wheel.now
    if (this.#responseBody !== null) {
      this.#chain?.feedResponse(buffer, from, to)
      return
    }
    this.responseBytes += to - from
    stream.sendBytes(buffer, from, to)
    if (!stream.writable) this.sending?.pauseResponse()
  }

  onResponseFlush(): void {
    this.#clockRead = false
    if (this.#responseBody !== null) this.#chain?.flushResponse()
    else if (this.#phase >= RESPONDING) this.stream.flush()
  }

  onDownstreamWritable(): void {
    const body = this.#responseBody
    if (body === null ? this.#phase >= RESPONDING : !body.held) this.sending?.resumeResponse()
  }

  onResponseComplete(): void {
    // A call ends with its trailers.
    if (this.#responseBody === null && this.grpc === null) return this.#end()
    if (this.#chain === null) return
    // The connection's next response is parsed where this head stands.
    const head = (this.#response as ResponseHead).copy()
    this.#response = head
    this.#chain.response = head
  }

  onResponseEnd(trailers: Fields | null): void {
    if (this.#responseBody !== null) return this.#chain?.endResponse(trailers)
    if (this.grpc !== null) {
      this.grpc.onTrailers(trailers)
      this.#end()
    }
    this.stream.sendEnd(trailers)
  }

  onResponseBody(bytes: Buffer): void {
    const body = this.#responseBody as FilteredBody
    if (!body.sent) return body.keep(bytes)
    this.responseBytes += bytes.length
    this.stream.sendBytes(bytes, 0, bytes.length)
    if (!this.stream.writable) this.sending?.pauseResponse()
  }

  onResponseBodyEnd(trailers: Fields | null): void {
    const body = this.#responseBody as FilteredBody
    body.ended = true
    body.trailers = trailers
  }

  onResponseHold(hold: boolean): void {
    const body = this.#responseBody as FilteredBody
    body.held = hold
    if (hold) this.sending?.pauseResponse()
    else if (this.stream.writable) this.sending?.resumeResponse()
  }

  #moveResponse(body: FilteredBody): void {
    const stream = this.stream
    if (this.#phase === HOLDING) {
      if (!body.ready) return
      const head = this.#response as ResponseHead
      this.status = head.status
      if (this.#localBody !== null) {
        // It is sent whole, however filters let it pass.
        if (!body.ended) return
        this.#responseBody = null
        const { bytes } = body.waiting
        head.fields.set("content-length", String(bytes.length))
        return this.#sendLocal(head, bytes)
      }
      if (!this.#framesStill(head)) return
      body.frame(head)
      body.sent = true
      this.#phase = RESPONDING
      this.#arm()
      const transfer = stream.sendHead(head, head.fields.has("content-length") ? "length" : "close", false)
      this.grpc?.onSent(this.head, head, transfer)
      const { bytes } = body.waiting
      this.responseBytes += bytes.length
      stream.sendBytes(bytes, 0, bytes.length)
      body.waiting.clear()
      if (!stream.writable) this.sending?.pauseResponse()
    }
    if (!body.sent) return
    if (!body.ended) return stream.flush()
    this.#responseBody = null
    this.grpc?.onTrailers(body.trailers)
    this.#end()
    stream.sendEnd(body.trailers)
  }

  onResponseFailed(code: ErrorCode, details: string): void {
    if (this.#phase === TUNNEL) {
      if (details !== "") this.setFlag(errors[code].flag, details)
      this.#end()
      this.stream.sendEnd(null)
      return
    }
    // What was sent can't be taken back, and must not look complete.
    if (this.#phase >= RESPONDING && !this.#retract()) return this.#cutOff(code, details)
    // Cut short, but the client has seen nothing of it: it gets a whole answer.
    this.#fail(code === "upstreamTruncated" ? "upstreamClosed" : code, details)
  }

  // A fault in the segment that brought the head: nothing has left yet, and a proper reply is still possible.
  #retract(): boolean {
    if (this.#phase !== RESPONDING || !this.stream.retract()) return false
    this.#phase = SENDING
    this.status = 0
    this.responseBytes = 0
    return true
  }

  onTunnelEnd(): void {
    this.stream.flush()
    this.stream.endTunnel()
  }

  // ----------------------------------------------------------------------------------------------------- local reply

  /** The one place where a failure becomes a reply. */
  #fail(code: ErrorCode, details: string): void {
    this.setFlag(errors[code].flag, details)
    this.#reply(this.plane.means.replies.error(code, this.head), errors[code].close)
  }

  // A local reply goes back through the filters the request has reached.
  #reply(reply: Reply, close = false): void {
    if (close) this.#closeAfter = true
    this.#chain?.stopRequest()
    this.#requestBody = null
    if (this.#responseBody !== null) {
      this.#chain?.stopResponse()
      this.#responseBody = null
    }
    this.#response = reply.head
    this.#localBody = reply.body
    // Filters see one response of an exchange; a reply in its place goes straight out.
    if (this.#chain === null || this.#responseSeen) {
      if (this.#chain !== null) this.#chain.response = reply.head
      this.#responseFiltered = true
      this.onResponseFiltered()
    } else {
      this.#responseSeen = true
      this.#phase = HOLDING
      this.#chain.runResponse(reply.head, reply.body.length === 0)
    }
  }

  // A reply by a filter: in place of the request's going on, or of the response it holds.
  #replyLocally(reply: Reply): void {
    this.sending?.cancel()
    if (this.#phase >= RESPONDING) return this.#abort()
    this.#reply(reply)
  }

  #sendLocal(head: ResponseHead, body: Buffer): void {
    const stream = this.stream
    this.#phase = RESPONDING
    const close = this.#closeAfter || (!stream.requestComplete && !stream.requestSkippable)
    const noBody = head.status === 204 || head.status === 304
    const bodyless = this.#isHead || body.length === 0 || noBody
    // Filters may have changed the status, or taken the length away.
    if (this.#chain !== null && noBody) head.fields.remove("content-length")
    else if (this.#chain !== null && !this.#isHead) head.fields.set("content-length", String(body.length))
    stream.sendHead(head, bodyless ? "none" : "length", close)
    this.grpc?.onHead(head)
    if (!bodyless) {
      this.responseBytes = body.length
      stream.sendBytes(body, 0, body.length)
    }
    this.#end()
    stream.sendEnd(null)
  }

  // -------------------------------------------------------------------------------------------------- ends and limits

  onDownstreamHalfClosed(): void {
    const { wheel } = this.plane.means
    const grace = this.plane.config.timeouts.halfClose
    if (this.#phase >= RESPONDING) return
    if (grace === 0) return this.#cancel()
    this.#goneAt = wheel.refresh() + grace
    this.#arm()
  }

  onDownstreamGone(): void {
    if (this.#phase === ENDED) return
    if (this.#phase !== TUNNEL || !this.#downstreamEnded) this.setFlag(errors.clientGone.flag, "")
    this.sending?.cancel()
    this.#end()
  }

  // The client is taken for gone.
  #cancel(): void {
    this.setFlag(errors.clientGone.flag, "half-closed")
    this.sending?.cancel()
    this.#abort()
  }

  // A response that has begun can't be completed: a call's says so in its trailers, any other is cut off.
  #cutOff(code: ErrorCode, details: string): void {
    this.setFlag(errors[code].flag, details)
    const trailers = this.grpc === null ? null : this.grpc.failed(code)
    if (trailers === null) return this.#abort()
    this.#end()
    this.stream.sendEnd(trailers)
  }

  // Cuts the downstream connection off; `reset`: where it is HTTP/1's, with a reset.
  #abort(reset = false): void {
    this.#end()
    this.stream.abort(reset)
  }

  // Sets the deadline to whichever limit is due first.
  #arm(): void {
    const route = this.matched
    if (route === null) return
    let at = this.#phase < TUNNEL ? this.endsAt : NEVER
    if (this.sending !== null && this.sending.dueAt < at) at = this.sending.dueAt
    if (this.#goneAt < at && this.#phase < RESPONDING) at = this.#goneAt
    const idle = this.#idleAt(route)
    if (idle < at) at = idle
    if (at === NEVER) this.stream.deadline.clear()
    else this.stream.deadline.set(at)
  }

  /** When the whole exchange has to be over, on the wheel's clock. */
  get endsAt(): number {
    const route = this.matched as Route
    const asked = this.#asked
    if (this.grpc !== null) return this.grpc.endsAt(this.started, asked === NOT_ASKED ? route.grpcTimeout : asked)
    const limit = asked === NOT_ASKED ? route.requestTimeout : asked
    return limit > 0 ? this.started + limit : NEVER
  }

  #idleAt(route: Route): number {
    const idle = this.#phase === TUNNEL ? this.plane.config.timeouts.tunnelIdle : route.idleTimeout
    return idle > 0 ? this.#lastActivity + idle : NEVER
  }

  onDeadline(): void {
    const now = this.plane.means.wheel.now
    const route = this.matched as Route
    if (this.#phase !== TUNNEL && now >= this.endsAt) {
      // Both sides of a call may speak at once, so that nobody's request was late.
      return this.#timeOut(this.stream.requestComplete || this.grpc !== null ? "responseTimeout" : "requestTimeout")
    }
    if (now >= this.#goneAt && this.#phase < RESPONDING) return this.#cancel()
    if (now >= this.#idleAt(route)) return this.#timeOut("streamIdle")
    this.sending?.onDeadline(now)
    if (this.#phase !== ENDED) this.#arm()
  }

  #timeOut(code: ErrorCode): void {
    const where = this.upstreamAddress
    this.sending?.expire(code)
    if (this.#phase >= RESPONDING) return this.#cutOff(code, where)
    this.#fail(code, where)
    if (this.#phase === HOLDING) this.stream.deadline.set(this.plane.means.wheel.now + LATE_REPLY)
  }

  // The end, reached once: filters, metrics, access log. The codec is told by whoever calls this.
  #end(): void {
    if (this.#phase === ENDED) return
    this.#phase = ENDED
    const { wheel } = this.plane.means
    this.duration = (this.#clockRead ? wheel.now : wheel.refresh()) - this.started
    this.elapsed = this.duration
    if (this.#chain !== null) {
      this.#chain.done()
      if (this.#chain.notedFlag !== "") this.setFlag(this.#chain.notedFlag, this.#chain.notedDetails)
    }
    // Contexts of filters are kept for reuse, and with them for a while what their streams hold.
    this.#requestBody = null
    this.#responseBody = null
    this.#localBody = null
    this.sending?.end()
    this.publish()
    this.plane.snapshot.unpin()
  }
}
