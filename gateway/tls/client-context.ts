// TLS towards a service: with what connections are made, and whether who answers is who was meant. The second is asked when a
// handshake is done and before an octet is sent, the same way on every runtime.

import { createHash } from "node:crypto"
import { isIP } from "node:net"
import { type ConnectionOptions, createSecureContext, type SecureContext, type TLSSocket } from "node:tls"
import type { ServiceTlsConfig } from "../config/model.ts"
import { readCertificate } from "../identity/certificate.ts"
import { spiffeId } from "../identity/peer-identity.ts"
import { coversHost } from "./certificate-store.ts"

/** PEM texts; "" = none. Plain data. */
export interface ClientMaterial {
  readonly ca: string
  readonly cert: string
  readonly key: string
}

export class ClientTls {
  /** Connections may be shared where this is the same: it tells authorities, own certificate and expectations apart. */
  readonly key: string
  readonly #config: ServiceTlsConfig
  readonly #material: ClientMaterial
  #context: SecureContext | null = null

  constructor(config: ServiceTlsConfig, material: ClientMaterial) {
    this.#config = config
    this.#material = material
    const { serverName, identity, insecureSkipVerify, minVersion } = config
    this.key = createHash("sha256")
      .update(JSON.stringify([material.ca, material.cert, material.key, serverName, identity, insecureSkipVerify, minVersion]))
      .digest("base64")
  }

  /**
   * For `tls.connect`, with where to connect to, or an open `socket`, laid over it. `host`: of the endpoint, without brackets.
   * `alpn`: protocols offered, the best first. When the connection is secure, {@link verify} must be asked.
   */
  connectOptions(host: string, alpn: readonly string[]): ConnectionOptions {
    const { ca, cert, key } = this.#material
    const { minVersion } = this.#config
    this.#context ??= createSecureContext({
      ...(ca === "" ? {} : { ca }),
      ...(cert === "" ? {} : { cert, key }),
      minVersion: `TLSv${minVersion}`,
    })
    const name = this.#nameFor(host)
    return {
      secureContext: this.#context,
      minVersion: `TLSv${minVersion}`,
      // SNI carries names only (RFC 6066 §3); some runtimes throw when they see an address.
      ...(isIP(name) === 0 ? { servername: name } : {}),
      ...(alpn.length === 0 ? {} : { ALPNProtocols: [...alpn] }),
      // The chain is the runtime's matter, the name ours: its own check knows no SPIFFE ID, and reads names in its own way.
      checkServerIdentity: () => undefined,
      // Looked at in verify, so that the reason is at hand; nothing is sent before.
      rejectUnauthorized: false,
    }
  }

  #nameFor(host: string): string {
    return this.#config.serverName === "" ? host : this.#config.serverName
  }

  /** Why the service that `socket` has shaken hands with is not the one meant; "" when it is. `host`: as in {@link connectOptions}. */
  verify(socket: TLSSocket, host: string): string {
    const { insecureSkipVerify, identity } = this.#config
    if (insecureSkipVerify) return ""
    const shown = socket.getPeerX509Certificate()
    const names = shown === undefined ? null : readCertificate(shown.raw)
    if (!socket.authorized) {
      // Not every runtime says that this is why.
      const expired = names !== null && names.expires <= Date.now()
      return `certificate refused: ${expired ? "CERT_HAS_EXPIRED" : reasonOf(socket.authorizationError)}`
    }
    if (names === null) return "certificate refused: it can't be read"
    if (identity !== "") {
      const id = spiffeId(names)
      return id === identity ? "" : `certificate refused: it is of ${id === "" ? "no SPIFFE ID" : id}`
    }
    const name = this.#nameFor(host)
    return coversHost(names, name) ? "" : `certificate refused: it is not for ${name}`
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof Error) return (error as { code?: string }).code ?? error.message
  return typeof error === "string" ? error : "not verified"
}
