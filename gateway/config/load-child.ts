// Reads one configuration and prints the result as JSON, in a process of its own: what validating takes in memory goes with
// it, and a module is evaluated anew with everything it imports. Started by load-in-child.ts with the file as its argument; where
// "document" follows, what the file once held is on standard input, packed, and goes through the same validation.

import { dirname, resolve } from "node:path"
import { buffer } from "node:stream/consumers"
import { type LoadResult, loadConfig, validateConfig } from "./load.ts"
import type { PrintedConfig } from "./load-in-child.ts"
import { packConfig, unpack } from "./packed-config.ts"

const [file, kind] = process.argv.slice(2)

function printed(result: LoadResult): PrintedConfig {
  if (!result.ok) return result
  const { document, ...rest } = result
  const { digest, config, document: written } = packConfig(rest.config, document)
  return { ...rest, packed: { digest, config: config.toString("base64"), document: written.toString("base64") } }
}

const result =
  kind === "document"
    ? validateConfig(unpack(await buffer(process.stdin)), { file, baseDir: dirname(resolve(file)) })
    : await loadConfig(file)
process.stdout.write(`${JSON.stringify(printed(result))}\n`, () => process.exit(0))
