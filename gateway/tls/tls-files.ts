// The main thread's side of TLS: reads the certificates, keys and authorities a configuration names, keeps what was good when a
// file turns bad, and makes the plain data that workers serve by. It never serves itself.

import { createHash, createHmac, randomBytes } from "node:crypto"
import { type CertificatePair, expiryWarning, readAuthorities, readCertificatePair } from "../config/certificate-files.ts"
import type { Config, ListenerTlsConfig, ServiceTlsConfig } from "../config/model.ts"
import { Wrong } from "../config/units.ts"
import type { ClientMaterial } from "./client-context.ts"
import type { ServedPair, ServerMaterial } from "./tls-server.ts"

/** ms before a certificate's end from which it is warned of. */
const WARN_AHEAD = 14 * 86_400_000

/** What workers are handed, by name of the listener or service. Only what has TLS is in it. */
export interface TlsMaterials {
  readonly listeners: Readonly<Record<string, ServerMaterial>>
  readonly services: Readonly<Record<string, ClientMaterial>>
  /** Of the store of global rate limits; null = it has no TLS. */
  readonly rateLimitStore: ClientMaterial | null
}

export interface ReadTls {
  readonly materials: TlsMaterials
  /** What is bad and was never good: the configuration can't be used. */
  readonly problems: readonly string[]
}

/** A certificate in use, for the metric of its end. */
export interface Expiry {
  /** "-" = shown to services. */
  readonly listener: string
  /** Path. */
  readonly certificate: string
  /** ms since the epoch. */
  readonly expires: number
}

export class TlsFiles {
  readonly #pairs = new Map<string, CertificatePair>()
  readonly #authorities = new Map<string, string>()
  /** By path: why the newest content of a file is not used. */
  #refused = new Map<string, string>()
  #expiries: Expiry[] = []
  #warned = new Set<string>()
  #secret: Buffer = randomBytes(32)
  #problems: string[] = []

  /** Reads everything `config` names. What has turned bad stays as it was; {@link refused} says so. */
  read(config: Config): ReadTls {
    const listeners: Record<string, ServerMaterial> = {}
    const services: Record<string, ClientMaterial> = {}
    this.#refused = new Map()
    this.#expiries = []
    this.#problems = []
    const used = new Set<string>()
    for (const { name, tls } of config.listeners) {
      if (tls === null) continue
      const pairs: ServedPair[] = []
      for (const { cert, key } of tls.certificates) {
        const pair = this.#pair(cert, key, used)
        if (pair === null) continue
        this.#expiries.push({ listener: name, certificate: cert, expires: pair.expires })
        pairs.push({ cert: pair.cert, key: pair.key, der: pair.der, keyType: pair.keyType, curve: pair.curve })
      }
      const clientCa = tls.clientCa === "" ? "" : this.#authority(tls.clientCa, used)
      if (pairs.length > 0) listeners[name] = this.#material(name, tls, pairs, clientCa)
    }
    for (const [name, { tls }] of Object.entries(config.services)) if (tls !== null) services[name] = this.#client(tls, used)
    const storeTls = config.rateLimitStore?.redis.tls ?? null
    const rateLimitStore = storeTls === null ? null : this.#client(storeTls, used)
    for (const key of this.#pairs.keys()) if (!used.has(key)) this.#pairs.delete(key)
    for (const key of this.#authorities.keys()) if (!used.has(key)) this.#authorities.delete(key)
    return { materials: { listeners, services, rateLimitStore }, problems: this.#problems }
  }

  #client(tls: ServiceTlsConfig, used: Set<string>): ClientMaterial {
    const pair = tls.cert === "" ? null : this.#pair(tls.cert, tls.key, used)
    if (pair !== null) this.#expiries.push({ listener: "-", certificate: tls.cert, expires: pair.expires })
    const ca = tls.ca === "" ? "" : this.#authority(tls.ca, used)
    return { ca, cert: pair?.cert ?? "", key: pair?.key ?? "" }
  }

  #pair(cert: string, key: string, used: Set<string>): CertificatePair | null {
    const id = `${cert}\0${key}`
    used.add(id)
    const read = readCertificatePair(cert, key)
    if (!("at" in read)) {
      this.#pairs.set(id, read)
      return read
    }
    return this.#before(read.at === "cert" ? cert : key, read.message, this.#pairs.get(id))
  }

  #authority(path: string, used: Set<string>): string {
    used.add(path)
    const read = readAuthorities(path)
    if (read instanceof Wrong) return this.#before(path, read.message, this.#authorities.get(path)) ?? ""
    this.#authorities.set(path, read)
    return read
  }

  #before<T>(path: string, message: string, before: T | undefined): T | null {
    if (before === undefined) this.#problems.push(message)
    else this.#refused.set(path, message)
    return before ?? null
  }

  // Who may go on with a session must have passed the same listener's demands: tickets of others open with other keys.
  #material(listener: string, tls: ListenerTlsConfig, pairs: readonly ServedPair[], clientCa: string): ServerMaterial {
    const policy = JSON.stringify([listener, clientCa, tls.clientCertificate])
    const ticketKey = new Uint8Array(createHmac("sha384", this.#secret).update(policy).digest())
    const id = createHash("sha256")
      .update(JSON.stringify([pairs.map(({ cert, key }) => [cert, key]), clientCa]))
      .update(ticketKey)
      .digest("base64")
    return { id, pairs, clientCa, ticketKey }
  }

  /** Makes other ticket keys with the next {@link read}. */
  rotate(): void {
    this.#secret = randomBytes(32)
  }

  /** Paths of files of which an older content is in use, with the reason. */
  get refused(): ReadonlyMap<string, string> {
    return this.#refused
  }

  /** Certificates that were read last. */
  get expiries(): readonly Expiry[] {
    return this.#expiries
  }

  /** What should be said now of certificates that end soon, once each. */
  warnings(now: number): string[] {
    const warnings: string[] = []
    for (const { certificate, expires } of this.#expiries) {
      const warning = expiryWarning(certificate, expires, now, WARN_AHEAD)
      if (warning === "" || this.#warned.has(warning)) continue
      this.#warned.add(warning)
      warnings.push(warning)
    }
    return warnings
  }

  /** Files whose changes matter while `config` is in force. */
  static paths(config: Config): string[] {
    const paths = new Set<string>()
    for (const { tls } of config.listeners) {
      if (tls === null) continue
      for (const { cert, key } of tls.certificates) paths.add(cert).add(key)
      paths.add(tls.clientCa)
    }
    const clients = [...Object.values(config.services).map(({ tls }) => tls), config.rateLimitStore?.redis.tls ?? null]
    for (const tls of clients) if (tls !== null) paths.add(tls.ca).add(tls.cert).add(tls.key)
    paths.delete("")
    return [...paths]
  }
}

/** Whether workers would serve by `a` as they do by `b`. */
export function sameTls(a: TlsMaterials, b: TlsMaterials): boolean {
  return JSON.stringify(idsOf(a)) === JSON.stringify(idsOf(b))
}

function idsOf({ listeners, services, rateLimitStore }: TlsMaterials): unknown {
  return [Object.entries(listeners).map(([name, { id }]) => [name, id]), services, rateLimitStore]
}
