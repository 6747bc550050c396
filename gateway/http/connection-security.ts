// What is known of a connection's TLS, as exchanges, filters and logs see it.

/** What a certificate says of whom it was given to. */
export interface CertificateDetails {
  /** Its subject (RFC 2253), printable ASCII. */
  readonly subject: string
  readonly commonName: string
  /** Names and URIs of its subject alternative name, in their order. */
  readonly dnsNames: readonly string[]
  readonly uris: readonly string[]
  /** SHA-256 of the whole certificate, lower-case hex. */
  readonly sha256: string
}

export interface ConnectionSecurity {
  /** `TLSv1.2`, `TLSv1.3`. */
  readonly version: string
  /** Name the client asked for (SNI), lower case; "" = none. */
  readonly serverName: string
  /** Agreed upon by ALPN: `h2`, `http/1.1`; "" = nothing was. */
  readonly protocol: string
  /** The certificate that was shown. */
  readonly local: CertificateDetails
  /** The client's certificate, which was checked; null when it has none. */
  readonly peer: CertificateDetails | null
  /** Who the client is, by its certificate: its SPIFFE ID, else its first DNS name, else its common name; "" = unknown. */
  readonly peerIdentity: string
  /** What services are told in `x-forwarded-client-cert`; "" = nothing. */
  readonly forwardedClientCert: string
  /** Whether the certificate shown is also for `host`: lower case, without port, an IPv6 address in brackets. */
  covers(host: string): boolean
}

/** Whether a request for `host` came by a connection that was made for another one (RFC 9110 §15.5.20). */
export function isMisdirected(security: ConnectionSecurity, host: string): boolean {
  const { serverName } = security
  return serverName !== host && serverName !== "" && host !== "" && !security.covers(host)
}

/**
 * How a handshake with a client ended. `failed`: it broke it off or broke the protocol. `notTls`: it spoke something else.
 * `certificate`: its certificate is missing or not good. `overflow`: there were too many.
 */
export const handshakeResults = ["ok", "failed", "notTls", "certificate", "timeout", "overflow"] as const
export type HandshakeResult = (typeof handshakeResults)[number]
