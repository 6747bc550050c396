// What the system says of names: its DNS servers (resolv.conf) and the addresses it gives names itself (hosts). Read again when
// the files change; a file that can't be read says nothing.

import { readFileSync, statSync } from "node:fs"
import { isIP } from "node:net"
import type { Address } from "../config/model.ts"

const DNS_PORT = 53
/** Octets of a file; a larger one is read no further. */
const MAX_FILE = 4 * 1024 * 1024
/** As many as the C library asks. */
const MAX_SERVERS = 3
/** What it asks where none is named. */
const LOCAL: Address = { host: "127.0.0.1", port: DNS_PORT }

export class SystemDns {
  readonly #servers: CachedFile<readonly Address[]>
  readonly #hosts: CachedFile<ReadonlyMap<string, readonly string[]>>

  constructor(resolvConf = "/etc/resolv.conf", hosts = "/etc/hosts") {
    this.#servers = new CachedFile(resolvConf, parseResolvConf)
    this.#hosts = new CachedFile(hosts, parseHosts)
  }

  /** DNS servers, the first to be asked first; never empty. */
  servers(): readonly Address[] {
    return this.#servers.value()
  }

  /** Addresses of a name that no DNS server is asked about; null when it isn't one. `name` in lower case. */
  addresses(name: string): readonly string[] | null {
    const found = this.#hosts.value().get(name)
    if (found !== undefined) return found
    // Never a matter of the DNS (RFC 6761 §6.3).
    return name === "localhost" || name.endsWith(".localhost") ? ["127.0.0.1", "::1"] : null
  }
}

export function parseResolvConf(text: string): readonly Address[] {
  const servers: Address[] = []
  for (const line of text.split("\n")) {
    const [word, host] = line.trim().split(/\s+/)
    if (word === "nameserver" && host !== undefined && isIP(host) !== 0 && servers.length < MAX_SERVERS)
      servers.push({ host, port: DNS_PORT })
  }
  return servers.length === 0 ? [LOCAL] : servers
}

export function parseHosts(text: string): ReadonlyMap<string, readonly string[]> {
  const hosts = new Map<string, string[]>()
  for (const line of text.split("\n")) {
    const [address, ...names] = line.replace(/#.*$/, "").trim().split(/\s+/)
    // A zone (fe80::1%eth0) has no place in an endpoint.
    if (isIP(address) === 0 || address.includes("%")) continue
    for (const written of names) {
      const name = written.toLowerCase()
      const known = hosts.get(name)
      if (known === undefined) hosts.set(name, [address])
      else if (!known.includes(address)) known.push(address)
    }
  }
  return hosts
}

class CachedFile<T> {
  readonly #path: string
  readonly #parse: (text: string) => T
  #seen: string | null = null
  #value: T

  constructor(path: string, parse: (text: string) => T) {
    this.#path = path
    this.#parse = parse
    this.#value = parse("")
  }

  value(): T {
    let seen = ""
    let text = ""
    try {
      const { mtimeNs, size, ino } = statSync(this.#path, { bigint: true })
      seen = `${mtimeNs} ${size} ${ino}`
      if (seen === this.#seen) return this.#value
      text = readFileSync(this.#path).subarray(0, MAX_FILE).toString("latin1")
    } catch {
      if (this.#seen === "") return this.#value
    }
    this.#seen = seen
    this.#value = this.#parse(text)
    return this.#value
  }
}
