// `sluice debug bundle`: everything a running gateway tells of itself in one archive, to be sent to whoever is to help. Nothing secret
// is in it: the gateway shows no secrets, and what looks like one in its log is masked here.

import { writeFile } from "node:fs/promises"
import { arch, platform, release } from "node:os"
import { gzipSync } from "node:zlib"
import { maskCredentials, maskText } from "../config/secrets.ts"
import { runtimeName } from "../runtime/child.ts"
import { packageVersion } from "../version.ts"
import { adminArgument, answering } from "./admin-client.ts"
import { readAll, requestAdmin } from "./admin-request.ts"
import { type AdminTarget, adminTarget } from "./admin-target.ts"
import { type Command, command } from "./command.ts"
import { type TarFile, tar } from "./tar.ts"

/** Octets of one part. */
const MAX_PART = 64 * 1024 * 1024

/** Name in the archive, and where the gateway tells it. */
const PARTS: readonly (readonly [string, string])[] = [
  ["ready.json", "/ready"],
  ["config.yaml", "/config?format=yaml"],
  ["config-history.json", "/config/history"],
  ["config-diff.json", "/config/diff"],
  ["history.json", "/history"],
  ["routes.json", "/routes"],
  ["services.json", "/services"],
  ["filters.json", "/filters"],
  ["canaries.json", "/canaries"],
  ["connections.json", "/connections"],
  ["certificates.json", "/certificates"],
  ["log.txt", "/log/recent"],
  ["metrics.txt", "/metrics"],
  ["openapi.json", "/openapi.json"],
]

export const debugBundle: Command = command({
  name: "bundle",
  description: "Put all that a running gateway tells of itself into one archive: state, configuration without secrets, figures, log",
  args: {
    output: { type: "string", alias: "o", description: "The archive; default sluice-debug-TIME.tar.gz", valueHint: "FILE" },
    ...adminArgument,
  },
  examples: ["sluice debug bundle", "sluice debug bundle -o gateway.tar.gz --admin unix:/run/sluice/admin.sock"],
  run: (args) =>
    answering(async () => {
      const now = new Date()
      const output =
        typeof args.output === "string" ? args.output : `sluice-debug-${now.toISOString().slice(0, 19).replaceAll(/[-:]/g, "")}.tar.gz`
      const files = await collectBundle(adminTarget(args))
      const folder = "sluice-debug"
      const archive = tar(
        files.map(({ name, content }) => ({ name: `${folder}/${name}`, content })),
        now.getTime() / 1000,
      )
      await writeFile(output, gzipSync(archive), { mode: 0o600 })
      const missing = files.filter(({ name }) => name.endsWith(".error")).map(({ name }) => name.slice(0, -".error".length))
      process.stdout.write(`${output}: ${files.length} files${missing.length === 0 ? "" : `; without ${missing.join(", ")}`}\n`)
      return 0
    }),
})

/** What the gateway doesn't tell is in a file `NAME.error`. Rejects when it tells nothing. */
export async function collectBundle(target: AdminTarget): Promise<TarFile[]> {
  const files: TarFile[] = []
  let told = 0
  let last: unknown = null
  for (const [name, path] of PARTS) {
    try {
      const answer = await requestAdmin(target, path)
      const content = await readAll(answer, MAX_PART)
      const status = answer.statusCode ?? 0
      if (status !== 200 && path !== "/ready") throw new Error(`${path} answers ${status}: ${content.toString().slice(0, 1000)}`)
      files.push({ name, content: name === "metrics.txt" ? content : withoutSecrets(name, content) })
      told++
    } catch (error) {
      last = error
      files.push({ name: `${name}.error`, content: Buffer.from(`${error instanceof Error ? error.message : String(error)}\n`) })
    }
  }
  if (told === 0) throw last
  const versions = { sluice: packageVersion(), runtime: runtimeName(), platform: platform(), release: release(), arch: arch() }
  files.push({ name: "command.json", content: Buffer.from(`${JSON.stringify(versions, null, 2)}\n`) })
  return files
}

// The gateway has hidden what it knows to be secret; reasons of refusals, and the log, hold texts of others.
function withoutSecrets(name: string, content: Buffer): Buffer {
  if (name !== "log.txt") return Buffer.from(maskCredentials(content.toString()))
  const { lines } = JSON.parse(content.toString()) as { lines: string[] }
  return Buffer.from(lines.map((line) => `${maskText(line)}\n`).join(""))
}
