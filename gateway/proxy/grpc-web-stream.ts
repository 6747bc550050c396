// Stands between a codec and an exchange when the request is gRPC-Web: the exchange sees gRPC, the browser gRPC-Web.
// Nothing is held back but what is no whole group of base64.

import type { Buffer } from "node:buffer"
import type { ErrorCode } from "../errors.ts"
import type { BodyTransfer, DownstreamHandler, DownstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import { isGrpcType } from "../http/grpc.ts"
import { answersInText, parseWebType, WebRequestBody, WebResponseBody, webResponseType } from "../http/grpc-web.ts"
import type { BodyKind, RequestHead, ResponseHead } from "../http/message.ts"
import type { Deadline } from "../http/timer-wheel.ts"

/** Makes a gRPC request of `head`: whether its body, and the answer's, are base64; null when it is none of gRPC-Web. */
export function callOfWeb(head: RequestHead): { readonly requestText: boolean; readonly responseText: boolean } | null {
  const { fields } = head
  const type = parseWebType(fields.get("content-type"))
  if (type === null) return null
  const responseText = answersInText(fields.get("accept"), type)
  fields.set("content-type", type.grpcType)
  fields.remove("accept")
  fields.remove("content-length")
  if (head.body !== "none") head.body = "close"
  head.acceptsTrailers = true
  return { requestText: type.text, responseText }
}

export class GrpcWebStream implements DownstreamStream, DownstreamHandler {
  readonly takesChunks = false
  readonly #stream: DownstreamStream
  readonly #handler: DownstreamHandler
  readonly #text: boolean
  readonly #request: WebRequestBody
  /** Null while the response isn't gRPC: it passes as it is. */
  #response: WebResponseBody | null = null
  /** Its body is malformed: the exchange has been told, and hears no more of it. */
  #refused = false

  private constructor(stream: DownstreamStream, handler: DownstreamHandler, requestText: boolean, responseText: boolean) {
    this.#stream = stream
    this.#handler = handler
    this.#request = new WebRequestBody(requestText)
    this.#text = responseText
  }

  /** Makes a gRPC request of `head`; null when it is none of gRPC-Web. */
  static open(stream: DownstreamStream, handler: DownstreamHandler, head: RequestHead): GrpcWebStream | null {
    const web = callOfWeb(head)
    return web === null ? null : new GrpcWebStream(stream, handler, web.requestText, web.responseText)
  }

  // The codec's stream, as the exchange sees it.

  get sourceAddress(): string {
    return this.#stream.sourceAddress
  }
  get sourcePort(): number {
    return this.#stream.sourcePort
  }
  get destinationAddress(): string {
    return this.#stream.destinationAddress
  }
  get destinationPort(): number {
    return this.#stream.destinationPort
  }
  get headTook(): number {
    return this.#stream.headTook
  }

  get connectionId(): number {
    return this.#stream.connectionId
  }
  get security(): DownstreamStream["security"] {
    return this.#stream.security
  }
  get deadline(): Deadline {
    return this.#stream.deadline
  }
  get memo(): DownstreamStream["memo"] {
    return this.#stream.memo
  }
  get writable(): boolean {
    return this.#stream.writable
  }
  get requestComplete(): boolean {
    return this.#stream.requestComplete
  }
  get requestSkippable(): boolean {
    return this.#stream.requestSkippable
  }

  startRequestBody(): void {
    this.#stream.startRequestBody(false)
  }

  pauseRequest(): void {
    this.#stream.pauseRequest()
  }

  resumeRequest(): void {
    this.#stream.resumeRequest()
  }

  sendInformational(head: ResponseHead): void {
    this.#stream.sendInformational(head)
  }

  sendHead(head: ResponseHead, body: BodyKind, close: boolean): BodyTransfer {
    const { fields } = head
    const type = fields.get("content-type")
    if (type === undefined || !isGrpcType(type)) return this.#stream.sendHead(head, body, close)
    fields.set("content-type", webResponseType(type, this.#text))
    // One of trailers alone has them in its head, where gRPC-Web's clients look as well.
    if (body === "none") return this.#stream.sendHead(head, body, close)
    this.#response = new WebResponseBody(this.#text)
    fields.remove("content-length")
    fields.remove("trailer")
    this.#stream.sendHead(head, "close", close)
    // Trailers go into the body, whatever the codec makes of it.
    return "encode"
  }

  sendBytes(buffer: Buffer, from: number, to: number): void {
    if (this.#response === null) return this.#stream.sendBytes(buffer, from, to)
    this.#send(this.#response.write(buffer, from, to))
  }

  #send(bytes: Buffer): void {
    if (bytes.length > 0) this.#stream.sendBytes(bytes, 0, bytes.length)
  }

  flush(): void {
    if (this.#response !== null) this.#send(this.#response.flush())
    this.#stream.flush()
  }

  retract(): boolean {
    if (!this.#stream.retract()) return false
    this.#response = null
    return true
  }

  sendEnd(trailers: Fields | null): void {
    if (this.#response === null) return this.#stream.sendEnd(trailers)
    // Cut off inside a message: its client must not get one that looks whole.
    if (!this.#response.whole) return this.#stream.abort()
    this.#send(this.#response.end(trailers))
    this.#stream.sendEnd(null)
  }

  abort(reset?: boolean): void {
    this.#stream.abort(reset)
  }

  startTunnel(): void {
    this.#stream.startTunnel()
  }

  endTunnel(): void {
    this.#stream.endTunnel()
  }

  // The exchange, as the codec drives it.

  onRequestBytes(buffer: Buffer, from: number, to: number): void {
    if (this.#refused) return
    const bytes = this.#request.read(buffer, from, to)
    if (bytes === null) this.#refuse("badRequest")
    else if (bytes.length > 0) this.#handler.onRequestBytes(bytes, 0, bytes.length)
  }

  onRequestFlush(): void {
    if (!this.#refused) this.#handler.onRequestFlush()
  }

  onRequestEnd(trailers: Fields | null): void {
    if (this.#refused) return
    if (this.#request.whole) this.#handler.onRequestEnd(trailers)
    else this.#refuse("badRequest")
  }

  onRequestFailed(code: ErrorCode): void {
    if (!this.#refused) this.#refuse(code)
  }

  #refuse(code: ErrorCode): void {
    this.#refused = true
    this.#handler.onRequestFailed(code)
  }

  onDownstreamHalfClosed(): void {
    this.#handler.onDownstreamHalfClosed()
  }

  onDownstreamGone(): void {
    this.#handler.onDownstreamGone()
  }

  onDownstreamWritable(): void {
    this.#handler.onDownstreamWritable()
  }

  onDeadline(): void {
    this.#handler.onDeadline()
  }
}
