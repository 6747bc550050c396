// A shared queue as its receiver sees it: each item that comes in has `proxy_on_queue_ready` called once.

import { OWN, type Task } from "./own-work.ts"
import type { RootContext } from "./root-context.ts"

export class RootQueue implements Task {
  readonly weight = OWN
  id = 0
  release: (() => void) | null = null
  readonly #root: RootContext
  /** Items whose callback has not run. */
  #due = 0

  constructor(root: RootContext) {
    this.#root = root
  }

  /** An item has come. */
  ready(): void {
    this.#due++
    // One at a time: a full queue must not become as many waiting tasks.
    if (this.#due === 1) this.#root.vm.work.take(this)
  }

  run(): void {
    if (this.#due === 0) return
    const root = this.#root
    const { queueReady } = root.vm.exports
    if (queueReady === null) {
      this.#due = 0
      return
    }
    root.run("proxy_on_queue_ready", () => {
      queueReady(root.id, this.id)
    })
    if (this.#due === 0) return
    this.#due--
    if (this.#due > 0) root.vm.work.take(this)
  }

  end(): void {
    this.#due = 0
    this.release?.()
    this.release = null
  }
}
