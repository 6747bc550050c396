// The last while of something that is counted: totals come in with their time, and what they were when the window began
// comes out.
//
// The window is `span` long, or longer until what is counted has grown by `minimum` in it; it never reaches back behind the
// first sample. So little traffic is judged over more time, and much of it by what is recent.

/** Totals since any fixed point, which only grow, at a moment (ms). */
export interface WindowSample {
  readonly at: number
  /** What `minimum` is about. */
  readonly exchanges: number
}

/** Samples a window holds, or up to twice as many; more frequent ones are thinned out. */
const RESOLUTION = 60

export class SampleWindow<Sample extends WindowSample> {
  readonly #span: number
  readonly #minimum: number
  /** ms between two samples that are kept. */
  #spacing: number
  /** Oldest first; the first is the beginning of the window. Never empty. */
  #samples: Sample[]

  constructor(span: number, minimum: number, start: Sample) {
    this.#span = span
    this.#minimum = minimum
    this.#spacing = span / RESOLUTION
    this.#samples = [start]
  }

  /** Takes the newest totals; answers with those at the beginning of the window that ends with them. */
  take(sample: Sample): Sample {
    const samples = this.#samples
    if (sample.at - samples[samples.length - 1].at >= this.#spacing) samples.push(sample)
    let first = 0
    while (first + 1 < samples.length && this.#holds(samples[first + 1], sample)) first++
    if (first > 0) samples.splice(0, first)
    if (samples.length > 2 * RESOLUTION) {
      // It grows because little happens: every other sample will do.
      this.#samples = samples.filter((_, i) => i % 2 === 0)
      this.#spacing *= 2
    } else if (samples.length < RESOLUTION / 2 && this.#spacing > this.#span / RESOLUTION) this.#spacing /= 2
    return this.#samples[0]
  }

  #holds(from: Sample, to: Sample): boolean {
    return to.at - from.at >= this.#span && to.exchanges - from.exchanges >= this.#minimum
  }
}
