// What a paced load is told, and what it tells.

export interface PacedTask {
  readonly port: number
  /** Requests a second. */
  readonly rate: number
  readonly seconds: number
}

export interface PacedResult {
  readonly sent: number
  /** By the half second in which requests were due; times in ms. */
  readonly slots: readonly {
    readonly requests: number
    readonly p50: number
    readonly p99: number
    /** By kind: a status, `closed`, `cut short`, `not sent`. */
    readonly failures: Readonly<Record<string, number>>
  }[]
}
