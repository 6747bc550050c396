// A configuration as it is kept: what was written and what was made of it, packed, secrets and all. Only the thread or process that
// has to do with it unpacks it.

import { createHash } from "node:crypto"
import { deflateSync, inflateSync } from "node:zlib"
import type { Config } from "./model.ts"

export interface PackedConfig {
  /** Of what was made of it: the same for what comes out the same, however it is written. */
  readonly digest: string
  readonly config: Buffer
  /** The values of the file as they are written there, without defaults. */
  readonly document: Buffer
}

export function packConfig(config: Config, document: unknown): PackedConfig {
  const text = JSON.stringify(config)
  return {
    digest: createHash("sha256").update(text).digest("hex"),
    config: deflateSync(text),
    document: deflateSync(JSON.stringify(document)),
  }
}

/** One of its parts. */
export function unpack(part: Uint8Array): unknown {
  return JSON.parse(inflateSync(part).toString())
}
