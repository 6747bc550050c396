// Which certificate a client is shown: by the name it asks for (SNI), then by the kind of key it can check. Built anew when
// certificates change; it reads no files.

import { isIP } from "node:net"
import { type CertificateNames, readCertificate } from "../identity/certificate.ts"
import type { ClientHello } from "./client-hello.ts"

/** A certificate with its key, as the main thread has read and checked it. Plain data. */
export interface ServedPair {
  /** PEM: the certificate with its chain, and its key. */
  readonly cert: string
  readonly key: string
  /** DER of the certificate itself. */
  readonly der: Uint8Array
  readonly keyType: "rsa" | "ec"
  readonly curve: string
}

/** ECDSA signatures by curve (RFC 8446 §4.2.3), and RSA-PSS ones, without which TLS 1.3 can't use an RSA key. */
const ECDSA_SIGNATURES: Readonly<Record<string, number>> = { prime256v1: 0x0403, secp384r1: 0x0503, secp521r1: 0x0603 }
const PSS_SIGNATURES: readonly number[] = [0x0804, 0x0805, 0x0806]
const NOTHING: CertificateNames = {
  subject: "",
  commonName: "",
  dnsNames: [],
  uris: [],
  addresses: [],
  sha256: "",
  expires: Number.NaN,
  hasAlternativeName: true,
}

function hostsOf({ dnsNames, addresses, commonName, hasAlternativeName }: CertificateNames): ReadonlySet<string> {
  // An address written as a name is none (RFC 9525 §6.5), and the common name of a certificate that says for what it is neither.
  if (hasAlternativeName) return new Set([...dnsNames.filter((name) => isIP(name) === 0), ...addresses])
  return new Set(commonName === "" ? [] : [commonName.toLowerCase()])
}

/** `*` stands for exactly one label (RFC 6125 §6.4.3). */
function covers(hosts: ReadonlySet<string>, host: string): boolean {
  if (hosts.has(host)) return true
  const dot = host.indexOf(".")
  return dot > 0 && isIP(host) === 0 && hosts.has(`*${host.slice(dot)}`)
}

/** Whether a certificate is for `host`: a name, or an address without brackets. */
export function coversHost(names: CertificateNames, host: string): boolean {
  return covers(hostsOf(names), isIP(host) === 6 ? new URL(`http://[${host}]`).hostname : host.toLowerCase())
}

/** One certificate in the store, and what was made of it: a {@link Server} of TLS, say. */
export class StoredCertificate<Made> {
  readonly pair: ServedPair
  readonly names: CertificateNames
  readonly hosts: ReadonlySet<string>
  made: Made | null = null

  constructor(pair: ServedPair) {
    this.pair = pair
    this.names = readCertificate(pair.der) ?? NOTHING
    this.hosts = hostsOf(this.names)
  }

  /** Whether it is for `host`: lower case, an IPv6 address in brackets. */
  covers(host: string): boolean {
    return covers(this.hosts, host)
  }

  /** Whether a client can check what it signs. */
  suits(hello: ClientHello): boolean {
    const { signatures, tls13, ecdsaSuites, rsaSuites } = hello
    if (this.pair.keyType === "ec") {
      const signature = ECDSA_SIGNATURES[this.pair.curve]
      if (tls13) return signatures.includes(signature)
      return ecdsaSuites && (signatures.length === 0 || Object.values(ECDSA_SIGNATURES).some((each) => signatures.includes(each)))
    }
    return tls13 ? PSS_SIGNATURES.some((each) => signatures.includes(each)) : rsaSuites
  }
}

export class CertificateStore<Made> {
  readonly certificates: readonly StoredCertificate<Made>[]
  readonly #byName = new Map<string, StoredCertificate<Made>[]>()
  readonly #default: readonly StoredCertificate<Made>[]

  /** `pairs` must not be empty; the first is shown to clients that ask for no name, or for one that no certificate has. */
  constructor(pairs: readonly ServedPair[]) {
    this.certificates = pairs.map((pair) => new StoredCertificate<Made>(pair))
    for (const certificate of this.certificates) {
      for (const host of certificate.hosts) {
        const others = this.#byName.get(host)
        if (others === undefined) this.#byName.set(host, [certificate])
        else others.push(certificate)
      }
    }
    // With the same names as the first, but another kind of key.
    const [first] = this.certificates
    const same = (other: StoredCertificate<Made>): boolean =>
      other === first || (other.hosts.size === first.hosts.size && [...other.hosts].every((host) => first.hosts.has(host)))
    this.#default = this.certificates.filter(same)
  }

  choose(hello: ClientHello): StoredCertificate<Made> {
    const { serverName } = hello
    const dot = serverName.indexOf(".")
    const candidates =
      this.#byName.get(serverName) ?? (dot > 0 ? this.#byName.get(`*${serverName.slice(dot)}`) : undefined) ?? this.#default
    // An ECDSA signature costs a tenth of an RSA one.
    return (
      candidates.find((each) => each.pair.keyType === "ec" && each.suits(hello)) ??
      candidates.find((each) => each.suits(hello)) ??
      candidates[0]
    )
  }
}
