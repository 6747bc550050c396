// How many budget units this machine gets through in a millisecond, so that limits can be given in time.

import { op } from "../binary/instructions.ts"
import { Writer } from "../binary/writer.ts"
import { BUDGET_EXPORT, instrument, MAX_BUDGET } from "./instrument.ts"

/** ms of calibration, compilation aside … */
const DURATION = 5
/** … or longer on a busy machine, until there are enough samples to choose from. */
const MAX_DURATION = 30
const MIN_SAMPLES = 10
/** ms of one sample: long against the clock's resolution, short against a time slice of the scheduler. */
const SAMPLE = 0.2
/** What no machine falls below or goes beyond, whatever its clock says. */
const MIN_UNITS_PER_MS = 500_000
const MAX_UNITS_PER_MS = 50_000_000

/** A module that exports `spin(rounds)`: a load, a multiplication, a store and a branch per round. */
function spinModule(): Uint8Array {
  const code = new Writer(128)
  code.raw([1, 1, 0x7f, op.loop, 0x40])
  code.raw([op.localGet, 0, op.i32Const, 0xfc, 0xff, 0, 0x71, op.localTee, 1])
  code.raw([op.localGet, 1, 0x28, 2, 0, op.i32Const, 31, op.i32Mul, op.localGet, 0, 0x6a, 0x36, 2, 0])
  code.raw([op.localGet, 0, op.i32Const, 1, op.i32Sub, op.localTee, 0, op.brIf, 0, op.end, op.end])

  const module = new Writer(256)
  const section = (id: number, contents: readonly number[]) => {
    module.u8(id)
    module.prefixed(Uint8Array.from(contents))
  }
  module.raw([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0])
  section(1, [1, 0x60, 1, 0x7f, 0])
  section(3, [1, 0])
  section(5, [1, 0, 1])
  section(7, [1, 4, ...new TextEncoder().encode("spin"), 0, 0])
  section(10, [1, code.length, ...code.view()])
  return module.take()
}

/**
 * Measures for about 5 ms (30 at most), once at start-up, on the thread it is called on: budget units per millisecond. Other load can only
 * slow a sample down, so the fastest tenth of them tells what the machine does; their lower end is taken. Code that waits for
 * memory runs up to ten times slower per unit, and code that the engine has not optimised yet about three times: a time limit
 * made with this number stops a runaway, it does not measure.
 */
export function calibrate(now: () => number = () => performance.now()): number {
  const instrumented = instrument(spinModule(), { maxMemoryPages: 1 })
  if (!instrumented.ok) throw new Error(`calibration module: ${instrumented.reason}`)
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(instrumented.bytes))
  const spin = exports.spin as (rounds: number) => void
  const budget = exports[BUDGET_EXPORT] as WebAssembly.Global<"i32">

  const rates: number[] = []
  let rounds = 1000
  const start = now()
  let at = start
  while (at - start < DURATION || (rates.length < MIN_SAMPLES && at - start < MAX_DURATION)) {
    budget.value = MAX_BUDGET
    spin(rounds)
    const end = now()
    const took = end - at
    if (took < SAMPLE / 2) rounds = Math.min(rounds * 2, 1_000_000)
    else rates.push((MAX_BUDGET - budget.value) / took)
    at = now()
  }
  rates.sort((a, b) => b - a)
  const rate = rates[Math.floor(rates.length / 10)] ?? 0
  return Math.min(Math.max(Math.round(rate), MIN_UNITS_PER_MS), MAX_UNITS_PER_MS)
}

/** The budget of `ms` milliseconds, at least 1 and at most {@link MAX_BUDGET}. */
export function budgetFor(ms: number, unitsPerMs: number): number {
  const units = Math.round(ms * unitsPerMs)
  return units >= 1 ? Math.min(units, MAX_BUDGET) : 1
}
