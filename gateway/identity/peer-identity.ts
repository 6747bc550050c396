// Who a client is, by its certificate, and how that is told to others.

import type { CertificateDetails } from "../http/connection-security.ts"

/** Characters of an element; parts that go beyond it are left out. */
const MAX_ELEMENT = 8192

/** The SPIFFE ID of a certificate: its only URI (SPIFFE X.509-SVID §2); "" = it has none. */
export function spiffeId({ uris }: CertificateDetails): string {
  return uris.length === 1 && uris[0].startsWith("spiffe://") ? uris[0] : ""
}

/** Its SPIFFE ID, else its first DNS name, else its common name; "" = none of them. */
export function peerIdentity(certificate: CertificateDetails): string {
  return spiffeId(certificate) || (certificate.dnsNames[0] ?? certificate.commonName)
}

/**
 * One element of `x-forwarded-client-cert` as Envoy writes it: who took the certificate (By), its digest (Hash), its subject,
 * URIs and DNS names.
 */
export function forwardedClientCert(peer: CertificateDetails, local: CertificateDetails): string {
  let element = ""
  const add = (part: string): void => {
    if (part !== "" && element.length + part.length < MAX_ELEMENT) element = element === "" ? part : `${element};${part}`
  }
  for (const uri of local.uris) add(pair("By", uri))
  add(`Hash=${peer.sha256}`)
  add(`Subject="${peer.subject}"`)
  for (const uri of peer.uris) add(pair("URI", uri))
  for (const name of peer.dnsNames) add(pair("DNS", name))
  return element
}

// Neither URIs nor names hold quotation marks or backslashes (see certificate.ts), so that quoting needs no escapes.
function pair(key: string, value: string): string {
  if (value === "") return ""
  return /[,;=]/.test(value) ? `${key}="${value}"` : `${key}=${value}`
}
