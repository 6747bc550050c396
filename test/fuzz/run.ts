// A long random run over the HTTP/1.1 parsers: `node test/fuzz/run.ts [inputs] [seed]`. Prints its seed; the same seed gives the same inputs.

import { Random } from "../conformance/http1/cuts.ts"
import { Checker } from "./http1-check.ts"
import { fuzz } from "./http1-fuzz.ts"
import { available, Comparison } from "./llhttp.ts"

const inputs = Number(process.argv[2] ?? 100_000)
const seed = Number(process.argv[3] ?? Date.now() % 0x7fffffff)
if (!(inputs > 0 && Number.isInteger(seed))) throw new Error("usage: run.ts [inputs] [seed]")

const started = performance.now()
process.stdout.write(`seed ${seed}, ${inputs} inputs${available ? "" : ", without llhttp (Node's own)"}\n`)
const report = fuzz(inputs, new Random(seed), new Checker(), available ? await Comparison.load() : null, (done) => {
  process.stdout.write(`${done} inputs, ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
})
process.stdout.write(`${JSON.stringify(report)} in ${((performance.now() - started) / 1000).toFixed(1)} s, seed ${seed}\n`)
if (report.problem !== null) process.exitCode = 1
