// One endpoint whose behaviour a scenario changes while requests come. Run as a child by failures.ts with its port as argument;
// told its mode by messages, and answers each with the number of requests it has had.

import { createServer, type ServerResponse } from "node:http"
import type { FailureMode } from "./failure-scenarios.ts"

const body = Buffer.alloc(1024, "x")
/** ms of a slow answer, and of either half of flapping. */
const SLOW = 500
const FLAP = 500

const port = Number(process.argv[2])
let mode: FailureMode = "well"
let requests = 0
let since = 0

function well(response: ServerResponse): void {
  response.writeHead(200, { "content-length": body.length })
  response.end(body)
}

const server = createServer((request, response) => {
  requests++
  const flapping = mode === "flapping" && Math.floor((Date.now() - since) / FLAP) % 2 === 0
  switch (flapping ? "error" : mode) {
    case "hung":
      return
    case "slow":
      setTimeout(() => well(response), SLOW)
      return
    case "error":
      response.writeHead(500, { "content-length": 0 })
      response.end()
      return
    case "reset":
      response.writeHead(200, { "content-length": body.length })
      response.write(body.subarray(0, 100), () => request.socket.resetAndDestroy())
      return
    default:
      well(response)
  }
})
server.keepAliveTimeout = 60_000
server.listen(port, "127.0.0.1", () => process.send?.("ready"))

process.on("message", (message: FailureMode | "count") => {
  if (message !== "count") {
    mode = message
    since = Date.now()
  }
  process.send?.(requests)
})
process.on("disconnect", () => process.exit(0))
