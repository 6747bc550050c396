// Turns the bytes of a Proxy-Wasm module into what workers run: checked, metered, compiled. Main thread only; the compiled
// module is cloned to the workers.

import { createHash } from "node:crypto"
import { instrument, type ModuleInfo } from "./meter/instrument.ts"
import { type AbiVersion, abiVersions } from "./proxy-wasm/enums.ts"

const PAGE = 65_536

/** Budget units of a module's start section, which runs before anyone can set a budget: some 200 ms. */
const START_BUDGET = 20_000_000

export type PreparedModule =
  | {
      readonly ok: true
      /** Instrumented. */
      readonly module: WebAssembly.Module
      readonly abi: AbiVersion
      /** SHA-256 of the original bytes, hex. */
      readonly digest: string
      readonly info: ModuleInfo
    }
  | { readonly ok: false; readonly reason: string }

/**
 * Checks, instruments and compiles `bytes` with at most `limits.memory` octets of memory. Compiles on the calling thread.
 * The reason of a refusal is meant for the module's author.
 */
export function prepareModule(bytes: Uint8Array, limits: { readonly memory: number }): PreparedModule {
  // What the engine refuses must not become acceptable by being rewritten.
  const fault = invalid(bytes)
  const metered = instrument(bytes, { maxMemoryPages: Math.max(1, Math.floor(limits.memory / PAGE)), startBudget: START_BUDGET })
  if (!metered.ok) return metered
  if (fault !== null) return { ok: false, reason: fault }
  const abi = abiOf(metered.info)
  if (typeof abi !== "string") return { ok: false, reason: abi.reason }
  const misfit = unsuitable(metered.info)
  if (misfit !== null) return { ok: false, reason: misfit }
  try {
    const module = new WebAssembly.Module(metered.bytes)
    return { ok: true, module, abi, digest: createHash("sha256").update(bytes).digest("hex"), info: metered.info }
  } catch (error) {
    return { ok: false, reason: `not a valid module: ${error instanceof Error ? error.message : String(error)}` }
  }
}

/** Why the runtime does not take the module as it is; null when it does. */
function invalid(bytes: Uint8Array): string | null {
  if (WebAssembly.validate(bytes as BufferSource)) return null
  try {
    new WebAssembly.Module(bytes as BufferSource)
    return null
  } catch (error) {
    return `not a valid module: ${error instanceof Error ? error.message : String(error)}`
  }
}

/** The newest version whose marker is exported. 0.2.<n> beyond 0.2.1, which some SDKs mark, is served as 0.2.1. */
function abiOf(info: ModuleInfo): AbiVersion | { readonly reason: string } {
  const markers = info.exports
    .filter((each) => each.kind === "function" && each.name.startsWith("proxy_abi_version_"))
    .map((each) => each.name.slice(18))
  for (const version of abiVersions.toReversed()) {
    if (markers.includes(version.replaceAll(".", "_"))) return version
  }
  if (markers.some((marker) => /^0_2_[0-9]+$/.test(marker))) return "0.2.1"
  return {
    reason:
      markers.length === 0
        ? "not a Proxy-Wasm module: it exports no proxy_abi_version_… marker"
        : `unknown Proxy-Wasm version ${markers.join(", ")}; known are ${abiVersions.join(", ")}`,
  }
}

function unsuitable(info: ModuleInfo): string | null {
  for (const each of info.imports) {
    if (each.kind !== "function") return `imports the ${each.kind} ${each.module}.${each.name}; a filter can import functions only`
  }
  const functions = new Set(info.exports.filter((each) => each.kind === "function").map((each) => each.name))
  if (!info.exports.some((each) => each.kind === "memory" && each.name === "memory")) return 'exports no memory under the name "memory"'
  if (!functions.has("proxy_on_memory_allocate") && !functions.has("malloc")) {
    return "exports neither proxy_on_memory_allocate nor malloc, through which the host returns values"
  }
  return null
}
