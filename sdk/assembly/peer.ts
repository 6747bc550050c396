// Who is at the other end of the client's connection.

import { properties } from "./properties"

/**
 * The client's side of the connection. Behind other proxies that is the last of them. What isn't known is "", 0 or false.
 *
 * ```ts
 * if (request.peer.identity != "spiffe://mesh/ns/shop/sa/cart") return new Reply(403)
 * ```
 */
@final
export class Peer {
  /** IP address without port: `10.0.0.7`, `2001:db8::7`. */
  get address(): string {
    const address = known("source.address")
    const colon = address.lastIndexOf(":")
    if (address.startsWith("[")) {
      const end = address.indexOf("]")
      return end < 0 ? address : address.substring(1, end)
    }
    return colon < 0 ? address : address.substring(0, colon)
  }

  /**
   * What to count a client by: its address, of IPv6 the first half (`2001:db8:0:1`), since each client has a whole /64 to
   * choose from.
   */
  get network(): string {
    return networkOf(this.address)
  }

  get port(): i32 {
    return <i32>properties.int("source.port")
  }

  /** It showed a certificate that was verified. */
  get mtls(): boolean {
    return properties.bool("connection.mtls")
  }

  /** The URI in its certificate: in a mesh its SPIFFE ID. */
  get identity(): string {
    return known("connection.uri_san_peer_certificate")
  }

  /** The first DNS name in its certificate. */
  get dnsName(): string {
    return known("connection.dns_san_peer_certificate")
  }

  /** Its certificate's subject: `CN=cart,O=shop`. */
  get subject(): string {
    return known("connection.subject_peer_certificate")
  }

  /** SHA-256 of its certificate in hex. */
  get digest(): string {
    return known("connection.sha256_peer_certificate_digest")
  }

  /** The name it asked for in the TLS handshake (SNI). */
  get serverName(): string {
    return known("connection.requested_server_name")
  }

  /** `TLSv1.3`, `TLSv1.2`; "" on a plain connection. */
  get tlsVersion(): string {
    return known("connection.tls_version")
  }
}

function networkOf(address: string): string {
  // IPv4, also in its form within IPv6.
  if (!address.includes(":") || address.includes(".")) return address.substring(address.lastIndexOf(":") + 1)
  const gap = address.indexOf("::")
  const head = gap < 0 ? address : address.substring(0, gap)
  const tail = gap < 0 ? "" : address.substring(gap + 2)
  const groups = head.length > 0 ? head.split(":") : []
  const rest = tail.length > 0 ? tail.split(":") : []
  for (let zeros = 8 - groups.length - rest.length; zeros > 0; zeros--) groups.push("0")
  return groups.concat(rest).slice(0, 4).join(":")
}

function known(path: string): string {
  const value = properties.text(path)
  return value === null ? "" : value
}
