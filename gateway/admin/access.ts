// Who may ask the admin API: whoever reaches it where only this machine or this user can, else who knows the token or has shown a
// client certificate. It bounds how many tokens an address may try, and never says how wrong one was.

import { createHash, timingSafeEqual } from "node:crypto"
import { parseIp } from "../config/ip-address.ts"
import { isLoopback } from "../config/loopback.ts"
import type { Address, SocketPath } from "../config/model.ts"
import { readCertificate } from "../identity/certificate.ts"
import type { FetchPeer } from "../runtime/serve.ts"
import type { Fields } from "./guard.ts"

/** Different wrong tokens an address may try in a row, and per second after that. */
const BURST = 10
const PER_SECOND = 1
/** Addresses that are remembered for that, and wrong tokens of each. */
const MAX_ADDRESSES = 1024
const MAX_KNOWN = 16

export interface AccessOptions {
  readonly address: Address | SocketPath
  /** Null: there is none. */
  readonly token: string | null
  /** Client certificates let somebody in. */
  readonly certificates: boolean
  /** ms, of a clock that never goes back. */
  now(): number
}

/** `in`: with what he has proven to be ("" = nothing). `out`: why not; `again`: seconds after which he may try once more, 0 = now. */
export type Admission =
  | { readonly kind: "in"; readonly proven: string }
  | { readonly kind: "out"; readonly status: 401 | 429; readonly why: string; readonly again: number }

interface Failures {
  left: number
  at: number
  /** Digests of wrong tokens that it has tried. To send one again tells nobody anything: a scraper with an old token locks nobody out. */
  readonly known: Set<string>
}

export class Access {
  readonly #options: AccessOptions
  readonly #token: Buffer | null
  readonly #failures = new Map<string, Failures>()

  constructor(options: AccessOptions) {
    this.#options = options
    this.#token = options.token === null ? null : digest(options.token)
  }

  /** Nobody has to prove anything: whoever gets here may ask. */
  get open(): boolean {
    const { address, certificates } = this.#options
    return this.#token === null && !certificates && ("socket" in address || isLoopback(address.host))
  }

  /** The address others know it by; null: only names of this machine are served. */
  get host(): string {
    const { address } = this.#options
    return "socket" in address ? "localhost" : address.host
  }

  admit(fields: Fields, peer: FetchPeer): Admission {
    if (this.open) return { kind: "in", proven: "" }
    if (this.#options.certificates && peer.certificate !== null) return { kind: "in", proven: nameOf(peer.certificate) }
    const sent = /^Bearer +([!-~]+)$/i.exec(fields.get("authorization") ?? "")?.[1]
    if (sent === undefined) return this.#out("this needs")
    const from = whereFrom(peer.address)
    const shown = digest(sent)
    const failures = this.#failures.get(from)
    const known = shown.toString("latin1")
    if (failures?.known.has(known) !== true) {
      const again = this.#wait(failures)
      if (again > 0) return { kind: "out", status: 429, why: `too many wrong tokens; try again in ${again} s`, again }
      if (this.#token !== null && timingSafeEqual(this.#token, shown)) return { kind: "in", proven: "the token" }
      this.#failed(from, failures, known)
    }
    return this.#out("this token is not the one; send")
  }

  #out(what: string): Admission {
    const ways = [
      ...(this.#token === null
        ? []
        : ["the token of the gateway's configuration (authorization: Bearer …; sluice: --token or SLUICE_ADMIN_TOKEN)"]),
      ...(this.#options.certificates ? ["a client certificate of its clientAuthority"] : []),
    ]
    return { kind: "out", status: 401, why: `${what} ${ways.join(", or ")}`, again: 0 }
  }

  /** Seconds. */
  #wait(failures: Failures | undefined): number {
    if (failures === undefined) return 0
    const left = this.#left(failures)
    return left >= 1 ? 0 : Math.max(1, Math.ceil((1 - left) / PER_SECOND))
  }

  #left({ left, at }: Failures): number {
    return Math.min(BURST, left + ((this.#options.now() - at) / 1000) * PER_SECOND)
  }

  #failed(from: string, before: Failures | undefined, token: string): void {
    const left = (before === undefined ? BURST : this.#left(before)) - 1
    const known = before?.known ?? new Set()
    if (known.size >= MAX_KNOWN) known.delete(known.values().next().value as string)
    known.add(token)
    this.#failures.delete(from)
    if (this.#failures.size >= MAX_ADDRESSES) this.#failures.delete(this.#failures.keys().next().value as string)
    this.#failures.set(from, { left, at: this.#options.now(), known })
  }
}

// Whoever has an IPv6 address has 2⁶⁴ of them. At a socket, and behind a proxy, all are one: who else asks can't be known, for what a
// proxy says of it anybody may write.
function whereFrom(address: string): string {
  const ip = parseIp(address)
  return ip?.version === 6 ? ip.words.slice(0, 2).join(":") : address
}

// Of one length, so that comparing takes the same time whatever was sent.
function digest(token: string): Buffer {
  return createHash("sha256").update(token).digest()
}

/** What the history calls the owner of a certificate. */
function nameOf(der: Uint8Array): string {
  if (der.length === 0) return "a client certificate"
  const names = readCertificate(der)
  if (names === null) return "a client certificate"
  return names.uris[0] ?? (names.commonName === "" ? `certificate ${names.sha256.slice(0, 16)}` : names.commonName)
}
