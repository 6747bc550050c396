// Has what isn't over get its lines in the access log now and then: an exchange or a connection that lasts for days is told of before
// its end, and also when its worker dies. Looks at a part of the connections at a time, and at none unless lines are asked for.

import type { AccessLogConfig } from "../config/access-log-model.ts"
import type { TimerWheel } from "../http/timer-wheel.ts"
import type { Bound } from "./bound-listener.ts"

/** Looks between two lines of one connection, so that not all of them are written at once. */
const PARTS = 16

export class OpenLines {
  readonly #bound: () => Iterable<Bound>
  readonly #wheel: Pick<TimerWheel, "refresh">
  #every = 0
  #part = 0
  #timer: ReturnType<typeof setInterval> | null = null

  constructor(bound: () => Iterable<Bound>, wheel: Pick<TimerWheel, "refresh">) {
    this.#bound = bound
    this.#wheel = wheel
  }

  /** From now on, as this says. */
  use({ openEvery = 0 }: AccessLogConfig): void {
    if (openEvery === this.#every) return
    this.#every = openEvery
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = openEvery === 0 ? null : setInterval(() => this.#look(), openEvery / PARTS)
    this.#timer?.unref()
  }

  #look(): void {
    this.#part = (this.#part + 1) % PARTS
    this.#wheel.refresh()
    for (const { listener } of this.#bound()) listener.logOpen(this.#every, this.#part, PARTS)
  }
}
