// The TLS of one connection that has been accepted, for those who ask about it.

import type { CertificateDetails, ConnectionSecurity } from "../http/connection-security.ts"
import { forwardedClientCert, peerIdentity } from "../identity/peer-identity.ts"
import type { StoredCertificate } from "./certificate-store.ts"

export class ConnectionTls implements ConnectionSecurity {
  readonly version: string
  readonly serverName: string
  readonly protocol: string
  readonly peer: CertificateDetails | null
  readonly peerIdentity: string
  readonly forwardedClientCert: string
  readonly #certificate: StoredCertificate<unknown>

  /** `forwards`: services are told of the client's certificate. */
  constructor(
    version: string,
    serverName: string,
    protocol: string,
    certificate: StoredCertificate<unknown>,
    peer: CertificateDetails | null,
    forwards: boolean,
  ) {
    this.version = version
    this.serverName = serverName
    this.protocol = protocol
    this.peer = peer
    this.peerIdentity = peer === null ? "" : peerIdentity(peer)
    this.#certificate = certificate
    this.forwardedClientCert = peer === null || !forwards ? "" : forwardedClientCert(peer, certificate.names)
  }

  get local(): CertificateDetails {
    return this.#certificate.names
  }

  covers(host: string): boolean {
    return this.#certificate.covers(host)
  }
}
