// One HTTP/1.1 connection to an endpoint: sends a request, reads its response with the strictness requests get, and says
// whether it can be used again. Bytes beyond a response poison it: they can't be told from an answer to the next request.

import type { Socket } from "node:net"
import type { BodyTransfer, UpstreamHandler, UpstreamStream } from "../http/exchange.ts"
import type { Fields } from "../http/fields.ts"
import type { RequestHead } from "../http/message.ts"
import { readBuffer } from "../http/scratch.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import { ChunkedDecoder, type ChunkSink, DONE, UNFINISHED } from "./chunked.ts"
import type { HeadLimits } from "./head-reader.ts"
import { MessageWriter } from "./message-writer.ts"
import { NEED_MORE, REFUSED } from "./request-parser.ts"
import { ResponseParser } from "./response-parser.ts"
import { serializeRequest } from "./serialize.ts"

/** 1xx heads one response may begin with. */
const INFORMATIONAL_LIMIT = 16

const IDLE = 0
const HEAD = 1
const BODY_LENGTH = 2
const BODY_CHUNKED = 3
const BODY_CLOSE = 4
const TUNNEL = 5
const CLOSED = 6

/** The pool a connection belongs to. */
export interface ClientConnectionOwner {
  /** Its response is complete and it can carry another request. */
  onReusable(connection: ClientConnection): void
  /** A programming error, which costs this connection and its exchange and no other. */
  onFault(error: unknown): void
  /** It is gone. */
  onClosed(connection: ClientConnection): void
}

export class ClientConnection implements UpstreamStream, ChunkSink, DeadlineOwner {
  /** Requests it has carried. */
  uses = 0
  readonly version = "1.1"
  /** ms of the wheel's clock when it was made. */
  readonly createdAt: number
  /** Seconds its peer keeps it when idle; −1 = not announced. */
  peerKeepAlive = -1
  readonly deadline: Deadline
  readonly #socket: Socket
  readonly #writer: MessageWriter
  readonly #owner: ClientConnectionOwner
  readonly #parser: ResponseParser
  #decoder: ChunkedDecoder | null = null
  #handler: UpstreamHandler | null = null
  #state = IDLE
  #method = ""
  #upgrade = ""
  #requestSent = false
  #responseBegun = false
  #informational = 0
  #left = 0
  #paused = false
  #processing = false
  #kept: Buffer | null = null
  #failure = ""
  #ended = false
  /** A tunnel's socket has closed in order, with bytes still kept for the client. */
  #gone = false

  /** `socket` is connected; what it reads is told by {@link onRead}. */
  constructor(socket: Socket, limits: HeadLimits, wheel: TimerWheel, owner: ClientConnectionOwner) {
    this.#socket = socket
    this.#writer = new MessageWriter(socket)
    this.#owner = owner
    this.#parser = new ResponseParser(limits)
    this.createdAt = wheel.now
    this.deadline = new Deadline(wheel, this)
    socket.on("end", () => this.#onEnd())
    socket.on("drain", () => this.#onDrain())
    socket.on("error", (error: Error & { code?: string }) => {
      this.#failure = error.code ?? error.message
    })
    socket.on("close", () => this.#onClose())
  }

  /** False after writes the peer has not taken yet; its handler is told when it has. */
  get writable(): boolean {
    return this.#writer.writable
  }

  get idle(): boolean {
    return this.#state === IDLE
  }

  /** Its time in the pool is over. While a request runs its exchange keeps the time. */
  onDeadline(): void {
    if (this.#state === IDLE) this.destroy()
  }

  /**
   * Sends a request; only when {@link idle}. The head leaves with the first bytes of its body, or at {@link flush}.
   * Returns how the body is to be handed over.
   */
  send(handler: UpstreamHandler, head: RequestHead, authority: string): BodyTransfer {
    this.#handler = handler
    this.uses++
    this.deadline.clear()
    this.#state = HEAD
    this.#method = head.method
    this.#upgrade = head.upgrade
    this.#responseBegun = false
    this.#informational = 0
    this.#parser.reset()
    let transfer: BodyTransfer = "none"
    if (head.body === "length") transfer = head.fields.has("content-length") ? "plain" : "encode"
    else if (head.body === "chunked") transfer = "chunked"
    else if (head.body === "close") transfer = "encode"
    this.#requestSent = transfer === "none"
    this.#writer.begin(serializeRequest(head, authority, transfer === "encode" || transfer === "chunked"), transfer)
    return transfer
  }

  sendBytes(buffer: Buffer, from: number, to: number): void {
    this.#writer.bytes(buffer, from, to)
  }

  flush(): void {
    this.#writer.flush()
  }

  /** Ends the request's body. */
  sendEnd(trailers: Fields | null): void {
    this.#writer.end(trailers)
    this.#requestSent = true
  }

  pauseResponse(): void {
    if (this.#paused) return
    this.#paused = true
    this.#socket.pause()
  }

  resumeResponse(): void {
    if (!this.#paused) return
    this.#paused = false
    this.#goOn()
  }

  #goOn(): void {
    if (this.#processing || this.#paused || this.#state === CLOSED) return
    const kept = this.#kept
    if (this.#state === BODY_LENGTH && this.#left === 0) {
      // Before it is free: it may carry another request by the time this returns.
      this.#socket.resume()
      this.#complete(null, kept !== null)
      return
    }
    if (kept !== null) {
      this.#kept = null
      this.#process(kept, kept.length)
      if (this.#kept !== null || this.#paused || (this.#state as number) === CLOSED) return
    }
    if (this.#ended) this.#onEnd()
    else this.#socket.resume()
    if (this.#gone) this.#onClose()
  }

  /** Gives the attempt up: the connection can't be used again. No further call reaches the handler. */
  cancel(): void {
    this.#handler = null
    this.destroy()
  }

  endTunnel(): void {
    this.#socket.end()
  }

  /** Closes at once. */
  destroy(): void {
    if (this.#state === CLOSED) return
    this.#state = CLOSED
    this.deadline.release()
    this.#kept = null
    this.#socket.destroy()
    this.#owner.onClosed(this)
  }

  /** The first `length` octets of `bytes` have come. */
  onRead(bytes: Buffer, length: number): void {
    if (this.#kept !== null || this.#paused) {
      const kept = keep(bytes, 0, length)
      this.#kept = this.#kept === null ? kept : Buffer.concat([this.#kept, kept])
      return
    }
    try {
      this.#process(bytes, length)
    } catch (error) {
      this.#processing = false
      this.#owner.onFault(error)
      this.#fail("upstreamProtocol", "fault")
    }
  }

  #process(buffer: Buffer, length: number): void {
    let i = 0
    this.#processing = true
    while (i < length && !this.#paused) {
      const state = this.#state
      if (state === HEAD) {
        this.#responseBegun = true
        const end = this.#parser.read(buffer, i, length, this.#method)
        if (end === NEED_MORE) {
          i = length
        } else if (end === REFUSED) {
          i = length
          this.#fail("upstreamProtocol", this.#parser.reason)
        } else {
          i = end
          this.#onHead(i < length)
        }
      } else if (state === BODY_LENGTH) {
        const take = Math.min(this.#left, length - i)
        this.#left -= take
        const from = i
        i += take
        this.#handler?.onResponseBytes(buffer, from, i)
        if (this.#left === 0 && this.#state === BODY_LENGTH) this.#complete(null, i < length)
      } else if (state === BODY_CHUNKED) {
        const decoder = this.#decoder as ChunkedDecoder
        const result = decoder.read(buffer, i, length, this)
        i = length
        if (this.#state !== BODY_CHUNKED || result === UNFINISHED) continue
        if (result === DONE) this.#complete(decoder.trailers, decoder.end < length)
        else this.#fail("upstreamProtocol", "malformed chunked coding")
      } else if (state === BODY_CLOSE) {
        const from = i
        i = length
        this.#handler?.onResponseBytes(buffer, from, length)
      } else if (state === TUNNEL) {
        const from = i
        i = length
        this.#handler?.onResponseBytes(buffer, from, length)
      } else {
        // Bytes that nothing asked for.
        i = length
        if (state !== CLOSED) this.destroy()
      }
    }
    this.#processing = false
    if (this.#state === CLOSED) return
    this.#handler?.onResponseFlush()
    if (i < length) {
      this.#kept = keep(buffer, i, length)
      this.#socket.pause()
    }
  }

  #onHead(more: boolean): void {
    const head = this.#parser.head
    const status = head.status
    const handler = this.#handler
    if (handler === null) return
    if (status < 200 && status !== 101) {
      if (++this.#informational > INFORMATIONAL_LIMIT) {
        this.#fail("upstreamProtocol", "too many informational responses")
        return
      }
      handler.onInformational(head)
      if (this.#state === HEAD) this.#parser.reset()
      return
    }
    if (status === 101) {
      if (this.#upgrade === "" || head.upgrade !== this.#upgrade) {
        this.#fail("upstreamProtocol", "101 to a request that asked for no such upgrade")
        return
      }
      this.#state = TUNNEL
      handler.onResponseHead(head)
      return
    }
    const reframe = handler.onResponseHead(head)
    if (this.#state !== HEAD) return
    switch (head.body) {
      case "none":
        if (this.#paused) {
          // Its handler still needs the head: it ends when resumed.
          this.#state = BODY_LENGTH
          this.#left = 0
        } else {
          this.#complete(null, more)
        }
        return
      case "length":
        this.#state = BODY_LENGTH
        this.#left = head.contentLength
        return
      case "chunked":
        this.#state = BODY_CHUNKED
        this.#decoder ??= new ChunkedDecoder()
        this.#decoder.reset(reframe, 0)
        return
      default:
        this.#state = BODY_CLOSE
    }
  }

  onChunkBytes(buffer: Buffer, from: number, to: number): void {
    if (this.#state === BODY_CHUNKED) this.#handler?.onResponseBytes(buffer, from, to)
  }

  // The response has been read whole. Its handler is done with the head before the connection is free, and the connection
  // is free before the exchange ends downstream, so that a pipelined request begun there can use it.
  #complete(trailers: Fields | null, more: boolean): void {
    const handler = this.#handler
    const head = this.#parser.head
    this.#handler = null
    this.peerKeepAlive = head.keepAliveTimeout
    handler?.onResponseComplete()
    const reusable = head.keepAlive && this.#requestSent && !more && !this.#ended && this.#writer.empty
    if (reusable) {
      this.#state = IDLE
      // A slow client may have had it paused with the last bytes; the next request's response is not his.
      if (this.#paused) {
        this.#paused = false
        this.#socket.resume()
      }
      this.#owner.onReusable(this)
    } else {
      this.destroy()
    }
    handler?.onResponseEnd(trailers)
  }

  #fail(code: "upstreamProtocol" | "upstreamClosed" | "upstreamTruncated", details: string): void {
    const handler = this.#handler
    this.#handler = null
    const unanswered = !this.#responseBegun
    this.destroy()
    handler?.onUpstreamFailed(code, details, unanswered)
  }

  #onEnd(): void {
    this.#ended = true
    switch (this.#state) {
      case CLOSED:
        return
      case TUNNEL:
        // What is kept for a slow client comes first.
        if (this.#kept === null) this.#handler?.onTunnelEnd()
        return
      case BODY_CLOSE:
        if (this.#kept === null && !this.#paused) this.#complete(null, false)
        return
      case IDLE:
        this.destroy()
        return
      default:
        if (this.#kept === null && !this.#paused) this.#fail(this.#state === HEAD ? "upstreamClosed" : "upstreamTruncated", "closed")
    }
  }

  #onDrain(): void {
    if (!this.#writer.drained()) return
    this.#handler?.onUpstreamWritable()
  }

  #onClose(): void {
    switch (this.#state) {
      case CLOSED:
        return
      case HEAD:
        this.#fail("upstreamClosed", this.#failure === "" ? "closed" : this.#failure)
        return
      case BODY_LENGTH:
      case BODY_CHUNKED:
      case BODY_CLOSE:
        // A reset in a body that the connection's end delimits is no end.
        this.#fail("upstreamTruncated", this.#failure === "" ? "closed" : this.#failure)
        return
      case TUNNEL: {
        if (this.#kept !== null && this.#failure === "") {
          this.#gone = true
          return
        }
        const handler = this.#handler
        this.#handler = null
        this.destroy()
        handler?.onUpstreamFailed("upstreamClosed", this.#failure, false)
        return
      }
      default:
        this.destroy()
    }
  }
}

// `buffer[from, to)` for later.
function keep(buffer: Buffer, from: number, to: number): Buffer {
  const bytes = buffer.subarray(from, to)
  return buffer === readBuffer ? Buffer.from(bytes) : bytes
}
