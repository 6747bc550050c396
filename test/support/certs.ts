// Certificates for tests, minted when they are needed: there are no private keys in the repository.

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"
import { isIP } from "node:net"
import { bits, der, explicit, implicit, integer, oid, sequence, time, utf8 } from "./der.ts"

const DAY = 86_400_000

export type KeyType = "ec" | "rsa"

export interface CertificateOptions {
  readonly commonName?: string | undefined
  /** Names and IP addresses it is for. */
  readonly names?: readonly string[]
  readonly uris?: readonly string[]
  readonly key?: KeyType
  /** Days from now; default −1 and 30. */
  readonly from?: number
  readonly days?: number
  /** More attributes of the subject: organisation, say. Name by its object identifier. */
  readonly subject?: readonly (readonly [oid: string, value: string])[]
}

/** A certificate and its key, PEM. */
export interface Certificate {
  /** The certificate; of one an intermediate has signed, its chain behind it. */
  readonly cert: string
  readonly key: string
  readonly der: Buffer
}

const SIGNATURES = { ec: sequence(oid("1.2.840.10045.4.3.2")), rsa: sequence(oid("1.2.840.113549.1.1.11"), der(0x05)) } as const

/** Signs certificates. */
export class Authority implements Certificate {
  readonly cert: string
  readonly key: string
  readonly der: Buffer
  readonly #name: Buffer
  readonly #type: KeyType
  readonly #privateKey: KeyObject

  constructor(commonName: string = "Sluice test CA", type: KeyType = "ec") {
    const { publicKey, privateKey } = keyPair(type)
    this.#type = type
    this.#privateKey = privateKey
    this.#name = distinguishedName(commonName, [])
    this.der = this.#mint(this.#name, publicKey, { days: 365 }, [
      extension("2.5.29.19", sequence(der(0x01, Buffer.from([0xff]))), true),
      extension("2.5.29.15", bits(Buffer.from([0x06]), 1), true),
    ])
    this.cert = pem(this.der)
    this.key = keyPem(privateKey)
  }

  issue(options: CertificateOptions = {}): Certificate {
    const { publicKey, privateKey } = keyPair(options.key ?? "ec")
    const names = [...(options.names ?? []).map(generalName), ...(options.uris ?? []).map((uri) => implicit(6, Buffer.from(uri)))]
    const extensions = [
      extension("2.5.29.19", sequence(), true),
      extension("2.5.29.15", bits(Buffer.from([0xa0]), 5), true),
      extension("2.5.29.37", sequence(oid("1.3.6.1.5.5.7.3.1"), oid("1.3.6.1.5.5.7.3.2")), false),
    ]
    if (names.length > 0) extensions.push(extension("2.5.29.17", sequence(...names), false))
    const subject = distinguishedName(options.commonName, options.subject ?? [])
    const octets = this.#mint(subject, publicKey, options, extensions)
    return { cert: pem(octets), key: keyPem(privateKey), der: octets }
  }

  #mint(subject: Buffer, publicKey: KeyObject, { from = -1, days = 30 }: CertificateOptions, extensions: readonly Buffer[]): Buffer {
    const serial = randomBytes(16)
    serial[0] = (serial[0] & 0x7f) | 0x40
    const now = Date.now()
    const toBeSigned = sequence(
      explicit(0, integer(Buffer.from([2]))),
      integer(serial),
      SIGNATURES[this.#type],
      this.#name,
      sequence(time(new Date(now + from * DAY)), time(new Date(now + days * DAY))),
      subject,
      publicKey.export({ type: "spki", format: "der" }),
      explicit(3, sequence(...extensions)),
    )
    return sequence(toBeSigned, SIGNATURES[this.#type], bits(sign("sha256", toBeSigned, this.#privateKey)))
  }
}

function keyPair(type: KeyType): { publicKey: KeyObject; privateKey: KeyObject } {
  return type === "ec" ? generateKeyPairSync("ec", { namedCurve: "prime256v1" }) : generateKeyPairSync("rsa", { modulusLength: 2048 })
}

function keyPem(key: KeyObject): string {
  return key.export({ type: "pkcs8", format: "pem" }) as string
}

function pem(octets: Buffer): string {
  return `-----BEGIN CERTIFICATE-----\n${(octets.toString("base64").match(/.{1,64}/g) ?? []).join("\n")}\n-----END CERTIFICATE-----\n`
}

function distinguishedName(commonName: string | undefined, more: readonly (readonly [string, string])[]): Buffer {
  const attributes = [...more, ...(commonName === undefined ? [] : [["2.5.4.3", commonName] as const])]
  return sequence(...attributes.map(([type, value]) => der(0x31, sequence(oid(type), utf8(value)))))
}

function extension(id: string, value: Buffer, critical: boolean): Buffer {
  return sequence(oid(id), ...(critical ? [der(0x01, Buffer.from([0xff]))] : []), der(0x04, value))
}

function generalName(name: string): Buffer {
  if (isIP(name) === 4) return implicit(7, Buffer.from(name.split(".").map(Number)))
  if (isIP(name) === 6) return implicit(7, ipv6Octets(name))
  return implicit(2, Buffer.from(name))
}

// `::` once at most, no embedded IPv4 address: what tests write.
function ipv6Octets(address: string): Buffer {
  const [head, tail] = address.split("::").map((half) => half.split(":").filter((group) => group !== ""))
  const groups = tail === undefined ? head : [...head, ...new Array(8 - head.length - tail.length).fill("0"), ...tail]
  return Buffer.from(groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 0xff]))
}
