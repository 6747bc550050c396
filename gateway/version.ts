// The version of this package, read from the package.json it was installed with.

import { readFileSync } from "node:fs"

/** The package's version; "unknown" where its package.json can't be read. */
export function packageVersion(): string {
  // From gateway/ in a checkout, from dist/gateway/ in a published package.
  for (const path of ["../package.json", "../../package.json"]) {
    try {
      const content = JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8")) as { name?: string; version?: string }
      if (content.name === "sluice" && typeof content.version === "string") return content.version
    } catch {
      // Not here.
    }
  }
  return "unknown"
}
