// The repository's own files, for the tests that read them.

import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

const skipped = new Set(["node_modules", "dist", ".git", "coverage", ".cache"])

/** Paths from the root, with `/`, of every file below `folder` (default: all). */
export function repositoryFiles(folder: string = ""): string[] {
  const found: string[] = []
  const entries = readdirSync(join(root, folder), { withFileTypes: true })
  for (const entry of entries) {
    const path = folder === "" ? entry.name : `${folder}/${entry.name}`
    if (entry.isDirectory()) {
      if (!skipped.has(entry.name)) found.push(...repositoryFiles(path))
    } else if (entry.isFile()) {
      found.push(path)
    }
  }
  return found.sort()
}

export function readRepositoryFile(path: string): string {
  return readFileSync(join(root, path), "utf8")
}
