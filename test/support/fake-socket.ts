// A socket made of plain calls: what a connection does to it is counted, what comes from its peer is emitted by the test.

import { EventEmitter } from "node:events"
import type { Socket } from "node:net"

export class FakeSocket extends EventEmitter {
  readonly remoteAddress = "127.0.0.1"
  readonly remotePort = 50_000
  readonly localAddress = "127.0.0.1"
  readonly localPort = 8080
  writableLength = 0
  written = 0
  ended = false
  destroyed = false
  /** What `write` answers: false = the system has not taken it. */
  takes = true
  onWrite: ((bytes: string | Buffer) => void) | null = null

  write(bytes: string | Buffer): boolean {
    if (this.destroyed || this.ended) throw new Error("write after the end")
    this.written += bytes.length
    this.onWrite?.(bytes)
    if (!this.takes) this.writableLength += bytes.length
    return this.takes
  }

  /** The system has taken what waits. */
  drain(): void {
    this.takes = true
    this.writableLength = 0
    this.emit("drain")
  }

  cork(): void {}
  uncork(): void {}
  pause(): this {
    return this
  }
  resume(): this {
    return this
  }
  end(): this {
    this.ended = true
    return this
  }
  destroy(): this {
    this.destroyed = true
    return this
  }
  resetAndDestroy(): this {
    return this.destroy()
  }

  /** As what connections want. */
  get socket(): Socket {
    return this as unknown as Socket
  }
}
