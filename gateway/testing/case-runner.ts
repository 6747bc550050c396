// Runs the cases of a tests.json, each in a host of its own.

import { SAVED_FROM, type Surroundings, type TestCase, type TestStep, type TestsFile, type WrittenAnswer } from "./case-schema.ts"
import { type CalloutExpectation, Comparison, type Difference, type ExchangeExpectation, type LogExpectation, show } from "./compare.ts"
import type { TestRequest, TestResponse } from "./exchange-parts.ts"
import type { LogLine } from "./host.ts"
import type { FilterPlace, LoadedModule } from "./loader.ts"
import { FilterLoadError } from "./loader.ts"
import type { ObservedCallout, ServiceAnswer, ServiceFake } from "./services.ts"
import { evaluate, type TemplateContext } from "./templates.ts"
import { TestKeys } from "./test-keys.ts"
import { type Exchange, specOf, startFilters, type TestFilter } from "./testing.ts"
import { utf8 } from "./text.ts"

const DEFAULT_CLOCK = "2026-01-01T00:00:00Z"

export interface CaseResult {
  readonly name: string
  readonly passed: boolean
  /** With the step they are about. */
  readonly differences: readonly (Difference & { readonly step: string })[]
  /** Why it could not be run to its end; "" when it could. */
  readonly error: string
  readonly logs: readonly LogLine[]
  /** Wall-clock milliseconds. */
  readonly ms: number
}

/** Runs cases of one filter; the keys of the file are made once. */
export class CaseRunner {
  readonly #tests: TestsFile
  readonly #place: FilterPlace
  readonly #module: (memory: number | undefined) => Promise<LoadedModule>
  readonly #keys: TestKeys

  /** `module` loads the filter's module with so much memory (undefined: the default). */
  constructor(tests: TestsFile, place: FilterPlace, module: (memory: number | undefined) => Promise<LoadedModule>) {
    this.#tests = tests
    this.#place = place
    this.#module = module
    this.#keys = new TestKeys(tests.keys)
  }

  async run(test: TestCase): Promise<CaseResult> {
    const from = performance.now()
    const run = new CaseRun(test, this.#tests, this.#keys)
    try {
      await run.start(this.#place, this.#module)
    } catch (error) {
      run.error = error instanceof Error ? error.message : String(error)
    }
    const { differences, error, logs } = run
    run.close()
    return { name: test.name, passed: differences.length === 0 && error === "", differences, error, logs, ms: performance.now() - from }
  }

  /** A filter in the state a case begins with, and that case's first request: for measurements. */
  async open(test: TestCase): Promise<{ readonly filter: TestFilter; readonly request: TestRequest; readonly upstream: TestResponse }> {
    const run = new CaseRun(test, this.#tests, this.#keys)
    const filter = await run.load(this.#place, this.#module)
    const step = stepsOf(test).find((each) => each.request !== undefined)
    if (step === undefined) throw new FilterLoadError(`case ${JSON.stringify(test.name)} makes no request`)
    return { filter, request: run.resolve(step.request) as TestRequest, upstream: run.resolve(step.upstream ?? {}) as TestResponse }
  }
}

function stepsOf(test: TestCase): readonly TestStep[] {
  if (test.steps !== undefined) return test.steps
  const { request, upstream, repeat, expect, save } = test
  return request === undefined ? [] : [{ request, upstream, repeat, expect, save }]
}

class CaseRun {
  readonly #test: TestCase
  readonly #file: TestsFile
  readonly #context: TemplateContext
  readonly #start: number
  readonly #answers = new Map<string, { readonly answers: readonly WrittenAnswer[]; asked: number }>()
  #filter: TestFilter | null = null
  #last: Exchange | null = null
  #step = ""
  readonly differences: (Difference & { readonly step: string })[] = []
  error = ""

  constructor(test: TestCase, file: TestsFile, keys: TestKeys) {
    this.#test = test
    this.#file = file
    this.#start = Date.parse(this.#setting("clock") ?? DEFAULT_CLOCK)
    this.#context = {
      now: () => this.#filter?.now ?? this.#start,
      keys,
      values: { ...file.values, ...test.values },
      saved: new Map(),
    }
  }

  #setting<K extends keyof Surroundings>(name: K): Surroundings[K] {
    return this.#test[name] ?? this.#file[name]
  }

  get logs(): readonly LogLine[] {
    return this.#filter?.logs ?? []
  }

  resolve(value: unknown): unknown {
    return evaluate(value, this.#context)
  }

  async load(place: FilterPlace, module: (memory: number | undefined) => Promise<LoadedModule>): Promise<TestFilter> {
    const limits = this.#setting("limits")
    const config = this.resolve(overlay(this.#file.config, this.#test.config))
    const spec = specOf(place, await module(limits?.memory), { config, limits, onError: this.#setting("onError") })
    const filter = await startFilters([spec], {
      clock: this.#start,
      services: this.#fakes({ ...this.#file.services, ...this.#test.services }),
      shared: this.resolve({ ...this.#file.shared, ...this.#test.shared }) as Record<string, string>,
      backends: this.#setting("backends"),
    })
    this.#filter = filter
    return filter
  }

  async start(place: FilterPlace, module: (memory: number | undefined) => Promise<LoadedModule>): Promise<void> {
    const { refused } = this.#test
    try {
      await this.load(place, module)
    } catch (error) {
      if (refused === undefined || !(error instanceof FilterLoadError)) throw error
      const comparison = new Comparison()
      comparison.text("refused", this.resolve(refused) as string, error.message.replace(/^filter [^:]*: /, ""))
      this.#report(comparison)
      return
    }
    if (refused !== undefined) {
      this.differences.push({ step: "", path: "refused", expected: "the filter refuses its configuration", actual: "it takes it" })
      return
    }
    const steps = stepsOf(this.#test)
    for (const [i, step] of steps.entries()) {
      this.#step = steps.length === 1 ? "" : `steps[${i}]`
      for (let round = 1; round <= (step.repeat ?? 1); round++) {
        if ((step.repeat ?? 1) > 1) this.#step = `${steps.length === 1 ? "" : `steps[${i}], `}round ${round}`
        await this.#run(step)
        if (this.differences.length > 0) break
      }
    }
    this.#step = ""
    this.#leftovers()
  }

  async #run(step: TestStep): Promise<void> {
    const filter = this.#filter as TestFilter
    for (const [service, fake] of Object.entries(this.#fakes(step.services ?? {}))) filter.setService(service, fake)
    const logs = filter.logs.length
    const calls = filter.calls.length
    const problems = filter.problems.length
    if (step.request !== undefined) {
      const request = this.resolve(step.request) as TestRequest
      this.#last = await filter.request(request, { upstream: () => this.resolve(step.upstream ?? {}) as TestResponse })
    } else {
      await filter.advance(step.advance as number)
    }
    const comparison = new Comparison()
    const expect = (this.resolve(step.expect ?? {}) ?? {}) as ResolvedExpectation
    const last = this.#last
    if (last !== null && (step.request !== undefined || mentionsExchange(expect))) comparison.exchange(expect, last)
    comparison.logs(expect.logs, filter.logs.slice(logs))
    comparison.metrics(expect.metrics, filter.metrics)
    comparison.calls(expect.calls, filter.calls.slice(calls))
    this.#shared(comparison, expect.shared, filter)
    for (const problem of filter.problems.slice(problems)) comparison.add("services", "every callout is answered", problem)
    this.#report(comparison)
    this.#save(step.save)
  }

  #shared(comparison: Comparison, expected: ResolvedExpectation["shared"], filter: TestFilter): void {
    for (const [key, condition] of Object.entries(expected ?? {})) {
      const bytes = filter.shared(key)
      const place = `shared.${key}`
      if (condition === null) {
        if (bytes !== undefined) comparison.add(place, "absent", show(utf8(bytes) ?? Buffer.from(bytes).toString("hex")))
      } else if (bytes === undefined) comparison.add(place, "a value", "absent")
      else comparison.text(place, condition as string, utf8(bytes) ?? Buffer.from(bytes).toString("latin1"), bytes)
    }
  }

  #save(save: TestStep["save"]): void {
    for (const [name, { from, matches }] of Object.entries(save ?? {})) {
      const found = savedValue(from, this.#last)
      const match = found === null || matches === undefined ? null : new RegExp(matches, "su").exec(found)
      if (found === null || (matches !== undefined && match === null)) {
        const actual = found === null ? "absent" : show(found)
        this.differences.push({
          step: this.#step,
          path: `save.${name}`,
          expected: matches === undefined ? `${from} is there` : `a match of /${matches}/`,
          actual,
        })
        continue
      }
      this.#context.saved.set(name, match === null ? found : (match[1] ?? match[0]))
    }
  }

  // Answers that a case tells, as fakes that compare what they are asked.
  #fakes(services: NonNullable<TestStep["services"]>): Record<string, ServiceFake> {
    const fakes: Record<string, ServiceFake> = {}
    for (const [service, written] of Object.entries(services)) {
      if (written === null) {
        fakes[service] = null
        continue
      }
      const always = Array.isArray(written) ? null : (written as WrittenAnswer)
      const state = { answers: Array.isArray(written) ? (written as readonly WrittenAnswer[]) : [], asked: 0 }
      if (always === null) this.#answers.set(service, state)
      else this.#answers.delete(service)
      fakes[service] = (call) => {
        const answer = always ?? state.answers[state.asked]
        state.asked++
        if (answer === undefined) {
          throw new Error(`was asked for ${call.method} ${call.path}, and all its ${state.answers.length} answers were given`)
        }
        return this.#answer(service, state.asked, answer, call)
      }
    }
    return fakes
  }

  #answer(service: string, nth: number, answer: WrittenAnswer, call: ObservedCallout): ServiceAnswer {
    if (answer.expect !== undefined) {
      const comparison = new Comparison()
      comparison.callout(`services.${service}[${nth - 1}].expect`, this.resolve(answer.expect) as CalloutExpectation, call)
      this.#report(comparison)
    }
    return this.resolve(answer.respond) as ServiceAnswer
  }

  #leftovers(): void {
    for (const [service, { answers, asked }] of this.#answers) {
      if (asked >= answers.length) continue
      const actual = `it was called ${asked} time${asked === 1 ? "" : "s"}`
      this.differences.push({ step: "", path: `services.${service}`, expected: `the service is called ${answers.length} times`, actual })
    }
  }

  #report(comparison: Comparison): void {
    for (const difference of comparison.differences) this.differences.push({ ...difference, step: this.#step })
  }

  close(): void {
    this.#filter?.close()
  }
}

interface ResolvedExpectation extends ExchangeExpectation {
  readonly logs?: readonly LogExpectation[]
  readonly metrics?: Readonly<Record<string, number | { count?: number; sum?: number }>>
  readonly calls?: number | Readonly<Record<string, number>>
  readonly shared?: Readonly<Record<string, unknown>>
}

function mentionsExchange(expect: ResolvedExpectation): boolean {
  const parts = ["upstream", "response", "reply", "pending", "aborted", "rerouted", "flag"] as const
  return parts.some((part) => expect[part] !== undefined)
}

function savedValue(from: string, exchange: Exchange | null): string | null {
  const match = SAVED_FROM.exec(from)
  if (exchange === null || match === null) return null
  const [, headersOf, name, bodyOf] = match
  const side = (headersOf ?? bodyOf) === "response" ? exchange.response : exchange.upstream
  if (side === null) return null
  if (name !== undefined) return side.headers.get(name)
  return bodyOf !== undefined ? side.body.text : (exchange.upstream?.path ?? null)
}

/** A case's settings over the file's: keys of objects are laid over, anything else replaces. */
function overlay(base: unknown, over: unknown): unknown {
  if (over === undefined) return base
  const objects = [base, over].every((each) => typeof each === "object" && each !== null && !Array.isArray(each))
  return objects ? { ...(base as object), ...(over as object) } : over
}
