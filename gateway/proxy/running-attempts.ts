// The attempts of one exchange that run now, as it uses them: its request's body goes to them and to mirrors, and is kept for those
// that may follow. Which run, and why, is decided elsewhere.

import type { UpstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import type { RequestHead } from "../http/message.ts"
import type { TraceContext } from "../telemetry/trail.ts"
import type { Attempt } from "./attempt.ts"
import type { MirrorCopy, Mirrors } from "./mirror.ts"
import { ReplayBuffer } from "./replay-buffer.ts"

export abstract class RunningAttempts {
  readonly needsHttp2: boolean
  protected readonly head: RequestHead
  /** The only one, the older of two, or the one that was answered. */
  protected current: Attempt | null = null
  /** One that races it. */
  protected rival: Attempt | null = null
  /** What may have to be sent again; null = nothing, or nothing that could be. */
  #body: ReplayBuffer | null = null
  /** Goes to mirrors when the request is complete; null = to none. */
  protected copy: MirrorCopy | null = null
  /** Mirrors were asked. */
  #mirrored = false
  /** Some of it has come, or its end, or was asked for. */
  protected bodyStarted = false

  constructor(head: RequestHead, grpc: boolean) {
    this.head = head
    this.needsHttp2 = grpc
  }

  // ------------------------------------------------------------------------------------------- the request's body

  /** There is an attempt with a connection. */
  get connected(): boolean {
    return this.current !== null && this.current.connection !== null
  }

  /** False while the connection can't take more. */
  get writable(): boolean {
    const connection = this.current?.connection ?? null
    return connection === null || connection.writable
  }

  /** Octets `[from, to)` of the request's body. Those nobody will ever need are let go. */
  sendBytes(buffer: Buffer, from: number, to: number): void {
    const connection = this.current?.connection ?? null
    this.bodyStarted = true
    this.#body?.keep(buffer, from, to, connection === null)
    this.copy?.keep(buffer, from, to)
    connection?.sendBytes(buffer, from, to)
  }

  flush(): void {
    this.current?.connection?.flush()
  }

  /** The request's body has ended. */
  sendEnd(trailers: Fields | null): void {
    this.bodyStarted = true
    this.#body?.end(trailers)
    this.copy?.end(trailers)
    this.current?.connection?.sendEnd(trailers)
  }

  /** The body as far as earlier attempts had it; the rest follows as it comes. */
  protected sendAgain(connection: UpstreamStream): void {
    const body = this.#body
    body?.sendTo(connection)
    if (body?.ended) connection.sendEnd(body.trailers)
    else connection.flush()
  }

  /** The body may have to be sent again, perhaps in another framing, so not in chunks. */
  protected keepBody(): void {
    this.#body = new ReplayBuffer()
    if (this.head.body === "chunked") this.head.body = "close"
  }

  /** All of the body, if there is one, can be sent again. */
  protected get whole(): boolean {
    return this.#body === null ? !this.bodyStarted : this.#body.whole
  }

  /** It has come to its end besides. */
  protected get complete(): boolean {
    return this.#body === null ? !this.bodyStarted : this.#body.ended && this.#body.whole
  }

  /** Nothing is sent again from here on. */
  protected letBodyGo(): void {
    this.#body = null
  }

  /** The request goes upstream: the first time it is copied. What is refused before is copied to nobody. */
  protected mirror(mirrors: Mirrors, authority: string, trace: TraceContext | null): void {
    const { head } = this
    if (this.#mirrored) return
    this.#mirrored = true
    this.copy = mirrors.begin(head, authority, this.needsHttp2)
    if (this.copy !== null) trace?.mirrored(this.copy.head.fields)
    if (this.copy !== null && head.body === "chunked") head.body = "close"
  }

  // ---------------------------------------------------------------------------------------------------- the response

  pauseResponse(): void {
    this.current?.connection?.pauseResponse()
  }

  resumeResponse(): void {
    this.current?.connection?.resumeResponse()
  }

  endTunnel(): void {
    this.current?.connection?.endTunnel()
  }
}
