// A long random run over the readers of first octets: `node test/fuzz/first-octets-run.ts [inputs] [seed]`. Prints its seed.

import { Random } from "../conformance/http1/cuts.ts"
import { fuzz } from "./first-octets-fuzz.ts"

const inputs = Number(process.argv[2] ?? 100_000)
const seed = Number(process.argv[3] ?? Date.now() % 0x7fffffff)
if (!(inputs > 0 && Number.isInteger(seed))) throw new Error("usage: first-octets-run.ts [inputs] [seed]")

const started = performance.now()
process.stdout.write(`seed ${seed}, ${inputs} inputs\n`)
const report = fuzz(inputs, new Random(seed), (done) => process.stdout.write(`${done} inputs\n`))
process.stdout.write(`${JSON.stringify(report)} in ${((performance.now() - started) / 1000).toFixed(1)} s, seed ${seed}\n`)
if (report.problem !== null) process.exitCode = 1
