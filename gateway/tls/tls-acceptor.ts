// Puts TLS on accepted connections: reads the ClientHello, chooses the certificate, has the runtime do the handshake, and
// looks at what the client has shown. Handshakes are bounded in time and number. No octet of what is inside is read here.

import type { Socket } from "node:net"
import type { TLSSocket } from "node:tls"
import type { ListenerTlsConfig } from "../config/model.ts"
import type { ConnectionSecurity, HandshakeResult } from "../http/connection-security.ts"
import { Deadline, type DeadlineOwner, type TimerWheel } from "../http/timer-wheel.ts"
import type { CertificateNames } from "../identity/certificate.ts"
import { CLIENT_HELLO_LIMIT, type ClientHello, ClientHelloReader, UNFINISHED } from "./client-hello.ts"
import { ConnectionTls } from "./connection-tls.ts"
import { idOf, type ServedCertificate, type ServerMaterial, TlsServers } from "./tls-server.ts"

/** Whom a handshake belongs to: one of the two is called, once, unless it is destroyed. */
export interface HandshakeOwner {
  onStepPassed(socket: Socket, security: ConnectionSecurity | null): void
  onStepFailed(): void
}

export interface AcceptorMeans {
  readonly wheel: TimerWheel
  /** A handshake has ended. */
  /** `ms`: how long it took. */
  onResult(result: HandshakeResult, ms: number): void
  /** Why one failed, as the runtime tells it. */
  onDetails(code: string): void
  onFault(error: unknown): void
}

/** All the handshakes of one listener in one worker. */
export class TlsAcceptor {
  readonly means: AcceptorMeans
  /** Handshakes the runtime does, by both ends of their connections: it doesn't say which socket it was given. */
  readonly pending: Map<string, Handshake> = new Map()
  readonly #alpn: readonly string[]
  #servers: TlsServers
  #count = 0

  /** `codecs`: protocols the listener can speak; none but these are offered. */
  constructor(config: ListenerTlsConfig, material: ServerMaterial, codecs: readonly string[], means: AcceptorMeans) {
    this.means = means
    this.#alpn = codecs
    this.#servers = this.#serve(config, material)
  }

  /** Handshakes begun from now on use these. */
  update(config: ListenerTlsConfig, material: ServerMaterial): void {
    // Sessions that some runtimes keep by the server would be lost without need.
    if (idOf(config, material) !== this.#servers.id) this.#servers = this.#serve(config, material)
  }

  get servers(): TlsServers {
    return this.#servers
  }

  #serve(config: ListenerTlsConfig, material: ServerMaterial): TlsServers {
    const alpn = config.alpn.filter((protocol) => this.#alpn.includes(protocol))
    return new TlsServers(config, material, alpn, {
      onSecured: (socket) => {
        const handshake = this.pending.get(endsOf(socket))
        if (handshake !== undefined) return handshake.onSecured(socket)
        socket.on("error", () => {})
        socket.destroy()
      },
      onHandshakeError: (error) => this.means.onDetails(error.code ?? error.message),
    })
  }

  begin(socket: Socket, owner: HandshakeOwner): Handshake {
    const handshake = new Handshake(this, socket, owner)
    this.#count++
    if (this.#count > this.#servers.config.maxHandshakes) queueMicrotask(() => handshake.fail("overflow"))
    else handshake.start()
    return handshake
  }

  /** @internal */
  ended(result: HandshakeResult | null, ms: number): void {
    this.#count--
    if (result !== null) this.means.onResult(result, ms)
  }
}

/** "" = the client is gone. */
function endsOf({ remoteAddress, remotePort, localAddress }: Socket): string {
  return remoteAddress === undefined || remotePort === undefined ? "" : `${remoteAddress} ${remotePort} ${localAddress}`
}

class Handshake implements DeadlineOwner {
  readonly #acceptor: TlsAcceptor
  readonly #servers: TlsServers
  readonly #socket: Socket
  readonly #owner: HandshakeOwner
  readonly #deadline: Deadline
  readonly #began: number
  readonly #reader = new ClientHelloReader()
  readonly #onData = (bytes: Buffer): void => this.#read(bytes)
  readonly #onEnd = (): void => this.fail("failed")
  #kept: Buffer | null = null
  #ends = ""
  #hello: ClientHello | null = null
  #certificate: ServedCertificate | null = null
  #over = false

  constructor(acceptor: TlsAcceptor, socket: Socket, owner: HandshakeOwner) {
    this.#acceptor = acceptor
    this.#servers = acceptor.servers
    this.#socket = socket
    this.#owner = owner
    const { wheel } = acceptor.means
    this.#deadline = new Deadline(wheel, this)
    this.#began = wheel.refresh()
    this.#deadline.set(this.#began + this.#servers.config.handshakeTimeout)
    socket.on("error", () => {})
    socket.on("close", this.#onEnd)
  }

  start(): void {
    this.#socket.on("data", this.#onData)
    this.#socket.on("end", this.#onEnd)
    this.#socket.resume()
  }

  #read(bytes: Buffer): void {
    if (this.#over) return
    const kept = this.#kept === null ? bytes : Buffer.concat([this.#kept, bytes])
    this.#kept = kept
    // What stands behind the ClientHello is the runtime's matter, and so is no more than one read long.
    const hello = this.#reader.read(kept, Math.min(kept.length, CLIENT_HELLO_LIMIT))
    if (hello === UNFINISHED) {
      if (kept.length >= CLIENT_HELLO_LIMIT) this.fail("failed")
      return
    }
    if (typeof hello === "string") return this.fail(hello === "no ClientHello" ? "notTls" : "failed")
    const socket = this.#socket
    socket.pause()
    socket.removeListener("data", this.#onData)
    socket.removeListener("end", this.#onEnd)
    socket.unshift(kept)
    this.#kept = null
    this.#hello = hello
    this.#ends = endsOf(socket)
    if (this.#ends === "") return this.fail("failed")
    this.#acceptor.pending.set(this.#ends, this)
    try {
      this.#certificate = this.#servers.choose(hello)
      this.#servers.accept(socket, this.#certificate)
    } catch (error) {
      this.#acceptor.means.onFault(error)
      this.fail("failed")
    }
  }

  /** @internal The runtime is done. */
  onSecured(socket: TLSSocket): void {
    if (socket.destroyed) return this.#refuse(socket, "failed")
    let peer: CertificateNames | null | undefined
    try {
      const { clients } = this.#servers
      peer = clients === null ? null : clients.judge(socket, Date.now())
    } catch (error) {
      // A certificate that the runtime takes and can't read.
      this.#acceptor.means.onFault(error)
    }
    if (peer === undefined) return this.#refuse(socket, "certificate")
    const raw = this.#socket
    raw.removeListener("close", this.#onEnd)
    // Not every runtime can reset a connection through its TLS.
    socket.resetAndDestroy = () => {
      raw.resetAndDestroy()
      return socket.destroy()
    }
    socket.pause()
    const { forwardClientCert } = this.#servers.config
    const { serverName } = this.#hello as ClientHello
    const security = new ConnectionTls(
      socket.getProtocol() ?? "",
      serverName,
      socket.alpnProtocol || "",
      this.#certificate as ServedCertificate,
      peer,
      forwardClientCert,
    )
    this.#finish("ok")
    this.#owner.onStepPassed(socket, security)
  }

  #refuse(socket: TLSSocket, result: HandshakeResult): void {
    socket.on("error", () => {})
    socket.destroy()
    this.fail(result)
  }

  onDeadline(): void {
    this.fail("timeout")
  }

  /** @internal */
  fail(result: HandshakeResult): void {
    if (this.#over) return
    this.#finish(result)
    this.#socket.destroy()
    this.#owner.onStepFailed()
  }

  #finish(result: HandshakeResult | null): void {
    this.#over = true
    this.#deadline.release()
    // A client may come again from the same port before it is noticed that it had left.
    const { pending } = this.#acceptor
    if (pending.get(this.#ends) === this) pending.delete(this.#ends)
    this.#acceptor.ended(result, this.#acceptor.means.wheel.refresh() - this.#began)
  }

  /** Breaks it off. */
  destroy(): void {
    if (this.#over) return
    this.#finish(null)
    this.#socket.destroy()
  }
}
