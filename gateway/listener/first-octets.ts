// The step that looks at the first octets of a connection: the PROXY header of a trusted proxy, the server name in a
// ClientHello, or what it is that the client speaks. It answers nothing, and hands on all it doesn't use up.

import type { Socket } from "node:net"
import type { ErrorCode } from "../errors.ts"
import type { SocketAddresses } from "../http/socket-addresses.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import { type Detected, OTHER, ProtocolDetector, TLS, UNDECIDED } from "../tcp/detect-protocol.ts"
import { readProxyHeader, UNFINISHED } from "../tcp/proxy-protocol.ts"
import { ClientHelloReader } from "../tls/client-hello.ts"
import type { StepOwner, StepRun } from "./opening.ts"

/** What is looked for behind a PROXY header. */
export type Look = "nothing" | "serverName" | "protocol" | "protocolAndServerName"

export interface OctetsPlan {
  /** A PROXY header is to come first. */
  readonly proxy: boolean
  /** ms for it. */
  readonly proxyTimeout: number
  readonly look: Look
  /** ms for what is looked for. */
  readonly detectTimeout: number
}

/** What it finds out is written down here. */
export interface FirstOctetsOwner extends StepOwner {
  addresses: SocketAddresses
  serverName: string
  proxyId: string
  /** {@link UNDECIDED} if it wasn't looked for. */
  protocol: Detected
  early: Buffer | null
  ended: boolean
  /** It may not go on. {@link onStepFailed} follows. */
  onRefused(code: ErrorCode, details: string): void
  /** A programming error, which costs this connection. {@link onStepFailed} follows. */
  onFault(error: unknown): void
}

const PROXY = 0
const PROTOCOL = 1
const SERVER_NAME = 2
const OVER = 3

/** Octets room is made for when a beginning comes in pieces; it doubles, up to what the readers take. */
const ROOM = 512

export class FirstOctets implements StepRun, DeadlineOwner {
  readonly #socket: Socket
  readonly #plan: OctetsPlan
  readonly #wheel: TimerWheel
  readonly #owner: FirstOctetsOwner
  readonly #deadline: Deadline
  #stage: number
  /** What has come and isn't used up: octets `[0, length)`. */
  #bytes: Buffer | null = null
  #length = 0
  #seen = false
  #ended = false
  #detector: ProtocolDetector | null = null
  #hello: ClientHelloReader | null = null
  readonly #onData = (bytes: Buffer): void => this.#guard(bytes)
  readonly #onEnd = (): void => {
    this.#ended = true
    this.#guard(null)
  }
  // What went wrong is told by `close`, which follows.
  readonly #onError = (): void => {}
  readonly #onClose = (): void => {
    if (this.#seen) this.#fail("clientGone", "")
    else this.#leave()
  }

  constructor(socket: Socket, plan: OctetsPlan, wheel: TimerWheel, owner: FirstOctetsOwner) {
    this.#socket = socket
    this.#plan = plan
    this.#wheel = wheel
    this.#owner = owner
    this.#deadline = new Deadline(wheel, this)
    this.#stage = PROXY
    if (!plan.proxy) this.#look()
    else this.#deadline.set(wheel.now + plan.proxyTimeout)
    socket.on("data", this.#onData)
    socket.on("end", this.#onEnd)
    socket.on("error", this.#onError)
    socket.on("close", this.#onClose)
    socket.resume()
  }

  // The stage behind the PROXY header.
  #look(): void {
    this.#stage = this.#plan.look === "serverName" ? SERVER_NAME : PROTOCOL
    this.#deadline.set(this.#wheel.refresh() + this.#plan.detectTimeout)
  }

  #guard(bytes: Buffer | null): void {
    if (this.#stage === OVER) return
    try {
      if (bytes !== null) this.#keep(bytes)
      this.#read()
    } catch (error) {
      this.#owner.onFault(error)
      this.#leave()
    }
  }

  #keep(bytes: Buffer): void {
    this.#seen = true
    const kept = this.#bytes
    const length = this.#length + bytes.length
    if (kept === null || this.#length === 0) {
      this.#bytes = bytes
    } else if (length <= kept.length) {
      bytes.copy(kept, this.#length)
    } else {
      const room = Buffer.allocUnsafe(Math.max(ROOM, 2 * length))
      kept.copy(room, 0, 0, this.#length)
      bytes.copy(room, this.#length)
      this.#bytes = room
    }
    this.#length = length
  }

  // As far as what has come allows.
  #read(): void {
    const stage = this.#stage
    if (stage === PROXY) this.#readProxy()
    else if (stage === PROTOCOL) this.#readProtocol()
    else if (stage === SERVER_NAME) this.#readServerName()
    if (this.#stage !== stage && this.#stage !== OVER) this.#read()
    else if (this.#ended && this.#stage !== OVER) this.#endedEarly()
  }

  #readProxy(): void {
    const bytes = this.#bytes
    if (bytes === null) return
    const header = readProxyHeader(bytes, 0, this.#length)
    if (header === UNFINISHED) return
    if (typeof header === "string") return this.#fail("proxyHeader", header)
    if (header.addresses !== null) this.#owner.addresses = header.addresses
    this.#owner.serverName = header.authority
    this.#owner.proxyId = header.uniqueId
    this.#bytes = header.length === this.#length ? null : bytes.subarray(header.length, this.#length)
    this.#length -= header.length
    if (this.#plan.look === "nothing") this.#finish()
    else this.#look()
  }

  #readProtocol(): void {
    if (this.#bytes === null) return
    this.#detector ??= new ProtocolDetector()
    const protocol = this.#detector.read(this.#bytes, this.#length)
    if (protocol === UNDECIDED) return
    this.#owner.protocol = protocol
    if (protocol === TLS && this.#plan.look === "protocolAndServerName") this.#stage = SERVER_NAME
    else this.#finish()
  }

  #readServerName(): void {
    if (this.#bytes === null) return
    this.#hello ??= new ClientHelloReader()
    const hello = this.#hello.read(this.#bytes, this.#length)
    if (hello === UNFINISHED) return
    if (typeof hello === "string") return this.#fail("clientHello", hello)
    this.#owner.serverName = hello.serverName
    this.#owner.protocol = TLS
    this.#finish()
  }

  // Nothing more will come.
  #endedEarly(): void {
    if (!this.#seen) {
      this.#socket.destroy()
      this.#leave()
    } else if (this.#stage === PROXY) this.#fail("proxyHeader", "ended in the header")
    else if (this.#stage === SERVER_NAME) {
      if (this.#length > 0) this.#fail("clientHello", "ended in the ClientHello")
      else {
        this.#socket.destroy()
        this.#leave()
      }
    } else this.#other()
  }

  #other(): void {
    this.#owner.protocol = OTHER
    this.#finish()
  }

  onDeadline(): void {
    if (this.#stage === PROTOCOL) this.#other()
    else this.#fail("openingTimeout", this.#stage === PROXY ? "PROXY header" : "ClientHello")
  }

  #finish(): void {
    const socket = this.#socket
    this.#release()
    socket.pause()
    const owner = this.#owner
    owner.early = this.#bytes === null || this.#length === 0 ? null : this.#bytes.subarray(0, this.#length)
    owner.ended = this.#ended
    this.#bytes = null
    owner.onStepPassed(socket, null)
  }

  #fail(code: ErrorCode, details: string): void {
    if (this.#stage === OVER) return
    this.#end()
    this.#owner.onRefused(code, details)
    this.#owner.onStepFailed()
  }

  #leave(): void {
    if (this.#stage === OVER) return
    this.#end()
    this.#owner.onStepFailed()
  }

  #end(): void {
    const socket = this.#socket
    this.#release()
    this.#bytes = null
    socket.on("error", this.#onError)
    socket.destroy()
  }

  #release(): void {
    const socket = this.#socket
    this.#stage = OVER
    this.#deadline.release()
    socket.removeListener("data", this.#onData)
    socket.removeListener("end", this.#onEnd)
    socket.removeListener("error", this.#onError)
    socket.removeListener("close", this.#onClose)
  }

  /** Closes it at once, and says nothing. */
  destroy(): void {
    if (this.#stage !== OVER) this.#end()
  }
}
