// One request and its response, from the parsed head to the access log: route, filters, backend, attempt, bodies both ways.
// Here its request finds its way to the attempts of a backend. It is driven by the codec on each side and by its deadline.

import { type ErrorCode, errors } from "../errors.ts"
import { type ChainOwner, ChainRun } from "../filter/chain.ts"
import { isMisdirected } from "../http/connection-security.ts"
import type { BodyTransfer, DownstreamHandler, DownstreamStream, ExchangeFactory } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import { type RequestHead, ResponseHead } from "../http/message.ts"
import { normalizePath } from "../http/path.ts"
import { redirectLocation } from "../router/rewrite.ts"
import type { AttemptsOwner } from "./attempt.ts"
import { Attempts } from "./attempts.ts"
import { FilteredBody } from "./filtered-body.ts"
import { GrpcCall } from "./grpc-call.ts"
import { GrpcWebStream } from "./grpc-web-stream.ts"
import type { Plane } from "./plane.ts"
import { editRequest } from "./request-edits.ts"
import { RespondingExchange } from "./responding-exchange.ts"
import type { Route } from "./route.ts"
import { ENDED, FILTERING, RESPONDING, SENDING, TUNNEL } from "./timed-exchange.ts"

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

class Exchange extends RespondingExchange implements DownstreamHandler, AttemptsOwner, ChainOwner {
  /** Whom the codec drives: the exchange, or what stands between them. */
  handler: DownstreamHandler = this
  #matchedPrefix = ""
  /** A filter asked for the route to be looked up anew. */
  #reroute = false
  /** Which matches with a percentage take it. */
  #lot = 0

  constructor(plane: Plane, stream: DownstreamStream, head: RequestHead) {
    super(plane, stream, head)
    plane.snapshot.pin()
  }

  // ---------------------------------------------------------------------------------------------- route and filters

  start(): void {
    const plane = this.plane
    const head = this.head
    const target = head.target
    const mark = target.indexOf("?")
    this.path = target
    this.requestFields = plane.means.accessLog.noteRequest(head.fields)
    this.isHead = head.method === "HEAD"
    if (head.method === "POST") this.grpc = GrpcCall.of(head)
    const path = normalizePath(mark === -1 ? target : target.slice(0, mark), plane.config.path)
    if (path === null) return this.fail("badRequest", "path")
    head.path = path
    head.query = mark === -1 ? undefined : target.slice(mark + 1)
    this.requestId = plane.means.forwarded.complete(head, this.stream, plane.config.trustedHops, plane.traced)
    const { security } = this.stream
    if (security !== null && isMisdirected(security, head.host)) return this.fail("misdirected", security.serverName)
    const { router, means } = plane
    if (router.drawsLots) this.#lot = means.random() * 2 ** 32
    const match = router.match(head.host, path, head.query, head.method, head.fields, this.#lot)
    if (match === null) return this.fail("noRoute", "")
    const route = match.target
    this.matched = route
    this.#matchedPrefix = match.matchedPrefix
    if (means.watch.active) this.trail = means.watch.begin(this)
    if (head.method === "TRACE" && !route.allowsTrace) return this.fail("methodNotAllowed", "TRACE")
    if (route.grpcWeb && head.method === "POST") this.#openWeb()
    if (plane.means.overload.sheds(route.priority)) return this.fail("overloaded", "")
    if (this.grpc !== null && !this.#admitCall(this.grpc)) return
    if (head.saysForwarded && !this.admitTimeout(head)) return
    this.arm()
    if (route.filters.length === 0) return this.onRequestFiltered()
    this.chain = new ChainRun(route.filters, this, head, this, this.trail)
    this.chain.runRequest(head.body === "none")
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
    if (call.timeout === 0) this.fail("responseTimeout", "grpc-timeout of 0")
    else this.fail("badRequest", "grpc-timeout")
    return false
  }

  onRequestFiltered(): void {
    const head = this.head
    // Filters that see the body hold its head back until they let some of it pass: they may want to change it by then.
    const forwards = (this.matched as Route).forwards || this.#reroute
    if (head.body !== "none" && forwards && this.chain?.openRequestBody()) {
      this.requestBody = new FilteredBody()
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
    if (this.chain !== null && (head.method === "HEAD") !== this.isHead) return this.fail("filterEdit", "HEAD")
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
      return this.reply(replies.redirect(route.redirect.status, location))
    }
    if (route.direct !== null) return this.reply(replies.direct(route.direct.status, route.direct.body, route.direct.headers))
    let backend = this.backend
    if (backend === null) {
      const choice = this.#choose(route)
      if (choice < 0) return this.fail("noService", "no backend")
      backend = route.backends[choice]
      this.backend = backend
    }
    if (backend.service === null) return this.fail("noService", backend.name)
    // By what the request is now: edits and rewrites would make others of its fields and its path. The service's other limits
    // are asked when its attempts start, so that what is refused here holds nothing of them.
    const refused = backend.service.rateLimit?.take(this, head, null) ?? null
    if (refused !== null) return this.onFilterReply(refused)
    const authority = editRequest(head, route, backend, this.#matchedPrefix)
    this.phase = SENDING
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
    if (drawn >= 0) this.setCookie = sticky.cookie(drawn, this.security !== null)
    return drawn
  }

  // Looks the route up by what filters have made of the request; whether there is one.
  #routeAgain(): boolean {
    const head = this.head
    const match = this.plane.router.match(head.host, head.path, head.query, head.method, head.fields, this.#lot)
    if (match === null) {
      this.fail("noRoute", "")
      return false
    }
    this.matched = match.target
    this.#matchedPrefix = match.matchedPrefix
    const service = this.backend?.service ?? null
    if (service !== null) this.backend = match.target.backend(service)
    if (head.method === "TRACE" && !match.target.allowsTrace) {
      this.fail("methodNotAllowed", "TRACE")
      return false
    }
    this.arm()
    return true
  }

  get requestSent(): boolean {
    return this.phase !== FILTERING
  }

  get responseSent(): boolean {
    return this.phase >= RESPONDING
  }

  chooseService(name: string): boolean {
    if (this.phase !== FILTERING) return false
    const route = this.matched as Route
    const service = this.plane.service(name)
    if (service === undefined || !route.forwards) return false
    this.backend = route.backend(service)
    return true
  }

  clearRoute(): void {
    if (this.phase === FILTERING) this.#reroute = true
  }

  // --------------------------------------------------------------------------------------------------- its attempts
  onConnected(transfer: BodyTransfer): void {
    const sending = this.sending as Attempts
    if (this.requestBody !== null) this.#sendFiltered(sending, this.requestBody)
    else if (transfer === "none") sending.flush()
    else this.stream.startRequestBody(transfer === "chunked")
  }

  // What the client sends meanwhile waits.
  onRetrying(): void {
    if (!this.stream.requestComplete) this.stream.pauseRequest()
  }

  onDueChanged(): void {
    this.arm()
  }

  onUnanswered(code: ErrorCode, details: string): void {
    this.fail(code, details)
  }

  // ------------------------------------------------------------------------------------------------ request upstream

  onRequestBytes(buffer: Buffer, from: number, to: number): void {
    this.requestBytes += to - from
    this.lastActivity = this.plane.means.wheel.now
    if (this.requestBody !== null) {
      this.chain?.feedRequest(buffer, from, to)
      return
    }
    const { sending } = this
    if (sending === null) return
    sending.sendBytes(buffer, from, to)
    if (!sending.writable) this.stream.pauseRequest()
  }

  onRequestFlush(): void {
    if (this.requestBody !== null) this.chain?.flushRequest()
    else this.sending?.flush()
    // Filters may yet choose another service.
    if (this.phase >= SENDING && this.phase < ENDED) this.countOctets()
  }

  onRequestEnd(trailers: Fields | null): void {
    if (this.phase === TUNNEL) {
      this.downstreamEnded = true
      this.sending?.flush()
      this.sending?.endTunnel()
      return
    }
    if (this.requestBody !== null) return this.chain?.endRequest(trailers)
    this.sending?.sendEnd(trailers)
  }

  onUpstreamWritable(): void {
    if (this.requestBody?.held !== true) this.stream.resumeRequest()
  }

  onRequestBody(bytes: Buffer): void {
    const sending = this.sending
    const body = this.requestBody as FilteredBody
    if (sending === null || !body.sent) return body.keep(bytes)
    sending.sendBytes(bytes, 0, bytes.length)
    if (!sending.writable) this.stream.pauseRequest()
  }

  onRequestBodyEnd(trailers: Fields | null): void {
    const body = this.requestBody as FilteredBody
    body.ended = true
    body.trailers = trailers
  }

  onRequestHold(hold: boolean): void {
    const body = this.requestBody as FilteredBody
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
    if (this.requestBody !== null) this.#moveRequest(this.requestBody)
    this.moveResponse()
  }

  #moveRequest(body: FilteredBody): void {
    if (this.phase === FILTERING) {
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
    this.requestBody = null
    sending.sendEnd(body.trailers)
  }

  onRequestFailed(code: ErrorCode): void {
    this.sending?.cancel()
    if (this.phase >= RESPONDING) {
      this.setFlag(errors[code].flag, "")
      this.abort()
    } else {
      this.fail(code, "request body")
    }
  }
}
