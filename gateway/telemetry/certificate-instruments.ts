// When certificates expire, in the text format: who reads them knows it.

import { familyHead } from "./exposition.ts"
import type { MetricDescription } from "./metrics-registry.ts"

export interface CertificateExpiry {
  /** "-" = it is shown to services. */
  readonly listener: string
  readonly certificate: string
  /** ms since the epoch. */
  readonly expires: number
}

export const certificateExpiry: MetricDescription = {
  name: "sluice_tls_certificate_expiry_timestamp_seconds",
  type: "gauge",
  labels: ["listener", "certificate"],
  help: 'When a certificate expires; listener "-": it is shown to services',
}

/** The metric of when certificates end, in the text format of Prometheus. */
export function expiryText(expiries: readonly CertificateExpiry[]): string {
  if (expiries.length === 0) return ""
  const { name } = certificateExpiry
  const lines = new Set<string>()
  for (const { listener, certificate, expires } of expiries)
    lines.add(`${name}{listener="${label(listener)}",certificate="${label(certificate)}"} ${Math.floor(expires / 1000)}`)
  return `${familyHead(certificateExpiry)}${[...lines].join("\n")}\n`
}

function label(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")
}
