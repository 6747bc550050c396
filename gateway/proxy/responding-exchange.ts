// The part of an exchange that faces its client: the response, upstream's or a local one, through filters and downstream, and the
// one end of it all. It chooses nobody to ask.

import { type ErrorCode, errors } from "../errors.ts"
import type { ChainRun } from "../filter/chain.ts"
import type { LocalReply } from "../filter/filter.ts"
import type { BodyTransfer } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import type { BodyKind, ResponseHead } from "../http/message.ts"
import { frameEdited, frameReply, framingFault, isBodyless } from "./edited-framing.ts"
import { FilteredBody } from "./filtered-body.ts"
import type { Reply } from "./local-reply.ts"
import type { Backend } from "./route.ts"
import { ENDED, HOLDING, RESPONDING, SENDING, TimedExchange, TUNNEL } from "./timed-exchange.ts"

/** ms that filters have for the reply to an exchange out of time. */
const LATE_REPLY = 1000

export abstract class RespondingExchange extends TimedExchange {
  protected chain: ChainRun | null = null
  protected isHead = false
  /** Tells the client which backend it has; "" = it knows, or needn't. */
  protected setCookie = ""
  /** The request's body, as it passes its filters. */
  protected requestBody: FilteredBody | null = null
  protected downstreamEnded = false
  /** The clock was read in this turn already. */
  #clockRead = false
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
  #responseBody: FilteredBody | null = null

  onInformational(head: ResponseHead): void {
    if (this.phase === SENDING) this.stream.sendInformational(head)
  }

  onResponseHead(head: ResponseHead): boolean {
    this.grpc?.onHead(head)
    // It was read for this head.
    const { now } = this.plane.means.wheel
    this.timeToFirstByte = now - this.started
    this.#clockRead = true
    this.lastActivity = now
    if (head.status < 300 && this.head.upgrade !== "" && this.head.major === 2 && head.status !== 101) {
      // A client of HTTP/2 would take it for its WebSocket.
      this.sending?.cancel()
      this.fail("upstreamProtocol", `${this.upstreamAddress} no upgrade`)
      return false
    }
    this.#response = head
    const backend = this.backend as Backend
    if (!backend.response.empty) backend.response.apply(head.fields)
    if (this.sending !== null && this.sending.setCookie !== "") head.fields.add("set-cookie", this.sending.setCookie)
    if (this.setCookie !== "") head.fields.add("set-cookie", this.setCookie)
    this.phase = HOLDING
    if (this.chain === null) this.onResponseFiltered()
    else {
      this.#responseSeen = true
      this.chain.runResponse(head, head.body === "none")
      if (this.phase === HOLDING && this.#responseBody === null) this.sending?.pauseResponse()
    }
    // A filter that holds the head back may yet want to see the body.
    this.#plainBody = this.#responseBody !== null || (this.phase === HOLDING && this.chain?.wantsResponseBody === true)
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
        this.chain?.feedResponse(localBody, 0, localBody.length)
        this.chain?.endResponse(null)
      }
      return
    }
    if (localBody !== null) return this.#sendLocal(head, localBody)
    if (this.chain !== null && !this.#framesStill(head)) return
    if (head.status === 101) {
      this.phase = TUNNEL
      this.arm()
      this.#sendHead(head, "none", false)
      stream.startTunnel()
      // A filter may have held it back.
      this.sending?.resumeResponse()
      return
    }
    this.phase = RESPONDING
    this.arm()
    // Without its length the body needs another delimiter, and so it does without the chunks it came in.
    const bare = head.body === "length" ? this.chain !== null && !head.fields.has("content-length") : this.#plainBody
    const body = bare && head.body !== "none" ? "close" : head.body
    const transfer = this.#sendHead(head, this.grpc === null ? body : this.grpc.frame(head, body, stream.takesChunks), false)
    this.grpc?.onSent(this.head, head, transfer)
    // A filter may have held it back; a client that reads slowly is noticed with the first bytes.
    if (this.chain !== null) this.sending?.resumeResponse()
  }

  #sendHead(head: ResponseHead, body: BodyKind, close: boolean): BodyTransfer {
    this.trail?.responded(head)
    this.responseFields = this.plane.means.accessLog.noteResponse(head.fields)
    return this.stream.sendHead(head, body, close)
  }

  // Whether the response's body has to pass filters first.
  #opensResponseBody(head: ResponseHead, localBody: Buffer | null): boolean {
    if (this.chain === null || this.#responseFiltered || this.isHead || head.status === 101) return false
    this.#responseFiltered = true
    return (localBody === null ? head.body !== "none" : localBody.length > 0) && this.chain.openResponseBody()
  }

  // Whether what filters made of an upstream response can be framed as they left it; otherwise it has been answered.
  #framesStill(head: ResponseHead): boolean {
    const fault = framingFault(head, this.head)
    if (fault !== "") this.onFilterFailed("filterEdit", fault)
    else frameEdited(head, this.isHead)
    return fault === ""
  }

  onResponseBytes(buffer: Buffer, from: number, to: number): void {
    const stream = this.stream
    this.lastActivity = this.plane.means.wheel.now
    if (this.#responseBody !== null) {
      this.chain?.feedResponse(buffer, from, to)
      return
    }
    this.responseBytes += to - from
    stream.sendBytes(buffer, from, to)
    if (!stream.writable) this.sending?.pauseResponse()
  }

  onResponseFlush(): void {
    this.#clockRead = false
    if (this.#responseBody !== null) this.chain?.flushResponse()
    else if (this.phase >= RESPONDING) this.stream.flush()
  }

  onDownstreamWritable(): void {
    const body = this.#responseBody
    if (body === null ? this.phase >= RESPONDING : !body.held) this.sending?.resumeResponse()
  }

  onResponseComplete(): void {
    // A call ends with its trailers.
    if (this.#responseBody === null && this.grpc === null) return this.end()
    if (this.chain === null) return
    // The connection's next response is parsed where this head stands.
    const head = (this.#response as ResponseHead).copy()
    this.#response = head
    this.chain.response = head
  }

  onResponseEnd(trailers: Fields | null): void {
    if (trailers !== null) this.#noteTrailers(trailers)
    if (this.#responseBody !== null) return this.chain?.endResponse(trailers)
    if (this.grpc !== null) {
      this.grpc.onTrailers(trailers)
      this.end()
    }
    this.stream.sendEnd(trailers)
  }

  #noteTrailers(trailers: Fields): void {
    this.trailerFields = this.plane.means.accessLog.noteTrailers(trailers)
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
    if (trailers !== null) this.#noteTrailers(trailers)
  }

  onResponseHold(hold: boolean): void {
    const body = this.#responseBody as FilteredBody
    body.held = hold
    if (hold) this.sending?.pauseResponse()
    else if (this.stream.writable) this.sending?.resumeResponse()
  }

  /** What has passed the filters goes on: with the head, if that still waits, or behind it. */
  protected moveResponse(): void {
    const body = this.#responseBody
    if (body === null) return
    const stream = this.stream
    if (this.phase === HOLDING) {
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
      this.phase = RESPONDING
      this.arm()
      const transfer = this.#sendHead(head, head.fields.has("content-length") ? "length" : "close", false)
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
    this.end()
    stream.sendEnd(body.trailers)
  }

  onResponseFailed(code: ErrorCode, details: string): void {
    if (this.phase === TUNNEL) {
      if (details !== "") this.setFlag(errors[code].flag, details)
      this.end()
      this.stream.sendEnd(null)
      return
    }
    // What was sent can't be taken back, and must not look complete.
    if (this.phase >= RESPONDING && !this.#retract()) return this.#cutOff(code, details)
    // Cut short, but the client has seen nothing of it: it gets a whole answer.
    this.fail(code === "upstreamTruncated" ? "upstreamClosed" : code, details)
  }

  // A fault in the segment that brought the head: nothing has left yet, and a proper reply is still possible.
  #retract(): boolean {
    if (this.phase !== RESPONDING || !this.stream.retract()) return false
    this.phase = SENDING
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
  protected fail(code: ErrorCode, details: string): void {
    this.setFlag(errors[code].flag, details)
    this.reply(this.plane.means.replies.error(code, this.head), errors[code].close)
  }

  /** A local reply goes back through the filters the request has reached. */
  protected reply(reply: Reply, close = false): void {
    if (close) this.#closeAfter = true
    this.chain?.stopRequest()
    this.requestBody = null
    if (this.#responseBody !== null) {
      this.chain?.stopResponse()
      this.#responseBody = null
    }
    this.#response = reply.head
    this.#localBody = reply.body
    // Filters see one response of an exchange; a reply in its place goes straight out.
    if (this.chain === null || this.#responseSeen) {
      if (this.chain !== null) this.chain.response = reply.head
      this.#responseFiltered = true
      this.onResponseFiltered()
    } else {
      this.#responseSeen = true
      this.phase = HOLDING
      this.chain.runResponse(reply.head, reply.body.length === 0)
    }
  }

  // A reply by a filter: in place of the request's going on, or of the response it holds.
  #replyLocally(reply: Reply): void {
    this.sending?.cancel()
    if (this.phase >= RESPONDING) return this.abort()
    this.reply(reply)
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
    this.abort(flag === "FI")
  }

  #sendLocal(head: ResponseHead, body: Buffer): void {
    const stream = this.stream
    this.phase = RESPONDING
    const close = this.#closeAfter || (!stream.requestComplete && !stream.requestSkippable)
    const bodyless = this.isHead || body.length === 0 || isBodyless(head.status)
    if (this.chain !== null) frameReply(head, body.length, this.isHead)
    this.#sendHead(head, bodyless ? "none" : "length", close)
    this.grpc?.onHead(head)
    if (!bodyless) {
      this.responseBytes = body.length
      stream.sendBytes(body, 0, body.length)
    }
    this.end()
    stream.sendEnd(null)
  }

  // --------------------------------------------------------------------------------------------------------- the end

  onDownstreamGone(): void {
    if (this.phase === ENDED) return
    if (this.phase !== TUNNEL || !this.downstreamEnded) this.setFlag(errors.clientGone.flag, "")
    this.sending?.cancel()
    this.end()
  }

  /** The client is taken for gone. */
  protected cancel(): void {
    this.setFlag(errors.clientGone.flag, "half-closed")
    this.sending?.cancel()
    this.abort()
  }

  // A response that has begun can't be completed: a call's says so in its trailers, any other is cut off.
  #cutOff(code: ErrorCode, details: string): void {
    this.setFlag(errors[code].flag, details)
    const trailers = this.grpc === null ? null : this.grpc.failed(code)
    if (trailers === null) return this.abort()
    this.end()
    this.stream.sendEnd(trailers)
  }

  /** Cuts the downstream connection off; `reset`: where it is HTTP/1's, with a reset. */
  protected abort(reset = false): void {
    this.end()
    this.stream.abort(reset)
  }

  protected timeOut(code: ErrorCode): void {
    const where = this.upstreamAddress
    this.sending?.expire(code)
    if (this.phase >= RESPONDING) return this.#cutOff(code, where)
    this.fail(code, where)
    if (this.phase === HOLDING) this.stream.deadline.set(this.plane.means.wheel.now + LATE_REPLY)
  }

  /** The end, reached once: filters, metrics, access log. The codec is told by whoever calls this. */
  protected end(): void {
    if (this.phase === ENDED) return
    this.phase = ENDED
    const { wheel } = this.plane.means
    this.duration = (this.#clockRead ? wheel.now : wheel.refresh()) - this.started
    this.elapsed = this.duration
    if (this.chain !== null) {
      this.chain.done()
      if (this.chain.notedFlag !== "") this.setFlag(this.chain.notedFlag, this.chain.notedDetails)
    }
    // Contexts of filters are kept for reuse, and with them for a while what their streams hold.
    this.requestBody = null
    this.#responseBody = null
    this.#localBody = null
    this.sending?.end()
    this.publish()
    this.plane.snapshot.unpin()
  }
}
