// Which exchanges get a line of the access log. The only state is chance: a sample is drawn for each exchange by itself.

import type { AccessLogConfig } from "../config/access-log-model.ts"

export class AccessSelection {
  readonly #off: boolean
  readonly #onlyErrors: boolean
  readonly #conditional: boolean
  readonly #keepErrors: boolean
  readonly #status: readonly (readonly [number, number])[]
  readonly #slowerThan: number
  readonly #sample: number
  readonly #random: () => number

  /** @param random [0, 1) */
  constructor({ when, only }: Pick<AccessLogConfig, "when" | "only">, random: () => number) {
    this.#off = when === "off"
    this.#onlyErrors = when === "errors"
    this.#conditional = only !== null
    this.#keepErrors = only?.keepErrors ?? true
    this.#status = only?.status ?? []
    this.#slowerThan = only?.slowerThan ?? 0
    this.#sample = only?.sample ?? 1
    this.#random = random
  }

  /** @param status 0 = none: a TCP connection's, or of an exchange without a response; @param duration ms */
  takes(flag: string, status: number, duration: number): boolean {
    if (this.#off || (this.#onlyErrors && flag === "")) return false
    if (!this.#conditional || (this.#keepErrors && flag !== "")) return true
    if (duration <= this.#slowerThan && this.#slowerThan > 0) return false
    if (this.#status.length > 0 && status > 0 && !this.#holds(status)) return false
    return this.#sample >= 1 || this.#random() < this.#sample
  }

  #holds(status: number): boolean {
    for (const [from, to] of this.#status) if (status >= from && status <= to) return true
    return false
  }
}
