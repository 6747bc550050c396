// Tells when files change on disk, however they are saved: in place, by renaming another file over them, or by swapping a
// symbolic link on the way to them. Notifications of the system make it quick, polling makes it certain.

import { createHash } from "node:crypto"
import { type FSWatcher, readFileSync, realpathSync, statSync, watch } from "node:fs"
import { dirname, resolve } from "node:path"
import { clearInterval, clearTimeout, setInterval, setTimeout } from "node:timers"

export interface FileWatch {
  /** Watches these files from now on; those watched already keep their state. */
  update(paths: readonly string[]): void
  close(): void
}

export interface WatchOptions {
  /** ms a file must stay unchanged before it is reported; default 10. */
  readonly settle?: number
  /** ms between two looks at files that no notification came for; default 1000. */
  readonly poll?: number
}

/** Larger files are told apart by their times and size alone. */
const MAX_HASHED = 64 * 1024 * 1024
/** ms a file may be missing, while an editor replaces it, before that is reported. */
const MISSING_GRACE = 500
/** A file that never comes to rest is reported after this many looks all the same. */
const MAX_LOOKS = 100

/**
 * Calls `onChange` with the path as it was given when a file's content has changed, when it has appeared, and when it has
 * been gone for half a second. Touching a file without changing it is not a change. The watch keeps no process alive.
 */
export function watchFiles(paths: readonly string[], onChange: (path: string) => void, options: WatchOptions = {}): FileWatch {
  return new Watch(paths, onChange, options)
}

interface Watched {
  readonly given: string
  readonly path: string
  /** What `stat` said when it was last looked at; "" = missing. */
  seen: string
  /** Content when it was last reported (or first seen); "" = missing. */
  digest: string
  /** It changed and has not come to rest; looks taken since. */
  looks: number
  missingSince: number
}

interface Folder {
  /** Device and inode: a folder of the same name can be another one. */
  readonly id: string
  readonly watcher: FSWatcher
}

class Watch implements FileWatch {
  readonly #onChange: (path: string) => void
  readonly #settle: number
  readonly #files = new Map<string, Watched>()
  readonly #folders = new Map<string, Folder>()
  readonly #poll: ReturnType<typeof setInterval>
  #timer: ReturnType<typeof setTimeout> | undefined
  #closed = false

  constructor(paths: readonly string[], onChange: (path: string) => void, options: WatchOptions) {
    this.#onChange = onChange
    this.#settle = options.settle ?? 10
    this.update(paths)
    this.#poll = setInterval(() => {
      this.#watchFolders()
      this.#look()
    }, options.poll ?? 1000)
    this.#poll.unref()
  }

  update(paths: readonly string[]): void {
    if (this.#closed) return
    const wanted = new Set(paths)
    for (const given of this.#files.keys()) if (!wanted.has(given)) this.#files.delete(given)
    // The folders first: what happens after the first look at a file is then notified.
    const added = [...wanted].filter((given) => !this.#files.has(given))
    for (const given of added) this.#files.set(given, { given, path: resolve(given), seen: "", digest: "", looks: 0, missingSince: 0 })
    this.#watchFolders()
    for (const given of added) {
      const file = this.#files.get(given)
      if (file === undefined) continue
      file.seen = fingerprint(file.path)
      file.digest = file.seen === "" ? "" : digest(file.path, file.seen)
    }
  }

  close(): void {
    this.#closed = true
    clearInterval(this.#poll)
    clearTimeout(this.#timer)
    for (const folder of this.#folders.values()) folder.watcher.close()
    this.#folders.clear()
    this.#files.clear()
  }

  /** Watches the folder that holds each file, and each folder that a symbolic link leads through at the end. */
  #watchFolders(): void {
    const wanted = new Set<string>()
    for (const file of this.#files.values()) {
      wanted.add(dirname(file.path))
      try {
        wanted.add(dirname(realpathSync(file.path)))
      } catch {
        // Missing for now; its own folder tells when it appears.
      }
    }
    for (const [path, folder] of this.#folders) {
      if (wanted.has(path) && folder.id === folderId(path)) continue
      folder.watcher.close()
      this.#folders.delete(path)
    }
    for (const path of wanted) {
      const id = folderId(path)
      if (id === "" || this.#folders.has(path)) continue
      try {
        const watcher = watch(path, { persistent: false }, () => this.#schedule(1))
        const forget = (): void => {
          if (this.#folders.get(path)?.watcher === watcher) this.#folders.delete(path)
        }
        // Out of watches, or the folder is gone: polling goes on, and tries again.
        watcher.on("error", forget)
        this.#folders.set(path, { id, watcher })
      } catch {
        // The system has no notifications here: polling finds the changes.
      }
    }
  }

  #schedule(delay: number): void {
    if (this.#timer !== undefined || this.#closed) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#look()
    }, delay)
    this.#timer.unref()
  }

  #look(): void {
    let again = false
    for (const file of [...this.#files.values()]) {
      if (this.#closed) return
      const now = fingerprint(file.path)
      if (now !== file.seen) {
        file.seen = now
        file.looks++
        if (now === "" && file.missingSince === 0) file.missingSince = performance.now()
        if (now !== "") file.missingSince = 0
        if (file.looks < MAX_LOOKS) {
          again = true
          continue
        }
      }
      if (file.looks === 0) continue
      if (now === "" && performance.now() - file.missingSince < MISSING_GRACE) {
        again = true
        continue
      }
      file.looks = 0
      const content = now === "" ? "" : digest(file.path, now)
      if (content === file.digest) continue
      file.digest = content
      // A link may lead elsewhere now.
      this.#watchFolders()
      this.#onChange(file.given)
    }
    if (again) this.#schedule(this.#settle)
  }
}

function fingerprint(path: string): string {
  try {
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true })
    return `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`
  } catch {
    return ""
  }
}

function folderId(path: string): string {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    return `${dev}:${ino}`
  } catch {
    return ""
  }
}

function digest(path: string, seen: string): string {
  try {
    if (Number(seen.split(":")[2]) > MAX_HASHED) return seen
    return createHash("sha256").update(readFileSync(path)).digest("base64")
  } catch {
    return ""
  }
}
