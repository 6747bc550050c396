// The endpoints of all services that have them from elsewhere: begins and ends their sources with the configuration, says what is
// found to those who hand it to the workers, and tells what an operator should know. Runs on the main thread alone.

import type { DiscoveryConfig } from "../config/discovery-model.ts"
import { loadEndpointsInChild } from "../config/load-in-child.ts"
import type { Config, EndpointConfig, ServiceConfig } from "../config/model.ts"
import { formatAddress } from "../config/units.ts"
import { DnsClient } from "./dns-client.ts"
import { DnsSource } from "./dns-source.ts"
import { EndpointFiles } from "./endpoint-files.ts"
import { Lookup } from "./lookup.ts"
import type { EndpointSource, LookKind, SourceOwner } from "./source.ts"
import { SystemDns } from "./system-dns.ts"

/** ms in which changes of several services are gathered into one. */
const GATHER = 100
/** ms after which a change that could not be made is tried again, at most; from {@link GATHER} on it doubles. */
const MAX_PAUSE = 5000
/** ms that the first look of a new source is waited for, whatever its time-out. */
const FIRST_LOOK = 5000
/** Endpoints and services named in one line. */
const MAX_NAMED = 10

export interface DiscoveryOptions {
  /** Whether files are watched. */
  readonly watch: boolean
  /** Services have other endpoints than those in force. Null when these are, see {@link Discovery.use}, or why not; never rejects. */
  onChange(): Promise<string | null>
  onLooked(service: string, result: LookKind, endpoints: number): void
  log(level: "info" | "warn" | "error", message: string, fields: Readonly<Record<string, unknown>>): void
}

interface Sourced {
  readonly source: EndpointSource
  /** Those in force; null: the service isn't. */
  inForce: readonly EndpointConfig[] | null
  /** The source has a problem, and that was said. */
  troubled: boolean
  last: LookKind
}

export class Discovery implements SourceOwner {
  readonly #options: DiscoveryOptions
  readonly #client = new DnsClient(() => performance.now())
  readonly #system = new SystemDns()
  readonly #files: EndpointFiles
  /** By service and everything about its source. */
  readonly #sourced = new Map<string, Sourced>()
  readonly #bySource = new Map<EndpointSource, Sourced>()
  #timer: ReturnType<typeof setTimeout> | null = null
  /** Changes in a row that could not be made. */
  #refusals = 0
  #closed = false

  constructor(options: DiscoveryOptions) {
    this.#options = options
    this.#files = new EndpointFiles({ owner: this, watch: options.watch, read: loadEndpointsInChild })
  }

  /**
   * Begins what is new in `config`, and ends when all of that has been looked for once, or that takes too long. Followed by
   * {@link use}, whether this configuration came into force or another.
   */
  async prepare(config: Config): Promise<void> {
    const first: Promise<void>[] = []
    if (!this.#options.watch) first.push(this.#files.readAll())
    for (const [service, { discovery }] of Object.entries(config.services)) {
      if (discovery === undefined) continue
      const key = keyOf(service, discovery)
      let sourced = this.#sourced.get(key)
      if (sourced === undefined) {
        sourced = { source: this.#begin(service, discovery), inForce: null, troubled: false, last: "empty" }
        this.#sourced.set(key, sourced)
        this.#bySource.set(sourced.source, sourced)
      }
      first.push(sourced.source.first)
    }
    if (first.length === 0) return
    let timer: ReturnType<typeof setTimeout> | undefined
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, FIRST_LOOK)
    })
    await Promise.race([Promise.all(first), late])
    clearTimeout(timer)
  }

  #begin(service: string, discovery: DiscoveryConfig): EndpointSource {
    if (discovery.kind === "file") return this.#files.add(service, discovery.path)
    const lookup = new Lookup(discovery, { client: this.#client, system: this.#system, now: () => performance.now() })
    const after = (ms: number, what: () => void): (() => void) => {
      const timer = setTimeout(what, ms)
      timer.unref()
      return () => clearTimeout(timer)
    }
    return new DnsSource(service, discovery, lookup, { random: Math.random, after }, this)
  }

  /** `config` as the workers need it: every service with its endpoints. The list is the same one as long as nothing has changed. */
  resolved(config: Config): Config {
    if (this.#sourced.size === 0) return config
    const services: Record<string, ServiceConfig> = {}
    for (const [name, service] of Object.entries(config.services)) {
      const { discovery } = service
      const sourced = discovery === undefined ? undefined : this.#sourced.get(keyOf(name, discovery))
      services[name] = sourced === undefined ? service : { ...service, endpoints: sourced.source.endpoints }
    }
    return { ...config, services }
  }

  /** `config`, which {@link resolved} gave, is in force: sources of others end. */
  use(config: Config): void {
    const inForce = new Map<string, readonly EndpointConfig[]>()
    for (const [name, { discovery, endpoints }] of Object.entries(config.services))
      if (discovery !== undefined) inForce.set(keyOf(name, discovery), endpoints)
    for (const [key, sourced] of this.#sourced) {
      const before = sourced.inForce
      sourced.inForce = inForce.get(key) ?? null
      if (sourced.inForce !== null) {
        if (before !== null && before !== sourced.inForce) this.#logChange(sourced.source.service, before, sourced.inForce)
        continue
      }
      this.#sourced.delete(key)
      this.#bySource.delete(sourced.source)
      sourced.source.close()
    }
    // Something may have been found since it was handed out.
    this.#gather()
  }

  onLooked(source: EndpointSource, result: LookKind, changed: boolean): void {
    const { service, endpoints, problem } = source
    const { log, onLooked } = this.#options
    onLooked(service, result, endpoints.length)
    const entry = this.#bySource.get(source)
    const troubled = problem !== ""
    if (entry !== undefined) entry.last = result
    if (entry !== undefined && troubled !== entry.troubled) {
      entry.troubled = troubled
      if (troubled && result === "ok") log("warn", "not all endpoints are used", { service, reason: problem })
      else if (troubled)
        log("warn", "endpoints can't be found; those known stay", { service, reason: problem, endpoints: endpoints.length })
      else log("info", "endpoints are found again", { service, endpoints: endpoints.length })
    }
    if (changed) this.#gather()
  }

  #gather(): void {
    if (this.#timer !== null || this.#closed || !this.#isChanged()) return
    this.#timer = setTimeout(
      () => {
        void this.#options.onChange().then((refusal) => {
          this.#timer = null
          this.#onChanged(refusal)
          this.#gather()
        })
      },
      Math.min(MAX_PAUSE, GATHER * 2 ** this.#refusals),
    )
    this.#timer.unref()
  }

  #onChanged(refusal: string | null): void {
    const { log } = this.#options
    if (refusal === null) {
      if (this.#refusals > 0) log("info", "endpoints that were found are used again", {})
      this.#refusals = 0
    } else if (!this.#closed) {
      if (this.#refusals === 0) log("error", "endpoints that were found can't be used yet; that is tried again", { reason: refusal })
      this.#refusals = Math.min(10, this.#refusals + 1)
    }
  }

  #isChanged(): boolean {
    for (const { source, inForce } of this.#sourced.values()) if (inForce !== null && source.endpoints !== inForce) return true
    return false
  }

  #logChange(service: string, before: readonly EndpointConfig[], after: readonly EndpointConfig[]): void {
    const was = new Set(before.map(({ address }) => formatAddress(address)))
    const is = new Set(after.map(({ address }) => formatAddress(address)))
    const added = [...is].filter((address) => !was.has(address))
    const removed = [...was].filter((address) => !is.has(address))
    this.#options.log("info", "endpoints changed", { service, endpoints: after.length, added: some(added), removed: some(removed) })
  }

  /** What an operator should know, one sentence each. */
  get reasons(): string[] {
    const without: string[] = []
    const stale: string[] = []
    const partial: string[] = []
    for (const { source, inForce, last } of this.#sourced.values()) {
      if (inForce === null) continue
      if (source.endpoints.length === 0) without.push(source.service)
      else if (source.problem !== "") (last === "ok" ? partial : stale).push(source.service)
    }
    const reasons: string[] = []
    if (without.length > 0) reasons.push(`no endpoints of ${some(without)} are known; their requests are answered with 503`)
    if (stale.length > 0) reasons.push(`endpoints of ${some(stale)} can't be found; those known before serve`)
    if (partial.length > 0) reasons.push(`${some(partial)} has more endpoints than are used`)
    return reasons
  }

  close(): void {
    this.#closed = true
    if (this.#timer !== null) clearTimeout(this.#timer)
    for (const { source } of this.#sourced.values()) source.close()
    this.#sourced.clear()
    this.#files.close()
    this.#client.close()
  }
}

function keyOf(service: string, discovery: DiscoveryConfig): string {
  return JSON.stringify([service, discovery])
}

/** The first of them, and how many more there are. */
function some(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMED).join(", ")
  return names.length > MAX_NAMED ? `${shown} and ${names.length - MAX_NAMED} more` : shown
}
