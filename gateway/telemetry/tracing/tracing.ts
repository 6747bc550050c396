// A worker's tracing as snapshots come and go: one tracer watches exchanges while there is a configuration of tracing.

import type { TracingConfig } from "../../config/tracing-model.ts"
import type { Watch } from "../watch.ts"
import { Tracer, type TracerMeans } from "./tracer.ts"

export class Tracing {
  readonly #watch: Watch
  readonly #means: TracerMeans
  #tracer: Tracer | null = null

  constructor(watch: Watch, means: TracerMeans) {
    this.#watch = watch
    this.#means = means
  }

  /** Exchanges that begin from now on are traced by it. Those under way are told by it, as they were begun; without one they aren't told. */
  use(config: TracingConfig | undefined): void {
    const before = this.#tracer
    this.#tracer = config === undefined ? null : new Tracer(config, this.#means)
    if (before !== null) this.#watch.remove(before)
    if (this.#tracer !== null) this.#watch.add(this.#tracer)
  }

  /** The main thread has taken traces of that many characters. */
  taken(length: number): void {
    this.#means.outbox.taken(length)
  }

  /** Hands over what waits. To be called when the worker ends. */
  flush(): void {
    this.#means.outbox.flush()
  }
}
