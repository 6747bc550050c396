// Live figures: what the gateway has been doing in the last minute, second by second, for whoever looks. Sampled on the main thread
// out of the memory the workers count in, from the first look until a while after the last; nobody looking, nothing is done or kept.

import { LiveSampler, type LiveSources } from "./live-sampler.ts"
import { type Figures, type FiguresQuestion, figuresOf } from "./live-summary.ts"
import type { LiveTick } from "./live-tick.ts"

/** Seconds that are kept. */
export const HISTORY = 60
/** ms from one look at the slots to the next. */
const INTERVAL = 1000
/** ms without anyone looking until sampling ends. */
const UNWATCHED = 60_000

export interface LiveFiguresOptions extends LiveSources {
  /** Whether a listener asks clients for a certificate. */
  asksWho(listener: string): boolean
  /** ms; never goes back. */
  now(): number
  /** Calls `tick` every `ms` until what it answers with is called. */
  every(ms: number, tick: () => void): () => void
}

export class LiveFigures {
  readonly #options: LiveFiguresOptions
  #sampler: LiveSampler | null = null
  #ticks: LiveTick[] = []
  #looked = 0
  #stop: (() => void) | null = null

  constructor(options: LiveFiguresOptions) {
    this.#options = options
  }

  /** Whether it samples: somebody looks, or has just looked. */
  get active(): boolean {
    return this.#stop !== null
  }

  /** What is known of the last seconds. Whoever asks first gets nothing yet, but a second later. */
  ask(question: FiguresQuestion): Figures {
    this.#looked = this.#options.now()
    if (this.#stop === null) {
      this.#sampler = new LiveSampler(this.#options, this.#looked)
      this.#stop = this.#options.every(INTERVAL, () => this.#sample())
    }
    return figuresOf(this.#ticks, question, (listener) => this.#options.asksWho(listener))
  }

  close(): void {
    this.#stop?.()
    this.#stop = null
    this.#sampler = null
    this.#ticks = []
  }

  #sample(): void {
    const now = this.#options.now()
    if (now - this.#looked > UNWATCHED) return this.close()
    const tick = this.#sampler?.sample(now)
    if (tick === undefined) return
    this.#ticks.push(tick)
    if (this.#ticks.length > HISTORY) this.#ticks.shift()
  }
}
