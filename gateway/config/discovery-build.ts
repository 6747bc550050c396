// A checked source of endpoints → what the main thread looks them up by, and what it means for the service's TLS.

import { resolve } from "node:path"
import type { DiscoveryConfig } from "./discovery-model.ts"
import type { Address, ServiceTlsConfig } from "./model.ts"
import type { WrittenDiscovery } from "./schema.ts"

/** `resolvers`: for sources that name none. */
export function endpointSource(written: WrittenDiscovery, resolvers: readonly Address[], baseDir: string): DiscoveryConfig {
  const { dns, srv, file } = written
  if (file !== undefined) return { kind: "file", path: resolve(baseDir, file) }
  const lookup = {
    family: written.family ?? ("any" as const),
    refresh: written.refresh ?? 0,
    timeout: written.timeout ?? 5000,
    resolvers: written.resolvers ?? resolvers,
  }
  return dns === undefined ? { kind: "srv", name: srv as string, ...lookup } : { kind: "dns", address: dns, ...lookup }
}

/**
 * TLS towards endpoints that were looked up: their addresses are in no certificate. The name is the one that was written, never
 * one that only the DNS has given, since whoever can forge its answers could choose that (RFC 9525 §6.1).
 */
export function namedBySource(tls: ServiceTlsConfig, source: DiscoveryConfig): ServiceTlsConfig {
  if (tls.serverName !== "" || source.kind === "file") return tls
  const name = source.kind === "dns" ? source.address.host : source.name.replace(/^_[^.]+\._[^.]+\./, "")
  return { ...tls, serverName: name }
}
