// Modules on disk by their digest, so that a restart neither compiles nor fetches what it had before. What is read is
// checked against its digest; whatever is wrong with the folder only means that nothing is found.

import { createHash } from "node:crypto"
import { lstatSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { homedir, tmpdir } from "node:os"
import { join, resolve } from "node:path"

/** Files kept, and octets of them; the longest unused go first. */
const MAX_FILES = 256
const MAX_OCTETS = 256 * 1024 * 1024

/** SHA-256, lower-case hex. */
export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex")
}

export class ModuleCache {
  readonly #folder: string

  private constructor(folder: string) {
    this.#folder = folder
  }

  /** The cache in `folder`, which is made; null when it can't be, or when others could write there. */
  static open(folder: string): ModuleCache | null {
    try {
      mkdirSync(folder, { recursive: true, mode: 0o700 })
      const stats = lstatSync(folder)
      const uid = process.getuid?.() ?? stats.uid
      const ours = stats.isDirectory() && stats.uid === uid && (process.platform === "win32" || (stats.mode & 0o022) === 0)
      return ours ? new ModuleCache(folder) : null
    } catch {
      return null
    }
  }

  /** The module of this digest; null when it isn't there or isn't what it should be. */
  read(digest: string): Uint8Array | null {
    const bytes = this.#read(`${digest}.wasm`)
    if (bytes === null) return null
    if (sha256(bytes) === digest) return bytes
    this.#remove(`${digest}.wasm`)
    return null
  }

  /** Keeps a module; answers with its digest. */
  write(bytes: Uint8Array): string {
    const digest = sha256(bytes)
    this.#write(`${digest}.wasm`, bytes)
    return digest
  }

  /** A note on modules, such as what one was compiled from; null when there is none. `key`: hex digits. */
  readNote(key: string): string | null {
    const bytes = this.#read(`${key}.json`)
    return bytes === null ? null : bytes.toString("utf8")
  }

  writeNote(key: string, text: string): void {
    this.#write(`${key}.json`, text)
  }

  #read(name: string): Buffer | null {
    const path = join(this.#folder, name)
    try {
      const bytes = readFileSync(path)
      // In use: not to be removed soon.
      const now = new Date()
      utimesSync(path, now, now)
      return bytes
    } catch {
      return null
    }
  }

  #write(name: string, content: Uint8Array | string): void {
    const path = join(this.#folder, name)
    // Complete under its name or not there at all, also with several processes at it.
    const part = `${path}.${process.pid}.part`
    try {
      writeFileSync(part, content, { mode: 0o600 })
      renameSync(part, path)
      this.#evict()
    } catch {
      rmSync(part, { force: true })
    }
  }

  #remove(name: string): void {
    try {
      rmSync(join(this.#folder, name), { force: true })
    } catch {
      // Found again by the next one who reads it.
    }
  }

  #evict(): void {
    const files = readdirSync(this.#folder).flatMap((name) => {
      try {
        const { size, mtimeMs } = statSync(join(this.#folder, name))
        return [{ name, size, mtimeMs }]
      } catch {
        return []
      }
    })
    let octets = files.reduce((sum, { size }) => sum + size, 0)
    let count = files.length
    if (count <= MAX_FILES && octets <= MAX_OCTETS) return
    files.sort((a, b) => a.mtimeMs - b.mtimeMs)
    for (const { name, size } of files) {
      if (count <= MAX_FILES && octets <= MAX_OCTETS) return
      this.#remove(name)
      octets -= size
      count--
    }
  }
}

/** Where modules are kept: `SLUICE_CACHE` (`off` = nowhere), else the user's cache folder, else that for temporary files. */
export function openModuleCache(environment: Readonly<Record<string, string | undefined>> = process.env): ModuleCache | null {
  const { SLUICE_CACHE: chosen, XDG_CACHE_HOME: caches } = environment
  if (chosen === "off") return null
  if (chosen !== undefined && chosen !== "") return ModuleCache.open(resolve(chosen))
  const home = environment.HOME ?? homedir()
  const user = caches?.startsWith("/") ? join(caches, "sluice") : home === "" ? "" : join(home, ".cache", "sluice")
  const found = user === "" ? null : ModuleCache.open(user)
  return found ?? ModuleCache.open(join(tmpdir(), `sluice-${process.getuid?.() ?? "cache"}`))
}
