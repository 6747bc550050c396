// The modules that versions of filters served before the one they serve now, so that one can go back: the last few of each, and not too
// many of all together, since each holds its code compiled.

import type { LoadedModule } from "./module-loader.ts"

/** Kept of one version, and of all. */
const MAX_OF_ONE = 3
const MAX_OF_ALL = 24

export interface EarlierModule {
  readonly loaded: LoadedModule
  /** Octets of memory it was made for: with others it would have to be made anew. */
  readonly memory: number
}

/** By version of a filter; the latest first. */
export type EarlierModules = ReadonlyMap<string, readonly EarlierModule[]>

export const NO_EARLIER: EarlierModules = new Map()

export interface NowServing {
  /** What it served until now; null: the same. */
  readonly replaced: LoadedModule | null
  /** Octets of memory it may use. */
  readonly memory: number
  /** Digest of what it serves now. */
  readonly serving: string
}

/** `all` with what can be gone back to from `key`, of which that was `before`. No module is there twice, nor the one that serves. */
export function remembered(
  all: EarlierModules,
  key: string,
  before: readonly EarlierModule[],
  { replaced, memory, serving }: NowServing,
): EarlierModules {
  const known = new Set([serving])
  const kept: EarlierModule[] = []
  let room = MAX_OF_ALL
  for (const each of all.values()) room -= each.length
  for (const each of replaced === null ? before : [{ loaded: replaced, memory }, ...before]) {
    const { digest } = each.loaded.prepared
    if (each.memory !== memory || known.has(digest) || kept.length === Math.min(MAX_OF_ONE, room)) continue
    known.add(digest)
    kept.push(each)
  }
  return kept.length === 0 ? all : new Map(all).set(key, kept)
}
