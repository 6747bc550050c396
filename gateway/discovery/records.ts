// What records say: the addresses of a name, however many aliases lead to it, and the hosts of a service with their share. Pure.

import type { EndpointConfig } from "../config/model.ts"
import type { DnsRecord } from "./dns-message.ts"

/** Aliases (CNAME) that are followed from one name. */
export const MAX_ALIASES = 8

export interface Addresses {
  /** What the name stands for in the end. */
  readonly name: string
  readonly addresses: readonly string[]
  /** Seconds that all of it is good for; Infinity when there is nothing. */
  readonly ttl: number
}

/** A name's addresses of one kind, as far as these records tell. */
export function addressesOf(records: readonly DnsRecord[], from: string, type: "A" | "AAAA"): Addresses {
  const { name, ttl: aliasTtl } = lastAlias(records, from)
  const addresses: string[] = []
  let ttl = aliasTtl
  for (const record of records) {
    if (record.type !== type || record.name !== name) continue
    if (!addresses.includes(record.address)) addresses.push(record.address)
    ttl = Math.min(ttl, record.ttl)
  }
  return { name, addresses, ttl }
}

/** Where aliases lead; as far as {@link MAX_ALIASES} of them do. */
export function lastAlias(records: readonly DnsRecord[], from: string): { readonly name: string; readonly ttl: number } {
  let name = from
  let ttl = Number.POSITIVE_INFINITY
  for (let i = 0; i < MAX_ALIASES; i++) {
    const alias = records.find((record) => record.type === "CNAME" && record.name === name)
    if (alias?.type !== "CNAME") break
    name = alias.target
    ttl = Math.min(ttl, alias.ttl)
  }
  return { name, ttl }
}

/** One record of a service and the addresses of its host. */
export interface ServiceHost {
  readonly port: number
  readonly priority: number
  readonly weight: number
  readonly addresses: readonly string[]
}

/** Largest weight of an endpoint. */
const MAX_WEIGHT = 1_000_000
/** What a weight is multiplied by where shares have to be finer. */
const FINE = 10

/**
 * Endpoints of a service's hosts. Priorities become 0, 1, 2 … in their order. A host's weight is shared out among its addresses. Weight
 * 0 is a very small share where others have more, and an equal one where none has (RFC 2782).
 */
export function endpointsOf(hosts: readonly ServiceHost[]): EndpointConfig[] {
  const endpoints: EndpointConfig[] = []
  const priorities = [...new Set(hosts.map(({ priority }) => priority))].sort((a, b) => a - b)
  for (const [priority, written] of priorities.entries()) {
    const group = hosts.filter((host) => host.priority === written && host.addresses.length > 0)
    const someWeight = group.some(({ weight }) => weight > 0)
    const someNone = group.some(({ weight }) => weight === 0)
    const most = Math.max(1, ...group.map(({ addresses }) => addresses.length))
    const scale = someWeight && (someNone || most > 1) ? FINE : 1
    for (const { port, weight, addresses } of group) {
      const whole = !someWeight ? 1 : weight === 0 ? 1 : weight * scale
      // Where all weights are 0, shares within a host are not worth telling apart.
      const each = someWeight ? Math.min(MAX_WEIGHT, Math.max(1, Math.round(whole / addresses.length))) : 1
      for (const host of addresses) endpoints.push(endpoint(host, port, each, priority))
    }
  }
  return endpoints
}

export function endpoint(host: string, port: number, weight: number, priority: number): EndpointConfig {
  return { address: { host, port }, weight, ...(priority === 0 ? {} : { priority }) }
}
