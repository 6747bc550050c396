// Host calls on header maps, as tests make them.

import { expect } from "vitest"
import { decodePairs, encodedLength, encodePairs } from "../../../../gateway/wasm/proxy-wasm/pairs.ts"
import { type Direct, OUT, OUT2 } from "./direct.ts"

const OK = 0

export function encoded(...flat: string[]): Uint8Array {
  const bytes = new Uint8Array(encodedLength(flat))
  encodePairs(flat, bytes, 0)
  return bytes
}

export function pairsOf(direct: Direct, map: number): string[] | null {
  expect(direct.call("proxy_get_header_map_pairs", map, OUT, OUT2)).toBe(OK)
  return decodePairs(direct.vm.memory.bytes, direct.word(OUT), direct.word(OUT2))
}

export function write(direct: Direct, how: "add" | "replace", map: number, name: string, value: string): number {
  return direct.call(`proxy_${how}_header_map_value`, map, ...direct.put(name), ...direct.put(value))
}

export function remove(direct: Direct, map: number, name: string): number {
  return direct.call("proxy_remove_header_map_value", map, ...direct.put(name))
}
