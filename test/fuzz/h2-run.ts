// A long random run over HTTP/2's sessions: `node test/fuzz/h2-run.ts [frames] [seed]`. The same seed gives the same frames.

import { Random } from "../conformance/http1/cuts.ts"
import { fuzzSessions } from "./h2-sessions.ts"

const inputs = Number(process.argv[2] ?? 100_000)
const seed = Number(process.argv[3] ?? Date.now() % 0x7fffffff)
if (!(inputs > 0 && Number.isInteger(seed))) throw new Error("usage: h2-run.ts [frames] [seed]")

const started = performance.now()
const report = await fuzzSessions(inputs, new Random(seed), (done) => {
  process.stdout.write(`${done} frames, ${((performance.now() - started) / 1000).toFixed(0)} s\n`)
})
process.stdout.write(`${JSON.stringify(report, null, 1)} in ${((performance.now() - started) / 1000).toFixed(1)} s, seed ${seed}\n`)
process.exit(report.problem === null ? 0 : 1)
