// Two versions of a shop, and a service that is to take its orders one day, for the traffic-shaping example.

import { createServer } from "node:http"

for (const [port, name] of [
  [9091, "stable"],
  [9092, "next"],
  [9093, "shadow"],
] as const) {
  createServer((request, response) => {
    let body = ""
    request.on("data", (bytes: Buffer) => {
      body += bytes.toString()
    })
    request.on("end", () => {
      if (name === "shadow") console.log(`shadow: ${request.method} ${request.url} ${body}`)
      response.end(`${name}\n`)
    })
  }).listen(port, "127.0.0.1")
}
