// What is told of configurations that are kept packed, as text and without secrets. For one of many thousands of routes it takes
// seconds: then it is made in a process of its own (`config-text-child.ts`), and the main thread goes on with what it has to do.

import { extname } from "node:path"
import { fileURLToPath } from "node:url"
import type { Config } from "../config/model.ts"
import { unpack } from "../config/packed-config.ts"
import { runChild } from "../config/run-child.ts"
import { yamlText } from "../config/yaml-text.ts"
import { diffConfigs, type Side } from "./config-diff.ts"
import { redactConfig } from "./redact.ts"
import { redactDocument } from "./redact-document.ts"

/** What is asked for: packed configurations, or for a comparison packed documents. */
export type TextJob =
  | { readonly kind: "json" | "yaml"; readonly config: Buffer }
  | { readonly kind: "diff"; readonly before: Buffer; readonly after: Buffer }

/** Octets, packed, up to which it is done on the spot: some hundred routes, and some ten ms. */
const SMALL = 16 * 1024
/** That are asked for at a time; one is made. */
const MAX_WAITING = 8
const TIMEOUT = 60_000
const TOO_LONG = `takes longer than ${TIMEOUT / 1000} s`

/** JSON or YAML; of a comparison the JSON of a `ConfigDiff`. */
export function makeText(job: TextJob): string {
  switch (job.kind) {
    case "json":
      return JSON.stringify(redactConfig(unpack(job.config) as Config))
    case "yaml":
      return yamlText(redactConfig(unpack(job.config) as Config))
    case "diff":
      return JSON.stringify(diffConfigs(side(job.before), side(job.after)))
  }
}

function side(document: Buffer): Side {
  const whole = unpack(document)
  return { whole, shown: redactDocument(whole) }
}

export class ConfigTexts {
  readonly #most: number
  #waiting = 0
  #turn: Promise<unknown> = Promise.resolve()

  /** `most`: large ones that may be asked for at a time. */
  constructor(most: number = MAX_WAITING) {
    this.#most = most
  }

  /** UTF-8; a text: why it can't be had now. */
  async make(job: TextJob): Promise<Uint8Array<ArrayBuffer> | string> {
    const octets = job.kind === "diff" ? job.before.length + job.after.length : job.config.length
    if (octets <= SMALL) return new TextEncoder().encode(makeText(job))
    if (this.#waiting >= this.#most) return "too many ask for large configurations; ask again in some seconds"
    this.#waiting++
    // One at a time: each takes memory, and the CPU that carries traffic.
    const made = this.#turn.then(() => makeInChild(job))
    this.#turn = made.catch(() => {})
    try {
      return await made
    } finally {
      this.#waiting--
    }
  }
}

async function makeInChild(job: TextJob): Promise<Uint8Array<ArrayBuffer> | string> {
  const script = fileURLToPath(new URL(`./config-text-child${extname(new URL(import.meta.url).pathname)}`, import.meta.url))
  const parts = job.kind === "diff" ? [job.before, job.after] : [job.config]
  const args = [job.kind, String(parts[0].length)]
  const run = await runChild({ script, args, input: Buffer.concat(parts), timeout: TIMEOUT, tooLong: TOO_LONG })
  if (!run.ok) return `it can't be made: ${run.failure}`
  return run.code === 0 ? new Uint8Array(run.output) : `it can't be made: ${run.errors === "" ? "its process ended early" : run.errors}`
}
