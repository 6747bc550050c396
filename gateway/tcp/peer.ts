// One side of an opaque connection: a socket whose octets, ends and resets are told apart on every runtime. It keeps no
// octets of its own: what the socket can't take yet is its only buffer, and its reader is told to wait.

import { connect, type Socket } from "node:net"
import { connect as connectTls } from "node:tls"
import { readBuffer, writeBuffers } from "../http/scratch.ts"
import type { ClientTls } from "../tls/client-context.ts"

/** Who drives a peer. None of its methods is called after `onPeerGone`, or after {@link Peer.destroy} or {@link Peer.reset}. */
export interface PeerOwner {
  onPeerConnected(peer: Peer): void
  /** Octets `[from, to)` of `buffer` have come; good until this returns. */
  onPeerBytes(peer: Peer, buffer: Buffer, from: number, to: number): void
  /** It has ended its sending side. */
  onPeerEnd(peer: Peer): void
  /** It has taken what was written, after a write that returned false. */
  onPeerDrain(peer: Peer): void
  /** The connection is closed. `failure`: the system's code when it did not end in order; "" when both sides had ended. */
  onPeerGone(peer: Peer, failure: string): void
  /** A programming error showed. */
  onPeerFault(peer: Peer, error: unknown): void
}

/** Where to connect to. */
export interface PeerTarget {
  readonly host: string
  readonly port: number
  /** Null: without TLS. */
  readonly tls: ClientTls | null
}

export class Peer {
  /** It has ended, or reset, before we did. */
  endedFirst = false
  readonly #socket: Socket
  readonly #owner: PeerOwner
  /** It has ended its sending side, and all it sent was handed over. */
  #ended: boolean
  /** We have ended ours. */
  #ending = false
  #gone = false
  /** A buffer whose octets the system hasn't taken yet. */
  #lent: Buffer | null = null
  #failure = ""

  /** `ended`: it has ended its sending side already. `verify`: of a TLS connection: why it can't be used; "" when it can. */
  constructor(socket: Socket, owner: PeerOwner, ended = false, verify: (() => string) | null = null) {
    this.#socket = socket
    this.#owner = owner
    this.#ended = ended
    this.endedFirst = ended
    socket.on(verify === null ? "connect" : "secureConnect", () => {
      this.#failure = verify?.() ?? ""
      if (this.#failure === "") return this.#guard(0)
      socket.destroy()
      this.#onClose()
    })
    socket.on("data", (bytes: Buffer) => this.onRead(bytes, bytes.length))
    socket.on("end", () => this.#onEnd())
    socket.on("drain", () => this.#guard(1))
    socket.on("finish", () => this.#closeIfOver())
    socket.on("error", (error: Error & { code?: string }) => {
      this.#failure = error.code ?? error.message
      // Some runtimes leave out `close` after a failed connect.
      if (socket.connecting || socket.destroyed) this.#onClose()
    })
    socket.on("close", () => this.#onClose())
  }

  /** Connects, with TLS if there is to be some; the owner hears of it by `onPeerConnected` or `onPeerGone`. */
  static connect({ host, port, tls }: PeerTarget, owner: PeerOwner): Peer {
    const where = { host, port, noDelay: true, allowHalfOpen: true }
    if (tls !== null) {
      const secure = connectTls({ ...tls.connectOptions(host, []), ...where })
      return new Peer(secure, owner, false, () => tls.verify(secure, host))
    }
    const onread = {
      buffer: readBuffer,
      callback: (length: number): boolean => {
        peer.onRead(readBuffer, length)
        return true
      },
    }
    const peer = new Peer(connect({ ...where, onread }), owner)
    return peer
  }

  #guard(event: 0 | 1): void {
    if (this.#gone) return
    try {
      if (event === 0) return this.#owner.onPeerConnected(this)
      const lent = this.#lent
      this.#lent = null
      if (lent !== null && this.#socket.writableLength === 0) writeBuffers.giveBack(lent)
      this.#owner.onPeerDrain(this)
    } catch (error) {
      this.#owner.onPeerFault(this, error)
    }
  }

  /** @internal The first `length` octets of `bytes` have come. */
  onRead(bytes: Buffer, length: number): void {
    if (this.#gone || length === 0) return
    try {
      this.#owner.onPeerBytes(this, bytes, 0, length)
    } catch (error) {
      this.#owner.onPeerFault(this, error)
    }
  }

  #onEnd(): void {
    if (this.#ended || this.#gone) return
    this.#ended = true
    if (!this.#ending) this.endedFirst = true
    try {
      this.#owner.onPeerEnd(this)
    } catch (error) {
      this.#owner.onPeerFault(this, error)
    }
    this.#closeIfOver()
  }

  // Not every runtime closes a socket by itself when both of its sides have ended.
  #closeIfOver(): void {
    if (this.#ended && this.#socket.writableFinished && !this.#gone) this.#socket.destroy()
  }

  #onClose(): void {
    if (this.#gone) return
    this.#gone = true
    const inOrder = this.#failure === "" && this.#ended && this.#ending
    if (!inOrder && !this.#ending) this.endedFirst = true
    try {
      this.#owner.onPeerGone(this, inOrder ? "" : this.#failure === "" ? "closed" : this.#failure)
    } catch (error) {
      this.#owner.onPeerFault(this, error)
    }
  }

  /** Sends octets `[from, to)` of `buffer`, which may be the shared one; false: wait for `onPeerDrain`. */
  write(buffer: Buffer, from: number, to: number): boolean {
    const socket = this.#socket
    if (this.#ending || this.#gone) return true
    if (buffer.buffer !== readBuffer.buffer) return socket.write(from === 0 && to === buffer.length ? buffer : buffer.subarray(from, to))
    const size = to - from
    // Behind others that wait it will wait too, and should hold no more than it needs.
    const bytes = socket.writableLength > 0 ? Buffer.allocUnsafeSlow(size) : writeBuffers.take(size)
    buffer.copy(bytes, 0, from, to)
    const taken = socket.write(bytes.length === size ? bytes : bytes.subarray(0, size))
    if (socket.writableLength === 0) writeBuffers.giveBack(bytes)
    else this.#lent = bytes
    return taken
  }

  /** Ends our sending side, behind what was written. */
  end(): void {
    if (this.#ending || this.#gone) return
    this.#ending = true
    this.#socket.end()
  }

  pause(): void {
    this.#socket.pause()
  }

  resume(): void {
    if (!this.#gone) this.#socket.resume()
  }

  /** Closes at once. No call follows. */
  destroy(): void {
    if (this.#gone) return
    this.#gone = true
    this.#socket.destroy()
  }

  /** Closes with a reset, where the runtime can. No call follows. */
  reset(): void {
    if (this.#gone) return
    this.#gone = true
    this.#socket.resetAndDestroy()
  }
}
