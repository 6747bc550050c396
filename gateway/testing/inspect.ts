// What a module is and what it wants, without any traffic: its ABI, phases and host calls, its size, and whether it starts.

import { readSections, section } from "../wasm/binary/module.ts"
import { Reader as ModuleReader, type Reader } from "../wasm/binary/reader.ts"
import type { Manifest } from "../wasm/manifest.ts"
import { instrument } from "../wasm/meter/instrument.ts"
import { FilterHost } from "./host.ts"
import { DEFAULT_MEMORY, type FilterPlace, type LoadedModule } from "./loader.ts"
import { SharedState } from "./shared-state.ts"
import { specOf } from "./testing.ts"

const PHASES: Readonly<Record<string, string>> = {
  proxy_on_vm_start: "VM start",
  proxy_on_configure: "configure",
  proxy_on_request_headers: "request headers",
  proxy_on_request_body: "request body",
  proxy_on_request_trailers: "request trailers",
  proxy_on_response_headers: "response headers",
  proxy_on_response_body: "response body",
  proxy_on_response_trailers: "response trailers",
  proxy_on_http_call_response: "callout answers",
  proxy_on_grpc_receive: "gRPC answers",
  proxy_on_new_connection: "TCP connections",
  proxy_on_downstream_data: "TCP data downstream",
  proxy_on_upstream_data: "TCP data upstream",
  proxy_on_tick: "ticks",
  proxy_on_queue_ready: "queues",
  proxy_on_foreign_function: "foreign functions",
  proxy_on_log: "log",
}

const SECTION_NAMES: Readonly<Record<number, string>> = Object.fromEntries(Object.entries(section).map(([name, id]) => [id, name]))

export interface Inspection {
  readonly name: string
  readonly file: string
  /** SHA-256, hex. */
  readonly digest: string
  readonly abi: string
  readonly octets: number
  /** Octets of each section, the largest first; custom ones by name. */
  readonly sections: readonly { readonly name: string; readonly octets: number }[]
  readonly functions: number
  /** What the gateway runs instead: metered. */
  readonly metered: { readonly octets: number; readonly charges: number }
  /** Phases it takes part in, as people call them. */
  readonly phases: readonly string[]
  readonly exports: readonly string[]
  /** Host calls by name, without `proxy_`. */
  readonly hostCalls: readonly string[]
  readonly wasi: readonly string[]
  /** Imports that this host answers with a status only. */
  readonly unknownImports: readonly string[]
  readonly memory: { readonly minimum: number; readonly maximum: number | null }
  /** What it may do; null: it has no manifest, and may do everything. */
  readonly permissions: Manifest["permissions"] | null
  /** "" when it starts without a configuration; otherwise what it says. */
  readonly startsEmpty: string
}

const PAGE = 65_536

export async function inspect(place: FilterPlace, module: LoadedModule, bytes: Uint8Array): Promise<Inspection> {
  const { info } = module
  const metered = instrument(bytes, { maxMemoryPages: DEFAULT_MEMORY / PAGE })
  const exported = info.exports.filter((each) => each.kind === "function").map((each) => each.name)
  const imported = (from: (module: string) => boolean): string[] =>
    [...new Set(info.imports.filter((each) => from(each.module)).map((each) => each.name))].sort()
  const { reason, unknown } = await start(place, module)
  return {
    name: place.name,
    file: place.module,
    digest: module.digest,
    abi: module.abi,
    octets: bytes.length,
    sections: sectionsOf(bytes),
    functions: info.functions,
    metered: { octets: metered.ok ? metered.bytes.length : 0, charges: info.charges },
    phases: Object.entries(PHASES)
      .filter(([name]) => exported.includes(name))
      .map(([, phase]) => phase),
    exports: exported,
    hostCalls: imported((from) => from === "env")
      .filter((name) => name.startsWith("proxy_"))
      .map((name) => name.slice("proxy_".length)),
    wasi: imported((from) => from.startsWith("wasi_")),
    unknownImports: unknown,
    memory: {
      minimum: (info.memory?.minPages ?? 0) * PAGE,
      maximum: info.memory === null || info.memory.maxPages === Number.POSITIVE_INFINITY ? null : info.memory.maxPages * PAGE,
    },
    permissions: place.manifest?.permissions ?? null,
    startsEmpty: reason ?? "",
  }
}

// Starts it as the gateway would, with nothing configured.
async function start(place: FilterPlace, module: LoadedModule): Promise<{ reason: string | null; unknown: string[] }> {
  const options = {
    start: Date.now(),
    services: {},
    state: new SharedState(),
    backends: null,
    routeName: "inspect",
    logLevel: "warn",
  } as const
  const host = new FilterHost(options)
  const reason = await host.add(specOf(place, module, {}))
  const unknown = host.logs.map(({ message }) => /^unknown import (\S+?):? /.exec(message)?.[1]).filter((name) => name !== undefined)
  host.close()
  return { reason, unknown }
}

/** Octets of each section, the largest first. */
export function sectionsOf(bytes: Uint8Array): { readonly name: string; readonly octets: number }[] {
  const reader: Reader = new ModuleReader(bytes)
  return readSections(reader)
    .map(({ id, name, start, end }) => ({
      name: id === section.custom ? `custom ${JSON.stringify(name)}` : SECTION_NAMES[id],
      octets: end - start,
    }))
    .sort((a, b) => b.octets - a.octets)
}
