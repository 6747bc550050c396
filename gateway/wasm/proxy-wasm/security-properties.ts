// What a filter can ask about the TLS of its connection, under Envoy's names. Of several names the first counts, as in Envoy.

import type { ConnectionSecurity } from "../../http/connection-security.ts"
import {
  CONNECTION_DNS_SAN_LOCAL,
  CONNECTION_DNS_SAN_PEER,
  CONNECTION_PEER_DIGEST,
  CONNECTION_SUBJECT_LOCAL,
  CONNECTION_SUBJECT_PEER,
  CONNECTION_TLS_VERSION,
  CONNECTION_URI_SAN_LOCAL,
  CONNECTION_URI_SAN_PEER,
} from "./property-paths.ts"

/** Text of an attribute; "" = there is none. */
export function securityText({ version, local, peer }: ConnectionSecurity, attribute: number): string {
  switch (attribute) {
    case CONNECTION_TLS_VERSION:
      return version
    case CONNECTION_SUBJECT_LOCAL:
      return local.subject
    case CONNECTION_DNS_SAN_LOCAL:
      return local.dnsNames[0] ?? ""
    case CONNECTION_URI_SAN_LOCAL:
      return local.uris[0] ?? ""
    case CONNECTION_SUBJECT_PEER:
      return peer?.subject ?? ""
    case CONNECTION_DNS_SAN_PEER:
      return peer?.dnsNames[0] ?? ""
    case CONNECTION_URI_SAN_PEER:
      return peer?.uris[0] ?? ""
    case CONNECTION_PEER_DIGEST:
      return peer?.sha256 ?? ""
    default:
      return ""
  }
}
