// One HTTP/2 client connection: reads the preface and requests, gives each an exchange of its own, and bounds what one client
// may ask at once. On plain connections it is chosen by the preface (prior knowledge), over TLS by ALPN.

import type { Socket } from "node:net"
import { type ErrorCode, errors } from "../errors.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import { type CarriedSight, type ConnectionSight, MAX_CARRIED, sightOf } from "../http/connection-sight.ts"
import type { ExchangeFactory } from "../http/exchange.ts"
import { RequestHead, ResponseHead } from "../http/message.ts"
import { addressesOf, type SocketAddresses } from "../http/socket-addresses.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import * as h2 from "./frames.ts"
import { COST_FRAME, COST_RESET, EARN_MESSAGE } from "./patience.ts"
import { type RequestLimits, RequestSection } from "./request-section.ts"
import { ServerStream } from "./server-stream.ts"
import { Session } from "./session.ts"
import type { Stream } from "./stream.ts"
import { nowhere, TrailerSection } from "./trailer-section.ts"

/** ms an idle connection is kept when draining begins, and new requests of a busy one are still taken. */
const DRAIN_GRACE = 1000

/** What one client may do. Times in ms. */
export interface ServerSessionLimits {
  readonly head: RequestLimits
  /** Octets of a request body; 0 = any number. */
  readonly body: number
  /** Requests at once. */
  readonly streams: number
  readonly headTimeout: number
  readonly idleTimeout: number
}

/** Whom a connection belongs to. */
export interface ServerSessionOwner {
  /** A head was refused; it has been answered. */
  onRefused(connection: ServerSession, code: ErrorCode, head: RequestHead): void
  onClosed(connection: ServerSession): void
  /** A programming error, which costs this connection and no other. */
  onFault(error: unknown): void
}

export class ServerSession extends Session {
  readonly connectionId: number
  readonly security: ConnectionSecurity | null
  readonly sourceAddress: string
  readonly sourcePort: number
  readonly destinationAddress: string
  readonly destinationPort: number
  readonly memo = { authority: "", text: "" }
  readonly exchanges: ExchangeFactory
  readonly #limits: ServerSessionLimits
  readonly #owner: ServerSessionOwner
  readonly #section: RequestSection
  #prefaceLeft = h2.PREFACE.length
  /** Part of a header section has come. */
  #midHead = false
  /** When newer requests are no longer taken; infinite = not draining. */
  #refuseAt = Number.POSITIVE_INFINITY
  protected readonly holdLimit = 4 * 1024 * 1024
  /** The newest stream there was; those behind the last GOAWAY are not looked at. */
  #newest = 0
  readonly #began: number
  /** The last GOAWAY was sent: newer streams are not looked at. */
  #lastAccepted = h2.MAX_STREAM_ID

  /** `key`: yields a Sec-WebSocket-Key. */
  constructor(
    socket: Socket,
    id: number,
    limits: ServerSessionLimits,
    wheel: TimerWheel,
    exchanges: ExchangeFactory,
    owner: ServerSessionOwner,
    key: () => string,
    security: ConnectionSecurity | null = null,
    /** Those of the connection behind a proxy, if it is known. */
    addresses: SocketAddresses = addressesOf(socket),
  ) {
    const settings = [
      h2.SETTINGS_MAX_CONCURRENT_STREAMS,
      limits.streams,
      h2.SETTINGS_MAX_HEADER_LIST_SIZE,
      limits.head.head,
      h2.SETTINGS_ENABLE_CONNECT_PROTOCOL,
      1,
    ]
    super(socket, wheel, { headerList: limits.head.head, settings }, null)
    this.connectionId = id
    this.security = security
    this.sourceAddress = addresses.sourceAddress
    this.sourcePort = addresses.sourcePort
    this.destinationAddress = addresses.destinationAddress
    this.destinationPort = addresses.destinationPort
    this.exchanges = exchanges
    this.#limits = limits
    this.#began = wheel.now
    this.#owner = owner
    this.#section = new RequestSection(limits.head, new RequestHead(), key, this.decoder)
    this.deadline.set(wheel.now + limits.headTimeout)
    socket.on("data", (bytes: Buffer) => this.receive(bytes))
  }

  sight(): ConnectionSight {
    const began = this.#began
    // Clients' streams have odd numbers, without gaps but by those who mean ill.
    const requests = (this.#newest + 1) >> 1
    const carries: CarriedSight[] = []
    for (const stream of this.streams.values()) {
      const sight = (stream as ServerStream).sight()
      if (sight !== null) carries.push(sight)
      if (carries.length === MAX_CARRIED) break
    }
    return { ...sightOf(this, this.socket), protocol: "HTTP/2", began, requests, underWay: this.streams.size, carries }
  }

  get bodyLimit(): number {
    return this.#limits.body
  }

  /** Octets have come; those of the preface first. */
  receive(bytes: Buffer): void {
    let rest = bytes
    if (this.#prefaceLeft > 0) {
      const { PREFACE } = h2
      const at = PREFACE.length - this.#prefaceLeft
      const length = Math.min(this.#prefaceLeft, bytes.length)
      if (PREFACE.compare(bytes, 0, length, at, at + length) !== 0) return this.fail(h2.PROTOCOL_ERROR, "no preface")
      this.#prefaceLeft -= length
      if (length === bytes.length) return
      rest = bytes.subarray(length)
    }
    this.onRead(rest, rest.length)
  }

  protected onFault(error: unknown): void {
    this.#owner.onFault(error)
  }

  /** A stream's deadline is due. */
  due(stream: ServerStream): void {
    try {
      stream.onDue()
    } catch (error) {
      this.onFault(error)
      this.destroy()
    }
  }

  protected isIdle(stream: number): boolean {
    return stream > this.#newest || (stream & 1) === 0
  }

  // Frames of requests that were under way when the last GOAWAY was sent are ignored (RFC 9113 §6.8).
  protected override onLate(stream: number, head: boolean): void {
    if (stream <= this.#lastAccepted) super.onLate(stream, head)
  }

  protected override onSettled(): void {
    this.#arm()
  }

  get now(): number {
    return this.wheel.now
  }

  protected override onBlockBegun(): void {
    this.#midHead = true
    this.#arm()
  }

  // Sets the deadline to what is due first: the rest of a head, the end of taking new requests, or of being idle.
  #arm(): void {
    if (this.choked) return
    const { now } = this.wheel
    if (this.#refuseAt !== Number.POSITIVE_INFINITY && this.#lastAccepted === h2.MAX_STREAM_ID) this.deadline.set(this.#refuseAt)
    else if (this.#midHead) this.deadline.set(now + this.#limits.headTimeout)
    else if (this.streams.size === 0) this.deadline.set(now + this.#limits.idleTimeout)
    else this.deadline.clear()
  }

  protected onHeaders(id: number, endStream: boolean, buffer: Buffer, from: number, to: number): void {
    if (this.#midHead) {
      this.#midHead = false
      this.#arm()
    }
    const known = this.streams.get(id)
    if (known !== undefined) return this.#onTrailers(known, endStream, buffer, from, to)
    if ((id & 1) === 0) return this.fail(h2.PROTOCOL_ERROR, "even stream of a client")
    if (id <= this.lastPeerStream || id > this.#lastAccepted) {
      if (!this.decode(buffer, from, to, nowhere)) return
      if (id <= this.lastPeerStream) this.onLate(id, true)
      else this.#newest = Math.max(this.#newest, id)
      return
    }
    this.lastPeerStream = id
    this.#newest = id
    if (this.streams.size >= this.#limits.streams) {
      if (!this.decode(buffer, from, to, nowhere)) return
      this.spend(COST_FRAME * 4)
      return this.sendReset(id, h2.REFUSED_STREAM)
    }
    const stream = new ServerStream(this, this.wheel)
    stream.id = id
    const section = this.#section
    section.begin(stream.head)
    if (!this.decode(buffer, from, to, section)) return
    this.patience.earn(EARN_MESSAGE)
    const refusal = section.finish(endStream)
    if (refusal !== null) return this.#refuse(stream, refusal, section.malformed !== "", endStream)
    const { head } = stream
    if (this.#limits.body > 0 && head.contentLength > this.#limits.body) return this.#refuse(stream, "bodyTooLarge", false, endStream)
    head.scheme = this.security === null ? "http" : "https"
    this.streams.set(id, stream)
    if (this.streams.size === 1) this.#arm()
    stream.begin(endStream)
  }

  // Trailers end a request (RFC 9113 §8.1).
  #onTrailers(stream: Stream, endStream: boolean, buffer: Buffer, from: number, to: number): void {
    const section = new TrailerSection()
    if (!this.decode(buffer, from, to, section)) return
    if (stream.remoteClosed) return this.streamError(stream.id, h2.STREAM_CLOSED, "HEADERS behind the end")
    if (!endStream) return this.streamError(stream.id, h2.PROTOCOL_ERROR, "second head of a request")
    if (section.malformed !== "") return this.streamError(stream.id, h2.PROTOCOL_ERROR, section.malformed)
    this.endRemote(stream, section.fields)
  }

  // Answers a head that no exchange will see: what is malformed with a reset, the rest with a status.
  #refuse(stream: ServerStream, code: ErrorCode, malformed: boolean, endStream: boolean): void {
    if (malformed) {
      this.spend(COST_RESET)
      this.sendReset(stream.id, h2.PROTOCOL_ERROR)
    } else {
      const row = errors[code]
      // Without room in the windows its text stays away.
      const room = Math.min(this.peerWindow, this.sendWindow) > row.text.length
      const body = stream.head.method === "HEAD" || !room ? "" : `${row.text}\n`
      const head = new ResponseHead()
      head.status = row.status
      head.fields.append("content-type", "text/plain")
      head.fields.append("content-length", String(room ? row.text.length + 1 : 0))
      this.heads.response(stream.id, head, body === "")
      if (body !== "") {
        const at = this.output.frame(body.length, h2.DATA, h2.END_STREAM, stream.id)
        this.output.buffer.write(body, at, "latin1")
        this.sendWindow -= body.length
      }
      if (!endStream) this.sendReset(stream.id, h2.NO_ERROR)
      this.spend(COST_FRAME * 4)
    }
    this.#owner.onRefused(this, code, stream.head)
  }

  /** Sends a head of a stream. */
  sendHead(stream: ServerStream, head: ResponseHead, endStream: boolean): void {
    this.heads.response(stream.id, head, endStream)
  }

  /** Both messages of a stream are complete. */
  complete(stream: ServerStream): void {
    this.patience.earn(EARN_MESSAGE)
    this.forget(stream)
    stream.release()
  }

  /** The stream ends before its request does, or with a fault. */
  giveUp(stream: ServerStream, code: number): void {
    this.resetStream(stream, code)
  }

  protected onPeerReset(): void {
    this.spend(COST_RESET)
  }

  protected onSetting(): void {}

  protected onGoaway(): void {
    // The client opens no more streams; when the last has ended it closes.
  }

  protected onPong(): void {}

  protected onStreamGone(): void {
    if (this.streams.size > 0 || !this.open) return
    if (this.#lastAccepted !== h2.MAX_STREAM_ID) this.finish("")
    else this.#arm()
  }

  protected onUnchoked(): void {
    this.#arm()
  }

  protected onDue(): void {
    const { now } = this.wheel
    if (now >= this.#refuseAt && this.#lastAccepted === h2.MAX_STREAM_ID) this.#refuseMore()
    else if (this.#midHead) this.fail(h2.ENHANCE_YOUR_CALM, "request head took too long to arrive")
    else if (this.streams.size === 0) this.finish("idle")
  }

  /** Tells the client to go elsewhere: all there is to draining here, since it knows which of its requests are taken. */
  announce(): void {
    this.drain()
  }

  /** Lets what runs finish and then closes. Requests already under way are still taken for a moment (RFC 9113 §6.8). */
  drain(): void {
    if (this.#refuseAt !== Number.POSITIVE_INFINITY || !this.open) return
    this.#refuseAt = this.wheel.refresh() + DRAIN_GRACE
    this.sendGoaway(h2.MAX_STREAM_ID, h2.NO_ERROR, "draining")
    this.#arm()
  }

  /** Lines of the access log for what has been under way for `ms`. */
  logOpen(ms: number): void {
    for (const stream of this.streams.values()) (stream as ServerStream).logOpen(ms)
  }

  /** Ends what runs because its time to drain is over; a connection that drains closes behind it. */
  cut(): void {
    if (this.streams.size === 0) return this.destroy()
    for (const stream of [...this.streams.values()]) (stream as ServerStream).cut()
  }

  #refuseMore(): void {
    this.#lastAccepted = this.lastPeerStream
    if (this.streams.size === 0) return this.finish("")
    this.sendGoaway(this.lastPeerStream, h2.NO_ERROR, "draining")
    this.#arm()
  }

  protected onClosed(): void {
    this.#owner.onClosed(this)
  }
}
