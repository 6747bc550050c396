// The load where wrk is missing: keep-alive connections on sockets, one request at a time on each. Run as a child by
// load.ts with its task as JSON; prints one RESULT line.

import { connect } from "node:net"
import { connect as connectTls } from "node:tls"
import { requestFields, type Scenario } from "./scenarios.ts"

const task = JSON.parse(process.argv[2]) as { scenario: Scenario; port: number; connections: number; seconds: number }
const { scenario, port } = task
const fields = requestFields(`127.0.0.1:${port}`).map(([name, value]) => `${name}: ${value}\r\n`)
if (scenario.requestBody > 0) fields.push(`content-length: ${scenario.requestBody}\r\n`)
const request = Buffer.from(
  `${scenario.method} ${scenario.target} HTTP/1.1\r\n${fields.join("")}\r\n${"x".repeat(scenario.requestBody)}`,
  "latin1",
)

const latencies: number[] = []
let requests = 0
let errors = 0
let open = 0
const start = performance.now()
const end = start + task.seconds * 1000

function run(): void {
  const socket = scenario.tls
    ? connectTls({ port, host: "127.0.0.1", rejectUnauthorized: false }).setNoDelay()
    : connect({ port, host: "127.0.0.1", noDelay: true })
  open++
  let sent = 0
  /** Octets of the current response still to come; -1 while its head is incomplete. */
  let left = -1
  let head = ""
  const send = (): void => {
    sent = performance.now()
    left = -1
    head = ""
    socket.write(request)
  }
  socket.on(scenario.tls ? "secureConnect" : "connect", send)
  socket.on("data", (chunk: Buffer) => {
    let size = chunk.length
    if (left < 0) {
      head += chunk.toString("latin1")
      const headEnd = head.indexOf("\r\n\r\n")
      if (headEnd < 0) return
      const length = /\r\ncontent-length: *(\d+)/i.exec(head.slice(0, headEnd))
      if (length === null) {
        // Only responses with a length are understood here.
        errors++
        socket.destroy()
        return
      }
      left = Number(length[1])
      size = head.length - headEnd - 4
      if (!head.startsWith("HTTP/1.1 2")) errors++
    }
    left -= size
    if (left > 0) return
    if (left < 0) errors++
    const now = performance.now()
    requests++
    latencies.push(now - sent)
    if (now < end) send()
    else socket.end()
  })
  socket.on("error", () => {
    errors++
  })
  socket.on("close", () => {
    open--
    if (performance.now() < end) run()
    else if (open === 0) report()
  })
}

function report(): void {
  clearTimeout(limit)
  latencies.sort((a, b) => a - b)
  const at = (share: number): number => Math.round((latencies[Math.floor(latencies.length * share)] ?? 0) * 1000)
  const duration = (performance.now() - start) / 1000
  console.log(`RESULT ${JSON.stringify({ count: requests, duration, errors, p50: at(0.5), p99: at(0.99) })}`)
}

// Requests that get no answer end with this.
const limit = setTimeout(
  () => {
    errors += open
    report()
    process.exit()
  },
  (task.seconds + 5) * 1000,
)
for (let i = 0; i < task.connections; i++) run()
