// Puts together what the admin API tells of certificates: those that are shown to clients and to services. Never a key.

import { X509Certificate } from "node:crypto"
import { readFileSync } from "node:fs"
import { readCertificate } from "../identity/certificate.ts"
import type { TlsMaterials } from "../tls/tls-files.ts"

export interface CertificateStatus {
  /** `listener`: shown to its clients. `service`: shown to it. `admin`: the admin API's own. */
  readonly shownBy: "listener" | "service" | "rateLimitStore" | "admin"
  /** Name of the listener or service; "" = there is only one. */
  readonly name: string
  readonly subject: string
  /** Host names, URIs (SPIFFE IDs) and IP addresses. */
  readonly names: readonly string[]
  readonly issuer: string
  readonly sha256: string
  /** ISO 8601. */
  readonly expires: string
  /** Whole days until then; negative: it has expired. */
  readonly daysLeft: number
}

const DAY = 86_400_000

/** `admin`: path of the admin API's own; "" = it has none. `now`: ms since the epoch. */
export function certificateStatus(tls: TlsMaterials, admin: string, now: number): CertificateStatus[] {
  const found: CertificateStatus[] = []
  const add = (shownBy: CertificateStatus["shownBy"], name: string, pem: string): void => {
    const status = pem === "" ? null : describe(shownBy, name, pem, now)
    if (status !== null) found.push(status)
  }
  for (const [name, { pairs }] of Object.entries(tls.listeners)) for (const { cert } of pairs) add("listener", name, cert)
  for (const [name, { cert }] of Object.entries(tls.services)) add("service", name, cert)
  add("rateLimitStore", "", tls.rateLimitStore?.cert ?? "")
  add("admin", "", ownCertificate(admin))
  return found.sort((a, b) => a.daysLeft - b.daysLeft)
}

function describe(shownBy: CertificateStatus["shownBy"], name: string, pem: string, now: number): CertificateStatus | null {
  const { raw, issuer } = new X509Certificate(pem)
  const names = readCertificate(raw)
  if (names === null) return null
  return {
    shownBy,
    name,
    subject: names.subject,
    names: [...names.dnsNames, ...names.uris, ...names.addresses],
    issuer: issuer.trim().split("\n").join(", "),
    sha256: names.sha256,
    expires: new Date(names.expires).toISOString(),
    daysLeft: Math.floor((names.expires - now) / DAY),
  }
}

// Another one in the file is used only after a start, when this is no longer what is shown.
function ownCertificate(path: string): string {
  try {
    return path === "" ? "" : readFileSync(path, "latin1")
  } catch {
    return ""
  }
}
