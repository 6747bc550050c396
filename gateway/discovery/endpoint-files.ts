// Keeps the endpoints of services as files list them. Files are read in a child process that has the validator, all that changed
// at once; a bad one leaves what was there before.

import type { EndpointsResult } from "../config/load.ts"
import type { EndpointConfig } from "../config/model.ts"
import { formatProblems } from "../config/problem.ts"
import { type FileWatch, watchFiles } from "../config/watch.ts"
import { type EndpointSource, inOrder, type LookKind, MAX_ENDPOINTS, type SourceOwner, sameEndpoints } from "./source.ts"

export interface EndpointFilesOptions {
  readonly owner: SourceOwner
  readonly watch: boolean
  /** Results in the order of the paths. Never rejects. */
  read(paths: readonly string[]): Promise<readonly EndpointsResult[]>
}

/** A service whose endpoints a file lists. */
export class FileSource implements EndpointSource {
  readonly service: string
  readonly path: string
  endpoints: readonly EndpointConfig[] = []
  problem = ""
  readonly first: Promise<void>
  readonly #owner: SourceOwner
  readonly #onClose: (source: FileSource) => void
  #settle: () => void = () => {}

  constructor(service: string, path: string, owner: SourceOwner, onClose: (source: FileSource) => void) {
    this.service = service
    this.path = path
    this.#owner = owner
    this.#onClose = onClose
    this.first = new Promise((resolve) => {
      this.#settle = resolve
    })
  }

  take(result: EndpointsResult): void {
    let kind: LookKind = "invalid"
    let changed = false
    if (!result.ok) this.problem = formatProblems(result.problems)
    else if (result.endpoints.length > MAX_ENDPOINTS)
      this.problem = `${this.path}: has ${result.endpoints.length} endpoints; write ${MAX_ENDPOINTS} at most`
    else {
      const endpoints = inOrder(result.endpoints)
      this.problem = ""
      kind = endpoints.length === 0 ? "empty" : "ok"
      changed = !sameEndpoints(endpoints, this.endpoints)
      if (changed) this.endpoints = endpoints
    }
    this.#owner.onLooked(this, kind, changed)
    this.#settle()
  }

  close(): void {
    this.#settle()
    this.#onClose(this)
  }
}

export class EndpointFiles {
  readonly #options: EndpointFilesOptions
  readonly #sources = new Set<FileSource>()
  /** To be read when what is being read has been. */
  #wanted = new Set<string>()
  #reading = false
  #watch: FileWatch | null = null

  constructor(options: EndpointFilesOptions) {
    this.#options = options
  }

  /** The service's source, which is read soon. */
  add(service: string, path: string): FileSource {
    const source = new FileSource(service, path, this.#options.owner, (closed) => {
      this.#sources.delete(closed)
      this.#watchAll()
    })
    this.#sources.add(source)
    // Watched first: what changes while it is read is read again.
    this.#watchAll()
    this.#want(path)
    return source
  }

  /** Reads every file again, for where nothing watches; ends when that is done. */
  async readAll(): Promise<void> {
    const sources = [...this.#sources]
    if (sources.length === 0) return
    const results = await this.#options.read(sources.map(({ path }) => path))
    for (const [i, source] of sources.entries()) if (this.#sources.has(source)) source.take(results[i])
  }

  #watchAll(): void {
    if (!this.#options.watch) return
    const paths = [...new Set([...this.#sources].map(({ path }) => path))]
    if (this.#watch !== null) this.#watch.update(paths)
    else if (paths.length > 0) this.#watch = watchFiles(paths, (path) => this.#want(path))
  }

  #want(path: string): void {
    this.#wanted.add(path)
    if (this.#reading) return
    this.#reading = true
    // All files of a configuration are added in one go, and read by one child.
    queueMicrotask(() => void this.#read())
  }

  async #read(): Promise<void> {
    while (this.#wanted.size > 0) {
      const paths = [...this.#wanted]
      this.#wanted = new Set()
      const results = await this.#options.read(paths)
      for (const source of [...this.#sources]) {
        const i = paths.indexOf(source.path)
        if (i >= 0) source.take(results[i])
      }
    }
    this.#reading = false
  }

  close(): void {
    this.#watch?.close()
    this.#sources.clear()
  }
}
