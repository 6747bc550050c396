// One HTTP/1.x client connection: reads requests one after the other, hands each to an exchange, writes its response.
// It never decides what a request means beyond its framing, and never has two exchanges at once.

import type { Socket } from "node:net"
import { type ErrorCode, errors } from "../errors.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import { type ConnectionSight, sightOf } from "../http/connection-sight.ts"
import type { BodyTransfer, DownstreamHandler, DownstreamStream, ExchangeFactory } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import type { BodyKind, RequestHead, ResponseHead } from "../http/message.ts"
import { addressesOf, type SocketAddresses } from "../http/socket-addresses.ts"
import { reasonPhrase } from "../http/status.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import { ChunkedDecoder, type ChunkSink, DONE, TOO_LARGE, UNFINISHED } from "./chunked.ts"
import type { HeadLimits } from "./head-reader.ts"
import { MessageWriter } from "./message-writer.ts"
import { NEED_MORE, REFUSED, RequestParser } from "./request-parser.ts"
import { serializeResponse } from "./serialize.ts"

/** Octets of an unwanted request body that are read and thrown away so that the client sees the response. */
const DISCARD_LIMIT = 1024 * 1024
/** Octets of it that are thrown away without closing the connection. */
const SKIP_LIMIT = 64 * 1024
/** ms such a client, or one that was told to close, has left. */
const LINGER = 2000
/** ms without progress after which the rest of a last response is given up. */
const STALL = 30_000
/** ms an idle connection is kept when draining begins: its client's next request is still served, and told to close. */
const DRAIN_GRACE = 1000

// What the next octets are.
const HEAD = 0
const BODY_LENGTH = 1
const BODY_CHUNKED = 2
/** The request is complete; its response isn't. */
const COMPLETE = 3
const DISCARD = 4
const TUNNEL = 5
const CLOSED = 6

export interface ServerLimits {
  readonly head: HeadLimits
  /** Octets of a request body; 0 = any number. */
  readonly body: number
  /** ms for a head, from its first octet. */
  readonly headTimeout: number
  /** ms between requests. */
  readonly idleTimeout: number
}

/** Whom a connection belongs to. */
export interface ServerConnectionOwner {
  /** A head was refused; the connection has answered it. */
  onRefused(connection: ServerConnection, code: ErrorCode, head: RequestHead): void
  onClosed(connection: ServerConnection): void
  /** A programming error, which costs this connection and no other. */
  onFault(error: unknown): void
}

export class ServerConnection implements DownstreamStream, ChunkSink, DeadlineOwner {
  readonly connectionId: number
  headTook = 0
  readonly sourceAddress: string
  readonly sourcePort: number
  readonly destinationAddress: string
  readonly destinationPort: number
  readonly deadline: Deadline
  readonly security: ConnectionSecurity | null
  readonly memo = { authority: "", text: "" }
  readonly #socket: Socket
  readonly #writer: MessageWriter
  readonly #limits: ServerLimits
  readonly #wheel: TimerWheel
  readonly #exchanges: ExchangeFactory
  readonly #owner: ServerConnectionOwner
  readonly #parser: RequestParser
  #decoder: ChunkedDecoder | null = null
  #exchange: DownstreamHandler | null = null
  #state = HEAD
  /** Octets of a body of known length still to come, or still to be thrown away. */
  #left = 0
  #bodyStarted = false
  #bodySeen = false
  #continueSent = false
  #paused = false
  #processing = false
  /** Bytes read and not yet looked at. */
  #kept: Buffer | null = null
  /** The client has ended its side, and all it sent before was looked at. */
  #ended = false
  /** The client has ended its side behind what is kept. */
  #endKept = false
  #unsent = -1
  /** Responses tell the client to close. */
  #announced = false
  #draining = false
  #closeAfter = false
  #headTimed = false
  /** The exchange has ended. */
  #over = true
  #closedReported = false
  readonly #began: number
  #requests = 0
  /** The connection's end will be the end of the response's body. */
  #endDelimited = false

  constructor(
    socket: Socket,
    id: number,
    limits: ServerLimits,
    wheel: TimerWheel,
    exchanges: ExchangeFactory,
    owner: ServerConnectionOwner,
    security: ConnectionSecurity | null = null,
    /** Those of the connection behind a proxy, if it is known. */
    addresses: SocketAddresses = addressesOf(socket),
  ) {
    this.#socket = socket
    this.security = security
    this.#writer = new MessageWriter(socket)
    this.connectionId = id
    this.sourceAddress = addresses.sourceAddress
    this.sourcePort = addresses.sourcePort
    this.destinationAddress = addresses.destinationAddress
    this.destinationPort = addresses.destinationPort
    this.#limits = limits
    this.#wheel = wheel
    this.#began = wheel.now
    this.#exchanges = exchanges
    this.#owner = owner
    this.#parser = new RequestParser(limits.head)
    if (security !== null) this.#parser.head.scheme = "https"
    this.deadline = new Deadline(wheel, this)
    this.deadline.set(wheel.now + limits.idleTimeout)
    socket.on("data", (bytes: Buffer) => this.receive(bytes))
    socket.on("end", () => this.#onEnd())
    socket.on("drain", () => this.#onDrain())
    // What went wrong is told by `close`, which follows.
    socket.on("error", () => {})
    socket.on("close", () => this.#onClose())
  }

  get writable(): boolean {
    return this.#writer.writable
  }

  sight(): ConnectionSight {
    const began = this.#began
    const carries = this.#exchange === null ? [] : [this.#exchange.sight()]
    return { ...sightOf(this, this.#socket), protocol: "HTTP/1.1", began, requests: this.#requests, underWay: this.#over ? 0 : 1, carries }
  }

  get takesChunks(): boolean {
    return this.#parser.head.minor === 1
  }

  get requestComplete(): boolean {
    return this.#state >= COMPLETE
  }

  get requestSkippable(): boolean {
    return this.#state === BODY_LENGTH && this.#left <= SKIP_LIMIT && (!this.#parser.head.expectContinue || this.#bodySeen)
  }

  /** An exchange is running. */
  get busy(): boolean {
    return this.#exchange !== null
  }

  /** Octets have come. */
  receive(bytes: Buffer): void {
    if (this.#kept !== null || this.#paused) {
      // Read ahead of a pause: kept until it is over.
      this.#kept = this.#kept === null ? bytes : Buffer.concat([this.#kept, bytes])
      return
    }
    try {
      this.#process(bytes)
    } catch (error) {
      this.#processing = false
      this.#owner.onFault(error)
      this.#destroy()
    }
  }

  #process(buffer: Buffer): void {
    const length = buffer.length
    let i = 0
    this.#processing = true
    while (i < length && !this.#paused) {
      const state = this.#state
      if (state === HEAD) {
        // A client that pipelines and doesn't read gets no further until it has.
        if (!this.#writer.writable) break
        const end = this.#parser.read(buffer, i, length)
        if (end === NEED_MORE) {
          this.#timeHead()
          i = length
        } else if (end === REFUSED) {
          i = length
          this.#refuse(this.#parser.error ?? "badRequest")
        } else {
          i = end
          this.#begin()
        }
      } else if (state === BODY_LENGTH) {
        if (!this.#bodyStarted) break
        const take = Math.min(this.#left, length - i)
        this.#left -= take
        if (this.#over) {
          // Nobody wants the rest of this body, see requestSkippable.
          i += take
          if (this.#left === 0) this.#nextRequest()
          continue
        }
        if (this.#left === 0) this.#state = COMPLETE
        this.#bodySeen = true
        const from = i
        i += take
        this.#exchange?.onRequestBytes(buffer, from, i)
        if (this.#left === 0 && this.#state === COMPLETE) this.#exchange?.onRequestEnd(null)
      } else if (state === BODY_CHUNKED) {
        if (!this.#bodyStarted) break
        this.#bodySeen = true
        i = this.#readChunked(buffer, i, length)
      } else if (state === COMPLETE) {
        // A pipelined request: it waits for the response to the one before.
        break
      } else if (state === TUNNEL) {
        const from = i
        i = length
        this.#exchange?.onRequestBytes(buffer, from, length)
      } else {
        if (state === DISCARD) {
          this.#left -= length - i
          // Enough was thrown away: the rest stays with the client until its time is over.
          if (this.#left < 0) this.#socket.pause()
        }
        i = length
      }
    }
    this.#processing = false
    if (this.#state === CLOSED) return
    if (this.#bodyStarted) this.#exchange?.onRequestFlush()
    if (i < length) {
      this.#kept = i === 0 ? buffer : buffer.subarray(i)
      this.#socket.pause()
    }
  }

  #timeHead(): void {
    if (this.#parser.started && !this.#headTimed) {
      this.#headTimed = true
      this.deadline.set(this.#wheel.now + this.#limits.headTimeout)
    }
  }

  #begin(): void {
    const head = this.#parser.head
    this.headTook = this.#headTimed ? this.#wheel.refresh() - (this.deadline.at - this.#limits.headTimeout) : 0
    this.#headTimed = false
    this.#bodySeen = false
    this.#continueSent = false
    this.#closeAfter = this.#announced || !head.keepAlive
    if (head.body === "length") {
      if (this.#limits.body > 0 && head.contentLength > this.#limits.body) {
        this.#refuse("bodyTooLarge")
        return
      }
      this.#state = BODY_LENGTH
      this.#left = head.contentLength
      this.#bodyStarted = false
    } else if (head.body === "chunked") {
      this.#state = BODY_CHUNKED
      this.#bodyStarted = false
    } else {
      this.#state = COMPLETE
    }
    this.deadline.clear()
    this.#over = false
    this.#requests++
    const exchange = this.#exchanges.begin(this, head)
    // Answered locally, it is over already.
    if (!this.#over) this.#exchange = exchange
  }

  #readChunked(buffer: Buffer, from: number, to: number): number {
    const decoder = this.#decoder as ChunkedDecoder
    const result = decoder.read(buffer, from, to, this)
    if (this.#state !== BODY_CHUNKED) return to
    if (result === UNFINISHED) return to
    if (result === DONE) {
      this.#state = COMPLETE
      this.#exchange?.onRequestEnd(decoder.trailers)
      return decoder.end
    }
    this.#closeAfter = true
    this.#exchange?.onRequestFailed(result === TOO_LARGE ? "bodyTooLarge" : "badRequest")
    return to
  }

  /** Decoded or reframed bytes of a chunked request body. */
  onChunkBytes(buffer: Buffer, from: number, to: number): void {
    if (this.#state === BODY_CHUNKED) this.#exchange?.onRequestBytes(buffer, from, to)
  }

  startRequestBody(reframe: boolean): void {
    if (this.#bodyStarted || (this.#state !== BODY_LENGTH && this.#state !== BODY_CHUNKED)) return
    this.#bodyStarted = true
    if (this.#state === BODY_CHUNKED) {
      this.#decoder ??= new ChunkedDecoder()
      this.#decoder.reset(reframe, this.#limits.body)
    }
    if (this.#processing) return
    this.#goOn()
    this.#exchange?.onRequestFlush()
  }

  pauseRequest(): void {
    if (this.#paused) return
    this.#paused = true
    this.#socket.pause()
  }

  resumeRequest(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#goOn()
  }

  // Looks at what was kept, then reads on.
  #goOn(): void {
    if (this.#processing || this.#paused || this.#state === CLOSED) return
    const kept = this.#kept
    if (kept !== null) {
      this.#kept = null
      this.#process(kept)
      if (this.#kept !== null || this.#paused) return
    }
    if (this.#endKept) {
      this.#endKept = false
      if ((this.#state as number) !== CLOSED) this.#onEnd()
    } else this.#socket.resume()
  }

  sendInformational(head: ResponseHead): void {
    if (head.status === 100) this.#continueSent = true
    if (this.#parser.head.minor === 0) return
    this.#writer.text(serializeResponse(head, false, ""))
  }

  sendHead(head: ResponseHead, body: BodyKind, close: boolean): BodyTransfer {
    const request = this.#parser.head
    if (close || this.#announced) this.#closeAfter = true
    // Whether the client will still send a body it announced with Expect is unknown: the connection can't go on.
    if (request.expectContinue && !this.#continueSent && !this.#bodySeen) this.#closeAfter = true
    let transfer: BodyTransfer = "none"
    if (body === "length") transfer = "plain"
    else if (body === "none") this.#announceNone(head)
    else {
      if (request.minor === 1) transfer = body === "chunked" ? "chunked" : "encode"
      else {
        transfer = "plain"
        this.#closeAfter = true
        this.#endDelimited = true
      }
    }
    const connection = this.#closeAfter ? "close" : request.minor === 0 ? "keep-alive" : ""
    this.#writer.begin(serializeResponse(head, transfer === "encode" || transfer === "chunked", connection), transfer)
    return transfer
  }

  // HTTP/2 may say by the end of its stream what has to be said by a length here (RFC 9112 §6.3).
  #announceNone(head: ResponseHead): void {
    const { status, fields } = head
    const bodyless = status < 200 || status === 204 || status === 304 || this.#parser.head.method === "HEAD"
    if (!bodyless && !fields.has("content-length")) fields.add("content-length", "0")
  }

  sendBytes(buffer: Buffer, from: number, to: number): void {
    this.#writer.bytes(buffer, from, to)
  }

  retract(): boolean {
    return this.#writer.retract()
  }

  flush(): void {
    this.#writer.flush()
  }

  sendEnd(trailers: Fields | null): void {
    this.#writer.end(trailers)
    this.#finish()
  }

  // The response has left. Keeps the connection when both sides agree and the request was read whole.
  #finish(): void {
    this.#exchange = null
    this.#over = true
    this.#endDelimited = false
    if (!this.#closeAfter && !this.#ended) {
      if (this.#state === COMPLETE) return this.#nextRequest()
      if (this.requestSkippable) {
        this.#bodyStarted = true
        this.deadline.set(this.#wheel.now + this.#limits.headTimeout)
        this.#unpause()
        return
      }
    }
    this.#lingerAndClose()
  }

  #nextRequest(): void {
    this.#state = HEAD
    this.#bodyStarted = false
    this.#parser.reset()
    // The response may have begun before draining did, so that its client wasn't told.
    this.deadline.set(this.#wheel.now + (this.#draining ? DRAIN_GRACE : this.#limits.idleTimeout))
    this.#unpause()
  }

  #unpause(): void {
    if (this.#kept === null && !this.#paused) return
    this.#paused = false
    this.#goOn()
  }

  // Ends our side, and reads on for a while: closing with unread data would reset the connection and lose the response.
  #lingerAndClose(): void {
    if (this.#state === CLOSED) return
    this.#state = DISCARD
    this.#left = DISCARD_LIMIT
    this.#kept = null
    this.#paused = false
    this.#unsent = -1
    this.deadline.set(this.#wheel.now + LINGER)
    if (this.#ended || this.#endKept) {
      this.#socket.end(() => this.#destroy())
    } else {
      this.#socket.end()
      this.#socket.resume()
    }
  }

  abort(reset = false): void {
    this.#exchange = null
    this.#over = true
    this.#destroy(reset)
  }

  startTunnel(): void {
    this.flush()
    this.#state = TUNNEL
    this.#bodyStarted = true
    this.#goOn()
  }

  endTunnel(): void {
    this.#socket.end()
  }

  /** Answers a head that no exchange will see, and closes. */
  #refuse(code: ErrorCode): void {
    const row = errors[code]
    const body = `${row.text}\n`
    const head = `HTTP/1.1 ${row.status} ${reasonPhrase(row.status)}\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n`
    this.#writer.text(this.#parser.head.method === "HEAD" ? head : head + body)
    this.#owner.onRefused(this, code, this.#parser.head)
    this.#lingerAndClose()
  }

  #onEnd(): void {
    // An end is reported although the socket is paused: what was read before comes first.
    if (this.#kept !== null) {
      this.#endKept = true
      return
    }
    this.#ended = true
    switch (this.#state) {
      case TUNNEL:
        this.#exchange?.onRequestEnd(null)
        return
      case COMPLETE:
        this.#exchange?.onDownstreamHalfClosed()
        return
      case DISCARD:
        // The response may still be on its way out: the socket closes once it has left.
        return
      case HEAD:
        // Between requests, or in the middle of a head; the response before may still be on its way out.
        this.#lingerAndClose()
        return
      default:
        // In the middle of a body that can't become complete.
        this.#destroy()
    }
  }

  #onDrain(): void {
    if (!this.#writer.drained()) return
    if (this.#exchange !== null) this.#exchange.onDownstreamWritable()
    else if (this.#kept !== null) this.#goOn()
  }

  #onClose(): void {
    if (this.#state === CLOSED && this.#exchange === null) return this.#closed()
    this.#state = CLOSED
    const exchange = this.#exchange
    this.#exchange = null
    exchange?.onDownstreamGone()
    this.#closed()
  }

  #closed(): void {
    if (this.#closedReported) return
    this.#closedReported = true
    this.deadline.release()
    this.#kept = null
    this.#owner.onClosed(this)
  }

  #destroy(reset = false): void {
    if (this.#state === CLOSED) return
    this.#state = CLOSED
    this.deadline.release()
    // An orderly end would make a body that was cut short look complete.
    if (reset || this.#endDelimited) this.#socket.resetAndDestroy()
    else this.#socket.destroy()
    const exchange = this.#exchange
    this.#exchange = null
    exchange?.onDownstreamGone()
  }

  onDeadline(): void {
    try {
      this.#onDue()
    } catch (error) {
      this.#owner.onFault(error)
      this.#destroy()
    }
  }

  #onDue(): void {
    if (this.#exchange !== null) this.#exchange.onDeadline()
    else if (this.#state === HEAD && this.#headTimed) this.#refuse("requestTimeout")
    else if (this.#state === DISCARD && this.#stillSending()) this.deadline.set(this.#wheel.now + STALL)
    else this.#destroy()
  }

  // Whether the last response is still leaving, however slowly.
  #stillSending(): boolean {
    const unsent = this.#writer.unsent
    const progress = unsent > 0 && (this.#unsent === -1 || unsent < this.#unsent)
    this.#unsent = unsent
    return progress
  }

  /** Tells the client with the next response that it is the last; an idle connection is kept. */
  announce(): void {
    this.#announced = true
  }

  /** Lets what runs finish and then closes; an idle connection gets a moment for a request already under way. */
  drain(): void {
    if (this.#draining) return
    this.#draining = true
    this.#announced = true
    if (this.#exchange === null && this.#state === HEAD) this.deadline.set(this.#wheel.now + DRAIN_GRACE)
  }

  /** Lines of the access log for what has been under way for `ms`. */
  logOpen(ms: number): void {
    this.#exchange?.logOpen(ms)
  }

  /** Ends what runs because its time to drain is over, and closes. */
  cut(): void {
    if (this.#exchange === null) this.#destroy()
    else this.#exchange.onCut()
  }

  /** Closes at once, whatever runs. */
  destroy(): void {
    this.#destroy()
  }
}
