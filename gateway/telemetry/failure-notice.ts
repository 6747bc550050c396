// Says once a minute at most that lines are lost, and how many were since it last said so.

import type { Logger } from "./log.ts"

/** ms between two events about the same. */
const INTERVAL = 60_000

export interface LossMeans {
  readonly log: Logger["log"]
  /** Told of lines that are lost. */
  readonly onLost: (lines: number) => void
  /** ms; default `performance.now`. */
  readonly now?: () => number
}

export class FailureNotice {
  readonly #message: string
  readonly #means: LossMeans
  readonly #now: () => number
  #said = Number.NEGATIVE_INFINITY
  #lost = 0

  constructor(message: string, means: LossMeans) {
    this.#message = message
    this.#means = means
    this.#now = means.now ?? (() => performance.now())
  }

  /** `lines` are lost, 0 if none is yet, because of `reason`. */
  failed(lines: number, fields: Readonly<Record<string, unknown>>): void {
    this.#lost += lines
    if (lines > 0) this.#means.onLost(lines)
    const now = this.#now()
    if (now - this.#said < INTERVAL) return
    this.#said = now
    this.#means.log("error", this.#message, { ...fields, lost: this.#lost })
    this.#lost = 0
  }
}
