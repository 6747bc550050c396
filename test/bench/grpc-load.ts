// Calls at a fixed rate, whether earlier ones were answered or not; a call's time counts from when it was due, so that a stall
// is not hidden by the calls it keeps from being made. Run as a child by load.ts with its task as JSON; prints one RESULT line.

import { type ClientHttp2Session, connect } from "node:http2"
import { callBody, callSize, callsPerSecond, requestFields, type Scenario } from "./scenarios.ts"

const CONNECTIONS = 4
/** More calls than this unanswered: the proxy can't keep up, and more would only measure the queue. */
const MAX_OPEN = 2000
/** ms at the start whose calls are made and not timed. */
const WARM_UP = 500

const { port, scenario, seconds } = JSON.parse(process.argv[2]) as { port: number; scenario: Scenario; seconds: number }

const body = callBody()
const fields = {
  ...Object.fromEntries(requestFields("").filter(([name]) => name !== "host")),
  ":method": "POST",
  ":path": scenario.target,
  "content-type": "application/grpc",
  te: "trailers",
}
const latencies: number[] = []
let calls = 0
let errors = 0
let open = 0
let made = 0

const sessions: ClientHttp2Session[] = []
for (let i = 0; i < CONNECTIONS; i++) {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on("error", () => errors++)
  sessions.push(session)
}

function call(due: number): void {
  open++
  let received = 0
  let status = ""
  const stream = sessions[made % CONNECTIONS].request(fields)
  stream.on("data", (chunk: Buffer) => {
    received += chunk.length
  })
  stream.on("trailers", (trailers) => {
    status = String(trailers["grpc-status"])
  })
  stream.on("error", () => {})
  stream.on("close", () => {
    open--
    calls++
    if (status !== "0" || received !== callSize) errors++
    if (due > WARM_UP) latencies.push(performance.now() - start - due)
    if (finished && open === 0) report()
  })
  stream.end(body)
}

let finished = false
let start = 0

function tick(): void {
  const now = performance.now() - start
  while ((made * 1000) / callsPerSecond <= now && now < seconds * 1000) {
    const due = (made * 1000) / callsPerSecond
    if (open >= MAX_OPEN || sessions[made % CONNECTIONS].destroyed) errors++
    else call(due)
    made++
  }
  if (now < seconds * 1000) return
  clearInterval(timer)
  finished = true
  if (open === 0) report()
}

let reported = false
function report(): void {
  if (reported) return
  reported = true
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => Math.round((latencies[Math.floor(latencies.length * share)] ?? 0) * 1000)
  const duration = (performance.now() - start) / 1000
  console.log(`RESULT ${JSON.stringify({ count: calls, duration, errors, p50: at(0.5), p99: at(0.99) })}`)
  for (const session of sessions) session.destroy()
  clearTimeout(limit)
}

await Promise.all(sessions.map((session) => new Promise((resolve) => session.once("connect", resolve))))
start = performance.now()
const timer = setInterval(tick, 1)
// Calls that get no answer end with this.
const limit = setTimeout(
  () => {
    errors += open
    report()
    process.exit()
  },
  (seconds + 5) * 1000,
)
