// Both kinds of HTTP/2 session over a socket of plain calls, fed random frames: nothing may throw, every exchange and every
// attempt ends exactly once, and nothing is sent behind an end.

import type { ErrorCode } from "../../gateway/errors.ts"
import type { DownstreamHandler, DownstreamStream, UpstreamHandler, UpstreamStream } from "../../gateway/http/exchange.ts"
import { RequestHead, ResponseHead } from "../../gateway/http/message.ts"
import { TimerWheel } from "../../gateway/http/timer-wheel.ts"
import { ClientSession } from "../../gateway/http2/client-session.ts"
import { PREFACE, SETTINGS } from "../../gateway/http2/frames.ts"
import { ServerSession } from "../../gateway/http2/server-session.ts"
import type { Random } from "../conformance/http1/cuts.ts"
import { FakeSocket } from "../support/fake-socket.ts"
import { FrameMaker, frame } from "./h2-inputs.ts"

const limits = {
  head: { startLine: 8192, head: 32_768, fields: 100 },
  body: 0,
  streams: 20,
  headTimeout: 10_000,
  idleTimeout: 60_000,
}

export interface Report {
  /** Frames fed. */
  readonly inputs: number
  readonly connections: number
  /** Exchanges and attempts that were begun. */
  readonly messages: number
  /** Of them carried to their end. */
  readonly complete: number
  readonly problem: string | null
}

class Tally {
  messages = 0
  complete = 0
  problem: string | null = null
  fault(what: string): void {
    this.problem ??= what
  }
}

// An exchange that does anything an exchange may.
class RandomExchange implements DownstreamHandler {
  readonly #stream: DownstreamStream
  readonly #head: RequestHead
  readonly #random: Random
  readonly #tally: Tally
  #over = false
  #headSent = false
  #paused = false

  constructor(stream: DownstreamStream, head: RequestHead, random: Random, tally: Tally) {
    this.#stream = stream
    this.#head = head
    this.#random = random
    this.#tally = tally
    tally.messages++
  }

  start(): void {
    if (this.#random.below(3) === 0) return this.#respond()
    if (this.#head.body !== "none") this.#stream.startRequestBody(false)
  }

  #respond(): void {
    if (this.#over || this.#headSent) return
    const random = this.#random
    const head = new ResponseHead()
    if (random.below(10) === 0) {
      head.status = 103
      this.#stream.sendInformational(head)
    }
    if (random.below(20) === 0) {
      this.#over = true
      this.#stream.abort()
      return
    }
    if (this.#head.upgrade !== "") {
      head.status = 101
      this.#headSent = true
      this.#stream.sendHead(head, "none", false)
      this.#stream.startTunnel()
      return
    }
    head.status = 200
    head.fields.add("x-reply", "a".repeat(random.below(60)))
    this.#headSent = true
    if (random.below(3) === 0) {
      this.#stream.sendHead(head, "none", false)
      return this.#end()
    }
    this.#stream.sendHead(head, "close", false)
    const body = Buffer.alloc(random.below(4) === 0 ? random.below(100_000) : random.below(200), 98)
    this.#stream.sendBytes(body, 0, body.length)
    if (random.below(4) !== 0) this.#end()
  }

  #end(): void {
    if (this.#over) return
    this.#over = true
    this.#tally.complete++
    this.#stream.sendEnd(null)
  }

  onRequestBytes(_buffer: Buffer, from: number, to: number): void {
    if (this.#over) this.#tally.fault("octets for an exchange that is over")
    if (from >= to && this.#head.upgrade === "") this.#tally.fault("no octets")
    if (this.#random.below(6) === 0) {
      this.#paused = true
      this.#stream.pauseRequest()
    }
    if (this.#random.below(10) === 0) this.#respond()
    else if (this.#headSent && this.#random.below(6) === 0) this.#end()
  }
  onRequestFlush(): void {
    if (this.#over) this.#tally.fault("flush for an exchange that is over")
    if (this.#paused && this.#random.below(2) === 0) {
      this.#paused = false
      this.#stream.resumeRequest()
    }
  }
  onRequestEnd(): void {
    if (this.#over) return this.#tally.fault("end for an exchange that is over")
    this.#respond()
    if (this.#headSent) this.#end()
  }
  onRequestFailed(_code: ErrorCode): void {
    if (this.#over) return this.#tally.fault("failure for an exchange that is over")
    if (this.#headSent) {
      this.#over = true
      this.#stream.abort()
    } else this.#respond()
  }
  onDownstreamHalfClosed(): void {}
  onDownstreamGone(): void {
    if (this.#over) this.#tally.fault("told twice that it is gone")
    this.#over = true
  }
  onDownstreamWritable(): void {
    if (this.#over) this.#tally.fault("writable for an exchange that is over")
    if (this.#headSent) this.#end()
  }
  onCut(): void {
    this.#stream.abort()
  }
  logOpen(): void {}
  sight(): never {
    throw new Error("nobody looks")
  }
  onDeadline(): void {}
}

// An attempt that does anything an attempt may.
class RandomAttempt implements UpstreamHandler {
  over = false
  stream: UpstreamStream | null = null
  readonly #random: Random
  readonly #tally: Tally
  #headSeen = false
  #complete = false
  #paused = false

  constructor(random: Random, tally: Tally) {
    this.#random = random
    this.#tally = tally
    tally.messages++
  }

  start(stream: UpstreamStream): void {
    this.stream = stream
    const random = this.#random
    const head = new RequestHead()
    head.method = random.below(3) === 0 ? "POST" : "GET"
    head.path = "/x"
    head.target = "/x"
    head.authority = "a"
    if (random.below(12) === 0) {
      head.upgrade = "websocket"
      head.fields.add("sec-websocket-key", "eA==")
    } else if (random.below(2) === 0) head.body = "close"
    const transfer = stream.send(this, head, "a")
    if (transfer === "none" || this.over) return
    const body = Buffer.alloc(random.below(100_000), 99)
    stream.sendBytes(body, 0, body.length)
    if (random.below(3) !== 0) stream.sendEnd(null)
  }

  #live(what: string): void {
    if (this.over) this.#tally.fault(`${what} for an attempt that is over`)
    if (this.#complete && what !== "end") this.#tally.fault(`${what} behind completion`)
  }

  onInformational(): void {
    this.#live("informational")
  }
  onResponseHead(): boolean {
    this.#live("head")
    if (this.#headSeen) this.#tally.fault("two heads")
    this.#headSeen = true
    if (this.#random.below(10) === 0) this.#cancel()
    else if (this.#random.below(5) === 0) this.#pause()
    return false
  }
  #pause(): void {
    this.#paused = true
    this.stream?.pauseResponse()
  }
  #cancel(): void {
    this.over = true
    this.stream?.cancel()
  }
  onResponseBytes(_buffer: Buffer, _from: number, _to: number): void {
    this.#live("bytes")
    if (!this.#headSeen) this.#tally.fault("bytes before a head")
    if (this.#paused) this.#tally.fault("bytes while paused")
    if (this.#random.below(20) === 0) this.#cancel()
    else if (this.#random.below(5) === 0) this.#pause()
  }
  onResponseFlush(): void {
    this.#live("flush")
  }
  onResponseComplete(): void {
    this.#live("completion")
    this.#complete = true
    this.#tally.complete++
  }
  onResponseEnd(): void {
    this.#live("end")
    if (!this.#headSeen) this.#tally.fault("end before a head")
    this.over = true
  }
  onUpstreamFailed(): void {
    this.#live("failure")
    this.over = true
  }
  onUpstreamWritable(): void {
    this.#live("writable")
    if (this.#random.below(3) === 0) this.stream?.sendEnd(null)
  }
  onTunnelEnd(): void {
    this.#live("tunnel's end")
  }
  tick(): void {
    if (this.over || !this.#paused || this.#random.below(3) !== 0) return
    this.#paused = false
    this.stream?.resumeResponse()
  }
}

const settings = frame(SETTINGS, 0, 0, Buffer.alloc(0))

/** Feeds frames in pieces, mutated now and then. */
function feed(maker: FrameMaker, random: Random, frames: number, receive: (bytes: Buffer) => void, between: () => void): void {
  let waiting: Buffer = Buffer.alloc(0)
  for (let i = 0; i < frames; i++) {
    const next = maker.next()
    if (random.below(400) === 0 && next.length > 0) next[random.below(next.length)] = random.below(256)
    waiting = waiting.length === 0 ? next : Buffer.concat([waiting, next])
    if (random.below(3) === 0) {
      const cut = random.below(3) === 0 ? random.below(waiting.length + 1) : waiting.length
      // Sessions may write into what they are given no more than the socket may use it again.
      const bytes = Buffer.from(waiting.subarray(0, cut))
      waiting = waiting.subarray(cut)
      receive(bytes)
      bytes.fill(0xee)
      between()
    }
  }
}

function server(random: Random, tally: Tally, wheel: TimerWheel, frames: number): void {
  const fake = new FakeSocket()
  let closed = 0
  const session = new ServerSession(
    fake.socket,
    1,
    limits,
    wheel,
    {
      begin: (stream, head) => {
        const exchange = new RandomExchange(stream, head, random, tally)
        exchange.start()
        return exchange
      },
    },
    {
      onRefused: () => {},
      onClosed: () => {
        closed++
      },
      onFault: (error) => tally.fault(String((error as Error).stack)),
    },
    () => "eA==",
  )
  session.receive(Buffer.concat([PREFACE, settings]))
  feed(
    new FrameMaker(random, true),
    random,
    frames,
    (bytes) => session.receive(bytes),
    () => shake(fake, session, random),
  )
  fake.emit("close")
  if (closed !== 1) tally.fault(`closed ${closed} times`)
}

function client(random: Random, tally: Tally, wheel: TimerWheel, frames: number): void {
  const fake = new FakeSocket()
  const attempts: RandomAttempt[] = []
  let closed = 0
  const session = new ClientSession(
    fake.socket,
    limits.head,
    wheel,
    {
      onReady: () => {},
      onCapacity: () => {},
      onLeaving: () => {},
      onClosed: () => {
        closed++
      },
      onFault: (error) => tally.fault(String((error as Error).stack)),
    },
    60_000,
    wheel.now + 1000,
    false,
  )
  const more = (): void => {
    while (session.capacity > 0 && attempts.length < 400 && random.below(4) !== 0) {
      const attempt = new RandomAttempt(random, tally)
      attempts.push(attempt)
      attempt.start(session.stream())
    }
    for (const attempt of attempts) attempt.tick()
  }
  session.onRead(settings, settings.length)
  more()
  feed(
    new FrameMaker(random, false),
    random,
    frames,
    (bytes) => session.onRead(bytes, bytes.length),
    () => {
      shake(fake, session, random)
      more()
    },
  )
  fake.emit("close")
  // What has come whole before the end may still wait for its reader.
  for (let n = 0; n < 200; n++) for (const attempt of attempts) attempt.tick()
  if (closed !== 1) tally.fault(`closed ${closed} times`)
  const left = attempts.filter((attempt) => !attempt.over)
  if (left.length > 0) tally.fault(`${left.length} attempts of ${attempts.length} were never told of their end`)
}

function shake(fake: FakeSocket, session: { readonly output: { flush(): void } }, random: Random): void {
  if (random.below(8) === 0) fake.takes = false
  session.output.flush()
  if (!fake.takes && random.below(3) === 0) fake.drain()
}

/** Feeds `inputs` random frames to session after session. */
export async function fuzzSessions(inputs: number, random: Random, progress: (done: number) => void): Promise<Report> {
  const tally = new Tally()
  const wheel = new TimerWheel(() => 0)
  let done = 0
  let connections = 0
  while (done < inputs && tally.problem === null) {
    const frames = 1 + random.below(120)
    try {
      if (random.below(2) === 0) server(random, tally, wheel, frames)
      else client(random, tally, wheel, frames)
    } catch (error) {
      tally.fault(String((error as Error).stack))
    }
    connections++
    // What sessions leave to the end of a turn has one now and then.
    if (connections % 100 === 0) await new Promise((resolve) => setImmediate(resolve))
    if (Math.floor((done + frames) / 1_000_000) > Math.floor(done / 1_000_000)) progress(done)
    done += frames
  }
  return { inputs: done, connections, messages: tally.messages, complete: tally.complete, problem: tally.problem }
}
