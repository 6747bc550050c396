// A thread of ejection.test.ts: ejects endpoints, readmits those it has ejected, and counts what must not be.

import { parentPort, workerData } from "node:worker_threads"
import { EJECTION_WORDS, Ejection } from "../../../gateway/resilience/ejection.ts"

const { memory, me, rounds } = workerData as { memory: SharedArrayBuffer; me: number; rounds: number }
const words = new Int32Array(memory)
const ENDPOINTS = 4
const ALLOWED = 2
const OWNERS = 1 + ENDPOINTS * EJECTION_WORDS
const HELD = OWNERS + ENDPOINTS
const STARTED = HELD + 1

const limits = {
  consecutive5xx: 1,
  consecutiveGatewayErrors: 0,
  consecutiveLocalFailures: 0,
  baseEjectionTime: 1000,
  maxEjectionTime: 1000,
  endpoints: ENDPOINTS,
  allowed: ALLOWED,
}
const endpoints = Array.from(
  { length: ENDPOINTS },
  (_, i) =>
    new Ejection(
      words,
      1 + i * EJECTION_WORDS,
      words,
      0,
      limits,
      () => 1,
      () => 0,
    ),
)
let ejections = 0
let wrong = 0

// Both begin together.
Atomics.add(words, STARTED, 1)
Atomics.notify(words, STARTED)
if (Atomics.load(words, STARTED) < 2) Atomics.wait(words, STARTED, 1, 10_000)

for (let round = 0; round < rounds; round++) {
  const i = round % ENDPOINTS
  if (endpoints[i].eject("5xx") === 0) continue
  ejections++
  if (Atomics.compareExchange(words, OWNERS + i, 0, me) !== 0) wrong++
  if (Atomics.add(words, HELD, 1) >= ALLOWED) wrong++
  Atomics.sub(words, HELD, 1)
  Atomics.store(words, OWNERS + i, 0)
  if (!endpoints[i].readmit()) wrong++
}
parentPort?.postMessage([ejections, wrong])
