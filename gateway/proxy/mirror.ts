// Copies of a route's requests for other services: made of what goes upstream, sent when it is complete, in another turn of the
// event loop. Nothing that becomes of a copy reaches the exchange it was made of, or its client.

import { Fields } from "../http/fields.ts"
import { RequestHead } from "../http/message.ts"
import type { EvenDraws } from "../router/even-draws.ts"
import type { MirrorResult } from "../telemetry/shaping-instruments.ts"
import type { Service } from "../upstream/services.ts"
import type { MirrorSender } from "./mirror-sender.ts"
import type { SnapshotPin } from "./plane.ts"
import { ReplayBuffer } from "./replay-buffer.ts"

/** The field that tells a copy from a request. */
const MIRRORED = "x-sluice-mirrored"
/** Methods whose requests say that they have no body (RFC 9110 §8.6). */
const EXPECTS_BODY = /^(?:POST|PUT|PATCH)$/

/** A service that gets copies of one route's requests. */
export interface MirrorTarget {
  readonly service: Service
  /** 0–1 of the requests. */
  readonly share: number
  readonly draws: EvenDraws
  /** Whose it is: a copy that is under way needs it still when its request has ended. */
  readonly snapshot: SnapshotPin
  count(result: MirrorResult): void
}

/** The mirrors of one route. */
export class Mirrors {
  readonly #targets: readonly MirrorTarget[]
  readonly #sender: MirrorSender
  /** ms for a copy's answer. */
  readonly #timeout: number

  constructor(targets: readonly MirrorTarget[], sender: MirrorSender, timeout: number) {
    this.#targets = targets
    this.#sender = sender
    this.#timeout = timeout
  }

  /**
   * Begins the copies of a request as it is about to be sent upstream; null = none is made of it. One that has a body is handed
   * over as it passes, by {@link MirrorCopy.keep} and {@link MirrorCopy.end}. `grpc`: it is a call.
   */
  begin(head: RequestHead, authority: string, grpc: boolean): MirrorCopy | null {
    // A copy isn't copied again: two gateways that mirror to each other would never stop. A tunnel has no end.
    if (head.upgrade !== "" || head.fields.has(MIRRORED)) return null
    let chosen: MirrorTarget[] | null = null
    for (const target of this.#targets) {
      if (target.share < 1 && target.draws.next() >= target.share) continue
      if (this.#sender.full(target.service)) {
        target.count("overflow")
        continue
      }
      chosen ??= []
      chosen.push(target)
    }
    if (chosen === null) return null
    const copy = new MirrorCopy(chosen, this.#sender, copyOf(head), authority, grpc, this.#timeout)
    if (head.body === "none") copy.end(null)
    return copy
  }
}

function copyOf(head: RequestHead): RequestHead {
  const copy = new RequestHead()
  copy.fields.assign(head.fields)
  copy.fields.set(MIRRORED, "true")
  copy.method = head.method
  copy.target = head.target
  copy.path = head.path
  copy.query = head.query
  copy.authority = head.authority
  copy.host = head.host
  copy.scheme = head.scheme
  copy.acceptsTrailers = head.acceptsTrailers
  return copy
}

/** The copies of one request, one for each service that gets one. */
export class MirrorCopy {
  readonly head: RequestHead
  readonly authority: string
  readonly grpc: boolean
  readonly timeout: number
  readonly body: ReplayBuffer = new ReplayBuffer()
  readonly #targets: readonly MirrorTarget[]
  readonly #sender: MirrorSender
  #length = 0
  /** It has been sent, or never will be. */
  #over = false

  constructor(
    targets: readonly MirrorTarget[],
    sender: MirrorSender,
    head: RequestHead,
    authority: string,
    grpc: boolean,
    timeout: number,
  ) {
    this.#targets = targets
    this.#sender = sender
    this.head = head
    this.authority = authority
    this.grpc = grpc
    this.timeout = timeout
  }

  /** Octets `[from, to)` are the next of the body, as they are without any coding. */
  keep(buffer: Buffer, from: number, to: number): void {
    if (this.#over) return
    this.#length += to - from
    this.body.keep(buffer, from, to, false)
    if (!this.body.whole) this.#drop("tooLarge")
  }

  /** The request is complete: its copies are sent. */
  end(trailers: Fields | null): void {
    if (this.#over) return
    this.#over = true
    this.body.end(trailers === null ? null : own(trailers))
    this.#frame()
    for (const target of this.#targets) this.#sender.send(this, target)
  }

  /** The request is over. If it isn't complete, nobody gets a part of it. */
  cancel(): void {
    if (!this.#over) this.#drop("incomplete")
  }

  #drop(result: MirrorResult): void {
    this.#over = true
    for (const target of this.#targets) target.count(result)
  }

  // Its length is known by now; with trailers it is sent in chunks, and so without.
  #frame(): void {
    const { head } = this
    head.fields.remove("content-length")
    if (this.body.trailers !== null) {
      head.body = "length"
    } else if (this.#length > 0) {
      head.body = "length"
      head.contentLength = this.#length
      head.fields.add("content-length", String(this.#length))
    } else if (this.grpc) {
      head.body = "length"
    } else if (EXPECTS_BODY.test(head.method)) {
      head.fields.add("content-length", "0")
    }
  }
}

// The codec uses its trailers again.
function own(trailers: Fields): Fields {
  const fields = new Fields()
  fields.assign(trailers)
  return fields
}
