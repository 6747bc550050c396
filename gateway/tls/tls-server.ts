// The runtime's TLS servers of one listener, one for each certificate: none of them listens, they are given accepted sockets.
// One each, since no runtime but one picks among several kinds of keys by itself.

import { constants } from "node:crypto"
import type { Socket } from "node:net"
import { createServer, type Server, type TLSSocket } from "node:tls"
import type { ListenerTlsConfig } from "../config/model.ts"
import { CertificateStore, type ServedPair, type StoredCertificate } from "./certificate-store.ts"
import type { ClientHello } from "./client-hello.ts"
import { ClientPolicy } from "./client-policy.ts"

/** What the main thread hands to workers for one listener. Plain data. */
export interface ServerMaterial {
  /** Tells two versions of it apart. */
  readonly id: string
  readonly pairs: readonly ServedPair[]
  /** PEM; "" = clients aren't asked for a certificate. */
  readonly clientCa: string
  /** 48 octets that tickets are sealed with in every worker: a session begun in one goes on in another. */
  readonly ticketKey: Uint8Array
}

/** Hears of every handshake of the servers. */
export interface ServerEvents {
  onSecured(socket: TLSSocket): void
  onHandshakeError(error: Error & { code?: string }): void
}

export type { ServedPair }
export type ServedCertificate = StoredCertificate<Server>

/** One version of a listener's certificates and settings. */
export class TlsServers {
  readonly config: ListenerTlsConfig
  /** Two of the same serve alike. */
  readonly id: string
  /** Of client certificates; null = clients aren't asked for one. */
  readonly clients: ClientPolicy | null
  readonly #material: ServerMaterial
  readonly #alpn: readonly string[]
  readonly #store: CertificateStore<Server>
  readonly #events: ServerEvents

  /** `alpn`: protocols that are offered. */
  constructor(config: ListenerTlsConfig, material: ServerMaterial, alpn: readonly string[], events: ServerEvents) {
    this.config = config
    this.id = idOf(config, material)
    this.clients = material.clientCa === "" ? null : new ClientPolicy(material.clientCa, config.clientCertificate === "require")
    this.#material = material
    this.#alpn = alpn
    this.#events = events
    this.#store = new CertificateStore(material.pairs)
  }

  choose(hello: ClientHello): ServedCertificate {
    return this.#store.choose(hello)
  }

  /** Begins the handshake on a socket whose octets were put back. Throws when the runtime doesn't take the certificate. */
  accept(socket: Socket, certificate: ServedCertificate): void {
    certificate.made ??= this.#serve(certificate.pair)
    certificate.made.emit("connection", socket)
  }

  #serve({ cert, key }: ServedPair): Server {
    const { clientCa, ticketKey } = this.#material
    const { minVersion, clientCertificate, handshakeTimeout } = this.config
    const server = createServer({
      cert,
      key,
      minVersion: `TLSv${minVersion}`,
      // Who the client is was found out in the one handshake there is (RFC 9113 §9.2.1 forbids others). Not every runtime has any.
      secureOptions: constants.SSL_OP_NO_RENEGOTIATION ?? 0,
      ...(this.#alpn.length === 0 ? {} : { ALPNProtocols: [...this.#alpn] }),
      // One that may be missing is looked at when the handshake is done; one that may not is asked for with an alert.
      ...(clientCa === "" ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: clientCertificate === "require" }),
      ticketKeys: Buffer.from(ticketKey),
      allowHalfOpen: true,
      // Ours comes first; this one is for what is left of a socket that the runtime alone holds.
      handshakeTimeout: Math.min(handshakeTimeout + 1000, 0x7fffffff),
    })
    server.on("secureConnection", (socket) => this.#events.onSecured(socket))
    server.on("tlsClientError", (error) => this.#events.onHandshakeError(error))
    return server
  }
}

export function idOf(config: ListenerTlsConfig, material: ServerMaterial): string {
  return `${material.id} ${JSON.stringify(config)}`
}
