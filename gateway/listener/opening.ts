// What a new connection passes before its codec gets it: steps, one after the other, that look at its first octets (a PROXY
// header, what it speaks) or put TLS on it. With no steps there is no opening.

import type { Socket } from "node:net"
import type { ErrorCode } from "../errors.ts"
import type { ConnectionSecurity } from "../http/connection-security.ts"
import type { SocketAddresses } from "../http/socket-addresses.ts"
import { type Detected, UNDECIDED } from "../tcp/detect-protocol.ts"
import type { Opened } from "../tcp/opened.ts"
import type { FirstOctetsOwner } from "./first-octets.ts"

/** A step under way; it can be broken off. The socket is closed with it. */
export interface StepRun {
  destroy(): void
}

export interface Step {
  /**
   * Takes a socket of which nothing was read since the step before, paused. Either hands a socket on, paused; or closes it
   * and says so. Never both, and neither before it returns.
   */
  begin(socket: Socket, opening: Opening): StepRun
}

export interface StepOwner {
  /** `security`: of the TLS that this step has put on the connection; null = none. */
  onStepPassed(socket: Socket, security: ConnectionSecurity | null): void
  onStepFailed(): void
}

/** Whom an opening belongs to. */
export interface OpeningOwner {
  /** The step that comes after those that have been passed; null = the connection is open. */
  nextStep(opening: Opening): Step | null
  onOpened(opening: Opening, socket: Socket): void
  /** It was refused: why. {@link onNotOpened} follows. */
  onRefusedOpening(opening: Opening, code: ErrorCode, details: string): void
  /** The connection is closed, or about to be. */
  onNotOpened(opening: Opening): void
  onFault(error: unknown): void
}

export class Opening implements Opened, FirstOctetsOwner {
  readonly id: number
  /** Of the wheel's clock, ms. */
  readonly started: number
  /** Filled in by the steps. */
  addresses: SocketAddresses
  security: ConnectionSecurity | null = null
  serverName = ""
  proxyId = ""
  protocol: Detected = UNDECIDED
  early: Buffer | null = null
  ended = false
  readonly #owner: OpeningOwner
  #run: StepRun | null = null

  constructor(id: number, started: number, addresses: SocketAddresses, owner: OpeningOwner) {
    this.id = id
    this.started = started
    this.addresses = addresses
    this.#owner = owner
  }

  start(socket: Socket, first: Step): void {
    this.#run = first.begin(socket, this)
  }

  onStepPassed(socket: Socket, security: ConnectionSecurity | null): void {
    if (security !== null) {
      this.security = security
      // What speaks inside of it is another question.
      this.protocol = UNDECIDED
      if (security.serverName !== "") this.serverName = security.serverName
    }
    try {
      const step = this.#owner.nextStep(this)
      if (step === null) return this.#owner.onOpened(this, socket)
      this.putBack(socket)
      this.#run = step.begin(socket, this)
    } catch (error) {
      this.#owner.onFault(error)
      socket.destroy()
      this.#owner.onNotOpened(this)
    }
  }

  /** What was read is read again. */
  putBack(socket: Socket): void {
    if (this.early !== null) socket.unshift(this.early)
    this.early = null
  }

  onStepFailed(): void {
    this.#owner.onNotOpened(this)
  }

  onRefused(code: ErrorCode, details: string): void {
    this.#owner.onRefusedOpening(this, code, details)
  }

  onFault(error: unknown): void {
    this.#owner.onFault(error)
  }

  /** Breaks it off. */
  destroy(): void {
    this.#run?.destroy()
  }
}
