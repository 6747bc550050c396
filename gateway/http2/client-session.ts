// One HTTP/2 connection to an endpoint: many requests at once, as many as the peer allows. It says when it can take no more,
// and which requests a peer that leaves has not looked at.

import type { Socket } from "node:net"
import type { Fields } from "../http/fields.ts"
import { type RequestHead, ResponseHead } from "../http/message.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import { ClientStream } from "./client-stream.ts"
import * as h2 from "./frames.ts"
import { COST_LATE, EARN_MESSAGE } from "./patience.ts"
import type { RequestLimits } from "./request-section.ts"
import { ResponseSection } from "./response-section.ts"
import { Session } from "./session.ts"
import { nowhere, TrailerSection } from "./trailer-section.ts"

/** Requests at once, before the peer has said otherwise and however many it allows. */
const MOST_STREAMS = 1000
const STREAMS_BEFORE_SETTINGS = 100
/** Identifiers of streams are used up: the connection ends with the requests it has. */
const LAST_STREAM = 0x3fffffff
/** ms in which nothing has come while requests wait, after which the peer is asked whether it is there; and to answer. */
const PING_AFTER = 20_000
const PING_TIMEOUT = 10_000

/** The pool a connection belongs to. */
export interface ClientSessionOwner {
  /** Its peer's settings have come: it can take requests. Before this it takes none, and may be closed for want of them. */
  onReady(connection: ClientSession): void
  /** It can take more requests, or fewer. */
  onCapacity(connection: ClientSession): void
  /** It takes no new requests: its peer leaves, or its identifiers are used up. */
  onLeaving(connection: ClientSession): void
  /** It is gone, for that reason. */
  onClosed(connection: ClientSession, failure: string): void
  /** A programming error, which costs this connection and its requests and no other. */
  onFault(error: unknown): void
}

export class ClientSession extends Session {
  /** Requests it has carried. */
  uses = 0
  /** ms of the wheel's clock when it was made. */
  readonly createdAt: number
  // All requests of an endpoint share it: that some clients are slow must not stop the others. What one worker may hold bounds it.
  protected readonly holdLimit = 64 * 1024 * 1024
  readonly #owner: ClientSessionOwner
  readonly #section: ResponseSection
  readonly #idleTimeout: number
  readonly #scheme: string
  /** Requests it is going to carry, that have not begun. */
  #reserved = 0
  #nextStream = 1
  #limit = STREAMS_BEFORE_SETTINGS
  #ready = false
  #leaving = false
  #pinged = false
  /** The peer takes WebSockets (RFC 8441 §3). */
  #connects = false

  /** `socket` is connected; its peer has until `readyBy` to say so. `idleTimeout`: ms it is kept without requests. `secure`: TLS. */
  constructor(
    socket: Socket,
    limits: RequestLimits,
    wheel: TimerWheel,
    owner: ClientSessionOwner,
    idleTimeout: number,
    readyBy: number,
    secure: boolean,
  ) {
    const settings = [h2.SETTINGS_ENABLE_PUSH, 0, h2.SETTINGS_MAX_HEADER_LIST_SIZE, limits.head]
    super(socket, wheel, { headerList: limits.head, settings }, h2.PREFACE)
    this.#owner = owner
    this.#section = new ResponseSection(limits, new ResponseHead(), this.decoder)
    this.#idleTimeout = idleTimeout
    this.#scheme = secure ? "https" : "http"
    this.createdAt = wheel.now
    this.deadline.set(readyBy)
  }

  protected override onSettled(): void {
    this.#ready = true
    this.#arm()
    this.#owner.onReady(this)
  }

  /** Requests it can take beside those it has. */
  get capacity(): number {
    return this.#leaving || !this.#ready || !this.open || this.crowded ? 0 : Math.max(0, this.#limit - this.streams.size - this.#reserved)
  }

  /** Requests under way. */
  get load(): number {
    return this.streams.size + this.#reserved
  }

  /** The peer has said that it takes extended CONNECT. */
  get connects(): boolean {
    return this.#connects
  }

  /** A stream for one request, which is to be sent at once. */
  stream(): ClientStream {
    this.#reserved++
    return new ClientStream(this, this.uses++)
  }

  /** The stream's request begins. */
  begin(stream: ClientStream, head: RequestHead, authority: string, endStream: boolean): void {
    this.#reserved--
    stream.id = this.#nextStream
    this.#nextStream += 2
    this.streams.set(stream.id, stream)
    if (this.streams.size === 1) this.#arm()
    this.heads.request(stream.id, head, this.#scheme, authority, endStream)
    if (this.#nextStream > LAST_STREAM) this.#leave()
  }

  /** The stream ends before its messages do. */
  giveUp(stream: ClientStream, code: number): void {
    if (stream.id === 0) {
      // It never began.
      if (!stream.closed) this.#reserved--
      stream.release()
    } else this.resetStream(stream, code)
  }

  protected override onRelieved(): void {
    if (this.#ready && this.open) this.#owner.onCapacity(this)
  }

  /** Its peer allows no request at all. */
  get shut(): boolean {
    return this.#ready && this.#limit === 0
  }

  // Every stream there was is of our making, and none that is over means anything.
  protected override onLate(_stream: number, _head: boolean): void {
    this.spend(COST_LATE)
  }

  protected override endRemote(stream: ClientStream, trailers: Fields | null): void {
    this.patience.earn(EARN_MESSAGE)
    super.endRemote(stream, trailers)
  }

  protected isIdle(stream: number): boolean {
    return stream >= this.#nextStream || (stream & 1) === 0
  }

  protected onHeaders(id: number, endStream: boolean, buffer: Buffer, from: number, to: number): void {
    const stream = this.streams.get(id) as ClientStream | undefined
    if (stream === undefined) {
      if (this.isIdle(id)) return this.fail(h2.PROTOCOL_ERROR, "HEADERS on an idle stream")
      if (this.decode(buffer, from, to, nowhere)) this.onLate(id, true)
      return
    }
    if (stream.headSeen) return this.#onTrailers(stream, endStream, buffer, from, to)
    const head = new ResponseHead()
    const section = this.#section
    section.begin(head)
    if (!this.decode(buffer, from, to, section)) return
    section.finish(endStream, stream.method)
    if (section.malformed !== "") return stream.fail("upstreamProtocol", section.malformed)
    stream.onHead(head)
    if (stream.closed) return
    if (endStream) this.endRemote(stream, null)
    else this.touch(stream)
  }

  #onTrailers(stream: ClientStream, endStream: boolean, buffer: Buffer, from: number, to: number): void {
    const section = new TrailerSection()
    if (!this.decode(buffer, from, to, section)) return
    if (stream.remoteClosed) return this.streamError(stream.id, h2.STREAM_CLOSED, "HEADERS behind the end")
    if (!endStream) return stream.fail("upstreamProtocol", "second head of a response")
    if (section.malformed !== "") return stream.fail("upstreamProtocol", section.malformed)
    this.endRemote(stream, section.fields)
  }

  protected onSetting(identifier: number, value: number): void {
    if (identifier === h2.SETTINGS_MAX_CONCURRENT_STREAMS) {
      this.#limit = Math.min(value, MOST_STREAMS)
      if (this.#ready) this.#owner.onCapacity(this)
    } else if (identifier === h2.SETTINGS_ENABLE_CONNECT_PROTOCOL) this.#connects = value === 1
    else if (identifier === h2.SETTINGS_ENABLE_PUSH && value !== 0) this.fail(h2.PROTOCOL_ERROR, "push enabled by a server")
  }

  // Streams beyond the last one the peer has looked at were not processed (RFC 9113 §6.8).
  protected onGoaway(lastStream: number): void {
    this.#leave()
    for (const stream of [...this.streams.values()]) {
      if (stream.id <= lastStream || stream.closed) continue
      this.drop(stream)
      stream.onReset(h2.REFUSED_STREAM, "GOAWAY")
      stream.release()
    }
    if (this.streams.size === 0 && this.#reserved === 0) this.finish("")
  }

  #leave(): void {
    if (this.#leaving) return
    this.#leaving = true
    this.#owner.onLeaving(this)
  }

  protected onPong(): void {
    this.#pinged = false
  }

  protected onPeerReset(): void {
    // A service may refuse what it likes.
  }

  protected onStreamGone(): void {
    if (!this.open) return
    if (this.streams.size === 0) {
      if (this.#leaving && this.#reserved === 0) return this.finish("")
      this.#arm()
    }
    this.#owner.onCapacity(this)
  }

  protected onUnchoked(): void {
    this.#arm()
  }

  #arm(): void {
    if (this.choked) return
    const { now } = this.wheel
    if (this.streams.size > 0) this.deadline.set(now + (this.#pinged ? PING_TIMEOUT : PING_AFTER))
    else this.deadline.set(now + this.#idleTimeout)
  }

  protected onDue(): void {
    const { now } = this.wheel
    if (!this.#ready) return this.fail(h2.NO_ERROR, "no settings in time")
    if (this.streams.size === 0 && this.#reserved === 0) return this.finish("")
    const silent = now - this.lastRead
    if (silent < PING_AFTER) {
      this.#pinged = false
      this.deadline.set(this.lastRead + PING_AFTER)
    } else if (this.#pinged) this.fail(h2.NO_ERROR, "no answer to a ping")
    else {
      this.#pinged = true
      this.sendPing()
      this.deadline.set(now + PING_TIMEOUT)
    }
  }

  /** Takes no new requests, and ends with the last it has. */
  close(): void {
    this.#leaving = true
    if (this.streams.size === 0 && this.#reserved === 0) this.finish("")
  }

  protected onFault(error: unknown): void {
    this.#owner.onFault(error)
  }

  protected onClosed(failure: string): void {
    this.#owner.onClosed(this, failure)
  }
}
