// Reads out of a certificate (RFC 5280) whom it was given to. It trusts nothing it reads: whether the certificate is good was
// found out before, by TLS. The runtimes' own texts of these names are not used: they are quoted differently, or not at all.

import { createHash } from "node:crypto"
import type { CertificateDetails } from "../http/connection-security.ts"
import { BOOLEAN, DerReader, OBJECT_IDENTIFIER, OCTET_STRING, SEQUENCE } from "./der-reader.ts"
import { type DistinguishedName, distinguishedName } from "./distinguished-name.ts"

/** Names kept of one certificate. */
const MAX_NAMES = 1024
const SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
const EXTENSIONS = 0xa3
const VERSION = 0xa0
const DNS_NAME = 0x82
const URI = 0x86
const IP_ADDRESS = 0x87

const DNS = /^(?:\*\.)?[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/
const SAFE_URI = /^[!#-[\]-~]{1,2048}$/

export interface CertificateNames extends CertificateDetails {
  /** IP addresses as the host of a URL has them: IPv6 in brackets, in its shortest form. */
  readonly addresses: readonly string[]
  /** ms since the epoch; NaN when it can't be read. */
  readonly expires: number
  /** It has a subject alternative name, whatever is in it: its common name then names no host (RFC 6125 §6.4.4). */
  readonly hasAlternativeName: boolean
}

/** What the certificate says of itself; null when it is none. Names that are no names are left out. */
export function readCertificate(der: Uint8Array): CertificateNames | null {
  const outer = new DerReader(der, 0, der.length)
  if (!outer.expect(SEQUENCE)) return null
  const certificate = outer.inside()
  if (!certificate.expect(SEQUENCE)) return null
  const fields = certificate.inside()
  if (!fields.next()) return null
  // Version, if it is there; serial number; algorithm; issuer; validity.
  if (fields.tag === VERSION && !fields.next()) return null
  if (!fields.expect(SEQUENCE) || !fields.expect(SEQUENCE) || !fields.expect(SEQUENCE)) return null
  const expires = endOf(fields.inside())
  if (!fields.expect(SEQUENCE)) return null
  const subject = distinguishedName(fields.inside())
  if (subject === null) return null
  const names = new Names(subject, expires, createHash("sha256").update(der).digest("hex"))
  while (fields.next()) if (fields.tag === EXTENSIONS && !readExtensions(fields.inside(), names)) return null
  return names
}

class Names implements CertificateNames {
  readonly subject: string
  readonly commonName: string
  readonly dnsNames: string[] = []
  readonly uris: string[] = []
  readonly addresses: string[] = []
  readonly sha256: string
  readonly expires: number
  hasAlternativeName = false

  constructor(subject: DistinguishedName, expires: number, sha256: string) {
    this.subject = subject.text
    this.commonName = subject.commonName
    this.expires = expires
    this.sha256 = sha256
  }
}

function endOf(validity: DerReader): number {
  if (!validity.next() || !validity.next()) return Number.NaN
  const text = Buffer.from(validity.content()).toString("latin1")
  // Two digits of the year up to 2049, four after it.
  const year = validity.tag === 0x17 ? `${Number(text.slice(0, 2)) < 50 ? "20" : "19"}${text}` : text
  return Date.parse(year.replace(/^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z"))
}

function readExtensions(wrapper: DerReader, names: Names): boolean {
  if (!wrapper.expect(SEQUENCE)) return false
  const list = wrapper.inside()
  while (list.next()) {
    if (list.tag !== SEQUENCE) return false
    const extension = list.inside()
    if (!extension.expect(OBJECT_IDENTIFIER)) return false
    if (extension.oid() !== SUBJECT_ALTERNATIVE_NAME) continue
    if (!extension.next() || (extension.tag === BOOLEAN && !extension.next()) || extension.tag !== OCTET_STRING) return false
    const value = extension.inside()
    if (!value.expect(SEQUENCE)) return false
    names.hasAlternativeName = true
    readNames(value.inside(), names)
  }
  return true
}

function readNames(list: DerReader, names: Names): void {
  for (let i = 0; i < MAX_NAMES && list.next(); i++) {
    const content = Buffer.from(list.content())
    if (list.tag === DNS_NAME) {
      const name = content.toString("latin1").toLowerCase()
      if (name.length <= 253 && DNS.test(name)) names.dnsNames.push(name)
    } else if (list.tag === URI) {
      const uri = content.toString("latin1")
      if (SAFE_URI.test(uri)) names.uris.push(uri)
      // Left out, it must not make the certificate look as if it had one URI less.
      else names.uris.push("")
    } else if (list.tag === IP_ADDRESS) {
      if (content.length === 4) names.addresses.push([...content].join("."))
      else if (content.length === 16) {
        const groups = Array.from({ length: 8 }, (_, group) => content.readUInt16BE(group * 2).toString(16))
        names.addresses.push(new URL(`http://[${groups.join(":")}]`).hostname)
      }
    }
  }
}
