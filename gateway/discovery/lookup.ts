// Finds the endpoints of one service by the DNS: asks, follows aliases, looks up the hosts of services. When that is done again is
// decided elsewhere.

import type { LookupConfig } from "../config/discovery-model.ts"
import type { Address, EndpointConfig } from "../config/model.ts"
import { isDnsName } from "../config/units.ts"
import type { DnsClient, DnsReply } from "./dns-client.ts"
import type { DnsRecord, QuestionType } from "./dns-message.ts"
import { addressesOf, endpoint, endpointsOf, lastAlias, MAX_ALIASES, type ServiceHost } from "./records.ts"
import type { SystemDns } from "./system-dns.ts"

/** `empty`: there is none. `unknown`: there is no such name. */
export type LookResult =
  | { readonly kind: "found"; readonly endpoints: readonly EndpointConfig[]; readonly ttl: number }
  | { readonly kind: "empty" | "unknown" | "failed" | "timeout"; readonly reason: string }

type Miss = Exclude<LookResult, { kind: "found" }>
type HostResult = { readonly kind: "found"; readonly addresses: readonly string[]; readonly ttl: number } | Miss
type RecordsResult = { readonly kind: "found"; readonly records: readonly DnsRecord[]; readonly name: string; readonly ttl: number } | Miss

/** Hosts of one service that are looked up; those beyond are left out. */
const MAX_HOSTS = 256
/** Seconds after which the system's own file is looked at again. */
const HOSTS_TTL = 5
/** Seconds after which a look that found only a part is repeated. */
const PARTIAL_TTL = 5

export interface LookupMeans {
  readonly client: DnsClient
  readonly system: SystemDns
  /** ms of the client's clock. */
  now(): number
}

export class Lookup {
  readonly #config: LookupConfig
  readonly #means: LookupMeans
  /** Of hosts that SRV records name, as they were found last: one that can't be looked up now is still where it was. */
  #hosts = new Map<string, readonly string[]>()

  constructor(config: LookupConfig, means: LookupMeans) {
    this.#config = config
    this.#means = means
  }

  /** The addresses of a name. Never rejects. */
  async dns({ host, port }: Address): Promise<LookResult> {
    const found = await this.#host(host, this.#until)
    if (found.kind !== "found") return found
    return { kind: "found", endpoints: found.addresses.map((address) => endpoint(address, port, 1, 0)), ttl: found.ttl }
  }

  /** What SRV records list. Never rejects. */
  async srv(name: string): Promise<LookResult> {
    const until = this.#until
    const answered = await this.#records(name, "SRV", until)
    if (answered.kind !== "found") return answered
    const { records } = answered
    let { ttl } = answered
    const listed = records.flatMap((record) => (record.type === "SRV" && record.name === answered.name ? [record] : []))
    // "." says that the service is decidedly not available (RFC 2782).
    const services = listed.filter(({ target }) => target !== ".").slice(0, MAX_HOSTS)
    for (const record of listed) ttl = Math.min(ttl, record.ttl)
    const targets = [...new Set(services.map(({ target }) => target))]
    const results = await Promise.all(targets.map((target) => this.#target(target, records, until)))
    const addresses = new Map<string, readonly string[]>()
    let miss: Miss | null = null
    for (const [i, target] of targets.entries()) {
      const result = results[i]
      const known = this.#hosts.get(target)
      if (result.kind === "found") {
        addresses.set(target, result.addresses)
        ttl = Math.min(ttl, result.ttl)
      } else if (result.kind !== "empty") {
        miss = result
        ttl = Math.min(ttl, PARTIAL_TTL)
        if (known !== undefined) addresses.set(target, known)
      }
    }
    this.#hosts = addresses
    const hosts: ServiceHost[] = services.map((record) => ({ ...record, addresses: addresses.get(record.target) ?? [] }))
    const endpoints = endpointsOf(hosts)
    if (endpoints.length > 0) return { kind: "found", endpoints, ttl }
    return miss ?? { kind: "empty", reason: `${name} lists no host with an address` }
  }

  get #until(): number {
    return this.#means.now() + this.#config.timeout
  }

  #target(name: string, records: readonly DnsRecord[], until: number): HostResult | Promise<HostResult> {
    const brought = addressesOf(records, name, this.#config.family === 6 ? "AAAA" : "A")
    if (brought.addresses.length > 0) return { kind: "found", ...brought }
    return this.#host(name, until)
  }

  async #host(name: string, until: number): Promise<HostResult> {
    const { family } = this.#config
    const own = this.#means.system.addresses(name)
    if (own !== null) {
      const four = own.filter((address) => !address.includes(":"))
      const six = own.filter((address) => address.includes(":"))
      const addresses = family === 6 || (family === "any" && four.length === 0) ? six : four
      if (addresses.length > 0) return { kind: "found", addresses, ttl: HOSTS_TTL }
    }
    const found = await this.#addresses(name, family === 6 ? "AAAA" : "A", until)
    // A host with addresses of both kinds is one endpoint, not two.
    return found.kind === "empty" && family === "any" ? this.#addresses(name, "AAAA", until) : found
  }

  async #addresses(name: string, type: "A" | "AAAA", until: number): Promise<HostResult> {
    const answered = await this.#records(name, type, until)
    if (answered.kind !== "found") return answered
    const { addresses, ttl } = addressesOf(answered.records, answered.name, type)
    return { kind: "found", addresses, ttl: Math.min(ttl, answered.ttl) }
  }

  /** Records of this type that `from`, or what it is an alias of, has: at least one. */
  async #records(from: string, type: QuestionType, until: number): Promise<RecordsResult> {
    const servers = this.#config.resolvers.length > 0 ? this.#config.resolvers : this.#means.system.servers()
    let name = from
    let ttl = Number.POSITIVE_INFINITY
    for (let i = 0; i < MAX_ALIASES; i++) {
      if (!isDnsName(name)) return { kind: "failed", reason: `${from} is an alias of what is no name` }
      const reply: DnsReply = await this.#means.client.ask({ name, type }, servers, until)
      if (reply.kind === "unknown") return { kind: "unknown", reason: `there is no name ${name}` }
      if (reply.kind !== "answer") return reply
      const { records } = reply.answer
      const alias = lastAlias(records, name)
      ttl = Math.min(ttl, alias.ttl)
      if (records.some((record) => record.type === type && record.name === alias.name))
        return { kind: "found", records, name: alias.name, ttl }
      // Servers that don't look further leave that to who asks.
      if (alias.name === name) return { kind: "empty", reason: `${name} has no ${type} record` }
      name = alias.name
    }
    return { kind: "failed", reason: `${from} is an alias of an alias, and so on without end` }
  }
}
