// Sends the copies of one worker, so many at a time to a service, and throws away what comes back. A copy is sent once: nothing
// of it is tried again.

import { type ErrorCode, errors } from "../errors.ts"
import type { UpstreamHandler, UpstreamStream } from "../http/exchange.ts"
import type { ResponseHead } from "../http/message.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import type { MirrorResult } from "../telemetry/shaping-instruments.ts"
import { Admission } from "../upstream/admission.ts"
import type { Endpoint } from "../upstream/endpoint.ts"
import { EndpointChoice } from "../upstream/endpoint-choice.ts"
import { NO_KEY, NOBODY } from "../upstream/load-balancing/hash-key.ts"
import type { ConnectionWaiter } from "../upstream/pool.ts"
import type { Service } from "../upstream/services.ts"
import type { MirrorCopy, MirrorTarget } from "./mirror.ts"

/** Copies under way from one worker to one service; what they hold of bodies is bounded by it, too. */
const MAX_COPIES = 128
/** Octets of an answer that are read before its connection is given up. */
const MAX_ANSWER = 1024 * 1024

export class MirrorSender {
  readonly wheel: TimerWheel
  readonly #onFault: (error: unknown) => void
  /** By service, those to which copies are under way. */
  readonly #underWay = new Map<string, number>()
  #waiting: MirrorAttempt[] = []

  /** `onFault`: a programming error showed in a copy. */
  constructor(wheel: TimerWheel, onFault: (error: unknown) => void) {
    this.wheel = wheel
    this.#onFault = onFault
  }

  /** Whether a service has as many copies under way as it may. */
  full(service: Service): boolean {
    return (this.#underWay.get(service.name) ?? 0) >= MAX_COPIES
  }

  /** Sends a complete copy when what is being done now is done. */
  send(copy: MirrorCopy, target: MirrorTarget): void {
    const { name } = target.service
    if (this.full(target.service)) return target.count("overflow")
    this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + 1)
    target.snapshot.pin()
    if (this.#waiting.length === 0) setImmediate(this.#flush)
    this.#waiting.push(new MirrorAttempt(this, copy, target))
  }

  readonly #flush = (): void => {
    const waiting = this.#waiting
    this.#waiting = []
    for (const attempt of waiting) {
      try {
        attempt.start()
      } catch (error) {
        this.#onFault(error)
        attempt.abandon()
      }
    }
  }

  /** A copy is over. */
  ended({ name }: Service): void {
    const left = (this.#underWay.get(name) ?? 1) - 1
    if (left === 0) this.#underWay.delete(name)
    else this.#underWay.set(name, left)
  }
}

class MirrorAttempt implements ConnectionWaiter, UpstreamHandler, DeadlineOwner {
  readonly #sender: MirrorSender
  readonly #copy: MirrorCopy
  readonly #target: MirrorTarget
  readonly #deadline: Deadline
  readonly #admission: Admission
  #endpoint: Endpoint | null = null
  #connection: UpstreamStream | null = null
  /** It has carried others before, so that its end says nothing of the endpoint. */
  #reused = false
  /** When it was sent, on the wheel's clock; 0 = it hasn't been. */
  #sentAt = 0
  #status = 0
  /** It was answered, so far well. */
  #well = false
  #received = 0
  #ended = false

  constructor(sender: MirrorSender, copy: MirrorCopy, target: MirrorTarget) {
    this.#sender = sender
    this.#copy = copy
    this.#target = target
    this.#deadline = new Deadline(sender.wheel, this)
    this.#admission = new Admission(target.service.limits, sender.wheel)
  }

  start(): void {
    const { service } = this.#target
    if (!this.#admission.begin()) return this.#end("overflow")
    const key = service.hashKey?.of(this.#copy.head, NOBODY) ?? NO_KEY
    const choice = new EndpointChoice(service, key)
    const endpoint = choice.begin(choice.next())
    if (endpoint === null) return this.#end(choice.full ? "overflow" : "failed")
    this.#deadline.set(this.#sender.wheel.refresh() + this.#copy.timeout)
    this.#endpoint = endpoint
    endpoint.acquire(this, false)
  }

  /** Something is wrong with it. */
  abandon(): void {
    this.#release()
    this.#end("failed")
  }

  needsHttp2(): boolean {
    return this.#copy.grpc
  }

  onConnection(connection: UpstreamStream): void {
    this.#connection = connection
    this.#reused = connection.uses > 0
    this.#sentAt = this.#sender.wheel.refresh()
    const { head, body, authority } = this.#copy
    const transfer = connection.send(this, head, authority === "" ? (this.#endpoint as Endpoint).address : authority)
    if (transfer === "none") return connection.flush()
    body.sendTo(connection)
    connection.sendEnd(body.trailers)
  }

  onNoConnection(code: ErrorCode): void {
    const failed = errors[code].source === "upstream"
    if (failed) this.#endpoint?.failed(code, 0)
    this.#endpoint?.untold(this)
    this.#admission.failed(code)
    this.#leave()
    this.#end(failed ? "failed" : "overflow")
  }

  onInformational(): void {}

  onResponseHead(head: ResponseHead): boolean {
    this.#status = head.status
    this.#well = this.#endpoint?.answered(head.status, -1, this.#sinceSent, 0) === true
    this.#admission.answered(head.status, -1)
    if (head.body === "length" && head.contentLength > MAX_ANSWER) this.#enough()
    return false
  }

  onResponseBytes(_buffer: Buffer, from: number, to: number): void {
    this.#received += to - from
    if (this.#received > MAX_ANSWER && !this.#ended) this.#enough()
  }

  onResponseFlush(): void {}

  onResponseComplete(): void {
    if (this.#well) this.#endpoint?.ended(-1)
    this.#leave()
  }

  onResponseEnd(): void {
    this.#answered()
  }

  onUpstreamFailed(code: ErrorCode, _details: string, unanswered: boolean): void {
    if (this.#status !== 0) {
      if (this.#well) this.#endpoint?.cutShort(code)
    } else if (code !== "upstreamClosed" || !unanswered || !this.#reused) {
      this.#endpoint?.failed(code, this.#sinceSent)
    }
    this.#endpoint?.untold(this)
    this.#admission.failed(code)
    this.#leave()
    this.#end("failed")
  }

  onUpstreamWritable(): void {}

  onTunnelEnd(): void {}

  onDeadline(): void {
    if (this.#sentAt > 0 && this.#status === 0) {
      this.#endpoint?.failed("responseTimeout", this.#sinceSent)
      this.#admission.failed("responseTimeout")
    }
    this.#release()
    this.#end("timeout")
  }

  get #sinceSent(): number {
    return this.#sender.wheel.refresh() - this.#sentAt
  }

  // It has been answered, and the rest would only cost.
  #enough(): void {
    this.#release()
    this.#answered()
  }

  #answered(): void {
    this.#end(this.#status >= 500 ? "error" : "ok")
  }

  #leave(): void {
    const endpoint = this.#endpoint
    if (endpoint === null) return
    endpoint.end()
    this.#endpoint = null
    this.#connection = null
  }

  #release(): void {
    const endpoint = this.#endpoint
    const connection = this.#connection
    this.#leave()
    if (connection !== null) connection.cancel()
    else endpoint?.abandon(this)
  }

  #end(result: MirrorResult): void {
    if (this.#ended) return
    this.#ended = true
    this.#admission.end()
    this.#deadline.release()
    this.#sender.ended(this.#target.service)
    this.#target.count(result)
    this.#target.snapshot.unpin()
  }
}
