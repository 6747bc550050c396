// What is checked of where endpoints come from beside its form: that there is one source of them, and that its file can be read.

import { statSync } from "node:fs"
import { resolve } from "node:path"
import type { Reporter } from "./check-tls.ts"
import { isKnown, type Salvaged } from "./issues.ts"
import type { Path } from "./problem.ts"
import type { WrittenService } from "./schema.ts"
import { quote } from "./units.ts"

/** `service` may hold what {@link isKnown} refuses. */
export function checkDiscovery(service: WrittenService, path: Path, baseDir: string, reporter: Reporter): void {
  const { endpoints, discovery }: { endpoints?: Salvaged<unknown>; discovery?: Salvaged<WrittenService["discovery"]> } = service
  if (endpoints === undefined && discovery === undefined)
    reporter.error(path, "has neither endpoints nor discovery; write its addresses, such as endpoints: [127.0.0.1:9001]")
  else if (endpoints !== undefined && discovery !== undefined)
    reporter.error([...path, "discovery"], "has endpoints and discovery, but a service has one of them; leave one out", "key")
  const written: Salvaged<string> = isKnown(discovery) ? discovery?.file : undefined
  if (!isKnown(written)) return
  const file = resolve(baseDir, written)
  try {
    if (statSync(file).isFile()) return
    reporter.error([...path, "discovery", "file"], `${quote(file)} is not a file; write the path of one`)
  } catch {
    reporter.warn(
      [...path, "discovery", "file"],
      `there is no file ${quote(file)} yet, so requests for this service are answered with 503 until there is; paths begin at this file's folder`,
    )
  }
}
