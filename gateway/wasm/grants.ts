// What a filter may do: from its manifest and the configuration, as lists that survive structured cloning, and made ready to
// be asked by the host calls of one VM.

import { Buffer } from "node:buffer"
import type { PermissionsConfig } from "../config/model.ts"
import type { Grants, RefusalKind, Rights } from "./proxy-wasm/host.ts"

/** Lists of `permissions`; null where it sets no limit. */
export function toGrants({ services, headers, shared, hostCalls }: PermissionsConfig): Grants {
  const all = (value: "*" | readonly string[]): readonly string[] | null => (value === "*" ? null : value)
  const names = (value: "*" | readonly string[]): readonly string[] | null => all(value)?.map((name) => name.toLowerCase()) ?? null
  return {
    services: all(services),
    readHeaders: names(headers.read),
    writeHeaders: names(headers.write),
    shared: all(shared),
    hostCalls: all(hostCalls),
  }
}

/** What both allow; null = everything. */
export function narrowed(a: Grants | null, b: Grants | null): Grants | null {
  if (a === null || b === null) return a ?? b
  return {
    services: common(a.services, b.services),
    readHeaders: common(a.readHeaders, b.readHeaders),
    writeHeaders: common(a.writeHeaders, b.writeHeaders),
    shared: commonPrefixes(a.shared, b.shared),
    hostCalls: common(a.hostCalls, b.hostCalls),
  }
}

function common(a: readonly string[] | null, b: readonly string[] | null): readonly string[] | null {
  if (a === null || b === null) return a ?? b
  return a.filter((each) => b.includes(each))
}

// Of two prefixes one of which begins with the other, the longer one is allowed by both.
function commonPrefixes(a: readonly string[] | null, b: readonly string[] | null): readonly string[] | null {
  if (a === null || b === null) return a ?? b
  const longer = [
    ...a.filter((each) => b.some((other) => each.startsWith(other))),
    ...b.filter((each) => a.some((other) => each.startsWith(other))),
  ]
  return [...new Set(longer)]
}

/** One name for the field that is a pseudo-header in the ABI. */
const HOST = "host"
const AUTHORITY = ":authority"

/** Grants as one VM's host calls ask for them. */
export class Permissions implements Rights {
  readonly hostCalls: ReadonlySet<string> | null
  readonly readHeaders: ReadonlySet<string> | null
  readonly writeHeaders: ReadonlySet<string> | null
  readonly #services: ReadonlySet<string> | null
  readonly #shared: readonly string[] | null
  readonly #queues = new Set<number>()
  readonly #note: (kind: RefusalKind, name: string) => void

  /** `note` hears of every refusal. */
  constructor(grants: Grants, note: (kind: RefusalKind, name: string) => void) {
    this.hostCalls = grants.hostCalls === null ? null : new Set(grants.hostCalls)
    this.readHeaders = namesOf(grants.readHeaders)
    this.writeHeaders = namesOf(grants.writeHeaders)
    this.#services = grants.services === null ? null : new Set(grants.services)
    // Keys are octets, one latin1 character each.
    this.#shared = grants.shared?.map((prefix) => Buffer.from(prefix, "utf8").toString("latin1")) ?? null
    this.#note = note
  }

  shows(name: string): boolean {
    return this.readHeaders === null || this.readHeaders.has(name)
  }

  visible(flat: readonly string[]): readonly string[] {
    const names = this.readHeaders
    if (names === null) return flat
    const shown: string[] = []
    for (let i = 0; i < flat.length; i += 2) if (names.has(flat[i])) shown.push(flat[i], flat[i + 1])
    return shown
  }

  reads(name: string): boolean {
    return this.shows(name) || this.refuse("readHeader", name)
  }

  writes(name: string): boolean {
    return this.writeHeaders === null || this.writeHeaders.has(name) || this.refuse("writeHeader", name)
  }

  calls(service: string): boolean {
    return this.#services === null || this.#services.has(service) || this.refuse("service", service)
  }

  shares(key: string): boolean {
    if (this.#shared === null) return true
    for (const prefix of this.#shared) if (key.startsWith(prefix)) return true
    return this.refuse("shared", key)
  }

  grantQueue(id: number): void {
    if (this.#shared !== null) this.#queues.add(id)
  }

  usesQueue(id: number): boolean {
    return this.#shared === null || this.#queues.has(id) || this.refuse("shared", `queue ${id}`)
  }

  /** Notes a refusal; always false. */
  refuse(kind: RefusalKind, name: string): false {
    this.#note(kind, name)
    return false
  }
}

function namesOf(list: readonly string[] | null): ReadonlySet<string> | null {
  if (list === null) return null
  const names = new Set(list)
  if (names.has(HOST)) names.add(AUTHORITY)
  else if (names.has(AUTHORITY)) names.add(HOST)
  return names
}

/** What of a name from a guest is shown. */
const MAX_SHOWN = 100
const MAX_LISTED = 12

const words: Readonly<Record<RefusalKind, { readonly did: string; readonly key: string; list(grants: Grants): readonly string[] | null }>> =
  {
    readHeader: { did: "read header", key: "headers.read", list: (grants) => grants.readHeaders },
    writeHeader: { did: "wrote header", key: "headers.write", list: (grants) => grants.writeHeaders },
    service: { did: "asked for service", key: "services", list: (grants) => grants.services },
    shared: { did: "used shared key", key: "shared", list: (grants) => grants.shared },
    hostCall: { did: "called", key: "hostCalls", list: (grants) => grants.hostCalls },
  }

/** For the filter's author: what was refused, and where it would have to be granted. */
export function refusalText(filter: string, kind: RefusalKind, name: string, grants: Grants): string {
  const { did, key, list } = words[kind]
  const granted = list(grants) ?? []
  const listed = granted.slice(0, MAX_LISTED).join(", ") + (granted.length > MAX_LISTED ? ", …" : "")
  const shown = JSON.stringify(name.length > MAX_SHOWN ? `${name.slice(0, MAX_SHOWN)}…` : name)
  return `filter ${filter} ${did} ${shown}; its filter.json (or permissions in the configuration) grants ${listed === "" ? "none" : listed} in permissions.${key}`
}
