// Two services that take orders, for the body-filter example. Each says who it is and how much of the order reached it.

import { createServer } from "node:http"

for (const [port, name] of [
  [9021, "orders"],
  [9022, "large-orders"],
] as const) {
  createServer((request, response) => {
    let octets = 0
    request.on("data", (bytes: Buffer) => {
      octets += bytes.length
    })
    request.on("end", () => response.end(`${name}: ${octets} octets\n`))
  }).listen(port, "127.0.0.1")
}
