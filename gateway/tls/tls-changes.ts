// What becomes of certificates while the gateway runs: read with every configuration, again when a file changes, with other ticket
// keys twice a day; and said in the log, and by the metric of when they end.

import type { Config } from "../config/model.ts"
import { type Expiry, sameTls, TlsFiles, type TlsMaterials } from "./tls-files.ts"

/** ms after which sessions of clients are sealed with another key, so that old ones can't be opened for ever. */
const TICKET_KEY_LIFE = 12 * 3_600_000

export interface TlsChangesOptions {
  log(level: "info" | "warn" | "error", message: string, fields?: Readonly<Record<string, string | number>>): void
  /** What is in force. */
  inForce(): { readonly config: Config; readonly tls: TlsMaterials }
  /** Gives all workers certificates; answers with the generation they are now at. */
  apply(tls: TlsMaterials): Promise<number>
  /** Runs a change when those before it are done. */
  inTurn(change: () => Promise<void>): Promise<void>
}

export class TlsChanges {
  readonly #options: TlsChangesOptions
  readonly #files = new TlsFiles()
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(options: TlsChangesOptions) {
    this.#options = options
  }

  /** What `config` needs; a text: why it can't be had. */
  read(config: Config): TlsMaterials | string {
    const { materials, problems } = this.#files.read(config)
    if (problems.length > 0) return problems.join("\n")
    for (const [file, reason] of this.#files.refused)
      this.#options.log("error", "certificate refused; the one in force stays", { file, reason })
    for (const warning of this.#files.warnings(Date.now())) this.#options.log("warn", warning)
    return materials
  }

  /** Begins to change ticket keys. */
  start(): void {
    this.#timer = setInterval(() => {
      this.#files.rotate()
      void this.#options.inTurn(() => this.#change("new ticket keys"))
    }, TICKET_KEY_LIFE)
    this.#timer.unref()
  }

  close(): void {
    if (this.#timer !== null) clearInterval(this.#timer)
  }

  /** Whether `path` is one of the files in force; if so it is read again. */
  fileChanged(path: string): boolean {
    if (!TlsFiles.paths(this.#options.inForce().config).includes(path)) return false
    void this.#options.inTurn(() => this.#change("file changed"))
    return true
  }

  async #change(why: string): Promise<void> {
    const { config, tls } = this.#options.inForce()
    const materials = this.read(config)
    if (typeof materials === "string") this.#options.log("error", "certificates refused", { reason: materials })
    else if (!sameTls(materials, tls))
      this.#options.log("info", "certificates taken", { generation: await this.#options.apply(materials), why })
  }

  /** What an operator should know, one sentence each. */
  get reasons(): string[] {
    return [...this.#files.refused.keys()].map((file) => `the newest content of ${file} was refused; the certificate before serves`)
  }

  /** In the text format of Prometheus. */
  get expiries(): readonly Expiry[] {
    return this.#files.expiries
  }
}
