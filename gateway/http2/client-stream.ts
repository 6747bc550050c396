// One request to an HTTP/2 service and its response: the upstream side of an attempt.

import type { ErrorCode } from "../errors.ts"
import type { BodyTransfer, UpstreamHandler, UpstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import type { RequestHead, ResponseHead } from "../http/message.ts"
import { webSocketAccept } from "../http/websocket.ts"
import type { ClientSession } from "./client-session.ts"
import { CANCEL, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM } from "./frames.ts"
import { Stream } from "./stream.ts"

/** 1xx heads one response may begin with. */
const INFORMATIONAL_LIMIT = 16

export class ClientStream extends Stream implements UpstreamStream {
  readonly uses: number
  readonly version = "2"
  readonly #connection: ClientSession
  #handler: UpstreamHandler | null = null
  #method = ""
  /** Sec-WebSocket-Accept of a WebSocket that was asked for; "" = none was. */
  #accept = ""
  #informational = 0
  #headSeen = false
  #tunnel = false
  /** Octets of the response's body still to come; −1 = unknown. */
  #left = -1
  #size = 0

  constructor(session: ClientSession, uses: number) {
    super(session, true)
    this.#connection = session
    this.uses = uses
  }

  // ------------------------------------------------------------------------------------------------------ the request

  send(handler: UpstreamHandler, head: RequestHead, authority: string): BodyTransfer {
    this.#handler = handler
    this.#method = head.method
    const upgrades = head.upgrade !== ""
    if (upgrades && !this.#connection.connects) {
      // It may not be asked (RFC 8441 §3).
      this.cancel()
      handler.onUpstreamFailed("upstreamProtocol", "it takes no WebSockets over HTTP/2", true)
      return "none"
    }
    if (upgrades) this.#accept = webSocketAccept(head.fields.get("sec-websocket-key") ?? "")
    const bodyless = head.body === "none" && !upgrades
    this.#connection.begin(this, head, authority, bodyless)
    if (bodyless) this.endLocal()
    return head.body === "none" ? "none" : "plain"
  }

  /** Nothing waits here: what a connection sends leaves by itself, for all of its streams at once. */
  flush(): void {}

  cancel(): void {
    this.#handler = null
    this.#connection.giveUp(this, CANCEL)
  }

  // A response that is complete is not thrown away for what becomes of its request (RFC 9113 §8.1).
  override outlives(): boolean {
    if (!this.remoteClosed || this.#handler === null) return false
    this.stopSending()
    return true
  }

  endTunnel(): void {
    this.sendEnd(null)
  }

  protected onLocalEnd(): void {
    if (this.remoteClosed && !this.closed) this.#connection.forget(this)
  }

  protected onWritable(): void {
    this.#handler?.onUpstreamWritable()
  }

  // ----------------------------------------------------------------------------------------------------- the response

  pauseResponse(): void {
    this.pause()
  }

  resumeResponse(): void {
    this.resume()
  }

  /** The final head has come already: the next section is trailers. */
  get headSeen(): boolean {
    return this.#headSeen
  }

  get method(): string {
    return this.#method
  }

  /** A head has come; null: with this it is malformed. */
  onHead(head: ResponseHead): void {
    const handler = this.#handler
    if (handler === null) return
    if (head.status < 200) {
      if (++this.#informational > INFORMATIONAL_LIMIT) return this.fail("upstreamProtocol", "too many informational responses")
      handler.onInformational(head)
      return
    }
    this.#headSeen = true
    if (this.#accept !== "" && head.status === 200) {
      // The rest of the gateway speaks of an upgrade (RFC 8441 §5).
      head.status = 101
      head.upgrade = "websocket"
      head.body = "none"
      head.fields.set("sec-websocket-accept", this.#accept)
      this.#tunnel = true
    } else if (head.body !== "close") this.#left = head.contentLength
    // Its reader may be slow with the head already.
    handler.onResponseHead(head)
  }

  override receive(buffer: Buffer, from: number, to: number): void {
    if (!this.#headSeen) return this.fail("upstreamProtocol", "DATA before a head")
    if (this.#left >= 0 && !this.#tunnel) {
      this.#size += to - from
      if (this.#size > this.#left) return this.fail("upstreamProtocol", "more data than content-length says")
    }
    super.receive(buffer, from, to)
  }

  override receiveEnd(trailers: Fields | null): void {
    if (!this.#headSeen) return this.fail("upstreamProtocol", "end before a head")
    if (!this.#tunnel && this.#left > this.#size) return this.fail("upstreamProtocol", "less data than content-length says")
    super.receiveEnd(trailers)
  }

  protected onBytes(buffer: Buffer, from: number, to: number): void {
    this.#handler?.onResponseBytes(buffer, from, to)
  }

  onTurnEnd(): void {
    this.#handler?.onResponseFlush()
  }

  protected onEnd(trailers: Fields | null): void {
    const handler = this.#handler
    if (this.#tunnel) {
      handler?.onTunnelEnd()
      return
    }
    this.#handler = null
    handler?.onResponseComplete()
    // What nobody wants of the request any more is not sent.
    if (!this.localClosed) this.#connection.giveUp(this, NO_ERROR)
    handler?.onResponseEnd(trailers)
  }

  /** The response can't be used. */
  fail(code: ErrorCode, details: string): void {
    const handler = this.#handler
    this.#handler = null
    this.#connection.giveUp(this, PROTOCOL_ERROR)
    handler?.onUpstreamFailed(code, details, false)
  }

  onReset(code: number, details: string): void {
    this.#end(code === REFUSED_STREAM && !this.#headSeen ? "upstreamRefused" : "upstreamReset", details)
  }

  onLost(details: string, broken: boolean): void {
    this.#end(broken ? "upstreamProtocol" : "upstreamClosed", details)
  }

  #end(code: ErrorCode, details: string): void {
    const handler = this.#handler
    this.#handler = null
    const cut = this.#headSeen && !this.#tunnel && code !== "upstreamProtocol"
    handler?.onUpstreamFailed(cut ? "upstreamTruncated" : code, details, !this.#headSeen && this.#informational === 0)
  }
}
