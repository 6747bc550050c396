// What the main thread asks a worker now and then, and waits for: each question is answered once, or is given up.

import type { ConnectionSight } from "./http/connection-sight.ts"
import type { ProfileKind } from "./runtime/profile.ts"

export type Question =
  /** Which connections are open; at most `limit`, the oldest first. */
  | { readonly what: "connections"; readonly limit: number }
  /** Writes a profile of the thread into a file. */
  | { readonly what: "profile"; readonly profile: ProfileKind; readonly seconds: number; readonly file: string }

/** `total`: of all that are open. Ages are in ms. */
export interface OpenConnections {
  readonly total: number
  readonly connections: readonly (Omit<ConnectionSight, "began"> & { readonly listener: string; readonly age: number })[]
}

export type Answer =
  | { readonly what: "connections"; readonly open: OpenConnections }
  | { readonly what: "profile" }
  | { readonly what: "failed"; readonly why: string }

interface Pending {
  readonly worker: number
  readonly resolve: (answer: Answer) => void
}

export class WorkerQuestions {
  readonly #pending = new Map<number, Pending>()
  #next = 0

  /** `post`: sends the question on its way. `timeout`: ms. */
  ask(worker: number, timeout: number, post: (id: number) => void): Promise<Answer> {
    const id = ++this.#next
    return new Promise((resolve) => {
      const timer = setTimeout(
        () => this.answered(id, { what: "failed", why: `worker ${worker} did not answer in time; ask again` }),
        timeout,
      )
      this.#pending.set(id, {
        worker,
        resolve: (answer) => {
          clearTimeout(timer)
          this.#pending.delete(id)
          resolve(answer)
        },
      })
      post(id)
    })
  }

  answered(id: number, answer: Answer): void {
    this.#pending.get(id)?.resolve(answer)
  }

  /** A worker has ended. */
  lost(worker: number): void {
    for (const pending of [...this.#pending.values()]) {
      if (pending.worker === worker) pending.resolve({ what: "failed", why: `worker ${worker} has ended; ask again` })
    }
  }
}
