// What a new connection passes before its codec gets it: steps, one after the other, that look at its first octets (a PROXY
// header, what it speaks) or put TLS on it. With no steps there is no opening.

import type { Socket } from "node:net"
import type { ConnectionSecurity } from "../http/connection-security.ts"

/** A step under way; it can be broken off. The socket is closed with it. */
export interface StepRun {
  destroy(): void
}

export interface Step {
  /**
   * Takes a socket of which nothing was read since the step before, paused. Either hands a socket on, paused, with nothing
   * read that was not put back; or closes it and says so. Never both, and neither before it returns.
   */
  begin(socket: Socket, opening: StepOwner): StepRun
}

export interface StepOwner {
  /** `security`: of the TLS that this step has put on the connection; null = none. */
  onStepPassed(socket: Socket, security: ConnectionSecurity | null): void
  onStepFailed(): void
}

/** Whom an opening belongs to. */
export interface OpeningOwner {
  onOpened(opening: Opening, socket: Socket, security: ConnectionSecurity | null): void
  /** The connection is closed, or about to be. */
  onNotOpened(opening: Opening): void
  onFault(error: unknown): void
}

export class Opening implements StepOwner {
  readonly id: number
  readonly #steps: readonly Step[]
  readonly #owner: OpeningOwner
  #step = -1
  #run: StepRun | null = null
  #security: ConnectionSecurity | null = null

  constructor(id: number, steps: readonly Step[], owner: OpeningOwner) {
    this.id = id
    this.#steps = steps
    this.#owner = owner
  }

  start(socket: Socket): void {
    this.#step++
    if (this.#step === this.#steps.length) this.#owner.onOpened(this, socket, this.#security)
    else this.#run = this.#steps[this.#step].begin(socket, this)
  }

  onStepPassed(socket: Socket, security: ConnectionSecurity | null): void {
    this.#security = security ?? this.#security
    try {
      this.start(socket)
    } catch (error) {
      this.#owner.onFault(error)
      socket.destroy()
      this.#owner.onNotOpened(this)
    }
  }

  onStepFailed(): void {
    this.#owner.onNotOpened(this)
  }

  /** Breaks it off. */
  destroy(): void {
    this.#run?.destroy()
  }
}
