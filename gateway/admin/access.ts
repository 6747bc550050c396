// Who may ask the admin API: whoever reaches it where only this machine or this user can, else who knows the token or has shown a
// client certificate. It bounds how often an address may be wrong, and never says how wrong it was.

import { createHash, timingSafeEqual } from "node:crypto"
import { isLoopback } from "../config/loopback.ts"
import type { Address, SocketPath } from "../config/model.ts"
import { readCertificate } from "../identity/certificate.ts"
import type { FetchPeer } from "../runtime/serve.ts"
import type { Fields } from "./guard.ts"

/** Wrong tokens an address may send in a row, and per second after that. */
const BURST = 10
const PER_SECOND = 1
/** Addresses that are remembered for that. */
const MAX_ADDRESSES = 1024

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
    const again = this.#wait(peer.address)
    if (again > 0) return { kind: "out", status: 429, why: `too many wrong tokens; try again in ${again} s`, again }
    if (this.#token !== null && timingSafeEqual(this.#token, digest(sent))) return { kind: "in", proven: "the token" }
    this.#failed(peer.address)
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
  #wait(address: string): number {
    const failures = this.#failures.get(address)
    if (failures === undefined) return 0
    const left = this.#left(failures)
    return left >= 1 ? 0 : Math.max(1, Math.ceil((1 - left) / PER_SECOND))
  }

  #left({ left, at }: Failures): number {
    return Math.min(BURST, left + ((this.#options.now() - at) / 1000) * PER_SECOND)
  }

  #failed(address: string): void {
    const before = this.#failures.get(address)
    const left = (before === undefined ? BURST : this.#left(before)) - 1
    this.#failures.delete(address)
    if (this.#failures.size >= MAX_ADDRESSES) this.#failures.delete(this.#failures.keys().next().value as string)
    this.#failures.set(address, { left, at: this.#options.now() })
  }
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
