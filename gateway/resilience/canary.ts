// When a canary is given more of a route's requests, and when it has to give all of them back. Pure: time and counts come in,
// what it is to become comes out; whoever has put that into force says so.
//
// A canary goes through its steps, each a share of the requests. It leaves one for the next when it has been in it for
// `interval`, has had `minimum` requests in it, and holds its limits; with fewer requests it waits. When it has left the last
// one it is promoted, keeps that share, and is looked at no more. When it breaks a limit it is rolled back to 0, and stays so
// until it is told otherwise.
//
// A limit is looked at over the last `interval` and over the last 30 s of it, so that a sudden fault shows in a long interval;
// both begin with the step at the earliest, and are stretched until they hold `minimum` requests of the canary. Its figures
// are judged as they are: over the limit is over the limit. Only if the route's other backends, having had `minimum` requests
// as well, are over it too, the canary has to be worse than they are by as much as the limit allows to be rolled back: what
// fails for everyone is nobody's fault. It doesn't move on meanwhile.

import { SampleWindow, type WindowSample } from "./sample-window.ts"

export interface CanaryPlan {
  /** Shares (0–1] of the route's requests, ascending; never empty. */
  readonly steps: readonly number[]
  /** ms in a step, at least. */
  readonly interval: number
  readonly abortOn: {
    /** Share (0–1) of its requests that may fail. */
    readonly errorRate: number
    /** ms a hundredth of them may exceed; 0 = any time. */
    readonly p99: number
    /** Requests without which nothing is judged. */
    readonly minimum: number
  }
}

/** Totals since any fixed point; they only grow. `durations`: by bucket of whatever histogram the p99 is read from. */
export interface CanaryCounts {
  readonly exchanges: number
  readonly errors: number
  readonly durations: readonly number[]
}

/** Totals of the canary and of the route's other backends at a moment (ms). */
export interface CanarySample extends WindowSample {
  readonly canary: CanaryCounts
  readonly stable: CanaryCounts
}

/** What came of one side in a window; `p99` in ms. */
export interface CanaryFigures {
  readonly exchanges: number
  readonly errors: number
  /** 0–1. */
  readonly errorRate: number
  readonly p99: number
}

/** `paused`: it doesn't move on, but is rolled back all the same. */
export type CanaryState = "progressing" | "paused" | "promoted" | "rolledBack"

export const canaryOrders = ["pause", "resume", "promote", "abort", "restart"] as const
export type CanaryOrder = (typeof canaryOrders)[number]

export interface CanaryPosition {
  readonly state: CanaryState
  /** Index of the step it is in; −1: rolled back. */
  readonly step: number
  /** Share (0–1) of the route's requests. */
  readonly share: number
  /** Why it was rolled back; "" when it wasn't. */
  readonly reason: string
}

/** ms looked back upon for a sudden fault. */
const RECENT = 30_000
/** Requests of which a hundredth is at least one. */
const ENOUGH_FOR_P99 = 100

export class Canary {
  readonly #plan: CanaryPlan
  readonly #p99: (durations: readonly number[]) => number
  #position: CanaryPosition
  /** When its step began, or it was told to go on. */
  #since: number
  #whole: SampleWindow<CanarySample>
  #recent: SampleWindow<CanarySample> | null
  #figures: { readonly canary: CanaryFigures; readonly stable: CanaryFigures }
  #waiting = ""

  /** `p99`: ms below which 99 of 100 of those durations lie. `start`: what had been counted when its first step began. */
  constructor(plan: CanaryPlan, p99: (durations: readonly number[]) => number, start: CanarySample) {
    this.#plan = plan
    this.#p99 = p99
    this.#position = firstPosition(plan)
    this.#since = start.at
    this.#whole = this.#window(plan.interval, start)
    this.#recent = plan.interval > RECENT ? this.#window(RECENT, start) : null
    this.#figures = this.#between(start, start)
  }

  get position(): CanaryPosition {
    return this.#position
  }

  /** Of the window that was looked at last; of one that is over, those it ended with. */
  get figures(): { readonly canary: CanaryFigures; readonly stable: CanaryFigures } {
    return this.#figures
  }

  /** What it waits for, beside time; "" for nothing. */
  get waiting(): string {
    return this.#position.state === "progressing" ? this.#waiting : ""
  }

  /** Looks at the newest totals. Answers with what it is to become, or null: what it is. */
  judge(sample: CanarySample): CanaryPosition | null {
    const { state, step } = this.#position
    if (state === "promoted" || state === "rolledBack") return null
    const from = this.#whole.take(sample)
    this.#figures = this.#between(from, sample)
    const whole = this.#verdict(this.#figures, sample.at - from.at)
    const recently = this.#recent?.take(sample) ?? from
    const recent = recently === from ? HOLDS : this.#verdict(this.#between(recently, sample), sample.at - recently.at)
    const broken = recent.broken || whole.broken
    if (broken !== "") return { state: "rolledBack", step: -1, share: 0, reason: broken }
    this.#waiting = whole.waits || recent.waits
    if (state === "paused" || this.#waiting !== "" || sample.at - this.#since < this.#plan.interval) return null
    return step + 1 < this.#plan.steps.length ? stepPosition(this.#plan, step + 1) : promotedPosition(this.#plan)
  }

  /** What an order makes of it, or why it makes no sense now. */
  order(order: CanaryOrder): CanaryPosition | string {
    const { state } = this.#position
    const position = this.#position
    switch (order) {
      case "pause":
        return state === "progressing"
          ? { ...position, state: "paused" }
          : `is ${STATES[state]}; only one that is progressing can be paused`
      case "resume":
        if (state === "paused") return { ...position, state: "progressing" }
        return `is ${STATES[state]}; only one that is paused can go on${state === "rolledBack" ? ", but this one can be restarted" : ""}`
      case "promote":
        if (state === "promoted") return "is promoted already"
        return state === "rolledBack" ? "is rolled back; restart it first" : promotedPosition(this.#plan)
      case "abort":
        if (state === "rolledBack") return "is rolled back already"
        return { state: "rolledBack", step: -1, share: 0, reason: "it was ordered" }
      case "restart":
        return firstPosition(this.#plan)
    }
  }

  /** Why each order makes no sense now; "" = it does. */
  get refusals(): Readonly<Record<CanaryOrder, string>> {
    const why = (order: CanaryOrder): string => {
      const said = this.order(order)
      return typeof said === "string" ? said : ""
    }
    return { pause: why("pause"), resume: why("resume"), promote: why("promote"), abort: why("abort"), restart: why("restart") }
  }

  /** `position` is in force. `sample`: what had been counted right before. */
  take(position: CanaryPosition, sample: CanarySample): void {
    this.#position = position
    // Paused it goes on being looked at; what is over keeps its figures.
    if (position.state !== "progressing") return
    this.#since = sample.at
    this.#waiting = ""
    this.#whole = this.#window(this.#plan.interval, sample)
    if (this.#recent !== null) this.#recent = this.#window(RECENT, sample)
    this.#figures = this.#between(sample, sample)
  }

  #window(span: number, start: CanarySample): SampleWindow<CanarySample> {
    return new SampleWindow(span, this.#needed, start)
  }

  get #needed(): number {
    const { minimum, p99 } = this.#plan.abortOn
    return p99 === 0 ? minimum : Math.max(minimum, ENOUGH_FOR_P99)
  }

  #between(from: CanarySample, to: CanarySample): { readonly canary: CanaryFigures; readonly stable: CanaryFigures } {
    return { canary: this.#figuresOf(from.canary, to.canary), stable: this.#figuresOf(from.stable, to.stable) }
  }

  #figuresOf(from: CanaryCounts, to: CanaryCounts): CanaryFigures {
    const exchanges = to.exchanges - from.exchanges
    // A call may fail in two ways at once.
    const errors = Math.min(to.errors - from.errors, exchanges)
    const durations = to.durations.map((count, i) => count - (from.durations[i] ?? 0))
    return { exchanges, errors, errorRate: exchanges === 0 ? 0 : errors / exchanges, p99: this.#p99(durations) }
  }

  #verdict({ canary, stable }: { readonly canary: CanaryFigures; readonly stable: CanaryFigures }, span: number): Verdict {
    const { errorRate, p99, minimum } = this.#plan.abortOn
    const needed = this.#needed
    if (canary.exchanges < minimum) return { broken: "", waits: `it has had ${canary.exchanges} of ${needed} requests` }
    const compared = stable.exchanges >= minimum
    const ofWhat = `of ${canary.exchanges} requests of the last ${Math.round(span / 1000)} s`
    let waits = canary.exchanges < needed ? `it has had ${canary.exchanges} of ${needed} requests` : ""
    if (canary.errorRate > errorRate) {
      if (!compared || isWorse(canary.errorRate, stable.errorRate, errorRate))
        return {
          broken: `${percent(canary.errorRate)} ${ofWhat} failed${compared ? `, and ${percent(stable.errorRate)} of the other backends'` : ""}; ${percent(errorRate)} are allowed`,
          waits: "",
        }
      waits = "the other backends fail as often"
    }
    if (p99 > 0 && canary.exchanges >= needed && canary.p99 > p99) {
      if (!compared || isWorse(canary.p99, stable.p99, p99))
        return {
          broken: `the p99 ${ofWhat} was ${ms(canary.p99)}${compared ? `, and ${ms(stable.p99)} of the other backends'` : ""}; ${ms(p99)} are allowed`,
          waits: "",
        }
      waits = "the other backends are as slow"
    }
    return { broken: "", waits }
  }
}

/** Which limit is broken, and what keeps it from moving on; "" = none. */
interface Verdict {
  readonly broken: string
  readonly waits: string
}

const HOLDS: Verdict = { broken: "", waits: "" }

const STATES: Readonly<Record<CanaryState, string>> = {
  progressing: "progressing",
  paused: "paused",
  promoted: "promoted",
  rolledBack: "rolled back",
}

function isWorse(canary: number, stable: number, limit: number): boolean {
  return stable <= limit || canary - stable > limit
}

/** Where a canary begins. */
export function firstPosition(plan: CanaryPlan): CanaryPosition {
  return stepPosition(plan, 0)
}

function stepPosition(plan: CanaryPlan, step: number): CanaryPosition {
  return { state: "progressing", step, share: plan.steps[step], reason: "" }
}

function promotedPosition(plan: CanaryPlan): CanaryPosition {
  const step = plan.steps.length - 1
  return { state: "promoted", step, share: plan.steps[step], reason: "" }
}

/**
 * Weights of backends of which the one at `canary` is to have `share` of all: the others keep their proportions. At least one of
 * the others has a weight above 0.
 */
export function canaryWeights(weights: readonly number[], canary: number, share: number): readonly number[] {
  let others = 0
  for (let i = 0; i < weights.length; i++) if (i !== canary) others += weights[i]
  return weights.map((weight, i) => (i === canary ? share : ((1 - share) * weight) / others))
}

function percent(share: number): string {
  return `${Math.round(share * 10_000) / 100}%`
}

function ms(value: number): string {
  return `${Math.round(value)} ms`
}
