// Whether a client's certificate is good enough for a listener. The runtime checks it in a full handshake; in a session that
// goes on, what it says is not always to be believed.

import { X509Certificate } from "node:crypto"
import { type CertificateNames, readCertificate } from "../identity/certificate.ts"
import { sessionsAreSealed } from "../runtime/tls-sessions.ts"

/** Certificates remembered as checked: those of clients whose authority is not in the listener's list itself. */
const REMEMBERED = 4096
const CERTIFICATE = /-----BEGIN [^-]*-----[^-]*-----END [^-]*-----/g

/** What a handshake has shown, as the runtime tells it: a TLSSocket. */
export interface Shown {
  readonly authorized: boolean
  getPeerX509Certificate(): X509Certificate | undefined
  isSessionReused(): boolean
}

export class ClientPolicy {
  readonly #required: boolean
  readonly #authorities: readonly X509Certificate[]
  readonly #sealed: boolean
  readonly #checked = new Set<string>()

  /** `authorities`: PEM. `sealed`: see {@link sessionsAreSealed}. */
  constructor(authorities: string, required: boolean, sealed: boolean = sessionsAreSealed) {
    this.#required = required
    this.#sealed = sealed
    this.#authorities = sealed ? [] : (authorities.match(CERTIFICATE) ?? []).map((block) => new X509Certificate(block))
  }

  /** The client's certificate; null = it has none, and needs none; undefined = it is refused. `now`: ms since the epoch. */
  judge(shown: Shown, now: number): CertificateNames | null | undefined {
    const certificate = shown.getPeerX509Certificate()
    if (certificate === undefined) return this.#required ? undefined : null
    const names = readCertificate(certificate.raw)
    // A session may outlive the certificate it began with.
    if (!shown.authorized || names === null || !(names.expires > now)) return undefined
    if (this.#sealed) return names
    if (shown.isSessionReused() && !this.#checked.has(names.sha256) && !this.#isIssued(certificate, now)) return undefined
    if (this.#checked.size >= REMEMBERED) this.#checked.clear()
    this.#checked.add(names.sha256)
    return names
  }

  #isIssued(certificate: X509Certificate, now: number): boolean {
    return this.#authorities.some(
      (authority) => Date.parse(authority.validTo) > now && certificate.checkIssued(authority) && certificate.verify(authority.publicKey),
    )
  }
}
